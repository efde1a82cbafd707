"""Rows on the device and index batches into them: no worker processes, no collating.

A half's trajectories are cut into blocks; each member leaves some of them out and is judged on those, so
that no member is chosen by data that it was fitted on, and none by data of the other half.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import torch
from torch import Tensor

from revive.data.codec import Codec, NodeCodec
from revive.data.joint import with_joint
from revive.data.trajectories import Trajectories
from revive.graph.decision_graph import DecisionGraph
from revive.graph.nodes import HistorySpec

_BLOCK: Final = 1 << 16  # rows encoded at a time


@dataclass(frozen=True)
class Rows:
    """Preloaded rows of one or several parts: node -> (N, d) in model space, and where trajectories end.

    `weights` holds, for the nodes with missing values, 0 where one is missing: (N, terms of the codec).
    `ends` (N,) is the exclusive end row of the trajectory that a row belongs to; `starts` and `lengths`
    (n,) are those of the trajectories; `parts` are the row ranges of the parts that were joined.
    Histories are not stored: their frames are gathered from the rows of their source.
    """

    values: dict[str, Tensor]
    weights: dict[str, Tensor]
    histories: dict[str, HistorySpec]
    ends: Tensor
    starts: Tensor
    lengths: Tensor
    parts: tuple[range, ...]

    @classmethod
    def of(cls, codec: Codec, graph: DecisionGraph, *parts: Trajectories) -> Rows:
        """The rows of all nodes of `graph` that have data; the arrays of `parts` are in physical units."""
        values, weights = {}, {}
        parts = tuple(with_joint(part, graph) for part in parts)
        histories = {name: spec for name in graph.nodes if (spec := graph[name].history) is not None}
        for name in parts[0].arrays:
            if name not in graph.nodes or name in histories:
                continue
            values[name] = _encoded(codec[name], [part.arrays[name] for part in parts])
            masks = [(part.missing or {}).get(name) for part in parts]
            if any(mask is not None for mask in masks):
                known = [
                    np.ones_like(part.arrays[name], dtype=np.float32) if mask is None else ~mask
                    for part, mask in zip(parts, masks, strict=True)
                ]
                columns = list(codec[name].terms)
                weights[name] = torch.as_tensor(np.concatenate(known)[:, columns], dtype=torch.float32)
        lengths = np.concatenate([part.lengths for part in parts])
        stops = np.cumsum(lengths)
        bounds = np.cumsum([0, *(part.rows for part in parts)])
        return cls(
            values,
            weights,
            histories,
            torch.as_tensor(np.repeat(stops, lengths)),
            torch.as_tensor(stops - lengths),
            torch.as_tensor(lengths),
            tuple(range(int(a), int(b)) for a, b in pairwise(bounds)),
        )

    @property
    def count(self) -> int:
        return len(self.ends)

    @property
    def device(self) -> torch.device:
        return self.ends.device

    def to(self, device: torch.device) -> Rows:
        """The same rows there."""

        def moved(table: dict[str, Tensor]) -> dict[str, Tensor]:
            return {name: value.to(device) for name, value in table.items()}

        tables = (self.ends, self.starts, self.lengths)
        ends, starts, lengths = (table.to(device) for table in tables)
        return Rows(
            moved(self.values), moved(self.weights), self.histories, ends, starts, lengths, self.parts
        )

    def at(self, index: Tensor, names: Iterable[str] | None = None) -> dict[str, Tensor]:
        """The rows of any index shape (...) -> node -> (..., d), for nodes that have data."""
        asked = (*self.values, *self.histories) if names is None else names
        found = {}
        for name in asked:
            if name in self.values:
                found[name] = self.values[name][index]
            elif name in self.histories and (frames := self._stack(name, index)) is not None:
                found[name] = frames
        return found

    def weight(self, name: str, index: Tensor) -> Tensor | None:
        """0 where a term of a node is missing, (..., terms); None where nothing is."""
        return self.weights[name][index] if name in self.weights else None

    def past(self, index: Tensor) -> dict[str, Tensor]:
        """Of every history the frames before the present row, (..., lookback * d), oldest first."""
        found = {}
        for name, spec in self.histories.items():
            if spec.source in self.values:
                found[name] = self._frames(spec.source, index, range(spec.lookback, 0, -1))
        return found

    def _stack(self, name: str, index: Tensor) -> Tensor | None:
        spec = self.histories[name]
        if spec.source not in self.values:
            return None
        return self._frames(spec.source, index, range(spec.lookback, spec.delay - 1, -1))

    def _frames(self, source: str, index: Tensor, ages: range) -> Tensor:
        """Rows of `source` so many steps ago, side by side; a trajectory's first row stands for earlier ones."""
        first, values = self.start_of(index), self.values[source]
        if len(ages) == 0:
            return values.new_empty(*index.shape, 0)
        return torch.cat([values[torch.maximum(index - age, first)] for age in ages], dim=-1)

    def windows(self, first: Tensor, length: int, stop: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Row indices (length, *first.shape) from `first` on, and which of them are inside the trajectory.

        Past the end of the trajectory, or `stop` (*first.shape), the last row is repeated and marked False.
        """
        steps = torch.arange(length, device=first.device).view(-1, *[1] * first.dim())
        index = first + steps
        last = (self.ends[first] if stop is None else torch.minimum(self.ends[first], stop)) - 1
        return torch.minimum(index, last), index <= last

    def reflected(self, first: Tensor, length: int) -> Tensor:
        """Row indices (length, *first.shape) that turn round at the ends of the trajectory, never leaving it.

        For replaying exogenous nodes longer than the log: a reflected series keeps its values and its
        persistence, where a held or a zeroed one would not.
        """
        return self.ahead(first, torch.arange(length, device=first.device).view(-1, *[1] * first.dim()))

    def ahead(self, first: Tensor, steps: Tensor) -> Tensor:
        """The rows so many steps after the rows `first`, turning round as in `reflected`; the shapes are broadcast."""
        stop = self.ends[first]
        start = self.start_of(first)
        span = (stop - start).clamp_min(2)
        phase = (first - start + steps) % (2 * (span - 1))
        return start + torch.minimum(torch.minimum(phase, 2 * (span - 1) - phase), stop - start - 1)

    def start_of(self, row: Tensor) -> Tensor:
        """The first row of the trajectory that a row belongs to, of any shape."""
        which = torch.searchsorted(self.starts, row.contiguous(), right=True) - 1
        return self.starts[which]


def _encoded(codec: NodeCodec, arrays: Sequence[np.ndarray]) -> Tensor:
    """The rows of all arrays (N, d), one after the other, in model space, float32.

    Worked out block by block: in double precision all rows at once would take several times the memory of the result.
    """
    device = codec.center.device
    encoded = torch.empty(sum(map(len, arrays)), codec.width, dtype=torch.float32, device=device)
    row = 0
    for array in arrays:
        for first in range(0, len(array), _BLOCK):
            block = torch.as_tensor(array[first : first + _BLOCK], dtype=torch.float64, device=device)
            encoded[row : row + len(block)] = codec.encode(block)
            row += len(block)
    return encoded


@dataclass(frozen=True)
class Segments:
    """Per member the runs of rows that it may draw windows from, as padded lists.

    starts, lengths: (M, n) rows; a length of 0 is padding.
    """

    starts: Tensor
    lengths: Tensor

    def to(self, device: torch.device) -> Segments:
        """The same segments there."""
        return Segments(self.starts.to(device), self.lengths.to(device))

    def sample(self, batch: int, length: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Windows of `length`, uniform over all that fit into a segment: first rows, and where their segments end.

        Both (M, batch). A segment that is shorter than `length` offers one window, from its first row.
        """
        room = (self.lengths - length + 1).clamp_min(1) * (self.lengths > 0)
        reach = room.cumsum(1)  # (M, n)
        draw = torch.rand(
            room.shape[0], batch, generator=generator, device=generator.device, dtype=torch.float64
        )
        draw = (draw * reach[:, -1:]).long()
        which = torch.searchsorted(reach, draw, right=True)
        start = self.starts.gather(1, which)
        return start + draw - (reach - room).gather(1, which), start + self.lengths.gather(1, which)


def cut_blocks(rows: Rows, part: range, length: int) -> list[tuple[int, int]]:
    """(start, length) of blocks of about `length` rows that cover the trajectories of one part."""
    blocks = []
    for start, span in zip(rows.starts.tolist(), rows.lengths.tolist(), strict=True):
        if start in part:
            pieces = max(1, round(span / length))
            bounds = np.linspace(0, span, pieces + 1).astype(int)
            blocks += [(start + int(a), int(b - a)) for a, b in pairwise(bounds) if b > a]
    return blocks


def leave_out(
    rows: Rows, blocks: list[tuple[int, int]], members: int, share: float, generator: torch.Generator
) -> tuple[Segments, Segments]:
    """Per member what it learns from, and the `share` of the blocks that it does not see.

    The left-out blocks go round a random order of all blocks, so that the members together leave out
    every block about equally often. With a single block there is nothing to leave out: both are all of it.
    """
    n = len(blocks)
    size = min(max(1, round(share * n)), n - 1)
    order = torch.randperm(n, generator=generator, device=generator.device).tolist()
    seen, unseen = [], []
    for member in range(members):
        out = {order[(member * size + i) % n] for i in range(size)}
        seen.append(_joined(rows, [blocks[i] for i in range(n) if i not in out]))
        unseen.append(_joined(rows, [blocks[i] for i in sorted(out)] or blocks))
    return _padded(seen).to(rows.device), _padded(unseen).to(rows.device)


def all_of(rows: Rows, part: range, members: int) -> Segments:
    """The trajectories of a part, whole, for every one of so many members."""
    return _padded([cut_blocks(rows, part, len(part))] * members).to(rows.device)


def _joined(rows: Rows, blocks: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Neighbouring blocks of one trajectory as one segment."""
    segments: list[tuple[int, int]] = []
    for start, length in blocks:
        touches = bool(segments) and sum(segments[-1]) == start and int(rows.ends[start - 1]) != start
        if touches:
            segments[-1] = (segments[-1][0], segments[-1][1] + length)
        else:
            segments.append((start, length))
    return segments


def _padded(lists: list[list[tuple[int, int]]]) -> Segments:
    width = max(len(entry) for entry in lists)
    table = torch.tensor([entry + [(0, 0)] * (width - len(entry)) for entry in lists])  # (M, n, 2)
    return Segments(table[..., 0].contiguous(), table[..., 1].contiguous())


def join_members(*parts: Segments) -> Segments:
    """The segments of several halves' members under one member axis."""
    width = max(part.starts.shape[1] for part in parts)

    def widen(table: Tensor) -> Tensor:
        return torch.nn.functional.pad(table, (0, width - table.shape[1]))

    return Segments(
        torch.cat([widen(part.starts) for part in parts]), torch.cat([widen(part.lengths) for part in parts])
    )


def value_ranges(rows: Rows, codec: Codec, graph: DecisionGraph) -> dict[str, tuple[Tensor, Tensor]]:
    """The smallest and largest value of every node with data, (d,) each in model space; wider where declared."""
    found = {}
    for name in rows.values:
        low, high = rows.values[name].amin(0), rows.values[name].amax(0)
        for dimension, term in enumerate(codec[name].term_of_dimension):
            column = graph.columns(name)[codec[name].terms[term]]
            if column.type != "continuous" or column.scale == "cyclic":
                continue
            for edge, bound, wider in ((low, column.min, torch.minimum), (high, column.max, torch.maximum)):
                if bound is not None:
                    edge[dimension] = wider(edge[dimension], codec[name].bound(dimension, bound))
        found[name] = (low, high)
    for name, spec in rows.histories.items():
        if spec.source in found:
            found[name] = tuple(edge.repeat(spec.length) for edge in found[spec.source])  # type: ignore[assignment]
    return found


def observed_range(values: Mapping[str, Tensor], names: Iterable[str]) -> dict[str, tuple[Tensor, Tensor]]:
    """Per node with data the smallest and largest value of each dimension, (d,) and (d,), model space."""
    return {name: (values[name].amin(0), values[name].amax(0)) for name in names if name in values}
