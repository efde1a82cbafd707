"""Angles and counters that run over are named, with what to do; what plants do otherwise is not."""

from __future__ import annotations

import numpy as np
import pytest

from revive.data.readers import from_arrays
from revive.data.report import check_data
from revive.graph.columns import Column
from revive.graph.decision_graph import DecisionGraph

ROWS = np.arange(600)
RNG = np.random.default_rng(0)
GRAPH = DecisionGraph.build(
    [Column("x", "state", "continuous"), Column("valve", "action", "continuous")],
    {"action": ["state"], "next_state": ["state", "action"]},
)


def said(values: np.ndarray) -> list[tuple[str, str]]:
    arrays = {
        "state": np.asarray(values, float)[:, None],
        "action": RNG.uniform(0, 100, (len(values), 1)),
        "index": np.array([len(values)]),
    }
    found = check_data(from_arrays(arrays, GRAPH, "logs"), GRAPH).findings
    return [(finding.message, finding.remedy) for finding in found if finding.code == "wraps"]


@pytest.mark.parametrize(
    ("values", "what", "remedy"),
    [
        ((40 + 3 * ROWS) % 360, "angle", "scale: cyclic, period: 360"),
        ((np.cumsum(RNG.normal(0, 0.3, 600)) + np.pi * 3) % (2 * np.pi) - np.pi, "angle", "period: 6.28319"),
        ((92_000 + np.cumsum(RNG.integers(50, 300, 600))) % 100_000, "counter that runs over", "rises by"),
        ((60_000 + 97 * ROWS) % 65_536, "counter that runs over", "rises by"),
    ],
)
def test_what_wraps_is_named(values: np.ndarray, what: str, remedy: str) -> None:
    [(message, told)] = said(values)
    assert what in message
    assert remedy in told


@pytest.mark.parametrize(
    "values",
    [
        20 + np.cumsum(RNG.normal(size=600)) * 0.1,
        RNG.uniform(0, 360, 600),
        (ROWS % 150) * 0.6,  # a batch that is emptied, of no round size
        np.where(ROWS % 100 < 50, 0.0, 100.0) + RNG.normal(size=600) * 0.01,
        180 + 170 * np.sin(ROWS / 20),
    ],
)
def test_what_does_not_wrap_is_passed_over(values: np.ndarray) -> None:
    assert said(values) == []
