"""When and whether one column acts on another: regressions on all of the past, for each delay in turn.

A column y is regressed on its own past and, delay by delay, on the past of another column u,

    y[t + 1] = a . past(y)[t] + b . past(u)[t - delay] + e[t],
    past(x)[t] = x[t], x[t - 1], and exponential averages of x up to t,

which is an ARX model in a basis of exponentials (Wahlberg, "System identification using Laguerre models", IEEE
Transactions on Automatic Control 36(5), 1991). Such models stay consistent under feedback as long as the past is
rich enough (Ljung, "System Identification", 2nd ed., 1999, section 13.4). Delays are compared by the likelihood
ratio n log(s0^2 / s1^2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from revive.data.trajectories import FloatArray, IntArray

AVERAGES: Final = (2.0, 5.0, 15.0, 50.0)  # steps that the averages reach back
_FEWEST: Final = 200  # rows below which nothing is compared
_KNOWN: Final = 1e-12  # of the variance of y's change: below it, its own past says everything
ACTS: Final = 45.0  # likelihood ratio from which u acts on y; chance gives up to 25, trends in common more
_NEAR: Final = 3.0  # likelihood ratio that tells no two delays apart
_NEARLY: Final = 0.08  # of what the value at the dead time matters: what those before it may seem to
_CLEAR: Final = 20.0  # by which the value at the dead time itself has to matter
_MAINLY: Final = 0.12  # of the likelihood ratio of all of the past that this is, or
_SOONER: Final = 12.0  # by which a model from the dead time on has to surpass one of the whole past
_CHANCE: Final = 15.0  # that values before the dead time may add
_COARSE: Final = 4  # delays between those that are tried first


def past(values: FloatArray, starts: IntArray, ends: IntArray) -> FloatArray:
    """(N, 2 + averages) a column (N,) now, in the row before, and its exponential averages up to now."""
    from scipy.signal import lfilter

    parts = np.empty((len(values), 2 + len(AVERAGES)))
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        piece = values[start:end]
        parts[start:end, 0] = piece
        parts[start:end, 1] = np.append(piece[:1], piece[:-1])
        for number, steps in enumerate(AVERAGES, 2):
            keep = 1 - 1 / steps
            parts[start:end, number] = lfilter([1 - keep], [1, -keep], piece, zi=[keep * piece[0]])[0]
    return parts


@dataclass(frozen=True)
class Effect:
    """What the past of u says about y.

    likelihood: the largest likelihood ratio of a model with u, from some delay on, against one without u.
    share: of the variance of y's change that its own past leaves, what u explains. dead_time: the steps after which
    u begins to act, where the data tell them; None where they do not.
    """

    likelihood: float
    share: float
    dead_time: int | None


class Past:
    """The change of a column y (N,), whose successors are `following` (N,), and what is known before it.

    others: columns (N,) whose past is known beside that of y. longest: the largest delay that is tried.
    """

    def __init__(
        self,
        y: FloatArray,
        following: FloatArray,
        others: Sequence[FloatArray],
        starts: IntArray,
        ends: IntArray,
        longest: int,
    ) -> None:
        place = np.arange(len(y)) - np.repeat(starts, ends - starts)
        self._rows = np.flatnonzero(place >= longest + 2)
        self._starts, self._ends, self._longest = starts, ends, longest
        known = np.column_stack([past(values, starts, ends)[self._rows] for values in (y, *others)])
        self.usable = len(self._rows) >= _FEWEST + 5 * known.shape[1]
        if not self.usable:
            return
        target = (following - y)[self._rows]
        self._base = _orthogonal(np.column_stack([np.ones(len(self._rows)), known]))
        self._left = target - self._base @ (self._base.T @ target)
        self._before = float(np.square(self._left).sum())
        self.usable = self._before > _KNOWN * float(np.square(target - target.mean()).sum())

    def effect(self, u: FloatArray) -> Effect:
        """How u (N,) acts on y."""
        mine = past(u, self._starts, self._ends)
        tried = sorted({*range(min(_COARSE, self._longest + 1)), *range(0, self._longest + 1, _COARSE)})
        coarse = {delay: self._likelihood(mine, delay) for delay in tried}
        most = max(coarse.values())
        if most < ACTS:
            return self._effect(most, None)
        near = max(coarse, key=lambda delay: coarse[delay])
        span = range(max(0, near - _COARSE), min(self._longest, near + _COARSE) + 1)
        fine = coarse | {delay: self._likelihood(mine, delay) for delay in span if delay not in coarse}
        most = max(fine.values())
        dead = max(delay for delay in fine if self._is_near(mine, delay, fine[delay], most))
        if dead == 0 or dead == self._longest:
            return self._effect(most, 0 if dead == 0 else None)
        fresh = fine[dead] - self._likelihood(mine, dead + 1)
        sooner = fine[dead] - fine[0]
        early = self._likelihood(mine, dead, range(dead)) - fine[dead]
        # something slow between the two also hides what is newest, but then nothing tells the delay from none
        told = fresh > _MAINLY * most or sooner > _SOONER
        clear = fresh > (_CLEAR if sooner < 2 * _SOONER else _CLEAR / 2)
        return self._effect(most, dead if told and clear and early < _CHANCE + 3 * dead else None)

    def _is_near(self, mine: FloatArray, delay: int, value: float, most: float) -> bool:
        """Whether a delay is as good as the best one: what it loses is chance, beside what the next one loses."""
        lost = most - value
        if lost < _NEAR or lost > _NEARLY * value:
            return lost < _NEAR
        return lost < _NEARLY * (value - self._likelihood(mine, delay + 1))

    def _effect(self, likelihood: float, dead_time: int | None) -> Effect:
        return Effect(likelihood, 1 - float(np.exp(-likelihood / len(self._rows))), dead_time)

    def _likelihood(self, mine: FloatArray, delay: int, single: Sequence[int] = ()) -> float:
        """The likelihood ratio of the past of u from `delay` on, and of its values `single` steps ago."""
        rows = self._rows
        fresh = np.column_stack([mine[rows - delay], *(mine[rows - age, 0] for age in single)])
        fresh = fresh - self._base @ (self._base.T @ fresh)
        after = self._before - float(np.square(_orthogonal(fresh).T @ self._left).sum())
        return float(len(rows) * np.log(self._before / max(after, 1e-12 * self._before)))


def _orthogonal(matrix: FloatArray) -> FloatArray:
    """An orthonormal basis of what the columns span, without directions that are rounding errors."""
    scale = np.linalg.norm(matrix, axis=0)
    kept = matrix[:, scale > 0] / scale[scale > 0]
    left, size, _ = np.linalg.svd(kept, full_matrices=False)
    return np.asarray(left[:, size > 1e-7 * size.max(initial=1e-300)])
