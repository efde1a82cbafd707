"""Matchers and generators by themselves: what they are worth on data whose answer is known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from revive.data.codec import Codec
from revive.errors import UserError
from revive.graph.decision_graph import DecisionGraph
from revive.nn.ensemble import clip_gradient_by_member
from revive.venv.learners.bc import BehaviourCloning
from revive.venv.learners.episodes import before, closed_loop, pieces
from revive.venv.learners.generators import PPO, Arena, Generator, Pathwise, advantages, clipped
from revive.venv.learners.matcher_training import MatcherTraining
from revive.venv.learners.matching import (
    Matchers,
    energy,
    flat,
    framed,
    groups_of,
    known_windows,
    reward,
)
from revive.venv.node_model import NetworkSpec
from revive.venv.problem import VenvProblem
from tests.venv.learners.test_bc import BC
from tests.venv.plants import columns, rows_of
from tests.venv.problems import problem_of
from tests.venv.test_over_time import GRAPH, problem_with


def gaussian(rows: int, seed: int) -> dict[str, np.ndarray]:
    """u ~ N(1, 0.5^2), whatever x is; x a standard normal that u does not move."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows + 1, 1))
    return {"x": x[:-1], "u": rng.normal(1.0, 0.5, (rows, 1)), "next_x": x[1:]}


@pytest.fixture(scope="module")
def problem() -> VenvProblem:
    graph = DecisionGraph.build(columns(x=1, u=1), {"u": ["x"], "next_x": ["x"]})
    codec = Codec.empty(graph)
    rows = rows_of(graph, codec, gaussian(2000, 1), gaussian(2000, 2))
    return problem_of(graph, codec, rows, members=1, keep=1, network=NetworkSpec(hidden=(4,)))


def arena_of(problem: VenvProblem, groups: list[list[str]]) -> Arena:
    """A clone that knows the linear start, and matchers of these nodes."""
    start = BehaviourCloning(problem, **BC)
    start.objective.start_linear((), start.generator)
    start.objective.measure_sigma()
    torch.manual_seed(0)
    return Arena(problem, start, Matchers(problem, groups, [16]), 0.0, 5.0, 64)


def play(arena: Arena, generator: Generator, iterations: int) -> Tensor:
    """A game without anchor and replay; what the matchers' loss was, iteration by iteration."""
    arena.anchor = 0.0
    for name in arena.venv.graph.learned:
        arena.venv.model(name).hold_std = True
    matching = torch.optim.Adam(arena.matchers.parameters(), lr=1e-2, betas=(0.5, 0.9))
    others, losses = generator.optimizers(), []
    for _ in range(iterations):
        episodes = closed_loop(arena.venv, arena.problem.rows, arena.start.seen, 4, 64, arena.rng)
        real, fake = (arena.matchers.features(flat(part)) for part in (episodes.data, episodes.rolled))
        known = [torch.ones(part.shape[:2]) for part in real]
        loss, apart = arena.matchers.loss(real, fake, known, penalty=1.0, smoothing=0.0, generator=arena.rng)
        matching.zero_grad()
        loss.sum().backward()
        clip_gradient_by_member(arena.matchers.parameters(), 5.0)
        matching.step()
        generator.update(episodes, others)
        losses.append(apart)
    return torch.stack(losses)


PPO_SMALL: dict[str, Any] = {
    "gamma": 0.5, "gae_lambda": 0.9, "clip_ratio": 0.2, "epochs": 2, "minibatches": 1, "value_lr": 1e-2, "hidden": [8],
}  # fmt: skip


@pytest.mark.parametrize("kind", ["pathwise", "ppo"])
def test_a_generator_that_is_wrong_is_brought_to_the_mean_of_the_logs(
    problem: VenvProblem, kind: str
) -> None:
    arena = arena_of(problem, [["u"]])
    with torch.no_grad():
        arena.venv.model("u").net.skip.bias.sub_(0.6)
    spread = arena.venv.model("u").free_log_std.detach().clone()
    generator = Pathwise(arena, 1e-2, truncate=2) if kind == "pathwise" else PPO(arena, 2e-3, **PPO_SMALL)
    play(arena, generator, 200)
    x = torch.randn(2, 500, 1, generator=torch.Generator().manual_seed(0))
    means = arena.venv.model("u")(x, None).mean.mean(1)
    torch.testing.assert_close(means.detach(), torch.ones(2, 1), rtol=0, atol=0.2)
    assert torch.equal(arena.venv.model("u").free_log_std, spread)


def test_matchers_of_one_and_the_same_distribution_can_tell_nothing(problem: VenvProblem) -> None:
    arena = arena_of(problem, [["u"]])
    before = arena.venv.model("u")(torch.zeros(2, 1, 1), None).mean.detach()
    losses = play(arena, Pathwise(arena, 1e-3, truncate=2), 200)
    assert float(losses[-50:].mean()) == pytest.approx(2 * np.log(2.0), abs=0.03)
    logits = arena.matchers.logits([torch.randn(2, 200, 1)])
    assert logits.sigmoid().sub(0.5).abs().mean() < 0.1
    after = arena.venv.model("u")(torch.zeros(2, 1, 1), None).mean.detach()
    torch.testing.assert_close(after, before, rtol=0, atol=0.1)


def test_members_that_are_paused_do_not_move(problem: VenvProblem) -> None:
    arena = arena_of(problem, [["u", "next_x"]])
    arena.paused = torch.tensor([True, False])
    before = {name: p.detach().clone() for name, p in arena.venv.named_parameters()}
    play(arena, Pathwise(arena, 1e-2, truncate=2), 3)
    for name, parameter in arena.venv.named_parameters():
        assert torch.equal(parameter[0], before[name][0]), name
    moved = arena.venv.model("u").net.skip.bias
    assert not torch.equal(moved[1], before["models.u.net.skip.bias"][1])


def test_advantages_are_those_of_brute_force() -> None:
    generator = torch.Generator().manual_seed(0)
    earned, worth = torch.randn(6, 2, 3, generator=generator), torch.randn(7, 2, 3, generator=generator)
    found = advantages(earned, worth, 0.9, 0.8)
    for t in range(6):
        wanted = sum(
            (0.9 * 0.8) ** (k - t) * (earned[k] + 0.9 * worth[k + 1] - worth[k]) for k in range(t, 6)
        )
        torch.testing.assert_close(found[t], wanted)


def test_a_ratio_of_one_earns_the_advantage_and_a_large_one_no_more_than_the_clip() -> None:
    gain = torch.tensor([[1.0, -2.0]])
    one, two = torch.ones(1, 2), torch.full((1, 2), 2.0)
    assert torch.equal(clipped([one, one], gain, 0.2), gain)
    torch.testing.assert_close(clipped([two], gain, 0.2), torch.tensor([[1.2, -4.0]]))
    torch.testing.assert_close(clipped([two, one, one, one], gain, 0.2)[0, 0], torch.tensor((1.2 + 3) / 4))


# -- matchers over time --------------------------------------------------------------------------


def series(rows: int, seed: int, memory: float) -> dict[str, np.ndarray]:
    """u with a standard normal distribution whose values hang together by `memory`; x plays no part."""
    rng = np.random.default_rng(seed)
    u = rng.normal(size=rows)
    for t in range(1, rows):
        u[t] = memory * u[t - 1] + np.sqrt(1 - memory**2) * u[t]
    x = rng.normal(size=(rows + 1, 1))
    return {"x": x[:-1], "u": u[:, None], "next_x": x[1:]}


@pytest.fixture(scope="module")
def persistent() -> VenvProblem:
    """Logs whose u persists, for nodes that draw it anew at every step: the right margin, the wrong memory."""
    graph = DecisionGraph.build(columns(x=1, u=1), {"u": ["x"], "next_x": ["x"]})
    codec = Codec.empty(graph)
    rows = rows_of(graph, codec, series(2000, 1, 0.9), series(2000, 2, 0.9))
    return problem_of(graph, codec, rows, members=1, keep=1, network=NetworkSpec(hidden=(4,)))


def told_apart(problem: VenvProblem, backbone: str, steps: int = 80) -> float:
    """The loss of matchers of u after so many updates; 2 log 2 of one that can tell nothing."""
    start = BehaviourCloning(problem, **BC)
    start.objective.start_linear((), start.generator)
    with torch.no_grad():  # u ~ N(0, 1) whatever x is, which is its margin in the logs
        model = start.venv.model("u")
        for parameter in (*model.net.parameters(), model.free_log_std):
            parameter.zero_()
    torch.manual_seed(0)
    matchers = Matchers(problem, [["u"]], [16], backbone, window=4)  # type: ignore[arg-type]
    optimizer = torch.optim.Adam(matchers.parameters(), lr=1e-2, betas=(0.5, 0.9))
    last = []
    for _ in range(steps):
        episodes = closed_loop(start.venv, problem.rows, start.seen, 8, 32, start.generator)
        real, fake = (matchers.seen(part) for part in (episodes.data, episodes.rolled))
        known = [torch.ones(part.shape[:2]) for part in real]
        loss, apart = matchers.loss(real, fake, known, penalty=0.1, smoothing=0.0, generator=start.generator)
        optimizer.zero_grad()
        loss.sum().backward()
        optimizer.step()
        last.append(float(apart.mean()))
    return float(np.mean(last[-20:]))


@pytest.mark.parametrize("backbone", ["gru", "lstm", "transformer"])
def test_a_matcher_over_time_sees_a_wrong_memory_and_one_of_single_steps_does_not(
    persistent: VenvProblem, backbone: str
) -> None:
    assert told_apart(persistent, "mlp", 40) > 2 * np.log(2.0) - 0.04
    assert told_apart(persistent, backbone) < 2 * np.log(2.0) - 0.2


def test_windows_begin_with_the_first_step_again_and_again() -> None:
    steps = torch.arange(4.0).view(1, 4, 1, 1)
    assert framed(steps, 3)[0, :, 0].tolist() == [[0, 0, 0], [0, 0, 1], [0, 1, 2], [1, 2, 3]]


@pytest.mark.parametrize("backbone", ["gru", "transformer"])
def test_a_piece_from_the_middle_is_seen_with_what_was_before_it(
    persistent: VenvProblem, backbone: str
) -> None:
    start = BehaviourCloning(persistent, **BC)
    torch.manual_seed(0)
    matchers = Matchers(persistent, [["u", "next_x"]], [8], backbone, window=5)  # type: ignore[arg-type]
    episodes = closed_loop(start.venv, persistent.rows, start.seen, 12, 3, start.generator)
    whole = matchers.logits(matchers.seen(episodes.rolled)).unflatten(2, (12, 3))
    rolled, begins = pieces(start.venv, episodes, 4)
    earlier = {name: before(value, begins, 4) for name, value in episodes.rolled.items()}
    found = matchers.logits(matchers.seen(rolled, earlier)).unflatten(2, (4, 9))
    wanted = torch.cat([whole[:, :, t : t + 4] for t in (0, 4, 8)], dim=3)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


def test_a_window_with_a_step_that_was_not_logged_does_not_count(persistent: VenvProblem) -> None:
    index = torch.arange(6).view(6, 1, 1)
    valid = torch.ones(6, 1, 1)
    valid[4] = 0.0
    assert known_windows(persistent, ["u"], index, valid, 2)[0].tolist() == [1, 1, 1, 1, 0, 0]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"matcher_backbone": "gruu"}, "(?s)no matchers of the kind 'gruu'.*did you mean 'gru'"),
        ({"matcher_window": 0}, "matchers see at least one step, not 0"),
    ],
)
def test_matchers_that_there_are_not_are_refused(
    persistent: VenvProblem, changed: dict[str, Any], said: str
) -> None:
    usual: dict[str, Any] = {
        "matchers": None, "hidden": [4], "matcher_backbone": "mlp", "matcher_window": 4, "matcher_lr": 1e-3,
        "matcher_steps": 1, "batch": 8, "penalty": 0.1, "smoothing": 0.0, "replay": 0, "pause_below": 0.0,
    }  # fmt: skip
    with pytest.raises(UserError, match=said):
        MatcherTraining(persistent, **{**usual, **changed})


def test_pieces_are_the_episode_itself_also_where_nodes_see_a_history() -> None:
    problem = problem_with(NetworkSpec(hidden=(4,)), members=1)
    venv, _ = problem.make(problem.network)
    start = BehaviourCloning(problem, **BC)
    episodes = closed_loop(venv, problem.rows, start.seen, 10, 3, problem.generator())
    rolled, begins = pieces(venv, episodes, 4)
    assert begins.tolist() == [0, 4]
    for name in GRAPH.learned:
        wanted = torch.cat([episodes.rolled[name][0:4], episodes.rolled[name][4:8]], dim=2)
        torch.testing.assert_close(rolled[name], wanted, rtol=1e-5, atol=1e-6)


def test_energy_is_nothing_for_the_same_and_grows_with_a_shift() -> None:
    generator = torch.Generator().manual_seed(0)
    one, other = (torch.randn(2, 3000, 2, generator=generator) for _ in range(2))
    known = [torch.ones(2, 3000)]
    same, near, far = (energy([one], [other + shift], known) for shift in (0.0, 0.5, 2.0))
    assert same.abs().max() < 0.03
    assert (near > 0.03).all()
    assert (far > 5 * near).all()


def test_rewards_are_positive_unless_rollouts_can_end() -> None:
    logits = torch.tensor([[[-3.0, 0.0, 9.0]]])
    assert (reward(logits, ends=False) > 0).all()
    assert reward(logits, ends=True)[0].tolist() == [-3.0, 0.0, 5.0]


def test_a_matcher_sees_what_is_learned_and_what_it_follows_from_unless_told_otherwise(
    problem: VenvProblem,
) -> None:
    assert groups_of(problem, None) == [["x", "u", "next_x"]]
    assert groups_of(problem, [["u"], ["x", "next_x"]]) == [["u"], ["x", "next_x"]]
    with pytest.raises(UserError, match="there is no node 'y'"):
        groups_of(problem, [["y"]])
    nothing = replace(problem, rows=replace(problem.rows, values={"x": problem.rows.values["x"]}))
    with pytest.raises(UserError, match="no data of 'u'"):
        groups_of(nothing, [["u"]])
