"""How sure a prediction is: an interval for the true mean reward, over starts, members and halves.

Three things may differ from the truth, and their variances add up:

    V = s_m^2 (1 + 1/E)  +  s_b^2 / n  +  d^2 / 4

`s_m` is the spread of the E members' means, each over the same starts and noise. The truth is thought of as one more
draw from what the members are draws from, hence 1 and not 1/E alone: members that learned from the same half share its
mistakes. `s_b` is the spread of the starts, of which n are independent. `d` is how far the two halves' venvs lie
apart for the same policy; its half is the standard error of their mean. The interval is `mean +- t V^(1/2)`, with
Student's t of E - 1 degrees of freedom, because few members say little about their own spread.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

from scipy.stats import t as student
from torch import Tensor

COVERED = 0.9


@dataclass(frozen=True)
class Interval:
    """A mean and what holds the true one nine times in ten."""

    mean: float
    low: float
    high: float

    @property
    def is_finite(self) -> bool:
        return math.isfinite(self.low) and math.isfinite(self.high)

    def to_json(self) -> dict[str, float]:
        return asdict(self)


def prediction(rewards: Tensor, elsewhere: float | None, starts: int) -> Interval:
    """The true mean of a policy, foretold from the half that it did not learn in.

    rewards: (E, B), by member and start. elsewhere: the mean in the other half's venv; None where there is none.
    starts: how many of the B are independent.
    """
    values = rewards.double()
    mean = float(values.mean())
    members, branches = values.shape
    variance = _variance(values.mean(1)) * (1.0 + 1.0 / members) + _variance(values.mean(0)) / max(
        1, min(starts, branches)
    )
    if elsewhere is not None:
        variance += (mean - elsewhere) ** 2 / 4.0
    return _around(mean, variance, members)


def difference(gaps: Tensor, starts: int) -> Interval:
    """The mean of what should be zero: (E, B), by member and start. The members are averaged, not drawn from."""
    values = gaps.double()
    members, branches = values.shape
    variance = _variance(values.mean(1)) / members + _variance(values.mean(0)) / max(1, min(starts, branches))
    return _around(float(values.mean()), variance, members)


def _around(mean: float, variance: float, members: int) -> Interval:
    reach = float(student.ppf(0.5 + COVERED / 2.0, max(1, members - 1))) * math.sqrt(variance)
    return Interval(mean, mean - reach, mean + reach)


def _variance(values: Tensor) -> float:
    return float(values.var()) if len(values) > 1 else 0.0
