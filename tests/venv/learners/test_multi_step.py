from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from revive.data.codec import Codec
from revive.data.windows import Rows
from revive.graph.columns import Column
from revive.graph.decision_graph import DecisionGraph
from revive.venv.learners.multi_step import MultiStepLearner
from revive.venv.node_model import NetworkSpec
from revive.venv.virtual_env import VirtualEnv
from tests.contract import interrupted
from tests.venv.plants import columns, equal_weights, rows_of, train, weights_of
from tests.venv.problems import multi_step, problem_of

Make = Callable[..., MultiStepLearner]
LIMIT = 2.2
FIELDS = ("network", "budget", "seed", "members", "keep", "earlier")


@pytest.fixture
def learner(noisy: tuple[DecisionGraph, Codec, Rows]) -> Make:
    """Makes a learner of the noisy plant; what is given changes its problem or its arguments."""

    def make(**changed: Any) -> MultiStepLearner:
        fields = {name: changed.pop(name) for name in FIELDS if name in changed}
        return multi_step(problem_of(*noisy, **fields), **changed)

    return make


@pytest.fixture(scope="module")
def bent() -> tuple[DecisionGraph, Codec, Rows]:
    """Two halves of logs of a plant without noise that no line describes."""

    def logs(seed: int) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(seed)
        u, x = rng.uniform(-2, 2, (800, 1)), np.zeros((801, 1))
        for t in range(800):
            x[t + 1] = x[t] + 0.3 * np.sin(3.0 * x[t]) + 0.4 * u[t] * np.cos(2.0 * u[t]) - 0.1 * x[t]
        return {"x": x[:-1], "u": u, "next_x": x[1:]}

    graph = DecisionGraph.build(columns(x=1, u=1), {"u": ["x"], "next_x": ["x", "u"]})
    codec = Codec.fit(graph, logs(1))
    return graph, codec, rows_of(graph, codec, logs(1), logs(2))


def state_coefficients(venv: VirtualEnv) -> np.ndarray:
    """d next_x / d x of each member in the middle of the data."""
    ends = torch.tensor([[-0.5], [0.5]]).expand(venv.members, 2, 1)
    seen = torch.cat([ends, torch.zeros_like(ends)], dim=-1)
    mean = venv.model("next_x").mode(seen, ends).detach()
    return (mean[:, 1, 0] - mean[:, 0, 0]).numpy()


def test_multi_step_stages_undo_the_bias_of_least_squares(
    learner: Make, noisy: tuple[DecisionGraph, Codec, Rows], tmp_path: Path
) -> None:
    _, codec, rows = noisy
    data = codec.decode(rows.values)
    design = np.hstack([data["x"], data["u"], np.ones((rows.count, 1))])
    biased = np.linalg.lstsq(design, data["next_x"], rcond=None)[0][0, 0]
    assert float(biased) < 0.9 * 0.9  # what measurement noise does to a regression on one step
    trained = learner(curriculum=[[20, 80], [50, 60]], multi_step_lr=5e-3, window_batch=24)
    train(trained, tmp_path)
    found = state_coefficients(trained.venv)
    assert found.mean() == pytest.approx(0.9, rel=0.03)
    assert (abs(found - 0.9) < 0.3 * (0.9 - float(biased))).all()


def test_filters_undo_the_bias_and_find_the_gain_of_the_steady_kalman_filter(
    learner: Make, tmp_path: Path
) -> None:
    made = learner(filter_updates=150, filter_lr=2e-2, window_batch=24)
    train(made, tmp_path)
    assert state_coefficients(made.venv).mean() == pytest.approx(0.9, rel=0.03)
    assert list(made.kept)[-1].startswith("filtered_24")
    assert "noisy" in made.notes()["stopped"]
    # x' = .9 x + .5 u without process noise: the steady gain of such a filter is nothing
    assert max(made.notes()["reading_gains"]["next_x"]) < 0.2


def test_readings_without_noise_get_no_observer(
    bent: tuple[DecisionGraph, Codec, Rows], tmp_path: Path
) -> None:
    problem = problem_of(*bent, network=NetworkSpec(hidden=(16, 16)))
    made = multi_step(problem, one_step_updates=400, lr=1e-2, filter_updates=20)
    train(made, tmp_path)
    assert made.result().observed == ()
    assert any(name.startswith("multi_step") for name in made.kept)


def test_what_seldom_happens_is_learned_on_after_the_states_are(tmp_path: Path) -> None:
    """A done in three of a hundred rows, where x is beyond a limit: rare, but no matter of chance."""

    def logs(seed: int) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(seed)
        u, x = rng.normal(size=(3000, 1)), np.zeros((3001, 1))
        for t in range(3000):
            x[t + 1] = 0.9 * x[t] + 0.5 * u[t]
        return {"x": x[:-1], "u": u, "next_x": x[1:], "done": (x[1:] > LIMIT).astype(float)}

    graph = DecisionGraph.build(
        [*columns(x=1, u=1), Column("done", "done", "category", values=(0.0, 1.0))],
        {"u": ["x"], "next_x": ["x", "u"], "done": ["next_x"]},
    )
    halves = logs(1), logs(2)
    codec = Codec.fit(graph, halves[0])
    problem = problem_of(graph, codec, rows_of(graph, codec, *halves), budget=10_000)
    made = multi_step(problem, one_step_updates=100, lr=1e-2, curriculum=[[5, 10]], chunk=50)
    train(made, tmp_path)
    assert any(entry["alone"] for entry in made.notes()["tried"])
    x = codec["next_x"].encode(torch.tensor([[0.0], [1.5], [3.0]])).expand(4, -1, -1)
    chance = made.venv.model("done")(x, None).logits.softmax(-1)[..., 1].mean(0)
    rate = float(halves[0]["done"].mean())
    assert chance[0] < 0.1 * rate
    assert chance[1] < rate
    assert chance[2] > 0.9


@pytest.mark.parametrize("stop", [2, 4, 5])
def test_an_interruption_before_and_while_filtering_changes_nothing(
    learner: Make, tmp_path: Path, stop: int
) -> None:
    def make() -> MultiStepLearner:
        return learner(filter_updates=20, window_batch=8)

    whole = make()
    train(whole, tmp_path / "whole")
    assert whole.result().observed
    resumed = interrupted(make, tmp_path / "broken", stop)
    assert equal_weights(weights_of(resumed.result()), weights_of(whole.result()))
    assert resumed.notes() == whole.notes()


def test_one_step_alone_is_least_squares(learner: Make, tmp_path: Path) -> None:
    trained = learner(curriculum=[])
    train(trained, tmp_path)
    assert list(trained.kept) == ["one_step"]
    assert (state_coefficients(trained.venv) < 0.9 * 0.9).all()


def test_what_is_bent_is_learned_in_rounds_with_a_network_that_grows(
    bent: tuple[DecisionGraph, Codec, Rows], tmp_path: Path
) -> None:
    problem = problem_of(*bent, network=NetworkSpec(hidden=None), budget=5000)
    made = multi_step(
        problem, one_step_updates=200, widths=[4, 16, 16, 32], lr=1e-2, curriculum=[[5, 10]], chunk=100
    )
    train(made, tmp_path)
    notes = made.notes()
    rounds = [entry for entry in notes["tried"] if entry["horizon"] == 1]
    assert len(rounds) > 1
    assert rounds[0]["hidden"] == [4, 4]
    assert notes["hidden"] != [4, 4]
    assert made.result().spec.hidden == tuple(notes["hidden"])
    assert made.best.error.mean() < 0.3 * rounds[0]["error"]
    assert notes["updates"] == sum(entry["updates"] for entry in notes["tried"]) <= 5000
    assert "one-step rounds ended after" in notes["stopped"]


def test_a_plant_that_is_a_line_needs_one_round_and_the_smallest_network(
    learner: Make, tmp_path: Path
) -> None:
    made = learner(network=NetworkSpec(hidden=None), widths=[4, 16, 32], curriculum=[])
    train(made, tmp_path)
    assert made.notes()["hidden"] == [4, 4]
    assert made.notes()["updates"] <= 40 + 80


def test_a_network_that_the_user_fixed_stays(learner: Make, tmp_path: Path) -> None:
    made = learner(network=NetworkSpec(hidden=(8, 4, 3)), widths=[4, 16, 32], least_fall=-1.0, curriculum=[])
    train(made, tmp_path)
    assert [entry["hidden"] for entry in made.notes()["tried"]] == [[8, 4, 3]] * 3
    assert made.result().spec.hidden == (8, 4, 3)


def test_a_stage_that_does_not_help_is_undone(learner: Make, tmp_path: Path) -> None:
    plain, spoilt = learner(curriculum=[]), learner(curriculum=[[5, 20]], multi_step_lr=30.0)
    train(plain, tmp_path)
    train(spoilt, tmp_path)
    assert spoilt.kept["multi_step_5"] == [False] * 4
    assert equal_weights(weights_of(spoilt.venv), weights_of(plain.venv))


def test_the_held_out_error_of_the_members_never_rises(learner: Make, tmp_path: Path) -> None:
    made = learner(curriculum=[[5, 20], [10, 20], [20, 20]], multi_step_lr=0.02, chunk=20)
    errors: list[torch.Tensor] = []
    train(made, tmp_path, lambda done, total: errors.append(made.best.error.clone()))
    for before, after in pairwise(errors):
        assert (after <= before).all()
    assert (errors[-1] < errors[0]).any()
    torch.testing.assert_close(made.held_out_error(), errors[-1])


def test_held_out_error_does_not_let_one_diverging_member_spoil_the_rest(learner: Make) -> None:
    made = learner()
    before = made.held_out_error()
    with torch.no_grad():
        made.venv.model("next_x").net.skip.weight[0] = 1e6
        made.venv.model("next_x").net.skip.weight[1] = float("nan")
    after = made.held_out_error()
    torch.testing.assert_close(after[2:], before[2:])
    assert torch.isfinite(after).all()
    assert (after[:2] > 2 * after[2:].max()).all()


def test_the_held_out_error_of_nothing_changes_is_about_one(learner: Make) -> None:
    made = learner()
    with torch.no_grad():
        for parameter in made.venv.model("next_x").net.parameters():
            parameter.zero_()
    torch.testing.assert_close(made.held_out_error(), torch.full((4,), 1.01), rtol=1e-3, atol=0)


@pytest.mark.parametrize("stop", [2, 5, 9, 13])
def test_an_interruption_between_widths_changes_nothing(
    bent: tuple[DecisionGraph, Codec, Rows], tmp_path: Path, stop: int
) -> None:
    """Stopped inside the first round, after it, inside a wider one, and inside the curriculum."""
    problem = problem_of(*bent, network=NetworkSpec(hidden=None))

    def make() -> MultiStepLearner:
        few = {"one_step_updates": 30, "widths": [4, 8, 8], "curriculum": [[5, 20], [10, 10]], "lr": 1e-2}
        return multi_step(problem, **few, least_fall=-1.0, weight_decay=[0.3, 0.01])

    whole = make()
    train(whole, tmp_path / "whole")
    resumed = interrupted(make, tmp_path / "broken", stop)
    assert equal_weights(weights_of(resumed.result()), weights_of(whole.result()))
    assert resumed.notes() == whole.notes()
    assert resumed.kept == whole.kept


def test_a_limit_in_seconds_is_reported(learner: Make, tmp_path: Path) -> None:
    made = learner(max_seconds=1e-9)
    train(made, tmp_path)
    assert made.notes()["updates"] == 10  # one chunk
    assert "seconds" in made.notes()["stopped"]


def test_members_are_fitted_on_their_own_half_without_their_held_out_blocks(
    learner: Make, noisy: tuple[DecisionGraph, Codec, Rows]
) -> None:
    made, rows = learner(), noisy[2]
    generator = torch.Generator().manual_seed(0)
    for segments in (made.seen, made.unseen):
        first, _ = segments.sample(500, 1, generator)
        for m in range(4):
            part = rows.parts[m // 2]
            assert set(first[m].tolist()) <= set(part)
    for m in range(4):
        seen, unseen = (set(s.sample(3000, 1, generator)[0][m].tolist()) for s in (made.seen, made.unseen))
        assert not seen & unseen
    assert made.unseen.starts[0].tolist() != made.unseen.starts[1].tolist()


def test_a_member_is_judged_on_what_it_did_not_see_alone(learner: Make) -> None:
    made = learner()
    before = made.held_out_error()
    spans = zip(made.unseen.starts[0].tolist(), made.unseen.lengths[0].tolist(), strict=True)
    unseen = torch.zeros(made.rows.count, 1, dtype=torch.bool)
    for start, length in spans:
        unseen[start : start + length] = True
    ramp = torch.arange(made.rows.count)[:, None] % 7
    for spoilt in (~unseen, unseen):
        values = {name: value + ramp * spoilt for name, value in made.rows.values.items()}
        other = learner()
        other.judge.rows = replace(made.rows, values=values)
        unchanged = torch.equal(other.held_out_error()[0], before[0])
        assert unchanged == (spoilt is not unseen)


def test_the_best_members_of_each_half_are_those_with_the_lowest_held_out_error(
    learner: Make, tmp_path: Path
) -> None:
    made = learner(one_step_updates=10, curriculum=[])
    train(made, tmp_path)
    with torch.no_grad():
        error = made.held_out_error()
    best = made.best_members(1).tolist()
    assert best == [int(error[:2].argmin()), 2 + int(error[2:].argmin())]
    assert made.best_members(2).tolist() == [0, 1, 2, 3]


def test_the_std_is_that_of_held_out_residuals(learner: Make, tmp_path: Path) -> None:
    made = learner(curriculum=[[5, 20]])
    train(made, tmp_path)
    first, _ = made.unseen.sample(4000, 1, torch.Generator().manual_seed(9))
    batch = made.rows.at(first)
    for name in made.venv.graph.learned:
        x, current = made.venv.node_inputs(name, batch)
        out = made.venv.model(name)(x, current)
        rms = ((batch[name] - out.mean) / out.log_std.exp()).square().mean((1, 2)).sqrt()
        torch.testing.assert_close(rms.detach(), torch.ones(4), rtol=0.06, atol=0)


def test_a_filter_whose_rollouts_run_away_is_not_kept(
    learner: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = learner(filter_updates=20, window_batch=8)
    monkeypatch.setattr(made.judge, "stay_near", lambda: torch.zeros(4, dtype=torch.bool))
    train(made, tmp_path)
    assert made.kept["filtered_24"] == [False] * 4
    assert not learner().judge.stay_near().isnan().any()


def test_filters_behind_which_rollouts_get_no_better_leave_the_venv_of_the_rounds(
    learner: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def make(**changed: Any) -> MultiStepLearner:
        made = learner(window_batch=8, **changed)
        monkeypatch.setattr(made, "_sees_farther", lambda better: False)
        return made

    made, rounds = make(filter_updates=20), make(filter_updates=0, curriculum=[])
    for one in (made, rounds):
        train(one, tmp_path / str(id(one)))
    assert made.kept["filtered_24"] == [False] * 4
    assert made.result().observed == ()
    assert equal_weights(weights_of(made.result()), weights_of(rounds.result()))
    assert made.notes()["reading_gains"] == {}
    again = interrupted(lambda: make(filter_updates=20), tmp_path / "broken", 4)
    assert equal_weights(weights_of(again.result()), weights_of(made.result()))


@pytest.mark.parametrize(
    ("error", "better", "farther"),
    [
        ([0.9, 0.9, 0.9, 9.0], [True] * 4, True),
        ([0.96, 0.97, 0.96, 0.1], [True] * 4, False),
        ([0.5, 0.5, 0.5, 0.5], [True, False, False, False], False),
    ],
)
def test_filters_stay_where_the_median_member_rolls_out_better_by_what_it_keeps(
    learner: Make,
    monkeypatch: pytest.MonkeyPatch,
    error: list[float],
    better: list[bool],
    farther: bool,
) -> None:
    made, before = learner(), torch.tensor([1.0, 1.0, 1.0, 2.0])
    made.unfiltered = {"before": before, "since": before}
    monkeypatch.setattr(made, "judge", lambda: torch.tensor(error))
    assert made._sees_farther(torch.tensor(better)) is farther
    if farther:  # a later stage that runs away, and is kept by none, takes nothing of that back
        monkeypatch.setattr(made, "judge", lambda: torch.full((4,), 9.0))
        assert made._sees_farther(torch.zeros(4, dtype=torch.bool))


def test_a_filter_leaves_the_first_rows_of_trajectories_to_the_one_step_loss(
    noisy: tuple[DecisionGraph, Codec, Rows],
) -> None:
    graph, codec, rows = noisy
    data = codec.decode(rows.values)
    half = rows.parts[0].stop
    halves = [
        {name: value[part] for name, value in data.items()} for part in (slice(half), slice(half, None))
    ]
    ends = [[*range(50, len(part["x"]), 50), len(part["x"])] for part in halves]
    made = multi_step(problem_of(graph, codec, rows_of(graph, codec, *halves, ends=ends)))
    whole = multi_step(problem_of(graph, codec, rows))
    for one in (made, whole):
        one.venv.observe(["next_x"])
    index = torch.arange(0, 200).expand(made.venv.members, -1)
    found = made.objective.starting(made.rows.at(index), index, 24)
    cost = made.objective._cost("next_x", made.rows.at(index))
    early = (torch.arange(200) % 50 < 6).view(1, -1, 1)  # a quarter of 24 rows
    torch.testing.assert_close(found, (cost * early).mean((1, 2)).sum())
    assert found > 0
    assert whole.objective.starting(whole.rows.at(index), index, 24) == 0  # a trifle in two long trajectories
