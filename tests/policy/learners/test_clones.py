from __future__ import annotations

import math

import pytest
import torch

from revive.policy.learners.clones import SHARES, _repeats


def test_good_trajectories_are_repeated_in_proportion_to_their_weight() -> None:
    returns = torch.tensor([0.0, 1.0, 2.0, 3.0, 4.0])
    repeats = _repeats(returns, 2.0)
    apart = 2.0 / float(returns.std())
    assert repeats[-1] == SHARES
    assert repeats == [round(SHARES * math.exp(-apart * (4 - k))) for k in range(5)]


@pytest.mark.parametrize("tilt", [0.0, 2.0])
def test_trajectories_that_earned_the_same_count_the_same(tilt: float) -> None:
    assert len(set(_repeats(torch.full((6,), 3.0), tilt))) == 1
