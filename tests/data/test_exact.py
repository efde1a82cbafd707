"""What is applied without being asked has to be true: look-alikes are no circle, bound, copy or sum."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
import torch

from revive.data.codec import Codec
from revive.data.detectors import exact_proposals
from revive.data.finding import Evidence
from revive.data.readers import from_arrays
from revive.data.report import check_data
from revive.data.trajectories import Trajectories
from revive.data.windows import Rows
from revive.graph.amend import amended
from revive.graph.columns import Column
from revive.graph.decision_graph import DecisionGraph
from revive.graph.found import Bound, Circle, Copied, Unseen

Array = np.ndarray
Extra = Callable[[Array, Array, np.random.Generator], Array]


def graph(width: int) -> DecisionGraph:
    columns = [Column(f"c{number}", "state", "continuous") for number in range(width)]
    columns.append(Column("u", "action", "continuous"))
    return DecisionGraph.build(columns, {"action": ["state"], "next_state": ["state", "action"]})


def found(extra: Extra) -> list[object]:
    """What is applied to a driven position and speed (c0, c1) and the columns that `extra` makes of them."""
    rng = np.random.default_rng(1)
    arrays: dict[str, list[Array]] = {"state": [], "next_state": [], "action": []}
    for _ in range(12):
        u = rng.normal(size=301)
        state = np.zeros((301, 2))
        state[0] = rng.normal(size=2)
        for t in range(300):
            p, v = state[t]
            state[t + 1] = p + 0.1 * v, v + 0.3 * u[t] - 0.1 * p - 0.1 * v + 0.05 * rng.normal()
        full = np.hstack([state, extra(state, u, rng).reshape(301, -1)])
        arrays["state"].append(full[:-1])
        arrays["next_state"].append(full[1:])
        arrays["action"].append(u[:-1, None])
    logs = {name: np.concatenate(parts) for name, parts in arrays.items()}
    described = graph(logs["state"].shape[1])
    logs["index"] = 300 * np.arange(1, 13)
    evidence = Evidence(from_arrays(logs, described, "here"), described)
    proposals = exact_proposals(evidence)
    again = Evidence(evidence.trajectories, amended(described, [p.change for p in proposals if p.change]))
    assert not exact_proposals(again)
    return [proposal.change for proposal in proposals]


def angle(state: Array, u: Array, rng: np.random.Generator) -> Array:
    return np.column_stack([np.cos(state[:, 0]), np.sin(state[:, 0])])


def clipped(state: Array, u: Array, rng: np.random.Generator) -> Array:
    return np.minimum(state[:, 1], 0.5)


def last_action(state: Array, u: Array, rng: np.random.Generator) -> Array:
    return np.append(0.0, u[:-1])


def distance(state: Array, u: Array, rng: np.random.Generator) -> Array:
    return np.cumsum(np.abs(np.append(0.0, state[:-1, 1])))


@pytest.mark.parametrize(
    ("extra", "change"),
    [
        (angle, Circle("state", "c2", "c3")),
        (clipped, Bound("state", "c2", max=0.5)),
        (last_action, Copied("state", "c2", "action", "u")),
        (distance, Unseen("state", "c2", ("action", "next_state"))),
    ],
)
def test_what_holds_in_every_row_is_applied(extra: Extra, change: object) -> None:
    assert found(extra) == [change]


def one_and_little(state: Array, u: Array, rng: np.random.Generator) -> Array:
    return np.column_stack([1 + 1e-4 * rng.normal(size=301), 1e-3 * state[:, 0]])


def one_hot(state: Array, u: Array, rng: np.random.Generator) -> Array:
    return np.column_stack([state[:, 0] > 0, state[:, 0] <= 0])


def begins_at_its_least(state: Array, u: Array, rng: np.random.Generator) -> Array:
    return np.append(0.0, rng.uniform(0.1, 1.0, 300))


def plateaus(state: Array, u: Array, rng: np.random.Generator) -> Array:
    goals = np.repeat(rng.integers(0, 5, 16), 20)[:301].astype(float)
    level = np.zeros(301)
    for t in range(300):
        level[t + 1] = level[t] + np.clip(goals[t] - level[t], -0.173, 0.173)
    return level


def two_steps_ago(state: Array, u: Array, rng: np.random.Generator) -> Array:
    return np.append([0.0, 0.0], u[:-2])


def copied_with_one_fault(state: Array, u: Array, rng: np.random.Generator) -> Array:
    moved = np.append(0.0, u[:-1])
    moved[rng.integers(1, 300)] += 1e-9
    return moved


def filling_up(state: Array, u: Array, rng: np.random.Generator) -> Array:
    level = np.zeros(301)
    for t in range(300):
        level[t + 1] = level[t] + 0.02 * (1 - level[t]) * rng.uniform()
    return level


def wear_that_matters(state: Array, u: Array, rng: np.random.Generator) -> Array:
    wear, heat = np.zeros(301), np.zeros(301)
    for t in range(300):
        wear[t + 1] = wear[t] + 0.01 * rng.uniform()
        heat[t + 1] = 0.8 * heat[t] + wear[t] + 0.1 * rng.normal()
    return np.column_stack([wear, heat])


@pytest.mark.parametrize(
    "extra",
    [
        one_and_little,
        one_hot,
        begins_at_its_least,
        plateaus,
        two_steps_ago,
        copied_with_one_fault,
        filling_up,
        wear_that_matters,
    ],
)
def test_look_alikes_are_left_alone(extra: Extra) -> None:
    assert found(extra) == []


def test_200_columns_are_checked_in_seconds() -> None:
    rng = np.random.default_rng(0)
    state = rng.uniform(-1, 1, size=(5001, 200))
    logs = {
        "state": state[:-1],
        "next_state": state[1:],
        "action": rng.normal(size=5000),
        "index": np.array([5000]),
    }
    described = graph(200)
    read, started = from_arrays(logs, described, "here"), time.process_time()
    assert not check_data(read, described).proposals
    assert time.process_time() - started < 30


def test_encoding_takes_about_the_memory_of_its_result() -> None:
    described, rows = graph(20), 400_000
    state = np.random.default_rng(0).normal(size=(rows, 20))
    arrays = {"state": state, "next_state": state, "action": state[:, :1]}
    codec = Codec.fit(described, {name: array[:1000] for name, array in arrays.items()})
    tracemalloc.start()  # numpy's arrays; torch's own are seen in what they hold
    part = Trajectories(arrays, np.array([rows]))
    encoded = Rows.of(codec, described, part, part)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert encoded.values["state"].dtype == torch.float32
    assert peak < state.nbytes / 2
    torch.testing.assert_close(encoded.values["state"][-3:], codec["state"].encode(torch.tensor(state[-3:])))
