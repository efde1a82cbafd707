"""The sequential rule of a trial, on made plants: how often it is wrong, and how often it finds what is there."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.signal import lfilter

from revive.trust.trial import Judgement, Rule, chance, log_evidence, played, rule_for, spread_of_pairs

TRIALS, FEW = 200, 40
STEPS = 20  # of a block


def plant(kind: str, pairs: int, random: np.random.Generator) -> np.ndarray:
    """(pairs, 2) rewards of blocks that one controller played: noise of the plant, with or without memory."""
    steps = pairs * 2 * STEPS
    shocks = random.standard_t(2, steps) if kind == "heavy-tailed" else random.normal(size=steps)
    if kind == "skewed":
        shocks = -np.exp(shocks)
    if kind in ("slow", "heavy-tailed"):
        shocks = lfilter([1.0], [1.0, -0.97], shocks)
    return shocks.reshape(pairs, 2, STEPS).mean(2)


def differences(kind: str, pairs: int, gain: float, seed: int) -> np.ndarray:
    """Candidate less controller, pair by pair, in the drawn order."""
    blocks = plant(kind, pairs, np.random.default_rng([seed, 1]))
    first = np.array(played(pairs, seed))
    return np.where(first, blocks[:, 0] - blocks[:, 1], blocks[:, 1] - blocks[:, 0]) + gain


def run(rule: Rule, d: np.ndarray) -> Judgement:
    judged = rule.judge(d[:0])
    for count in range(1, len(d) + 1):
        judged = rule.judge(d[:count])
        if judged.state != "go on":
            break
    return judged


@pytest.mark.parametrize("kind", ["plain", "slow", "skewed", "heavy-tailed"])
def test_no_difference_is_seldom_called_one_however_slow_the_noise(kind: str) -> None:
    sd = float(differences(kind, 1000, 0.0, 10_000).std())
    rule = rule_for(0.5 * sd, sd, alpha=0.1, power=0.9)
    wrong = 0
    for seed in range(TRIALS):
        d = differences(kind, rule.most, 0.0, seed)
        looks = [log_evidence(d[:count], rule.rho) for count in range(1, rule.most + 1)]
        wrong += max(looks) >= -math.log(rule.alpha)  # one look after every pair
    assert wrong <= 0.1 * TRIALS


def test_a_gain_as_promised_is_found_within_the_plan_and_a_loss_is_given_up_sooner() -> None:
    sd = float(differences("slow", 1000, 0.0, 10_000).std())
    rule = rule_for(0.5 * sd, sd, alpha=0.05, power=0.9)
    better = [run(rule, differences("slow", rule.most, 0.5 * sd, seed)) for seed in range(FEW)]
    assert sum(j.state == "better" for j in better) >= 0.8 * FEW
    assert 0.88 < chance(rule, 0.5 * sd, sd) < 0.93
    worse = [run(rule, differences("slow", rule.most, -0.5 * sd, seed)) for seed in range(FEW)]
    assert not any(j.state == "better" for j in worse)
    assert np.mean([j.pairs for j in worse]) < 0.5 * rule.most


def test_the_interval_holds_the_gain_at_all_times_together() -> None:
    sd, gain = float(differences("slow", 1000, 0.0, 10_000).std()), 0.3
    rule = Rule(0.1, rule_for(gain, sd, 0.1, 0.9).rho, -math.inf, 60)
    missed = 0
    for seed in range(FEW):
        d = differences("slow", 60, gain, seed)
        intervals = [rule.judge(d[:count]) for count in range(1, 61)]
        missed += any(not j.low <= gain <= j.high for j in intervals)
    assert missed <= 0.1 * FEW


def test_evidence_is_that_of_the_paper_and_few_pairs_have_no_interval() -> None:
    d = np.array([1.0, 2.0, -0.5])
    lambdas = np.linspace(-20, 20, 200_001)
    rho = 0.7
    density = np.sqrt(rho / (2 * np.pi)) * np.exp(-rho * lambdas**2 / 2)
    mixed = np.trapezoid(np.exp(lambdas * d.sum() - lambdas**2 * np.square(d).sum() / 2) * density, lambdas)
    assert log_evidence(d, rho) == pytest.approx(math.log(mixed), abs=1e-6)
    judged = Rule(0.05, rho, 0.0, 10).judge(d)
    assert judged.state == "go on"
    assert judged.to_json()["low"] is None


def test_spread_of_pairs_skips_the_start_of_blocks_and_needs_enough_of_them() -> None:
    rewards = np.tile([100.0, 1.0, 1.0, -100.0, 3.0, 3.0], 10)
    assert spread_of_pairs(rewards, [60], counted=2, skipped=1) == pytest.approx(2.0)
    assert spread_of_pairs(rewards, [60], counted=20, skipped=10) is None
