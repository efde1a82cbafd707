"""Detectors propose what holds in the data, with lines that a description accepts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from revive.data.detectors import Proposal, propose
from revive.data.finding import Evidence
from revive.data.readers import ReadOptions, from_arrays, read_trajectories
from revive.graph.columns import Column
from revive.graph.decision_graph import DecisionGraph

LOGS = Path(__file__).parents[2].parent / "shared" / "data"

Make = Callable[[np.random.Generator, int], np.ndarray]


def graph(*names: str) -> DecisionGraph:
    columns = [Column(name, "state", "continuous") for name in names]
    columns.append(Column("u", "action", "continuous"))
    return DecisionGraph.build(columns, {"action": ["state"], "next_state": ["state", "action"]})


def proposals(
    extra: Callable[..., np.ndarray] | None, lengths: tuple[int, ...] = (200,) * 15
) -> list[Proposal]:
    """Proposals for a driven position and speed, and the columns that `extra` makes of them."""
    rng = np.random.default_rng(1)
    pieces, actions = [], []
    for length in lengths:
        u = rng.normal(size=length + 1)
        state = np.zeros((length + 1, 2))
        state[0] = rng.normal(size=2)
        for t in range(length):
            p, v = state[t]
            state[t + 1] = p + 0.1 * v, v + 0.3 * u[t] - 0.1 * p - 0.1 * v + 0.05 * rng.normal()
        more = extra(state, u, rng) if extra else np.zeros((length + 1, 0))
        pieces.append(np.hstack([state, more.reshape(length + 1, -1)]))
        actions.append(u)
    joined = np.concatenate(pieces)
    names = [f"c{number}" for number in range(joined.shape[1])]
    ends = np.cumsum([len(piece) for piece in pieces])
    arrays = {"state": joined, "action": np.concatenate(actions), "index": ends}
    described = graph(*names)
    return propose(Evidence(from_arrays(arrays, described, "here"), described))


def angles(state: np.ndarray, u: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.column_stack([np.cos(state[:, 0]), np.sin(state[:, 0])])


def clipped(state: np.ndarray, u: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.clip(state[:, 1], -0.5, 0.5)


def weather(state: np.ndarray, u: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    wind = np.zeros(len(u))
    for t in range(1, len(u)):
        wind[t] = 0.9 * wind[t - 1] + rng.normal()
    return wind


def track(state: np.ndarray, u: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.cumsum(1 + np.square(state[:, 1]) + rng.uniform(size=len(u)))


def last_action(state: np.ndarray, u: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.concatenate([[0.0, 0.0], u[:-2]])


FOUND: dict[str, tuple[Any, tuple[str, ...]]] = {
    "circle": (angles, ("state.c2", "state.c3")),
    "clamp": (clipped, ("state.c2",)),
    "exogenous": (weather, ("state.c2",)),
    "cumulative": (track, ("state.c2",)),
    "shift": (last_action, ("state.c2", "action.u")),
}


@pytest.mark.parametrize("kind", FOUND)
def test_each_property_is_proposed_and_can_be_accepted(kind: str) -> None:
    make, columns = FOUND[kind]
    of = [proposal for proposal in proposals(make) if proposal.columns == columns]
    assert kind in {proposal.kind for proposal in of}
    for proposal in of:
        assert yaml.safe_load(proposal.yaml)


def test_nothing_is_proposed_about_an_ordinary_system() -> None:
    assert proposals(None) == []


def test_unequal_lengths_ask_for_a_termination() -> None:
    (of,) = proposals(None, tuple(range(100, 220, 10)))
    assert of.kind == "termination"
    assert of.evidence > 0.9


def test_a_shift_of_the_last_row_alone_is_no_shift_of_all() -> None:
    def nearly(state: np.ndarray, u: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        moved = np.concatenate([[0.0], u[:-1]])
        moved[150] += 1e-3
        return moved

    assert "shift" not in {proposal.kind for proposal in proposals(nearly)}


@pytest.mark.skipif(not LOGS.is_dir(), reason="the real logs are not here")
def test_the_pendulum_shows_its_circle_and_its_largest_speed() -> None:
    columns = [Column(name, "states", "continuous") for name in ("cos", "sin", "speed")]
    columns.append(Column("torque", "actions", "continuous"))
    described = DecisionGraph.build(columns, {"actions": ["states"], "next_states": ["states", "actions"]})
    of = propose(Evidence(read_trajectories(LOGS / "pendulum.npz", described), described))
    assert [(proposal.kind, proposal.columns) for proposal in of] == [
        ("circle", ("states.cos", "states.sin")),
        ("clamp", ("states.speed",)),
    ]


@pytest.mark.parametrize(("step", "asked"), [(1.0, False), (5000.0, True)])
def test_runs_that_follow_each_other_without_a_pause_did_not_end(step: float, asked: bool) -> None:
    """Files cut at midnight are one run: the log ended, and not the plant."""
    rng, lengths = np.random.default_rng(2), np.arange(100, 220, 10)
    rows = int(lengths.sum())
    gaps = np.ones(rows)
    gaps[np.cumsum(lengths)[:-1]] = step
    arrays = {"state": rng.normal(size=(rows, 2)).cumsum(0), "action": rng.normal(size=rows)}
    arrays |= {"index": np.cumsum(lengths), "time": np.cumsum(gaps)}
    described = graph("x", "y")
    logs = from_arrays(arrays, described, "here", ReadOptions(time="time"))
    assert ("termination" in {p.kind for p in propose(Evidence(logs, described))}) == asked


def test_pauses_of_the_log_are_no_ends_of_the_plant() -> None:
    rng, rows = np.random.default_rng(2), 900
    time = np.arange(rows) + 5000.0 * np.searchsorted([100, 250, 600], np.arange(rows), side="right")
    arrays = {"state": rng.normal(size=(rows, 2)).cumsum(0), "action": rng.normal(size=rows), "time": time}
    described = graph("x", "y")
    logs = from_arrays(arrays, described, "here", ReadOptions(time="time", gap=10))
    assert logs.count == 4
    assert "termination" not in {p.kind for p in propose(Evidence(logs, described))}
