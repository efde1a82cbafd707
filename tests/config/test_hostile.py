"""Hostile configurations: right, or refused in one message; nothing is run on their behalf."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

import revive.pipeline.run  # noqa: F401 - what targets import is imported now, not against the clock
from revive.config import Settings, check_sections
from revive.config.launch import launch
from revive.errors import UserError
from tests.config.hostile_configs import KINDS
from tests.conftest import EXPERIMENT
from tests.hostile import drawn_seed, judged


def _task(settings: Settings) -> None:
    check_sections(settings.as_dict(), trusted=settings.trust.targets).raise_if_any()


def attack(experiments: Path, count: int, rng: random.Random) -> list[str]:
    """Try so many configurations; what went wrong."""
    faults, right = [], 0
    for number in range(count):
        kind = rng.choice(KINDS)
        arguments, text = kind(rng)
        (experiments / "demo" / "experiment.yaml").write_text(text)
        outcome, said = judged(lambda: launch(arguments, _task))  # noqa: B023
        right += outcome == "right"
        if outcome == "wrong":
            shown = [argument[:100] for argument in arguments]
            faults.append(f"{number}: {kind.__name__} {shown} {text[:200]!r}: {said}")
    evil = [path for path in (Path("RUN"), Path("/tmp/evil")) if path.exists()]
    if evil or {"LD_PRELOAD", "X"} & {*os.environ}:
        faults.append(f"something was run: {evil}")
    return (
        faults
        if right < count / 2
        else [*faults, f"{right} of {count} were taken: the generator does no harm"]
    )


def test_some_hostile_configurations(experiments: Path, capsys: pytest.CaptureFixture[str]) -> None:
    faults = attack(experiments, 16, random.Random(1))
    assert not faults, "\n".join(faults)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_500_hostile_configurations(experiments: Path) -> None:
    faults = attack(experiments, 500, random.Random(drawn_seed()))
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    ("arguments", "text", "said"),
    [
        (["--info"], "", "there is no flag '--info'"),
        (["--config-dir=/x"], "", "there is no flag '--config-dir'"),
        (["hydra.run.dir=/x"], "", "only hydra.sweep.dir can be set"),
        (["trainer.threads=100000"], "", "trainer.threads: must be less than or equal to 256, not 100000"),
        (["venv.network.hidden=[1000000,1000000]"], "", r"takes 2.09e\+05 GiB of memory .* this machine has"),
        (["run_id=mlflow.db"], "", "'mlflow.db' lies beside the runs"),
        (["tracking.experiment=../x"], "", "tracking.experiment"),
        ([], "hydra: {callbacks: {}}\n", "'hydra' cannot be set here: an experiment says what is learned"),
        ([], "trust: {targets: [os.system]}\n", "'trust' cannot be set here"),
        ([], "a: &a [x]\nb: &b [*a, *a]\nc: &c [*c]\n", "holds an alias of what it stands in"),
        ([], "seed: ${venv.members}\nvenv: {members: '${seed}'}\n", "Recursive interpolation detected"),
        (["venv.learner._target_=revive.user_code.load_module"], "", "has no class 'load_module'"),
        (["venv.learner._target_=os.system"], "", r"trust.targets=\[os.system\]"),
    ],
)
def test_what_the_message_says(experiments: Path, arguments: list[str], text: str, said: str) -> None:
    (experiments / "demo" / "experiment.yaml").write_text(EXPERIMENT + text)
    with pytest.raises(UserError, match=said):
        launch(["experiment=demo", *arguments], _task)


def test_a_trusted_class_may_be_a_target(experiments: Path) -> None:
    name = "pathlib.PurePosixPath"
    with pytest.raises(UserError, match=r"must start with 'revive\."):
        launch(["experiment=demo", f"venv.learner._target_={name}"], _task)
    from revive.config.instantiate import find_target

    assert find_target(name, "venv.learner", [name]).__name__ == "PurePosixPath"


@pytest.mark.parametrize(
    ("arguments", "text", "said"),
    [
        (["tracking=[1,2,3]", "-m"], "", "cannot be composed|tracking"),
        ([], "seed: 0x" + "f" * 4000 + "\n", "cannot be read: Exceeds the limit"),
        ([], "a" * 900 + ": 1\n", r"a{100}\.\.\.: unknown key"),
    ],
)
def test_what_ended_in_an_exception_once(
    experiments: Path, arguments: list[str], text: str, said: str
) -> None:
    (experiments / "demo" / "experiment.yaml").write_text(EXPERIMENT + text)
    with pytest.raises(UserError, match=said) as caught:
        launch(["experiment=demo", *arguments], _task)
    assert len(str(caught.value)) < 2000


def test_an_experiment_of_ten_thousand_letters(experiments: Path) -> None:
    with pytest.raises(UserError, match=r"there is no experiment 'a{77}\.\.\.'"):
        launch(["experiment=" + "a" * 10_000], _task)
