"""Tables of very many columns: what the checks still find, and what they say that they leave out."""

from __future__ import annotations

import time

import numpy as np
import pytest

from revive.data.explained import _RIDGES, _ridge_errors
from revive.data.readers import from_arrays
from revive.data.report import DataReport, check_data
from revive.graph.columns import Column
from revive.graph.decision_graph import DecisionGraph
from revive.report.data_page import data_page


def wide(columns: int, rows: int, seed: int = 0, dead_time: int = 0) -> dict[str, np.ndarray]:
    """Slow columns of which one, in the middle, answers to the action after a dead time."""
    rng = np.random.default_rng(seed)
    action = np.cumsum(0.3 * rng.normal(size=(rows, 1)), axis=0)
    action = np.tanh(action) + 0.5 * rng.normal(size=(rows, 1))
    state = np.zeros((rows, columns))
    now = rng.normal(size=columns)
    for row in range(rows):
        state[row] = now
        now = 0.95 * now + 0.2 * rng.normal(size=columns)
        now[columns // 2] += 0.3 * action[max(row - dead_time, 0), 0]
    return {"state": state, "action": action, "index": np.array([rows])}


def graph_of(columns: int) -> DecisionGraph:
    named = [Column(f"s{number}", "state", "continuous") for number in range(columns)]
    named.append(Column("valve", "action", "continuous"))
    return DecisionGraph.build(named, {"action": ["state"], "next_state": ["state", "action"]})


def report(arrays: dict[str, np.ndarray]) -> DataReport:
    graph = graph_of(arrays["state"].shape[1])
    return check_data(from_arrays(arrays, graph, "here"), graph)


def test_more_columns_than_rows_are_not_called_rows_in_no_order() -> None:
    found = report(wide(300, 399))
    assert "no-order" not in {finding.code for finding in found.findings}


def test_rows_in_no_order_are_noticed_among_many_columns() -> None:
    arrays = wide(300, 399)
    order = np.random.default_rng(1).permutation(399)
    arrays |= {name: arrays[name][order] for name in ("state", "action")}
    assert "no-order" in {finding.code for finding in report(arrays).findings}


def test_a_dead_time_is_found_among_many_columns() -> None:
    found = report(wide(200, 1500, dead_time=7))
    said = [(p.columns[1], p.evidence) for p in found.proposals if p.kind == "dead_time"]
    assert said == [("state.s100", 7.0)]
    assert "dead times are looked for in 60 pairs of an action and a state" in found.to_text()
    assert "and not in 140 more" in found.to_text()
    assert "here are 200" in found.to_json()["left_out"][-1]


def test_a_few_columns_are_looked_at_in_whole() -> None:
    assert report(wide(3, 500)).left_out == ()


def test_ridges_are_the_same_solved_in_rows_and_in_columns() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 90))
    y, seen = x[:, :2] * 3 + rng.normal(size=(120, 2)), np.arange(120) < 60
    fit, judge = x[seen], x[~seen]
    size = np.trace(fit.T @ fit) / 90
    wanted = [
        np.square(
            y[~seen] - judge @ np.linalg.solve(fit.T @ fit + ridge * size * np.eye(90), fit.T @ y[seen])
        )
        for ridge in _RIDGES
    ]
    found = _ridge_errors(x, y, seen)  # 60 rows are fewer than 90 columns
    np.testing.assert_allclose(found, [error.mean(axis=0) for error in wanted], rtol=1e-5)


@pytest.mark.parametrize("columns", [2_000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_very_many_columns_take_seconds_and_their_page_says_what_it_draws(columns: int) -> None:
    arrays, graph = wide(columns, 300), graph_of(columns)
    arrays["state"][:, columns - 9] = 1.0
    data = from_arrays(arrays, graph, "here")
    begin = time.process_time()
    found = check_data(data, graph)
    page = data_page("wide", found, graph, data)
    assert time.process_time() - begin < 60
    assert [f.where for f in found.findings if f.code == "constant-column"] == [f"state.s{columns - 9}"]
    assert f"24 of {columns + 1} columns: the actions, those with a finding or a proposal" in page
    assert f"s{columns - 9}" in page[page.index("Histograms") :]
