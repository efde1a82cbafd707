from __future__ import annotations

import numpy as np
import pytest
import torch

from revive.policy.intervals import Interval, difference, prediction


def width(interval: Interval) -> float:
    return interval.high - interval.low


def test_nothing_that_differs_leaves_no_doubt() -> None:
    found = prediction(torch.full((5, 8), 2.0), 2.0, 8)
    assert (found.mean, found.low, found.high) == (2.0, 2.0, 2.0)


@pytest.mark.parametrize("spread", ["members", "starts", "halves"])
def test_each_kind_of_doubt_widens_the_interval(spread: str) -> None:
    values, elsewhere = torch.zeros(5, 8), 0.0
    if spread == "members":
        values = values + torch.linspace(-1, 1, 5).view(-1, 1)
    elif spread == "starts":
        values = values + torch.linspace(-1, 1, 8)
    else:
        elsewhere = 1.0
    found = prediction(values, elsewhere, 8)
    assert found.mean == pytest.approx(0.0)
    assert found.high > 0.5
    assert found.low == pytest.approx(-found.high)


def test_few_members_are_believed_less() -> None:
    pair, many = torch.tensor([-1.0, 1.0]), torch.tensor([-1.0, 1.0] * 10)
    few, more = (width(prediction(v.view(-1, 1).expand(-1, 4), None, 4)) for v in (pair, many))
    assert few > 3 * more


def test_the_interval_holds_the_truth_nine_times_in_ten() -> None:
    """Members and truth are draws of one law, as the formula has it; starts have a spread of their own."""
    random, held = np.random.default_rng(0), 0
    for _ in range(1000):
        members, starts = random.normal(size=(5, 1)), random.normal(size=(1, 30))
        found = prediction(torch.as_tensor(members + starts), None, 30)
        held += found.low <= random.normal() <= found.high
    assert 0.87 < held / 1000 < 0.95


def test_starts_that_overlap_count_once() -> None:
    values = torch.linspace(-1, 1, 30).expand(5, -1)
    assert width(prediction(values, None, 3)) == pytest.approx(10**0.5 * width(prediction(values, None, 30)))


def test_a_difference_is_that_of_the_members_mean() -> None:
    gaps = torch.linspace(0.5, 1.5, 5).view(-1, 1).expand(-1, 4)
    found = difference(gaps, 4)
    assert found.mean == pytest.approx(1.0)
    assert width(found) < width(prediction(gaps, None, 4))
    assert found.low > 0.0
