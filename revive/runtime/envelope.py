"""The operating envelope: what was logged of the columns that a policy sees, so that a plant can be held against it.

Two questions are asked of a row. Is every column within the range that was logged? And is the row like any that was
logged, or a combination that nobody has seen? The second is the distance to the nearest row of a sample of the training
half, root mean square over the dimensions of model space; a row is *far* where it is farther away than 99 % of the rows
of the validation half are (a nearest-neighbour novelty test; Pimentel et al. 2014, A review of novelty detection,
Signal Processing 99, section 3). The sample covers rare rows as well as frequent ones: each of its rows is the one that
is farthest from those taken before (Gonzalez 1985, Clustering to minimize the maximum intercluster distance).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from revive.runtime.codec import Array, NodeCodec

if TYPE_CHECKING:
    from revive.runtime.policy import Policy

ROWS: Final = 256  # of the sample
CANDIDATES: Final = 4000  # rows that the sample is taken from, and rows that the distance is calibrated on
INSIDE: Final = 0.99  # share of the logged rows that is not far
_NUMBERS: Final = 40_000  # in the sample of a policy with very many columns
_CELLS: Final = 100_000  # numbers of an array of differences
_ROUNDING: Final = 1e-6  # of the logged range


@dataclass(frozen=True)
class Judgement:
    """Rows held against the envelope. below, above (B, d): outside the logged range; distance and far, (B,)."""

    below: np.ndarray
    above: np.ndarray
    distance: Array
    far: np.ndarray

    @property
    def outside(self) -> np.ndarray:
        """(B, d)."""
        return self.below | self.above

    @property
    def unlike(self) -> np.ndarray:
        """Rows that are outside the range, or far, (B,)."""
        return self.outside.any(axis=1) | self.far


@dataclass(frozen=True)
class Envelope:
    """What was logged of d columns, in physical units.

    columns: (node, column) each. low, high (d,): infinite for angles. levels: number of a category column -> its logged
    values. sample (n, d): rows. reach: the distance at which a row is far, infinite where there is no sample.
    """

    columns: tuple[tuple[str, str], ...]
    low: Array
    high: Array
    levels: Mapping[int, Array]
    sample: Array
    reach: float
    codecs: tuple[NodeCodec, ...]

    @classmethod
    def fit(
        cls, policy: Policy, train: Mapping[str, np.ndarray], validation: Mapping[str, np.ndarray], seed: int
    ) -> Self:
        """train, validation: node -> (N, d), physical units, of the two halves of the logs."""
        nodes = [name for name in policy.seen if name in train and name in validation]
        halves = [_rows(half, nodes) for half in (train, validation)]
        owners = [column for node in nodes for column in policy.graph.columns(node)]
        everything = np.concatenate(halves)
        low, high = everything.min(axis=0, initial=np.inf), everything.max(axis=0, initial=-np.inf)
        levels = {}
        for number, column in enumerate(owners):
            if column.scale == "cyclic":
                low[number], high[number] = -np.inf, np.inf
            if column.type == "category":
                levels[number] = np.unique(everything[:, number])
        columns = tuple((column.node, column.name) for column in owners)
        most = min(ROWS, _NUMBERS // max(1, len(columns)))
        rng = np.random.default_rng(seed)
        known, tested = (_drawn(half, CANDIDATES, rng) for half in halves)
        made = cls(columns, low, high, levels, known[:0], np.inf, policy.codecs_of(nodes))
        if not len(known) or not len(tested) or not most:
            return made
        made = replace(made, sample=known[_spread(made._encoded(known), most)])
        return replace(made, reach=float(np.quantile(made.distances(tested), INSIDE)))

    def judge(self, rows: Array) -> Judgement:
        """rows (B, d), physical, in the order of `columns`."""
        room = _ROUNDING * np.where(np.isfinite(self.high - self.low), self.high - self.low, 0.0)
        below, above = rows < self.low - room, rows > self.high + room
        for number, values in self.levels.items():
            above[:, number] |= ~np.isclose(rows[:, number, None], values).any(axis=1) & ~below[:, number]
        distance = self.distances(rows)
        return Judgement(below, above, distance, distance > self.reach)

    def distances(self, rows: Array) -> Array:
        """(B, d) physical -> distance to the nearest logged row of the sample, (B,), in spreads of a column."""
        if not len(self.sample):
            return np.zeros(len(rows))
        if not len(rows):
            return np.zeros(0)
        z, known = self._encoded(rows), self._encoded(self.sample)
        some = max(1, _CELLS // known.size)  # rows at a time
        parts = [
            np.square(z[i : i + some, None] - known).mean(axis=2).min(axis=1) for i in range(0, len(z), some)
        ]
        return np.sqrt(np.concatenate(parts))

    def _encoded(self, rows: Array) -> Array:
        stops = np.cumsum([len(codec.columns) for codec in self.codecs])[:-1]
        pairs = zip(self.codecs, np.split(rows, stops, axis=1), strict=True)
        return np.concatenate([codec.encode(part) for codec, part in pairs], axis=1)

    def to_json(self) -> dict[str, Any]:
        """Plain values; an infinite number is null."""
        return {
            "columns": [list(pair) for pair in self.columns],
            "low": _numbers(self.low),
            "high": _numbers(self.high),
            "levels": {str(number): values.tolist() for number, values in self.levels.items()},
            "sample": [[float(f"{value:.9g}") for value in row] for row in self.sample.tolist()],
            "reach": self.reach if np.isfinite(self.reach) else None,
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any], policy: Policy) -> Self:
        """What `to_json` wrote. Raises ValueError for columns that are not those of the policy."""
        columns = tuple((node, name) for node, name in fields["columns"])
        nodes = tuple(dict.fromkeys(node for node, _ in columns))
        own = tuple(
            (c.node, c.name) for node in nodes if node in policy.seen for c in policy.graph.columns(node)
        )
        d = len(columns)
        numbers = {int(number): np.array(values) for number, values in fields["levels"].items()}
        sample = np.array(fields["sample"], dtype=np.float64).reshape(len(fields["sample"]), d)
        if (
            columns != own
            or not len(fields["low"]) == len(fields["high"]) == d
            or any(n >= d for n in numbers)
        ):
            raise ValueError("the envelope speaks of other columns than the policy")
        reach = np.inf if fields["reach"] is None else float(fields["reach"])
        low, high = (
            np.array([edge if value is None else value for value in fields[key]])
            for key, edge in (("low", -np.inf), ("high", np.inf))
        )
        return cls(columns, low, high, numbers, sample, reach, policy.codecs_of(nodes))


def _rows(arrays: Mapping[str, np.ndarray], nodes: Sequence[str]) -> Array:
    """(N, d): the nodes side by side, rows that are not finite left out."""
    if not nodes:
        return np.zeros((0, 0))
    joined = np.concatenate([np.asarray(arrays[node], dtype=np.float64) for node in nodes], axis=1)
    return joined[np.isfinite(joined).all(axis=1)]


def _spread(z: Array, most: int) -> np.ndarray:
    """Numbers of so many rows of z (N, w) at most, each as far from the ones before as can be."""
    taken = [int(np.square(z - np.median(z, axis=0)).sum(axis=1).argmin())]
    nearest = np.square(z - z[taken[0]]).sum(axis=1)
    while len(taken) < most and nearest.max() > 0.0:
        taken.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, np.square(z - z[taken[-1]]).sum(axis=1))
    return np.sort(taken)


def _drawn(rows: Array, most: int, rng: np.random.Generator) -> Array:
    return rows if len(rows) <= most else rows[np.sort(rng.choice(len(rows), most, replace=False))]


def _numbers(values: Array) -> list[float | None]:
    return [value if np.isfinite(value) else None for value in values.tolist()]
