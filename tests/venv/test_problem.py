from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from revive.data.codec import Codec
from revive.data.windows import Rows
from revive.errors import UserError
from revive.graph.decision_graph import DecisionGraph
from revive.graph.description import parse_description
from revive.venv.node_model import NetworkSpec
from revive.venv.problem import VenvProblem, change_scales
from tests.venv.plants import SMALL, columns, equal_weights, hand_set, rows_of, weights_of
from tests.venv.problems import problem_of

Noisy = tuple[DecisionGraph, Codec, Rows]
LINEAR = {"u": ([[0.7]], [0.1]), "next_x": ([[0.3], [0.4]], [0.2])}


def frozen_graph() -> DecisionGraph:
    described: dict[str, Any] = {
        "metadata": {
            "columns": [{n: {"dim": n, "type": "continuous"}} for n in ("x", "u")],
            "nodes": {"next_x": {"freeze": True}},
            "graph": {"u": ["x"], "next_x": ["x", "u"]},
        }
    }
    return parse_description(described, "test")


def test_a_venv_has_the_members_of_both_halves_in_the_wanted_shape(noisy: Noisy) -> None:
    venv, taken = problem_of(*noisy, members=3).make(NetworkSpec(hidden=(7,)))
    assert (venv.members, venv.halves, taken) == (6, 2, set())
    assert venv.model("next_x").spec.hidden == (7,)
    assert venv.graph is noisy[0]


def test_the_weights_follow_from_the_seed_alone(noisy: Noisy) -> None:
    found = []
    for seed, before in ((3, 0), (3, 99), (4, 0)):
        torch.manual_seed(before)
        found.append(weights_of(problem_of(*noisy, seed=seed).make(SMALL)[0]))
    one, same, other = found
    assert equal_weights(one, same)
    assert not equal_weights(one, other)


def test_every_generator_starts_from_the_seed(noisy: Noisy) -> None:
    problem = problem_of(*noisy, seed=5)
    one, two = problem.generator(), problem.generator()
    assert torch.equal(torch.randn(4, generator=one), torch.randn(4, generator=two))
    other = problem_of(*noisy, seed=6).generator()
    assert not torch.equal(torch.randn(4, generator=problem.generator()), torch.randn(4, generator=other))


def test_nodes_of_an_earlier_venv_are_started_from(noisy: Noisy) -> None:
    graph, codec, rows = noisy
    earlier = hand_set(graph, LINEAR, members=4, codec=codec)
    venv, taken = problem_of(graph, codec, rows, earlier=earlier).make(SMALL)
    assert taken == {"u", "next_x"}
    assert equal_weights(weights_of(venv.model("next_x")), weights_of(earlier.model("next_x")))
    other, none = problem_of(graph, codec, rows, earlier=earlier).make(NetworkSpec(hidden=(9,)))
    assert none == set()
    assert other.model("next_x").spec.hidden == (9,)


def test_a_frozen_node_comes_from_an_earlier_venv_or_there_is_an_error(noisy: Noisy) -> None:
    graph, (_, codec, rows) = frozen_graph(), noisy

    def problem(earlier: Any) -> VenvProblem:
        return problem_of(graph, codec, rows, earlier=earlier)

    venv, taken = problem(hand_set(graph, LINEAR, members=4, codec=codec)).make(SMALL)
    assert "next_x" in taken
    assert venv.members == 4
    with pytest.raises(UserError, match="'next_x' is to be kept as it was learned before") as caught:
        problem(None).make(SMALL)
    assert "venv_path" in str(caught.value)
    with pytest.raises(UserError, match="that of the earlier venv has other inputs, columns or network"):
        problem(hand_set(graph, LINEAR, members=4, codec=codec)).make(NetworkSpec(hidden=(9,)))


def test_scales_are_those_of_the_change_in_the_first_half_alone() -> None:
    graph = DecisionGraph.build(columns(x=2, u=1), {"u": ["x"], "next_x": ["x", "u"]})
    rng = np.random.default_rng(0)

    def half(size: float) -> dict[str, np.ndarray]:
        x = rng.normal(size=(4000, 2))
        change = rng.normal(size=(4000, 2)) * [size, 10 * size]
        return {"x": x, "u": 5.0 * rng.normal(size=(4000, 1)), "next_x": x + change}

    rows = rows_of(graph, Codec.empty(graph), half(0.5), half(300.0))
    scales = change_scales(rows, Codec.empty(graph), graph)
    assert scales["u"] == [1.0]  # it predicts the value, which its codec scales
    assert scales["next_x"] == pytest.approx([0.5, 5.0], rel=0.05)
