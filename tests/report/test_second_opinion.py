"""What a reader is told where the logs alone and the models do not say the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from revive.report.second_opinion import second_opinion
from revive.report.summary import Summary
from revive.report.tables import sentences


def _policy(logs_gain: float, venv_gain: float) -> dict[str, Any]:
    half = {"logs": -1.0, "policy": -1.0 + logs_gain, "venv_behaviour": -1.0, "venv_policy": -1.0 + venv_gain}
    return {"fqe": {"gamma": 0.98, "half": 0, "halves": [half, half]}}


@pytest.mark.parametrize(
    ("logs_gain", "venv_gain", "said"),
    [
        (-0.1, 0.4, "They disagree: the models say that the policy is better"),
        (0.1, -0.4, "They disagree: the models say that the policy is worse"),
        (0.3, 0.4, "They agree: "),
        (0.1, 0.4, "not about the size. The logs know little"),
        (0.4, 0.1, "the models promise less"),
    ],
)
def test_agreement_and_disagreement_are_put_into_words(logs_gain: float, venv_gain: float, said: str) -> None:
    assert said in second_opinion(_policy(logs_gain, venv_gain))


def test_nothing_is_said_where_the_logs_alone_say_nothing() -> None:
    assert second_opinion({"fqe": {"reason": "too few rows"}}) == ""
    assert second_opinion({}) == ""


def test_the_terminal_says_that_they_disagree(
    summarise: Callable[..., Summary], learned: dict[str, Any]
) -> None:
    assert "they disagree" in sentences(summarise(**learned, **_policy(-0.1, 0.4)))[0]
    assert "they disagree" not in sentences(summarise(**learned, **_policy(0.1, 0.4)))[0]
