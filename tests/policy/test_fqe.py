"""Fitted Q evaluation against chains whose values are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from revive.data.windows import Rows
from revive.graph.columns import Column
from revive.graph.decision_graph import DecisionGraph
from revive.policy.fqe import Logs, Worth, discounted_mean, fitted_q
from revive.policy.policy import Policy
from revive.policy.reward import Reward
from revive.venv.node_model import NetworkSpec
from revive.venv.virtual_env import VirtualEnv
from tests.policy.toys import cart, seen_with
from tests.venv.plants import columns, hand_set, rows_of

GAMMA = 0.5


def does(venv: VirtualEnv, gain: float, graph: DecisionGraph | None = None) -> Policy:
    graph = graph or venv.graph
    edge = torch.tensor([5.0])
    policy = Policy(graph, venv.codec.for_graph(graph), "u", NetworkSpec(hidden=(4,)), 1, -edge, edge)
    weight = torch.zeros_like(policy.net.skip.weight)
    weight[:, -1] = gain
    policy.net.put_linear(weight, torch.zeros(1, 1, 1))
    with torch.no_grad():
        policy.net.last.zero_()
    return policy.requires_grad_(False)


def chain(gain: float) -> Logs:
    """x and u are -1 or 1, x' = u, r = x u; the logs choose at random, and earn nothing on average."""
    graph = DecisionGraph.build(columns(x=1, u=1), {"u": ["x"], "next_x": ["x", "u"]})
    linear = {"u": ([[0.0]], [0.0]), "next_x": ([[-1.0], [1.0]], [0.0])}
    venv = hand_set(graph, linear, members=2).requires_grad_(False)
    generator, logs = np.random.default_rng(0), []
    for _ in range(2):
        u = generator.choice([-1.0, 1.0], (600, 1))
        logs.append({"x": np.concatenate([[[1.0]], u[:-1]]), "u": u, "next_x": u})
    rows = rows_of(graph, venv.codec, *logs)
    reward = Reward(lambda data: data["x"] * data["u"], Path("reward.py"))(rows.values)
    return Logs(venv, rows, does(venv, gain), "u", reward)


def evaluated(logs: Logs, gamma: float = GAMMA, updates: int = 1500) -> list[Worth]:
    starts = [torch.arange(part.start, part.stop) for part in logs.rows.parts]
    found = fitted_q(logs, starts, gamma=gamma, updates=updates, seed=0)
    assert not isinstance(found, str)
    return found


@pytest.mark.parametrize("gain", [1.0, -1.0])
def test_a_chain_is_exact(gain: float) -> None:
    """A policy that does u = x earns one for ever, and one that does u = -x loses one for ever."""
    for worth, part in zip(evaluated(chain(gain)), chain(gain).rows.parts, strict=True):
        assert worth.policy == pytest.approx(gain, abs=0.01)
        earned = float(chain(gain).row_reward[part.start : part.stop].mean())
        assert worth.logs == pytest.approx(earned, abs=0.08)  # whose actions are noise, and the sample finite
        assert worth.gain == pytest.approx(gain, abs=0.1)


def test_an_end_is_worth_nothing_more() -> None:
    """Steps earn one and two in turn, and every fourth one ends the trajectory."""
    done = Column("done", "done", "category", values=(0.0, 1.0))
    graph = DecisionGraph.build([*columns(x=1, u=1), done], {"u": ["x"], "next_x": ["x"], "done": ["next_x"]})
    none = (torch.zeros(1, 0), torch.zeros(0))
    linear = {"u": ([[0.0]], [0.0]), "next_x": ([[0.0]], [1.0]), "done": none}
    venv = hand_set(graph, linear, members=2).requires_grad_(False)
    x = np.tile(np.arange(4.0), 50)[:, None]
    logs = {"x": x, "u": np.zeros_like(x), "next_x": x + 1.0, "done": (x == 3.0).astype(float)}
    rows = rows_of(graph, venv.codec, logs, logs, ends=[list(range(4, 201, 4))] * 2)
    reward = torch.tensor([1.0, 2.0]).repeat(rows.count // 2)
    task = Logs(venv, rows, does(venv, 0.0), "u", reward)
    first = [torch.arange(part.start, part.stop, 4) for part in rows.parts]
    found = fitted_q(task, first, gamma=GAMMA, updates=900, seed=0)
    assert not isinstance(found, str)
    wanted = (1.0 - GAMMA) * (1.0 + 2.0 * 0.5 + 0.25 + 2.0 * 0.125)
    assert [worth.policy for worth in found] == pytest.approx([wanted] * 2, abs=0.02)
    assert [worth.logs for worth in found] == pytest.approx([wanted] * 2, abs=0.02)


def test_the_seed_decides() -> None:
    assert evaluated(chain(1.0), updates=20) == evaluated(chain(1.0), updates=20)


def test_what_was_not_logged_cannot_be_evaluated() -> None:
    venv, plain = cart()
    graph, rows = seen_with(venv, plain, 3)
    policy = does(venv, 0.0, graph)
    reward = torch.randn(rows.count)
    starts = [torch.arange(part.start, part.stop) for part in rows.parts]
    assert isinstance(
        fitted_q(Logs(venv, rows, policy, "u", reward), starts, gamma=0.9, updates=2, seed=0), list
    )
    fewer = Rows(
        **{**vars(rows), "values": {k: v for k, v in rows.values.items() if k != "x"}, "histories": {}}
    )
    found = fitted_q(Logs(venv, fewer, policy, "u", reward), starts, gamma=0.9, updates=2, seed=0)
    assert isinstance(found, str)
    assert "which the logs do not hold" in found


def test_rollouts_are_measured_alike() -> None:
    reward = torch.tensor([[1.0, 2.0], [3.0, 2.0]])
    torch.testing.assert_close(discounted_mean(reward, 0.5), torch.tensor([5.0 / 3.0, 2.0]))
