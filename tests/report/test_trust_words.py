"""The first page of the trust report: what it says of runs whose summary is made by hand."""

from __future__ import annotations

from typing import Any

import pytest

from revive.report.trust.tables import gap_table
from revive.report.trust.words import words

STUDY: dict[str, Any] = {
    "trajectories": 1,
    "errors": {},
    "bands": {"steps": {}, "paths": {}},
    "drift": {},
}


def said(
    gate: str = "pass",
    low: float = -0.3,
    fallback: str | None = None,
    truth: float = -0.2,
    bands: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The words of a run that foretells -0.2 (low .. -0.1) where -0.5 was logged."""
    policy = {
        "logged": -0.5,
        "predicted": {"mean": -0.2, "interval": {"low": low, "high": -0.1}},
        "chosen": {"fallback": fallback},
        "truth": {"mean": truth},
    }
    summary = {
        "run_id": "r",
        "data": {"rows": 900},
        "policy": policy,
        "gate": {"status": gate},
        "verdicts": [],
    }
    return words(summary, {**STUDY, **({"bands": bands} if bands else {})})


@pytest.mark.parametrize(
    ("gate", "fallback", "headline", "todo"),
    [
        ("pass", None, "Nothing was found", "trial-plan run=r"),
        ("warn", None, "Use with care", "trial-plan run=r"),
        ("pass", "none gains", "No better controller was found", "Keep the controller that runs now"),
        ("warn", "none gains", "No better controller was found", "Keep the controller that runs now"),
        ("fail", "distrust", "Do not use the learned policy", "Until then keep the controller"),
    ],
)
def test_a_copy_is_never_called_a_success(gate: str, fallback: str | None, headline: str, todo: str) -> None:
    told = said(gate, fallback=fallback)
    assert told["headline"].startswith(headline)
    assert any(todo in line for line in told["todo"])
    assert fallback is None or any(line.endswith(f"Why: {fallback}.") for line in told["short"])
    assert ("trial-plan run=r" in " ".join(told["todo"])) == (gate != "fail")


def test_an_interval_below_the_logs_promises_nothing() -> None:
    assert any("expected to do better" in line for line in said()["may"])
    wide = said(low=-6.7)
    assert not any("expected to do better" in line for line in wide["may"])
    assert any("reaches below the -0.5" in line for line in wide["may_not"])
    assert any(
        "does as well as the controller that it copies" in line
        for line in said(low=-6.7, fallback="x")["may_not"]
    )


def test_bands_that_hold_in_one_half_alone_are_not_to_be_relied_on() -> None:
    band = {"q": 1.6, "blocks": 240.0, "across": [0.63, 0.99]}
    told = said(bands={"steps": {"level": {"100": band}}, "paths": {}})
    assert any(
        "from 100 steps ahead on" in line and "hold only 63 % of the other half" in line
        for line in told["may_not"]
    )
    assert not any("bands around 'level'" in line for line in told["may"])
    few = {"q": 1.6, "blocks": 20.0, "across": [0.63, 0.99]}  # so few windows may differ by chance
    told = said(bands={"steps": {"level": {"100": few}}, "paths": {}})
    assert any("bands around 'level'" in line for line in told["may"])
    assert not any("of the other half" in line for line in told["may_not"])


def test_a_truth_outside_the_interval_is_said() -> None:
    assert "outside that interval" not in " ".join(said()["short"])
    assert "-1.9 per step, outside that interval" in " ".join(said(truth=-1.9)["short"])


def test_a_column_that_would_gain_nothing_has_no_figure() -> None:
    gap = {"column": "door", "units": None, "action": "power", "slope": 0.9, "error": 0.1, "certain": False}
    page = gap_table(
        [{**gap, "gain": -0.2}, {**gap, "column": "load", "gain": 0.3}], {"power": "kW", "load": "kg"}
    )
    assert "none found" in page
    assert "-0.2" not in page
    assert "power moves by 0.9 kW per kg" in page
