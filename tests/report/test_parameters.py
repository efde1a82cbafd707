"""How the fitted parameters of a user's function are told."""

from __future__ import annotations

from typing import Any

from revive.report.summary import Summary
from revive.report.tables import parameter_lines
from revive.report.trust.tables import parameter_table

FITTED: dict[str, dict[str, dict[str, Any]]] = {
    "next_body": {
        "k": {
            "value": 0.05, "low": 0.049, "high": 0.052, "halves": [0.0495, 0.0505],
            "start": 0.3, "min": 0.0, "max": 1.0, "units": "1/min", "at_bound": False,
        },
        "c": {
            "value": 19.9, "low": 19.8, "high": 20.0, "halves": [19.85, 19.95],
            "start": 1.0, "min": 0.0, "max": 20.0, "units": None, "at_bound": True,
        },
    }
}  # fmt: skip


def test_a_line_has_value_unit_spread_halves_and_bounds() -> None:
    k, c = parameter_lines(FITTED)
    assert k == "fitted  next_body: k 0.05 1/min (0.049 .. 0.052; halves 0.0495 and 0.0505), bounds 0 .. 1"
    assert c.endswith("bounds 0 .. 20, which a member is next to")
    assert parameter_lines({}) == []


def test_the_page_has_a_row_for_each() -> None:
    page = parameter_table(FITTED)
    for said in ("next_body", "k [1/min]", "0.0495 and 0.0505", "next to a bound"):
        assert said in page
    assert parameter_table({}) == ""


def test_runs_are_compared_by_them() -> None:
    errors = {"1": 0.1}
    venv = {"rollout_mae": errors, "persistence_mae": errors, "parameters": FITTED}
    found = Summary("name", "run", 0, {}, venv, {}, {}).metrics()
    assert found["venv.parameter.next_body.k"] == 0.05
