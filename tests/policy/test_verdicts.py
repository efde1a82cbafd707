from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from revive.policy.conduct import Use
from revive.policy.intervals import Interval
from revive.policy.signs import SignOfEffect
from revive.policy.venv_verdicts import Imitation, about_errors, about_imitation, about_signs
from revive.policy.verdicts import about_conduct, about_gain, about_promise, first_distrust
from revive.venv.validation import RolloutError


def imitation(gap: float, width: float = 0.05, spread: float = 1.0) -> Imitation:
    return Imitation(-3.0, -3.0 + gap, Interval(gap, gap - width, gap + width), spread)


@pytest.mark.parametrize(
    ("gap", "width", "real"),
    [(-2.1, 0.5, True), (2.1, 0.5, True), (-2.1, 3.0, False), (-0.1, 0.05, False), (np.nan, np.nan, True)],
)
def test_a_gap_must_be_certain_and_large_enough(gap: float, width: float, real: bool) -> None:
    """Of a heat exchanger with an undeclared dead time: logs -3.0, clone -5.1 in the venv."""
    found = about_imitation([imitation(gap, width), imitation(0.0)], None)
    assert bool(found) == real
    for verdict in found:
        assert verdict.severity == "distrust"
        assert "against -3 and -3 per step" in verdict.sentence
        assert "dead time" in verdict.remedy


def test_a_gap_that_is_small_beside_the_gain_is_a_caution() -> None:
    halves = [imitation(-0.5), imitation(-0.4)]
    assert [about_imitation(halves, gain)[0].severity for gain in (1.0, 4.0)] == ["distrust", "caution"]


def test_a_clone_that_is_at_fault_is_no_fault_of_the_venv() -> None:
    (found,) = about_imitation([imitation(-2.0), imitation(-2.0)], None, clone_at_fault=True)
    assert found.severity == "caution"
    assert "the clone is at fault" in found.sentence


@pytest.mark.parametrize(
    ("gap", "gain", "severity"),
    [(0.1, None, "caution"), (-0.5, 1.0, "distrust"), (-0.5, 4.0, "caution"), (-0.5, None, "distrust")],
)
def test_what_a_controller_with_a_memory_misses_is_what_counts(
    gap: float, gain: float | None, severity: str
) -> None:
    recalled = [imitation(gap), imitation(0.0)]
    (found,) = about_imitation([imitation(-2.0), imitation(-2.0)], gain, remembered=recalled)
    assert found.severity == severity
    assert f"With a memory of what it saw and did it earns {-3 + gap:.3g} and -3." in found.sentence
    assert ("policy.history" in found.remedy) == (gap == 0.1)
    assert about_imitation([imitation(0.0)], None, remembered=recalled) == []


def sign(within: float, between: float, steps: int = 1, column: str = "glucose") -> SignOfEffect:
    return SignOfEffect("insulin", column, steps, 0.3, within, between)


def test_signs_that_members_or_halves_disagree_about() -> None:
    assert about_signs([sign(0.95, 1.0), sign(0.85, 0.8)]) == []
    found = about_signs([sign(0.95, 0.2), sign(0.95, 0.1, 30), sign(0.7, 0.9, column="ketones")])
    assert len(found) == 2
    assert (
        "The two halves disagree whether more 'insulin' raises or lowers 'glucose' after 30 steps"
        in found[0].sentence
    )
    assert "The members of the venv disagree" in found[1].sentence
    assert "after 1 step" in found[1].sentence
    assert {verdict.severity for verdict in found} == {"distrust"}


def errors(venv: float | np.ndarray, still: float = 1.0, usual: float = 1.0) -> RolloutError:
    def table(value: float | np.ndarray) -> dict[str, np.ndarray]:
        return {"next_x": np.broadcast_to(value, (2, 100)).astype(float)[..., None]}

    return RolloutError(table(venv), table(still), {"next_x": np.ones(1)}, (10, 10), table(usual))


def test_a_venv_that_beats_the_baselines_everywhere_is_not_spoken_of() -> None:
    assert about_errors(errors(0.5)) == []
    assert about_errors(errors(1.01)) == []  # a tie within the slack


def test_a_venv_no_better_than_a_baseline() -> None:
    (still,) = about_errors(errors(0.5, still=0.4))
    assert still.sentence == "At step 1, 10, 50, 100 the venv predicts no better than 'nothing changes'."
    assert still.severity == "distrust"
    late = np.where(np.arange(100) < 60, 0.1, 1.5)
    found = about_errors(errors(late, still=2.0))
    assert [(v.sentence, v.severity) for v in found] == [
        ("At step 100 the venv predicts no better than 'always the mean'.", "caution")
    ]


@pytest.mark.parametrize("error", [50.0, np.inf, np.nan])
def test_an_error_that_explodes_on_one_half(error: float) -> None:
    table = np.full((2, 100), 0.1)
    table[0, 40:] = error
    found = [v for v in about_errors(errors(table)) if v.code == "explosion"]
    assert len(found) == 1
    assert "On the validation half" in found[0].sentence
    assert "at step 41" in found[0].sentence


def test_a_gain_must_be_certain() -> None:
    assert about_gain(Interval(0.3, 0.1, 0.5), 0.2) == []
    (found,) = about_gain(Interval(0.26, -0.05, 0.57), 0.01)
    assert first_distrust([found]) == found.sentence


USE = Use("power", True, (0.0, 2.8), (0.0, 10.0), 0.01, 2.0)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({}, None),
        ({"outside": 0.2}, "action-range"),
        ({"outside": 0.2, "is_action": False, "moves": None}, "state-range"),
        ({"moves": 4.0}, "moves"),
        ({"fastest": 0.04, "faster": 0.5}, "pace"),
        ({"fastest": 0.04, "faster": 0.01}, None),
    ],
)
def test_what_the_logs_never_did(change: dict[str, object], code: str | None) -> None:
    found = about_conduct([replace(USE, **change)])  # type: ignore[arg-type]
    assert [verdict.code for verdict in found] == ([code] if code else [])
    assert first_distrust(found) is None


def test_a_policy_that_promises_no_gain() -> None:
    figures = {
        "predicted": {"mean": -1.0},
        "behaviour": [{"mean": -0.9}, {"mean": -2.0}],
        "learned_in_half": 1,
    }
    assert [v.code for v in about_promise(figures)] == ["no-gain"]
    assert about_promise({**figures, "learned_in_half": 0}) == []
    assert about_promise({**figures, "chosen": {"fallback": "because"}}) == []
    assert about_promise({"logged": -1.0}) == []


def test_a_promise_below_what_the_logs_earned() -> None:
    figures = {
        "predicted": {"mean": -1.0, "interval": {"low": -1.2, "high": -0.8}},
        "behaviour": [{"mean": -2.0}, {"mean": -2.0}],
        "learned_in_half": 1,
        "logged": -0.7,
    }
    (verdict,) = about_promise(figures)
    assert "The learned policy promises less" in verdict.sentence
    assert about_promise({**figures, "logged": -0.9}) == []  # it may be as good
    (verdict,) = about_promise({**figures, "chosen": {"fallback": "because"}})
    assert "The clone that is handed over" in verdict.sentence
    episodes = {"predicted": {"mean": 8.0, "low": 7.0, "high": 9.0}, "logs": {"return": 8.5}}
    assert about_promise({**figures, "episodes": episodes}) == []
