"""What lets a venv be stepped by itself: logged rows to start from and to replay, how far it is trusted, its reward.

A sample of the logs' rows travels with the venv instead of ready-made starts, because every row is a start: its history
is in the rows before it, and the exogenous series in those that follow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from revive.data.trajectories import BoolArray, FloatArray, IntArray, Trajectories
from revive.graph.decision_graph import DecisionGraph

MOST_BYTES: Final = 4 << 20  # of the rows, in double precision
PIECE: Final = 1000  # rows of a piece, where not all trajectories fit whole


@dataclass(frozen=True)
class Source:
    """A Python file of the user: its name, and what it holds."""

    file: str
    text: bytes


@dataclass(frozen=True, eq=False)
class Scenario:
    """Pieces of logged trajectories, and what is known of an episode.

    arrays: node -> (N, d) float64, physical units. ends: (n,) the row behind each piece. begins: (n,) whether a
    piece begins where its trajectory does.
    longest: steps of the longest trajectory. trusted: steps over which the venv is better than "nothing changes"; None
    where nobody has looked.
    targets: the nodes that an agent decides; none where there is no decision. seen, history: the nodes that it sees,
    None for those that the graph names, and how many of their last values.
    ranges: decision node -> the least and the largest logged value of each column. reward: its source.
    worst: the lowest reward that was logged, which stands for one that is no number.
    """

    arrays: Mapping[str, FloatArray]
    ends: IntArray
    begins: BoolArray
    longest: int
    trusted: int | None = None
    targets: tuple[str, ...] = ()
    seen: tuple[str, ...] | None = None
    history: int = 1
    ranges: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]] = field(default_factory=dict)
    reward: Source | None = None
    worst: float | None = None

    @property
    def rows(self) -> int:
        return int(self.ends[-1])

    def starts(self, graph: DecisionGraph, which: str = "any") -> IntArray:
        """The rows that have their histories in the sample; with `first` the first ones of trajectories."""
        begins = self.ends - np.diff(self.ends, prepend=0)
        if which == "first" and self.begins.any():
            return begins[self.begins]
        late = np.where(self.begins, begins, np.minimum(begins + graph.lookback, self.ends - 1))
        return np.concatenate([np.arange(a, b) for a, b in zip(late, self.ends, strict=True)])

    def ahead(self, first: IntArray, steps: IntArray) -> IntArray:
        """The rows so many steps after the rows `first`, turning round at the ends of a piece; shapes are broadcast.

        A series that turns round keeps its values and its persistence, where a held one would not.
        """
        start, stop = self._piece(first)
        span = np.maximum(stop - start, 2)
        phase = (first - start + steps) % (2 * (span - 1))
        return start + np.minimum(np.minimum(phase, 2 * (span - 1) - phase), stop - start - 1)

    def behind(self, rows: IntArray, ages: IntArray) -> IntArray:
        """The rows so many steps before `rows`; the first one of a piece stands for those before it. Broadcast."""
        first, _ = self._piece(rows)
        return np.maximum(rows - ages, first)

    def values(self, graph: DecisionGraph, node: str, rows: IntArray) -> FloatArray:
        """A node at some rows, (*rows.shape, d), physical units; the frames of a history side by side."""
        spec = graph[node].history
        if spec is None:
            return self.arrays[node][rows]
        ages = range(spec.lookback, spec.delay - 1, -1)
        frames = [self.arrays[spec.source][self.behind(rows, np.asarray(age))] for age in ages]
        return np.concatenate(frames, axis=-1)

    def _piece(self, rows: IntArray) -> tuple[IntArray, IntArray]:
        """The first row of the piece that each row is in, and the one behind it."""
        which = np.searchsorted(self.ends, rows, side="right")
        return np.concatenate([[0], self.ends[:-1]])[which], self.ends[which]

    @property
    def trajectories(self) -> Trajectories:
        """The rows as logs."""
        return Trajectories(self.arrays, self.ends)

    def to_json(self) -> dict[str, Any]:
        """Everything but the rows and the text of the reward."""
        return {
            "nodes": list(self.arrays),
            "lengths": np.diff(self.ends, prepend=0).tolist(),
            "begins": self.begins.tolist(),
            "longest": self.longest,
            "trusted": self.trusted,
            "target": self.targets[0] if len(self.targets) == 1 else list(self.targets) or None,
            "seen": None if self.seen is None else list(self.seen),
            "history": self.history,
            "ranges": {name: [list(low), list(high)] for name, (low, high) in self.ranges.items()},
            "reward": None if self.reward is None else self.reward.file,
            "worst": self.worst,
        }

    @classmethod
    def from_json(
        cls, fields: Mapping[str, Any], arrays: Mapping[str, FloatArray], code: Mapping[str, bytes]
    ) -> Scenario:
        """What `to_json` wrote. code: file -> text, for the reward."""
        file = fields["reward"]
        return cls(
            arrays=arrays,
            ends=np.cumsum(np.array(fields["lengths"], dtype=np.int64)),
            begins=np.array(fields["begins"], dtype=bool),
            longest=fields["longest"],
            trusted=fields["trusted"],
            targets=targets_of(fields),
            seen=None if fields["seen"] is None else tuple(fields["seen"]),
            history=fields["history"],
            ranges={name: (tuple(low), tuple(high)) for name, (low, high) in fields["ranges"].items()},
            reward=None if file is None else Source(file, code[file]),
            worst=fields.get("worst"),
        )

    def __repr__(self) -> str:
        return f"Scenario({self.rows} rows of {', '.join(self.arrays)}; {self.longest} steps, trusted {self.trusted})"


def targets_of(fields: Mapping[str, Any]) -> tuple[str, ...]:
    """The targets of a scenario as its JSON has them."""
    told = fields["target"]
    return (told,) if isinstance(told, str) else tuple(told or ())


def needed_nodes(graph: DecisionGraph) -> tuple[str, ...]:
    """The nodes whose logged values a rollout of `graph` starts from or replays."""
    used = {source for node in graph.nodes.values() for source in node.inputs}
    kept = [*graph.states, *(name for name in graph.leaves if name in used)]
    histories = [spec.source for node in graph.nodes.values() if (spec := node.history) is not None]
    asked = dict.fromkeys([*kept, *histories])
    return tuple(name for name in asked if graph[name].history is None)


def sampled(
    graphs: Sequence[DecisionGraph], parts: Sequence[Trajectories], limit: int = MOST_BYTES
) -> tuple[dict[str, FloatArray], IntArray, BoolArray] | None:
    """Rows of the logs: arrays, ends and begins of a `Scenario`; None where a node lacks data.

    graphs: of the venv, and any others whose histories are to be known. limit: bytes. All trajectories where they fit;
    else pieces of them, spread evenly over the parts.
    """
    graph = graphs[0]
    nodes = tuple(dict.fromkeys(name for one in graphs for name in needed_nodes(one)))
    if not nodes or any(name not in part.arrays for part in parts for name in nodes):
        return None
    nodes = tuple(dict.fromkeys([*nodes, *(n for n in graph.decisions if all(n in p.arrays for p in parts))]))
    room = max(2, limit // (8 * sum(graph[name].width for name in nodes)))
    room = max(1, room // len(parts))
    found = [_pieces(part, room) for part in parts]
    cut = [part.cut([(a, b) for a, b, _ in pieces]) for part, pieces in zip(parts, found, strict=True)]
    lengths = np.concatenate([part.lengths for part in cut])
    begins = np.array([begin for pieces in found for _, _, begin in pieces])
    arrays = {
        name: np.ascontiguousarray(np.concatenate([np.asarray(part.arrays[name]) for part in cut]))
        for name in nodes
    }
    return arrays, np.cumsum(lengths), begins


def _pieces(part: Trajectories, room: int) -> list[tuple[int, int, bool]]:
    """(first row, row behind, whether a trajectory begins there), of no more than `room` rows together."""
    spans = list(zip(part.starts.tolist(), part.ends.tolist(), strict=True))
    if part.rows <= room:
        return [(start, stop, True) for start, stop in spans]
    length = max(1, min(PIECE, room // 4))
    every = [
        (first, min(first + length, stop), first == start)
        for start, stop in spans
        for first in range(start, stop, length)
    ]
    sizes = np.array([stop - first for first, stop, _ in every])
    count = max(1, int(len(every) * room / part.rows))
    while True:
        even = np.linspace(0, len(every) - 1, count).round().astype(int)
        if count == 1 or sizes[even].sum() <= room:
            return [every[i] for i in even]
        count = max(1, int(0.95 * count))


def logged_ranges(
    graph: DecisionGraph, parts: Iterable[Trajectories]
) -> dict[str, tuple[tuple[float, ...], tuple[float, ...]]]:
    """Decision node -> the least and the largest value of each column over all rows."""
    found = {}
    for name in graph.decisions:
        values = [np.asarray(part.arrays[name]) for part in parts if name in part.arrays]
        if values:
            low = np.minimum.reduce([value.min(0) for value in values])
            high = np.maximum.reduce([value.max(0) for value in values])
            found[name] = (tuple(low.tolist()), tuple(high.tolist()))
    return found
