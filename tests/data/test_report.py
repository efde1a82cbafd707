"""The data report finds what is in the data, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from revive.data.finding import sample_windows
from revive.data.readers import ReadOptions, from_arrays
from revive.data.report import DataReport, check_data
from revive.data.split import split
from revive.data.trajectories import Trajectories
from revive.errors import UserError
from revive.graph.columns import Column
from revive.graph.decision_graph import DecisionGraph

COLUMNS = [
    Column("x", "state", "continuous"),
    Column("y", "state", "continuous"),
    Column("wind", "wind", "continuous"),
    Column("u", "action", "continuous"),
    Column("mode", "mode", "category", values=(0.0, 1.0, 2.0)),
]
GRAPH = DecisionGraph.build(
    COLUMNS, {"action": ["state", "wind", "mode"], "next_state": ["state", "action", "wind", "mode"]}
)


def logs(count: int = 20, length: int = 100, seed: int = 0) -> dict[str, np.ndarray]:
    """Arrays of a stable linear system whose actions vary; there is nothing to remark about them."""
    rng = np.random.default_rng(seed)
    rows = count * length
    state, following = np.zeros((rows, 2)), np.zeros((rows, 2))
    action, wind = rng.normal(size=(rows, 1)), rng.normal(size=(rows, 1))
    now = rng.normal(size=2)
    for row in range(rows):
        now = rng.normal(size=2) if row % length == 0 else now
        state[row] = now
        action[row] -= 0.5 * now[0]
        now = 0.9 * now + 0.1 * np.array([action[row, 0], wind[row, 0]]) + 0.1 * rng.normal(size=2)
        following[row] = now
    mode = rng.integers(0, 3, (rows, 1)).astype(float)
    index = np.arange(1, count + 1) * length
    return {
        "state": state,
        "next_state": following,
        "action": action,
        "wind": wind,
        "mode": mode,
        "index": index,
    }


def report(arrays: dict[str, np.ndarray], horizon: int | None = 20, **options: Any) -> DataReport:
    data = from_arrays(arrays, GRAPH, "here", ReadOptions(**options))
    return check_data(data, GRAPH, split(data), horizon)


def found(of: DataReport) -> set[tuple[str, str]]:
    return {(finding.code, finding.where) for finding in of.findings}


def test_healthy_logs_give_no_findings() -> None:
    of = report(logs())
    assert of.findings == ()
    assert of.proposals == ()
    assert "20 trajectories of 100 rows, 2000 in all (by 'index')" in of.to_text()


def far_value(arrays: dict[str, np.ndarray]) -> None:
    arrays["wind"][[5, 700]] = 500


def dependent_action(arrays: dict[str, np.ndarray]) -> None:
    arrays["action"][:] = np.tanh(arrays["state"][:, :1] - arrays["wind"])


def switched_action(arrays: dict[str, np.ndarray]) -> None:
    arrays["action"][:] = 1.0 * (arrays["state"][:, :1] > 0)


def copied_rows(arrays: dict[str, np.ndarray]) -> None:
    for name in ("state", "next_state", "action", "wind", "mode"):
        arrays[name][300:400] = arrays[name][:100]


def drifting(arrays: dict[str, np.ndarray]) -> None:
    parts = split(from_arrays({**arrays, "wind": np.arange(2000.0)[:, None]}, GRAPH, "here"))
    arrays["wind"][parts.validation.arrays["wind"][:, 0].astype(int)] += 2


SPOILT: dict[str, tuple[Callable[[dict[str, np.ndarray]], Any], set[tuple[str, str]]]] = {
    "constant": (lambda a: a["wind"].fill(3), {("constant-column", "wind.wind")}),
    "constant action": (lambda a: a["action"].fill(3), {("constant-column", "action.u")}),
    "copy of a column": (
        lambda a: a.update(wind=a["state"][:, :1].copy()),
        {("duplicated-column", "wind.wind")},
    ),
    "far value": (far_value, {("outliers", "wind.wind")}),
    "value never": (lambda a: np.minimum(a["mode"], 1, out=a["mode"]), {("category-never", "mode.mode")}),
    "dependent action": (dependent_action, {("no-overlap", "action.u")}),
    "copied rows": (copied_rows, {("duplicated-rows", "")}),
    "drift": (drifting, {("drift", "wind.wind")}),
}


@pytest.mark.parametrize(("spoil", "wanted"), SPOILT.values(), ids=SPOILT.keys())
def test_each_fault_is_found_alone(
    spoil: Callable[[dict[str, np.ndarray]], Any], wanted: set[tuple[str, str]]
) -> None:
    arrays = logs()
    spoil(arrays)
    assert found(report(arrays)) - {("drift", "wind.wind")} == wanted - {("drift", "wind.wind")}
    assert wanted <= found(report(arrays))


def test_a_switch_that_follows_the_state_leaves_little_to_learn() -> None:
    arrays = logs()
    switched_action(arrays)
    arrays["state"][:, 1] *= 0.01
    arrays["next_state"][:, 1] *= 0.01
    data = from_arrays(arrays, GRAPH, "here")
    text = check_data(data, GRAPH).to_text()
    assert "unit circle" not in text


def test_a_value_that_occurs_once() -> None:
    arrays = logs()
    arrays["mode"][arrays["mode"] == 2] = 1
    arrays["mode"][77] = 2
    assert found(report(arrays)) == {("category-once", "mode.mode")}


def test_short_trajectories_are_held_against_the_horizon() -> None:
    of = report(logs(), horizon=101)
    assert found(of) == {("horizon", "")}
    assert "20 of 20 trajectories" in of.findings[0].message


def test_steps_without_a_usual_length() -> None:
    rng = np.random.default_rng(0)
    time = np.cumsum(rng.uniform(5, 200, 2000))
    of = report(logs() | {"t": time}, time="t")
    assert found(of) == {("irregular", "")}
    assert "dataset.resample=" in of.findings[0].remedy
    assert found(report(logs() | {"t": np.cumsum(rng.uniform(90, 110, 2000))}, time="t")) == set()


def test_gaps_in_time() -> None:
    time = np.arange(2000.0)
    time[50:] += 100
    time[60:] -= 1
    of = report(logs() | {"t": time}, time="t")
    assert found(of) == {("time-gap", ""), ("time-stands", "")}
    assert "101 after row 49" in of.findings[0].message


def test_a_decision_that_does_not_see_what_the_transition_uses() -> None:
    narrow = DecisionGraph.build(
        COLUMNS, {"action": ["state", "mode"], "next_state": ["state", "action", "wind", "mode"]}
    )
    arrays = logs()
    plain = check_data(from_arrays(arrays, narrow, "here"), narrow)
    assert [finding.code for finding in plain.findings] == ["unseen-input"]
    assert "follows it" not in plain.findings[0].message
    arrays["action"] += 3 * arrays["wind"]
    follows = check_data(from_arrays(arrays, narrow, "here"), narrow)
    assert "follows it" in follows.findings[0].message
    assert follows.findings[0].remedy == "add 'wind' to the inputs of 'action'"


def test_missing_values_are_counted() -> None:
    arrays = logs()
    arrays["wind"][::3] = np.nan
    of = report(arrays, missing="mask")
    assert ("much-missing", "wind.wind") in found(of)
    assert {column.column: column.missing for column in of.columns}["wind"] == 667


def test_errors_stand_first_and_data_that_cannot_be_read_give_a_report_too() -> None:
    arrays = logs()
    arrays["wind"][3], arrays["mode"][:] = np.nan, 1
    data = Trajectories({name: arrays[name] for name in GRAPH.nodes}, arrays["index"])
    of = check_data(data, GRAPH)
    assert [finding.severity for finding in of.findings] == ["error"]
    with pytest.raises(UserError) as caught:
        from_arrays(arrays, GRAPH, "logs.npz")
    unread = DataReport.of_error(caught.value)
    assert len(unread.errors) == 1
    assert "logs.npz" in unread.errors[0].message
    assert "1 error, 0 warnings" in unread.to_text()


def test_the_report_is_plain_json_and_text_of_limited_width() -> None:
    arrays = logs()
    far_value(arrays)
    dependent_action(arrays)
    of = report(arrays, horizon=1000)
    assert json.loads(json.dumps(of.to_json())) == of.to_json()
    text = of.to_text()
    assert max(map(len, text.splitlines())) <= 110
    for finding in of.findings:
        assert finding.code in text


def test_samples_are_windows_of_all_trajectories() -> None:
    rows = np.arange(100_000.0)[:, None]
    data = Trajectories({"row": rows}, np.array([10, 60_000, 100_000]))
    sample = sample_windows(data, 5000)
    assert 4000 <= sample.rows <= 6000
    taken = sample.arrays["row"][:, 0]
    assert {0, 99_999} <= {int(taken[0]), int(taken[-1])}
    assert sample_windows(data, 100_000) is data


def test_a_transition_that_contradicts_the_next_row_can_be_let_through(
    caplog: pytest.LogCaptureFixture,
) -> None:
    arrays = logs()
    arrays["next_state"][7] += 1.0
    with pytest.raises(UserError, match=r"dataset\.ignore_check=true"):
        report(arrays)
    data = from_arrays(arrays, GRAPH, "here", ReadOptions(ignore_check=True))
    assert "(ignored)" in caplog.text
    of = check_data(data, GRAPH, split(data), 20, ignore_check=True)
    assert not of.errors
    assert any("in the row after it" in finding.message for finding in of.warnings)
    assert check_data(data, GRAPH, split(data), 20).errors
