"""Stuck sensors, rows in no order, dead times and effects that come late: what the checks say of made-up plants."""

from __future__ import annotations

import numpy as np
import pytest

from revive.data.order_checks import _standstill
from revive.data.readers import ReadOptions, from_arrays
from revive.data.report import check_data
from revive.graph.columns import Column
from revive.graph.decision_graph import DecisionGraph
from tests.acceptance.made_plants import Plant, drawn, logged, shuffled, stuck
from tests.acceptance.proposals import Said, report_of, said_about

PLANT = Plant(rows=1500, runs=2, noise=0.01)


def test_a_healthy_plant_is_passed_over() -> None:
    assert said_about(logged(PLANT, 1)) == set()


@pytest.mark.parametrize("steps", [1, 7, 20])
def test_a_dead_time_is_found_with_the_lines_that_declare_it(steps: int) -> None:
    report = report_of(logged(Plant(rows=1500, runs=2, noise=0.01, dead_time=steps), steps))
    found = [p for p in report.proposals if p.kind == "dead_time" and p.columns[1] == "state.level"]
    assert [p.evidence for p in found] == [steps]
    assert f"{steps} steps later" in found[0].message
    wanted = f"nodes: {{action: {{ts: {steps + 1}}}}}  # and under graph: next_state: [state, ts_action]"
    assert found[0].yaml == wanted


@pytest.mark.parametrize("seed", [9014, 9042, 9054])
def test_a_dead_time_is_told_where_a_shorter_one_fits_a_little_better(seed: int) -> None:
    report = report_of(logged(drawn(seed, dead_time=seed % 21), seed))
    found = [p.evidence for p in report.proposals if p.kind == "dead_time" and p.columns[1] == "state.level"]
    assert found == [seed % 21]


def test_a_level_behind_a_hidden_tank_is_not_called_exogenous() -> None:
    assert said_about(logged(Plant(hidden=True, alone=True, noise=0.02, control="waves"), 3)) == set()


def test_a_measured_disturbance_is() -> None:
    assert said_about(logged(Plant(disturbed=True), 4)) == {Said("exogenous", "feed")}


def test_a_stuck_sensor_is_named_with_its_rows() -> None:
    logs = stuck(logged(PLANT, 5), 5)
    finding = next(f for f in report_of(logs).findings if f.code == "stuck")
    assert finding.column == logs.truth["column"]
    assert f"in rows {logs.truth['start']} to" in finding.message
    assert 'dataset.where="row < ' in finding.remedy


@pytest.mark.parametrize("seed", [7004, 7010])
def test_a_sensor_that_often_rests_is_stuck_where_it_rests_far_longer_than_ever(seed: int) -> None:
    logs = stuck(logged(drawn(seed), seed), seed)
    assert said_about(logs) == {Said("stuck", logs.truth["column"])}


def test_a_gap_that_was_filled_is_no_sensor_that_is_stuck() -> None:
    logs = stuck(logged(PLANT, 5), 5)
    state, number, start = (
        logs.arrays["state"].copy(),
        logs.names.index(logs.truth["column"]),
        logs.truth["start"],
    )
    stands = np.flatnonzero(state[start:, number] != state[start, number])[0]
    state[start + 1 : start + stands, number] = np.nan
    columns = [Column(name, "state", "continuous") for name in logs.names]
    columns.append(Column("valve", "action", "continuous"))
    graph = DecisionGraph.build(columns, {"action": ["state"], "next_state": ["state", "action"]})
    read = from_arrays({**logs.arrays, "state": state}, graph, "made", ReadOptions(missing="mask"))
    assert "stuck" not in {finding.code for finding in check_data(read, graph).findings}


def test_what_follows_a_stuck_column_is_not_called_exogenous() -> None:
    logs = stuck(logged(drawn(7002), 7002), 7002)
    assert said_about(logs) == {Said("stuck", logs.truth["column"])}


def test_rows_in_no_order_are_noticed() -> None:
    assert said_about(shuffled(logged(PLANT, 6), 6)) == {Said("no-order", "")}


def test_standing_at_an_end_of_the_range_is_no_fault() -> None:
    import numpy as np

    values = np.clip(np.sin(np.arange(400) / 20), -0.7, 2.0)
    assert _standstill(values, np.array([400])) is None


@pytest.mark.parametrize(("rests", "said"), [(True, False), (False, True)])
def test_a_state_that_rests_while_the_action_does_is_no_stuck_sensor(rests: bool, said: bool) -> None:
    """A plant that is switched off stands still, whatever the weather does."""
    rng = np.random.default_rng(0)
    action, air, level = rng.normal(size=2000), rng.normal(size=2000), np.zeros(2000)
    off = slice(900, 1100)
    if rests:
        action[off] = 0.3
    for k in range(1999):
        level[k + 1] = level[k] if off.start <= k < off.stop else 0.9 * level[k] + action[k] + 0.1 * air[k]
    columns = [Column("level", "state", "continuous"), Column("valve", "action", "continuous")]
    columns.append(Column("air", "outside", "continuous"))
    inputs = ["state", "outside"]
    graph = DecisionGraph.build(columns, {"action": inputs, "next_state": [*inputs, "action"]})
    arrays = {"state": level, "action": action, "outside": air, "index": np.array([2000])}
    report = check_data(from_arrays(arrays, graph, "here"), graph)
    assert ("stuck" in {finding.code for finding in report.findings}) == said


@pytest.mark.parametrize("outcome", [True, False])
def test_an_outcome_of_its_own_row_is_named_where_nothing_else_shows_an_effect(outcome: bool) -> None:
    rng = np.random.default_rng(0)
    action, load = rng.uniform(size=3000), rng.normal(size=3000)
    for k in range(2999):
        load[k + 1] = 0.8 * load[k] + 0.3 * load[k + 1]
    orders = 2 * action * outcome + 0.5 * load + 0.3 * rng.normal(size=3000)
    columns = [Column(name, "state", "continuous") for name in ("orders", "load")]
    columns.append(Column("coupon", "action", "continuous"))
    graph = DecisionGraph.build(columns, {"action": ["state"], "next_state": ["state", "action"]})
    arrays = {"state": np.stack([orders, load], 1), "action": action, "index": np.array([3000])}
    report = check_data(from_arrays(arrays, graph, "here"), graph)
    (found,) = [f for f in report.findings if f.code == "no-effect"]
    assert ("'orders' moves with them in the same row" in found.message) == outcome
