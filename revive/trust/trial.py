"""A trial on the plant: the logged controller and a candidate in turn, and when to stop with a stated rate of error.

Blocks of the two come in pairs, in an order that is drawn anew for each pair, and the difference D of their rewards is
one observation. If the candidate does neither better nor worse, the drawn order alone makes D symmetric about zero,
whatever the noise and however slow it is, so that for every number l the product over pairs of exp(l D - l^2 D^2 / 2)
is a nonnegative supermartingale (de la Pena 1999, Annals of Probability 27, "A general class of exponential
inequalities for martingales and ratios", lemma 6.1). Mixed over l with a normal density of variance 1/rho (Howard,
Ramdas, McAuliffe and Sekhon 2021, Annals of Statistics 49, "Time-uniform, nonparametric, nonasymptotic confidence
sequences", proposition 5):

    E = sqrt(rho / (V + rho)) exp( S^2 / (2 (V + rho)) ),     S = sum D,   V = sum D^2.

E passes 1 / alpha at any time at all with a probability of alpha at most (Ville), so one may look after every pair. The
same with D - m in place of D gives the interval of the gain m that holds at all times together. Candidates share alpha.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

import numpy as np
from scipy.stats import norm

from revive.data.trajectories import FloatArray

MOST_PAIRS: Final = 1000
LENGTHS: Final = (10, 20, 50, 100, 200, 500, 1000)  # steps of a block that are counted, to choose from
WORTH: Final = 0.5  # of the promised gain: less is not worth going on for
State = Literal["go on", "better", "worse", "futile", "undecided"]


@dataclass(frozen=True)
class Judgement:
    """After some pairs. mean: of the differences, candidate less controller; low, high: of the gain, at all times
    together; evidence: E, which is to pass 1 / alpha."""

    state: State
    pairs: int
    mean: float
    low: float
    high: float
    evidence: float

    def to_json(self) -> dict[str, Any]:
        found = asdict(self)
        return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in found.items()}


@dataclass(frozen=True)
class Rule:
    """alpha: rate of error of this candidate, false praise and false blame together. rho: of the mixture, in squares
    of the reward. worth: the gain below which going on is futile. most: pairs at most."""

    alpha: float
    rho: float
    worth: float
    most: int

    def judge(self, differences: Sequence[float] | FloatArray) -> Judgement:
        """What follows from the pairs so far."""
        d = np.asarray(differences, dtype=np.float64)
        if len(d) == 0:
            return Judgement("go on", 0, 0.0, -math.inf, math.inf, 1.0)
        mean = float(d.mean())
        reach = self._reach(d)
        log_e = log_evidence(d, self.rho)
        state: State = "go on"
        if log_e >= -math.log(self.alpha):
            state = "better" if mean > 0 else "worse"
        elif mean + reach < self.worth:
            state = "futile"
        elif len(d) >= self.most:
            state = "undecided"
        return Judgement(state, len(d), mean, mean - reach, mean + reach, math.exp(min(log_e, 700.0)))

    def _reach(self, d: FloatArray) -> float:
        """Half the width of the interval about the mean; infinite where the pairs are too few for any."""
        n, spread = len(d), float(np.square(d - d.mean()).sum()) + self.rho
        wanted = -math.log(self.alpha)

        def log_e(w: float) -> float:  # w = V + rho at a distance of sqrt((w - spread) / n) from the mean
            return 0.5 * n * (1.0 - spread / w) - 0.5 * math.log(w / self.rho)

        low, high = spread, n * spread  # log_e rises until there
        if log_e(high) < wanted:
            return math.inf
        for _ in range(100):
            middle = 0.5 * (low + high)
            low, high = (low, middle) if log_e(middle) >= wanted else (middle, high)
        return math.sqrt((high - spread) / n)


def log_evidence(differences: FloatArray, rho: float) -> float:
    """log E of the module's docstring."""
    s, v = float(differences.sum()), float(np.square(differences).sum())
    return 0.5 * s * s / (v + rho) + 0.5 * math.log(rho / (v + rho))


def rule_for(gain: float, sd: float, alpha: float, power: float) -> Rule:
    """The rule for a promised gain (positive) and differences of this standard deviation.

    It finds the gain with a chance of `power` within `most` pairs; rho makes the interval narrowest about there.
    """
    most = MOST_PAIRS
    rho = _rho(sd, most, alpha)
    for _ in range(8):  # rho and the number of pairs depend on each other
        found = pairs_needed(gain, sd, alpha, power, rho)
        if found == most:
            break
        most, rho = found, _rho(sd, found, alpha)
    return Rule(alpha, rho, WORTH * gain, most)


def chance(rule: Rule, gain: float, sd: float) -> float:
    """That a gain is found by the last pair, at least."""
    n = rule.most
    v = n * (sd * sd + gain * gain) + rule.rho
    boundary = math.sqrt(v * (math.log(v / rule.rho) - 2.0 * math.log(rule.alpha)))
    return float(norm.cdf((n * gain - boundary) / (sd * math.sqrt(n))))


def _rho(sd: float, pairs: int, alpha: float) -> float:
    log = 2.0 * math.log(1.0 / alpha)
    return max(sd * sd * pairs / (log + math.log1p(log)), 1e-300)


def pairs_needed(gain: float, sd: float, alpha: float, power: float, rho: float) -> int:
    """Pairs after which the gain is found with a chance of `power`; `MOST_PAIRS` at most."""
    z = float(norm.ppf(power))
    n = np.arange(1, MOST_PAIRS + 1)
    v = n * (sd * sd + gain * gain) + rho
    enough = n * gain - z * sd * np.sqrt(n) >= np.sqrt(v * (np.log(v / rho) + 2.0 * math.log(1.0 / alpha)))
    return int(n[np.argmax(enough)]) if enough.any() else MOST_PAIRS


def spread_of_pairs(rewards: FloatArray, lengths: Sequence[int], counted: int, skipped: int) -> float | None:
    """Standard deviation of the difference of two neighbouring blocks of the logs, where one controller played both.

    rewards: (N,) of the logs, trajectory after trajectory of so many rows. Of each block the first `skipped` steps are
    left out. Differences larger than 97.5 % of them count as these, so that a start far away does not count as noise.
    None where the logs hold fewer than 8 such pairs.
    """
    length, found, first = counted + skipped, [], 0
    for rows in lengths:
        part = rewards[first : first + rows]
        blocks = part[: rows // length * length].reshape(-1, length)[:, skipped:].mean(axis=1)
        found.append(np.diff(blocks))
        first += rows
    sizes = np.abs(np.concatenate(found))
    if len(sizes) < 8:
        return None
    return float(np.sqrt(np.square(np.minimum(sizes, np.quantile(sizes, 0.975))).mean()))


def played(pairs: int, seed: int) -> list[bool]:
    """Whether the candidate comes first, pair by pair: drawn, because the rate of error rests on it."""
    return [bool(flip) for flip in np.random.default_rng(seed).integers(0, 2, pairs)]
