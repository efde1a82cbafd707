"""Tipping strength against closed forms: a linear plant, and logs whose hidden cause is known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from revive.policy.tipping import SHARES, _leaning, _place, crossing, equal_strength, tipping_points
from revive.trust.card import Cards, CausalCard, Reference
from tests.policy.conftest import BEHAVIOUR, A, B, Plant


def card(**changed: Any) -> CausalCard:
    """Of the plant: u moves x by B."""
    usual: dict[str, Any] = {
        "node": "u",
        "action": "u0",
        "output": "x0",
        "grade": "A",
        "overlap": 0.5,
        "moved": 0.2,
        "effect": B,
        "low": 0.4,
        "high": 0.6,
        "dead_time": 1,
        "fast": B,
        "fast_se": 0.01,
        "shift": 0.0,
        "share": 0.5,
        "lasts": 0.0,
        "declared": None,
        "noise": None,
        "moves_acf": (),
        "rest_acf": (),
        "cross": (),
        "rest": 0.2,
        "reasons": (),
        "references": (Reference("wind0", 0.1, 0.3), Reference("x0", 0.9, 0.0)),
    }
    return CausalCard(**{**usual, **changed})


def cards(*found: CausalCard) -> Cards:
    return Cards(found, rows=600, blocks=12, rate=0.01, needed=200)


def test_what_was_logged_stays_and_departures_pay(plant: Plant) -> None:
    place = _place(plant.venv, card())
    assert place is not None
    leaning = _leaning(plant.venv, plant.rows, card(), place, 0.3)
    x = torch.tensor([[[1.0, BEHAVIOUR, 0.0], [1.0, BEHAVIOUR + 1.0, 0.0], [-2.0, -2.0 * BEHAVIOUR, 0.0]]])
    x = x.expand(4, -1, -1)
    before, after = (
        venv.model("next_x").value(x, x[..., :1], None)[0, :, 0] for venv in (plant.venv, leaning)
    )
    torch.testing.assert_close(after[[0, 2]], before[[0, 2]], atol=0.05, rtol=0.0)
    assert float(after[1] - after[0]) == pytest.approx(B - 0.3, abs=1e-4)
    assert float(before[1] - before[0]) == pytest.approx(B, abs=1e-4)  # the venv itself is as it was


def test_the_gain_of_a_feedback_is_cancelled_before_the_effect_is_gone(plant: Plant) -> None:
    clone, policy = plant.linear_policy(BEHAVIOUR, BEHAVIOUR), plant.linear_policy(-1.0)
    found = tipping_points(cards(card()), plant.bed, policy, clone, half=0)
    assert len(found) == 1
    tipping = found[0]
    assert tipping.gains[0] > 0
    assert tipping.at is not None
    assert 0.2 < tipping.at < 1.0  # without any effect it only pays for its effort
    assert tipping.product == pytest.approx((tipping.at * B * 0.2 / 0.2) ** 2)
    assert "'wind0' comes closest" in tipping.sentence
    assert tipping.to_json()["sentence"] == tipping.sentence


def test_a_policy_without_gain_has_no_tipping_point(plant: Plant) -> None:
    clone, worse = plant.linear_policy(BEHAVIOUR, BEHAVIOUR), plant.linear_policy(1.0)
    (tipping,) = tipping_points(cards(card()), plant.bed, worse, clone, half=0)
    assert tipping.at == 0.0
    assert "gains nothing" in tipping.sentence


def test_effects_of_other_decisions_and_other_nodes_are_not_asked(plant: Plant) -> None:
    clone, policy = plant.linear_policy(BEHAVIOUR, BEHAVIOUR), plant.linear_policy(-1.0)
    for other in (card(node="v"), card(output="y0"), card(action="u1"), card(grade="C"), card(grade="D")):
        assert tipping_points(cards(other), plant.bed, policy, clone, half=0) == []
    assert tipping_points(None, plant.bed, policy, clone, half=0) == []


@pytest.mark.parametrize(("moves", "response"), [(0.1, 0.1), (0.5, 0.5), (0.8, 0.3), (0.3, 0.9)])
def test_the_bias_of_a_known_hidden_cause_is_foretold(moves: float, response: float) -> None:
    """y = b a + d z + e, a = s + c z + own: least squares is off by what the formula says, within a twentieth."""
    random = np.random.default_rng(0)
    s, z, own, e = random.normal(size=(4, 200_000))
    c = np.sqrt(moves / (1 - moves))
    a = s + c * z + own
    left = 1 - moves  # variance of z given a and s
    d = np.sqrt(response / (1 - response) / left)
    y = -1.0 * a + d * z + e
    r = a - s
    theta = (r * y).mean() / (r * r).mean()
    rest = y - theta * r - (y * s).mean() / (s * s).mean() * s
    product = response * moves / (1 - moves)
    foretold = rest.std() / r.std() * np.sqrt(product)
    assert abs(theta + 1.0) == pytest.approx(foretold, rel=0.05)


def test_equal_strength_solves_its_equation() -> None:
    for product in (0.01, 0.4, 3.0, 100.0):
        strength = equal_strength(product)
        assert 0 < strength < 1
        assert strength**2 / (1 - strength) == pytest.approx(product)


def test_crossing_interpolates_and_takes_the_first() -> None:
    assert crossing((0, 1, 2), (1.0, 0.5, -0.5)) == pytest.approx(1.5)
    assert crossing((0, 1, 2), (1.0, 0.5, 0.1)) is None
    assert crossing((0, 1, 2), (1.0, float("nan"), -1.0)) == 0.0
    assert crossing((0, 1), (0.0, 1.0)) == 0.0
    assert SHARES[0] > 0


def test_the_effect_is_in_physical_units(plant: Plant) -> None:
    """A is the plant's own decay: the lean must not touch it."""
    place = _place(plant.venv, card())
    assert place is not None
    leaning = _leaning(plant.venv, plant.rows, replace(card(), effect=B), place, B)
    x = torch.tensor([[[1.0, 3.0, 0.0]]]).expand(4, -1, -1)
    value = leaning.model("next_x").value(x, x[..., :1], None)
    assert float(value[0, 0, 0]) == pytest.approx(A + B * BEHAVIOUR, abs=0.06)
