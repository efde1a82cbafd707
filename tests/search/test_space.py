"""The grammar of a search space, and its check against the config."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from revive.config import load_settings
from revive.errors import UserError
from revive.search.domains import Choice, LogUniform, RandInt, Uniform, parse
from revive.search.space import read_space, with_values


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("uniform(0, 1)", Uniform(0.0, 1.0)),
        (" loguniform( 1e-4 ,1e-2 ) ", LogUniform(1e-4, 1e-2)),
        ("randint(2, 8)", RandInt(2, 8)),
        ("choice(silu, tanh)", Choice(("silu", "tanh"))),
        ("choice(1e-3, 2)", Choice((1e-3, 2))),
        ("choice([32, 32], [64])", Choice(([32, 32], [64]))),
    ],
)
def test_grammar(text: str, expected: object) -> None:
    assert parse(text, "venv.space.x") == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("uniform(1, 0)", "below the second"),
        ("uniform(1)", r"uniform\(LOW, HIGH\)"),
        ("uniform(a, b)", "two numbers"),
        ("loguniform(0, 1)", "positive"),
        ("randint(0.5, 2)", "whole numbers"),
        ("choice()", "at least one"),
        ("logunifrom(1e-4, 1)", "did you mean 'loguniform'"),
        (3, "no range of values"),
        ("uniform 0 1", "no range of values"),
        ("__import__('os')", "there is no '__import__'"),
    ],
)
def test_wrong_grammar_is_named(text: object, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        parse(text, "venv.space.x")
    assert caught.value.problems[0].place == "venv.space.x"


@pytest.mark.parametrize("text", ["uniform(-1, 2)", "loguniform(1e-5, 1)", "randint(1, 3)", "choice(1, 2)"])
def test_draws_stay_within(text: str) -> None:
    domain, generator = parse(text, "x"), random.Random(0)
    drawn = [domain.draw(generator) for _ in range(300)]
    assert min(drawn) >= min(domain.edges)
    assert max(drawn) <= max(domain.edges)
    assert len(set(drawn)) > 1


def test_shipped_spaces_pass(experiments: Path) -> None:
    settings = load_settings(["experiment=demo"])
    assert "learner.lr" in read_space(settings, "venv")
    assert "learner.lr" in read_space(settings, "policy")


def test_space_is_set_on_the_command_line(experiments: Path) -> None:
    settings = load_settings(
        [
            "experiment=demo",
            'venv.space.learner.lr="uniform(1e-3, 2e-3)"',
            '+venv.space={learner.clip: "uniform(1, 5)"}',
            '+venv.space.network.activation="choice(silu, tanh)"',
            "venv.space.learner.weight_decay=null",
        ]
    )
    space = read_space(settings, "venv")
    assert space["learner.lr"] == Uniform(1e-3, 2e-3)
    assert space["learner.clip"] == Uniform(1.0, 5.0)
    assert space["network.activation"] == Choice(("silu", "tanh"))
    assert "learner.weight_decay" not in space


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ('+venv.space.learner.lrr="uniform(0, 1)"', "did you mean 'learner.lr'"),
        ('+venv.space.learner.chunk="uniform(1, 5)"', "must be a whole number"),
        ('+venv.space.network.activation="choice(silu, thin)"', "'thin'"),
        ('+venv.space.keep="randint(1, 99)"', "more than members"),
        ('+venv.space.learner.held_out="uniform(0.1, 0.3)"', "cannot be searched"),
        ('+venv.space.learner._target_="choice(a, b)"', "cannot be searched"),
        ('+venv.space.network="choice(1)"', "whole section"),
        ("venv.space.learner.lr=0.1", "no range of values"),
    ],
)
def test_every_key_and_bound_is_checked(experiments: Path, override: str, message: str) -> None:
    settings = load_settings(["experiment=demo", override])
    with pytest.raises(UserError, match=message) as caught:
        read_space(settings, "venv")
    assert str(caught.value.problems[0].place).startswith("venv.space.")


def test_values_reach_the_settings_of_a_trial(experiments: Path) -> None:
    settings = load_settings(["experiment=demo"])
    tried = with_values(settings, "venv", {"learner.lr": 0.5, "keep": 2}, seed=7)
    assert (tried.venv.learner["lr"], tried.venv.keep, tried.seed) == (0.5, 2, 7)
    assert settings.venv.learner["lr"] != 0.5
