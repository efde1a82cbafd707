"""Networks that read the frames of a history: what they learn, and in rollouts (the rest: `test_networks`)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from revive.config.networks import OwnNetwork
from revive.data.codec import Codec
from revive.data.layout import Frames
from revive.errors import UserError
from revive.graph.decision_graph import DecisionGraph
from revive.nn.backbones import make_net
from revive.nn.over_time import RecurrentNet
from revive.pipeline.problems import own_networks
from revive.venv.learners.bc import BehaviourCloning
from revive.venv.node_model import NetworkSpec
from revive.venv.problem import VenvProblem
from tests.venv.learners.test_bc import BC
from tests.venv.mixed import MIXED_GRAPH
from tests.venv.plants import columns, rows_of, train
from tests.venv.problems import problem_of

DELAY, LENGTH = 4, 6
GRAPH = DecisionGraph.build(columns(x=1, wind=1, u=1), {"u": ["x"], "next_x": ["x", "wind"]}).with_inputs(
    "u", ["x", "wind"], history=LENGTH
)
BACKBONES = ("gru", "lstm", "transformer")


def remembered(rows: int, seed: int) -> dict[str, np.ndarray]:
    """An operator who turns what he read four steps ago into |x|, which no line can say."""
    rng = np.random.default_rng(seed)
    x, wind = np.zeros(rows + 1), rng.normal(size=rows)
    for t in range(rows):
        x[t + 1] = 0.3 * x[t] + wind[t]
    late = np.concatenate([np.full(DELAY, x[0]), x[: rows - DELAY]])
    return {"x": x[:-1, None], "wind": wind[:, None], "u": np.abs(late)[:, None], "next_x": x[1:, None]}


def problem_with(spec: NetworkSpec, rows: int = 400, **changed: object) -> VenvProblem:
    halves = remembered(rows, 1), remembered(rows, 2)
    codec = Codec.fit(GRAPH, halves[0])
    return problem_of(GRAPH, codec, rows_of(GRAPH, codec, *halves), nodes={"u": spec}, **changed)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_it_finds_what_happened_some_steps_ago(backbone: str, tmp_path: Path) -> None:
    few = {**BC, "one_step_updates": 250, "lr": 1e-2, "weight_decay": 0.01, "batch_size": 128}
    spec = NetworkSpec(hidden=(16,), backbone=backbone)  # type: ignore[arg-type]
    learner = BehaviourCloning(problem_with(spec, 800, budget=250, members=1, keep=1), **few)
    train(learner, tmp_path)
    linear = BehaviourCloning(problem_with(NetworkSpec(hidden=()), 800, members=1, keep=1), **few)
    linear.objective.start_linear((), linear.generator)
    best_line = linear.objective.costs_on(linear.unseen, ["u"])["u"]
    assert (learner.best.costs["u"] < best_line - 0.4).all()  # nats


@pytest.mark.parametrize("backbone", BACKBONES)
def test_a_rollout_may_start_anywhere(backbone: str) -> None:
    """What it says at a step depends on the frames before it alone, whenever the rollout began."""
    problem = problem_with(NetworkSpec(hidden=(8,), backbone=backbone))  # type: ignore[arg-type]
    venv, rows = problem.make(replace(problem.network))[0], problem.rows
    first = torch.full((venv.members, 1), 20)
    index, _ = rows.windows(first, 12)
    data = rows.at(index)
    given = {"wind": data["wind"]}
    with torch.no_grad():
        whole = venv.rollout({"x": data["x"][0]}, given, 12, past=rows.past(first))
        later = index[5]
        at_later = {"x": whole["x"][5]}
        past = rows.past(later)
        past = {name: _frames_before(venv, rows, whole, name, past[name], 5) for name in past}
        part = venv.rollout(at_later, {"wind": data["wind"][5:]}, 7, past=past)
    torch.testing.assert_close(part["u"], whole["u"][5:], rtol=1e-5, atol=1e-6)


def _frames_before(venv, rows, whole, name, logged, step):  # type: ignore[no-untyped-def]
    """The frames before a step: of what was rolled out, and of the logs before that."""
    spec = venv.graph[name].history
    width = venv.codec.width(spec.source)
    rolled = whole[spec.source][:step].permute(1, 2, 0, 3).flatten(2)
    kept = spec.lookback * width
    first = rows.past(torch.full((venv.members, 1), 20))[name]
    return torch.cat([first, rolled], dim=-1)[..., -kept:] if kept else logged


def test_shorter_histories_are_aligned_with_longer_ones_by_their_newest_frame() -> None:
    net = make_net(
        "gru", 1, 7, 1, hidden=(4,), activation="silu", norm=False, frames=[Frames(0, 4, 1), Frames(5, 2, 1)]
    )
    assert isinstance(net, RecurrentNet)
    steps = net.sequence(torch.arange(7.0).view(1, 1, 7))[0, 0]
    assert steps.tolist() == [[0, 5], [1, 5], [2, 5], [3, 6]]
    assert net.others(torch.arange(7.0).view(1, 1, 7)).tolist() == [[[4.0]]]


def test_a_gru_without_a_history_is_refused_by_name() -> None:
    shared = {"hidden": None, "activation": "silu", "std": "constant", "head": "normal", "backbone": "mlp"}
    with pytest.raises(UserError, match="'u' has no history for the backbone 'gru'"):
        own_networks(MIXED_GRAPH, shared, {"u": OwnNetwork(backbone="gru")})
    with pytest.raises(UserError, match="no node has a history"):
        own_networks(MIXED_GRAPH, {**shared, "backbone": "gru"}, {})
    assert own_networks(GRAPH, {**shared, "backbone": "gru"}, {}) == {}
