"""A policy that leans on a limit that nobody has confirmed."""

from __future__ import annotations

from revive.policy.conduct import Use
from revive.policy.guessed import about_guessed_limits
from revive.policy.verdicts import first_distrust

FAN = Use("fan", True, (20.0, 80.0), (20.0, 80.0), 0.0, 1.0, (20.0, 80.0), (0.01, 0.4))


def test_the_limit_its_unit_and_the_share_are_told() -> None:
    (found,) = about_guessed_limits([FAN], {"fan"}, {"fan": "%"})
    assert "'fan' to the upper limit 80 % in 40% of the steps" in found.sentence
    assert "lower" not in found.sentence
    assert "delete the word GUESS" in found.remedy
    assert first_distrust([found]) is None


def test_nothing_is_said_of_limits_that_were_confirmed_or_are_seldom_met() -> None:
    assert about_guessed_limits([FAN], set(), {}) == []
    assert (
        about_guessed_limits([Use("x", False, (0, 1), (0, 1), 0.0, None, (0, 1), (0.02, 0.0))], {"x"}, {})
        == []
    )
