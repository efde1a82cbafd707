"""The figures behind a causal card: how an action was moved, what followed it, and what remains of both.

Notation, for one transition: a the decisions (N, k), s what else was known, y the change of the outputs (N, q).

    r = a - E[a | s]                    the operator's own moves, by cross-fitting (nuisance.py)
    theta = <r, y - E[y | s]> / <r, r>  the effect: double machine learning, partially linear (Chernozhukov et al. 2018)
    h = a - E[a | s, past of s],  p = E[h | past of h],  u = h - p
    theta_fast = <u, y - E[y | s]> / <u, r>    the same effect as the operator's fresh moves tell it, u an instrument
    e = y - E[y | s, a]                 what the action does not explain; E smooth in a: linear, squared, times s

A cause that is not logged, lasts, and moves both a and y makes theta differ from theta_fast: most of it lies in p, the
part of the moves that lasts, while u is mostly the operator's own noise. Without such a cause both are estimates of one
effect, whatever the controller remembers; the comparison is that of Hausman (1978, Econometrica 46). It is made twice,
with all u and without those far outside the usual size (a door that opens; selecting on a regressor does not bias an
effect), because for moves that are held it is the large ones that are fresh.

Noise of the measurement biases theta as well where moves last: s is not quite what the plant was in. Summed over
several steps, moves and responses grow and the noise of the two ends does not, so theta of the sums then lies nearer to
theta_fast; a hidden cause is summed like the moves, and takes it farther away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from revive.data.trajectories import BoolArray, FloatArray, IntArray
from revive.trust.nuisance import Blocks, blocks_of, crossfitted, features, inside, standard
from revive.trust.question import Question
from revive.trust.series import clipped, faded, lagged, over, summed

MEMORIES: Final = (2.0, 8.0, 30.0)  # steps over which a controller may average what it saw
OWN_LAGS: Final = 5  # moves from which the next one is foretold, and means over
OWN_MEMORIES: Final = (10.0, 30.0)
STEADY: Final = (
    0.3  # of the spread of fresh moves, that their robust spread must reach to tell which are usual
)
USUAL: Final = 3.0  # robust spreads up to which a fresh move is a usual one
TOGETHER: Final = 8  # steps that are summed, to tell measurement noise from a hidden cause
DRAWS: Final = 400  # of the block bootstrap
MOST_STATES: Final = 20  # state columns whose past is looked at


@dataclass(frozen=True)
class Estimate:
    """Effects (k, q), the share of each block in their error (blocks, k, q), and their standard errors (k, q)."""

    value: FloatArray
    influence: FloatArray
    se: FloatArray


@dataclass(frozen=True)
class Evidence:
    """Arrays of one question; see the module's docstring. moves r, fresh u, lasting p; wide: y - E[y | s].

    kept: (N,) rows within the range of those that their predictions were fitted on. lasts: (k,) share of the variance
    of h that its own past foretells. effect, earlier: theta of the present moves and of earlier ones;
    fast, usual: theta_fast, of all fresh moves and of those of usual size; summed: theta of sums over `TOGETHER` steps.
    """

    question: Question
    ends: IntArray
    blocks: Blocks
    kept: BoolArray
    moves: FloatArray
    own: FloatArray
    fresh: FloatArray
    wide: FloatArray
    rest: FloatArray
    lasts: FloatArray
    effect: Estimate
    fast: Estimate
    usual: Estimate
    summed: Estimate
    earlier: Estimate | None


def evidence_for(question: Question, ends: IntArray) -> Evidence:
    """All figures of one transition. ends: (K,) of the trajectories."""
    blocks = blocks_of(np.diff(ends, prepend=0))
    s, a, y = question.covariates, question.moved, question.change
    k = a.shape[1]
    kept = question.known & inside(s, blocks)
    s, a, y = (np.where(question.known[:, None], x, x[question.known].mean(axis=0)) for x in (s, a, y))
    plain = features(np.column_stack([s, question.before]) if question.before.size else s)
    told = crossfitted(plain, np.column_stack([a, y]), blocks, kept)
    moves, wide = a - told[:, :k], clipped(y - told[:, k:], 8.0)
    longer = np.column_stack([plain, _past(question, ends)])
    remembered = crossfitted(longer, np.column_stack([a, y]), blocks, kept)
    own, narrow = a - remembered[:, :k], clipped(y - remembered[:, k:], 8.0)
    fresh = own - crossfitted(_own_past(own, ends), own, blocks, kept)
    rest = clipped(y - crossfitted(_with_moves(plain, s, a), y, blocks, kept))
    return Evidence(
        question,
        ends,
        blocks,
        kept,
        moves,
        own,
        fresh,
        wide,
        rest,
        1.0 - fresh[kept].var(axis=0) / np.maximum(own[kept].var(axis=0), 1e-300),
        _estimate(moves, moves, wide, kept, blocks),
        _estimate(fresh, own, narrow, kept, blocks),
        _estimate(fresh, own, narrow, kept & _usual(fresh, kept), blocks),
        _summed(moves, wide, kept, blocks, ends),
        _earlier(question, s, a, y, kept, blocks),
    )


def _summed(moves: FloatArray, wide: FloatArray, kept: BoolArray, blocks: Blocks, ends: IntArray) -> Estimate:
    """theta of sums over `TOGETHER` steps: measurement noise shrinks beside them, a hidden cause does not."""
    r, y = (over(np.where(kept[:, None], x, 0.0), range(TOGETHER), ends) for x in (moves, wide))
    return _estimate(r, r, y, kept, blocks)


def _past(question: Question, ends: IntArray) -> FloatArray:
    """Features (N, m) of what the states were before: means over several spans, their sum, the last change."""
    x = question.states[:, :MOST_STATES]
    parts = [faded(x, memory, ends) for memory in MEMORIES]
    return features(np.column_stack([x, *parts, summed(x, ends), x - lagged(x, 1, ends)]))


def _own_past(own: FloatArray, ends: IntArray) -> FloatArray:
    lags = [lagged(own, lag, ends) for lag in range(1, OWN_LAGS + 1)]
    return np.column_stack([*lags, *(faded(lagged(own, 1, ends), memory, ends) for memory in OWN_MEMORIES)])


def _usual(fresh: FloatArray, kept: BoolArray) -> BoolArray:
    """(N,) rows in which no fresh move is far larger than usual."""
    middle = np.median(fresh[kept], axis=0)
    spread = 1.4826 * np.median(np.abs(fresh[kept] - middle), axis=0)
    spread = np.where(
        spread > STEADY * fresh[kept].std(axis=0), spread, np.inf
    )  # most actuators move now and then
    return np.asarray((np.abs(fresh - middle) <= USUAL * spread).all(axis=1))


def _with_moves(plain: FloatArray, s: FloatArray, a: FloatArray) -> FloatArray:
    """Features of what was known and, smoothly, of the decisions: themselves, squares, products with what was known."""
    actions, known = standard(a), standard(s)
    products = (
        [actions[:, j : j + 1] * known for j in range(actions.shape[1])] if known.shape[1] <= 20 else []
    )
    return np.column_stack([plain, actions, np.square(actions), *products])


def _estimate(
    instruments: FloatArray, moves: FloatArray, wide: FloatArray, kept: BoolArray, blocks: Blocks
) -> Estimate:
    """theta = <z, r>^-1 <z, y> with its block bootstrap; z instruments (N, k), r moves (N, k), y (N, q)."""
    z = np.where(kept[:, None], instruments - instruments[kept].mean(axis=0), 0.0)
    k, q = z.shape[1], wide.shape[1]
    gram = blocks.sums((z[:, :, None] * moves[:, None, :]).reshape(len(z), -1)).reshape(-1, k, k)
    cross = blocks.sums((z[:, :, None] * wide[:, None, :]).reshape(len(z), -1)).reshape(-1, k, q)
    inverse = np.linalg.pinv(gram.sum(axis=0))
    value = inverse @ cross.sum(axis=0)
    influence = inverse @ (cross - gram @ value)
    drawn = np.random.default_rng(0).multinomial(blocks.count, np.full(blocks.count, 1 / blocks.count), DRAWS)
    found = np.linalg.pinv(np.einsum("db,bij->dij", drawn, gram)) @ np.einsum("db,bij->dij", drawn, cross)
    low, high = np.quantile(found, [0.1587, 0.8413], axis=0)  # the spread of the middle, which outliers spare
    plain = np.sqrt(np.square(influence).sum(axis=0))
    return Estimate(value, influence, np.maximum((high - low) / 2, plain))


def _earlier(
    question: Question, s: FloatArray, a: FloatArray, y: FloatArray, kept: BoolArray, blocks: Blocks
) -> Estimate | None:
    """The effects of earlier decisions that the transition sees, all of them and the present ones together."""
    if not question.earlier:
        return None
    every = np.column_stack([question.before, a])
    told = crossfitted(features(s), np.column_stack([every, y]), blocks, kept)
    count = every.shape[1]
    moves = every - told[:, :count]
    found = _estimate(moves, moves, y - told[:, count:], kept, blocks)
    past = slice(0, len(question.earlier))
    return Estimate(found.value[past], found.influence[:, past], found.se[past])
