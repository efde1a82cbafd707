"""Times that are told by their values."""

from __future__ import annotations

import numpy as np
import pytest

from revive.data.clocks import clock_among, clock_by_content

ROWS = np.arange(100.0)
RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (1.7096e12 + 60_000 * ROWS, "milliseconds since 1970"),
        (np.tile(1.7096e9 + 60 * ROWS[:50], 2), "seconds since 1970"),
        (ROWS / 60, "as evenly as a clock"),
        (17 + 2000 * ROWS + RNG.integers(0, 3, 100), "as evenly as a clock"),
        (np.tile(0.5 * ROWS[:50], 2), "as evenly as a clock"),
        (ROWS, ""),  # a count of rows has no period
        (np.cumsum(RNG.uniform(0, 3, 100)), ""),  # a meter
        (20 + np.sin(ROWS / 10), ""),
        (1e9 + RNG.normal(size=100) * 1e8, ""),
        (np.where(ROWS < 50, ROWS / 60, np.nan), ""),
        (np.r_[ROWS[:60] / 60, 30 + ROWS[:40] / 60], "as evenly as a clock"),  # a gap
    ],
)
def test_a_clock_is_told_by_its_values(values: np.ndarray, why: str) -> None:
    found = clock_by_content(values)
    assert found == why or (why and found.endswith(why))


@pytest.mark.parametrize(("name", "time"), [("T", False), ("tau", True), ("elapsed", True)])
def test_a_lone_capital_t_is_a_temperature_however_evenly_it_rises(name: str, time: bool) -> None:
    ramp = np.linspace(20.0, 40.0, 200)[:, None]
    assert (clock_among([name], {name: ramp}) is not None) is time
