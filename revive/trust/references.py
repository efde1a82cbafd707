"""What logged columns explain: the yardstick for how strong a cause that was not logged might be."""

from __future__ import annotations

from typing import Final

import numpy as np

from revive.data.trajectories import FloatArray, IntArray
from revive.trust.card import Reference
from revive.trust.nuisance import blocks_of, crossfitted, features
from revive.trust.question import Question

ROWS: Final = 4000  # at most, the first ones
COLUMNS: Final = 6  # at most; with more, each one alone explains little that the others do not


def references(question: Question, lengths: IntArray) -> dict[tuple[int, int], tuple[Reference, ...]]:
    """(move, output) -> for each logged column, the shares that it alone explains; empty where there are many columns.

    moves: share of the variance of the move, given all else that was logged, that the column explains;
    response: share of the variance of the change of the output, given all else and the move.
    """
    names = question.covariate_names
    each = list(dict.fromkeys(names))
    if not 1 <= len(each) <= COLUMNS:
        return {}
    ends = np.cumsum(lengths)
    last = int(np.searchsorted(ends, min(ROWS, ends[-1])))
    kept = np.append(lengths[:last], min(ROWS, ends[-1]) - (ends[last - 1] if last else 0)).astype(np.int64)
    kept = kept[kept > 0]
    rows = int(kept.sum())
    blocks, s = blocks_of(kept), np.where(question.known[:rows, None], question.covariates[:rows], 0.0)
    a, y = question.moved[:rows], question.change[:rows]

    def left(columns: FloatArray) -> tuple[FloatArray, FloatArray]:
        plain = features(columns)
        moves = a - crossfitted(plain, a, blocks)
        rest = y - crossfitted(np.column_stack([plain, a]), y, blocks)
        return moves[question.known[:rows]].var(axis=0), rest[question.known[:rows]].var(axis=0)

    moves, rest = left(s)
    found: dict[tuple[int, int], tuple[Reference, ...]] = {}
    for column in each:
        without_moves, without_rest = left(s[:, [name != column for name in names]])
        for i in range(a.shape[1]):
            for j in range(y.shape[1]):
                reference = Reference(
                    column, _share(moves[i], without_moves[i]), _share(rest[j], without_rest[j])
                )
                found[i, j] = (*found.get((i, j), ()), reference)
    return found


def _share(all_known: float, one_missing: float) -> float:
    return float(np.clip(1.0 - all_known / max(one_missing, 1e-300), 0.0, 1.0))
