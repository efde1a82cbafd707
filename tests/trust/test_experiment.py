from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from revive.trust.experiment import Column, dithers, played
from tests.policy.test_tipping import card

KNOWN = Column(action_sd=0.2, output_sd=1.0, change_sd=0.3, remembers=0.9)
PAIR = ("u0", "x0")
NARROW = card(grade="C", moved=0.001, rest=0.15, low=-2.0, high=0.5, reasons=("not known",))


def test_the_amplitude_finds_the_smallest_effect_that_matters() -> None:
    (dither,) = dithers([NARROW], {PAIR: KNOWN}, power=0.9, steps=1000, bound=10.0)
    assert dither.needed
    theta = 0.1 * 0.3 / 0.2
    assert dither.amplitude == pytest.approx((1.96 + 1.2816) * 0.15 / theta / np.sqrt(1000), rel=1e-2)
    random = np.random.default_rng(0)
    found = 0
    for _ in range(400):
        moves = dither.amplitude * random.choice([-1, 1], 1000) + 0.001 * random.normal(size=1000)
        y = theta * moves + 0.15 * random.normal(size=1000)
        estimate, se = (moves @ y) / (moves @ moves), 0.15 / np.sqrt(moves @ moves)
        found += abs(estimate) > 1.96 * se
    assert found / 400 == pytest.approx(dither.power, abs=0.05)


def test_a_bound_makes_it_smaller_and_longer() -> None:
    (free,) = dithers([NARROW], {PAIR: KNOWN}, power=0.9, steps=1000, bound=10.0)
    (tight,) = dithers([NARROW], {PAIR: KNOWN}, power=0.9, steps=1000, bound=0.05)
    assert tight.amplitude < free.amplitude
    assert tight.steps > free.steps == 1000
    assert tight.power == pytest.approx(0.9, abs=0.01)
    assert tight.disturbs == pytest.approx(0.05)


def test_nothing_is_asked_where_effects_are_known() -> None:
    plan = dithers([card(reasons=("known",))], {PAIR: KNOWN}, power=0.9, steps=1000, bound=1.0)
    assert not plan[0].needed
    assert [len(series) for series in played(plan, 0).values()] == [0]


def test_the_signal_has_two_levels_is_held_and_repeats_with_its_seed() -> None:
    late = replace(NARROW, dead_time=20)
    plan = dithers(
        [late, card(action="u1")], {PAIR: KNOWN, ("u1", "x0"): KNOWN}, power=0.9, steps=500, bound=1.0
    )
    series = played(plan, 3)
    assert set(np.abs(series["u0"]).round(9)) == {round(plan[0].amplitude, 9)}
    assert plan[0].hold == 10
    assert (series["u0"][:10] == series["u0"][0]).all()
    assert not series["u1"].any()
    np.testing.assert_array_equal(series["u0"], played(plan, 3)["u0"])
