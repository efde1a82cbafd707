"""Physical units <-> model space with numpy: what `revive.data.codec` does with torch, in double precision."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import count

import numpy as np
from numpy.typing import NDArray

from revive.data.joint import places
from revive.data.layout import Layout
from revive.graph.columns import Column
from revive.graph.decision_graph import DecisionGraph

Array = NDArray[np.float64]
SMALLEST = 1e-12  # of a column with a logarithm, as in revive.data.transforms
_KINDS = {"continuous": 0, "discrete": 1, "category": 2}


class ColumnCodec:
    """One column, (...,) physical, and its latent dimensions, (..., width)."""

    width = 1

    def to_latent(self, x: Array) -> Array:
        return x[..., None]

    def to_physical(self, latent: Array) -> Array:
        return latent[..., 0]


class Logarithm(ColumnCodec):
    """For columns above zero that span orders of magnitude."""

    def to_latent(self, x: Array) -> Array:
        return np.log(np.maximum(x, SMALLEST))[..., None]

    def to_physical(self, latent: Array) -> Array:
        return np.exp(latent[..., 0])


class Circle(ColumnCodec):
    """A cyclic column: sine and cosine of its angle."""

    width = 2

    def __init__(self, start: float, period: float) -> None:
        self.start, self.per_radian = start, period / (2.0 * math.pi)

    def to_latent(self, x: Array) -> Array:
        angle = (x - self.start) / self.per_radian
        return np.stack([np.sin(angle), np.cos(angle)], axis=-1)

    def to_physical(self, latent: Array) -> Array:
        return self.start + np.arctan2(latent[..., 0], latent[..., 1]) % (2.0 * math.pi) * self.per_radian


class OneHot(ColumnCodec):
    """A category column."""

    def __init__(self, values: Sequence[float]) -> None:
        self.values = np.array(values, dtype=np.float64)
        self.width = len(self.values)

    def to_latent(self, x: Array) -> Array:
        nearest = np.abs(x[..., None] - self.values).argmin(-1)
        return (nearest[..., None] == np.arange(self.width)).astype(np.float64)

    def to_physical(self, latent: Array) -> Array:
        return self.values[latent.argmax(-1)]


class NormalScore(ColumnCodec):
    """Piecewise linear between knots, continued straight beyond the ends."""

    def __init__(self, knots: Array, scores: Array) -> None:
        self.knots, self.scores = knots, scores

    def to_latent(self, x: Array) -> Array:
        return _interpolate(x, self.knots, self.scores)[..., None]

    def to_physical(self, latent: Array) -> Array:
        return _interpolate(latent[..., 0], self.scores, self.knots)


def _interpolate(x: Array, xs: Array, ys: Array) -> Array:
    right = np.clip(np.searchsorted(xs, x), 1, len(xs) - 1)
    x0, x1, y0, y1 = xs[right - 1], xs[right], ys[right - 1], ys[right]
    return y0 + (x - x0) * ((y1 - y0) / (x1 - x0))


def to_level(z: Array, levels: int) -> Array:
    """The nearest of `levels` equally spaced values on [-1, 1]."""
    half = (levels - 1) / 2.0
    return np.round((np.clip(z, -1.0, 1.0) + 1.0) * half) / half - 1.0


class NodeCodec:
    """One node: `z = (latent - center) / scale`, its columns grouped as `layout` says.

    tensors: name -> array, those of the bundle below this node.
    """

    def __init__(self, columns: Sequence[Column], tensors: Mapping[str, Array]) -> None:
        self.columns, self.layout = tuple(columns), Layout.of(columns)
        self.center, self.scale = tensors["center"], tensors["scale"]
        self.order = sorted(range(len(columns)), key=lambda i: _KINDS[columns[i].type])
        numbers = count()
        self.parts = [_part(columns[i], tensors, numbers) for i in self.order]
        self._place()

    @classmethod
    def joined(cls, parts: Sequence[NodeCodec]) -> NodeCodec:
        """The codec of a node that has the columns of all parts, each of them as its part has it."""
        made = cls.__new__(cls)
        columns = [column for part in parts for column in part.columns]
        made.columns, made.layout = tuple(columns), Layout.of(columns)
        made.order = sorted(range(len(columns)), key=lambda i: _KINDS[columns[i].type])
        own = [part.parts[part.order.index(i)] for part in parts for i in range(len(part.columns))]
        made.parts = [own[i] for i in made.order]
        made.center, made.scale = np.empty(made.layout.width), np.empty(made.layout.width)
        for part, index in zip(parts, places([part.columns for part in parts]), strict=True):
            made.center[index], made.scale[index] = part.center, part.scale
        made._place()
        return made

    def _place(self) -> None:
        """Where the columns lie in model space."""
        stops = np.cumsum([part.width for part in self.parts]).tolist()
        self.slices = [slice(stop - part.width, stop) for part, stop in zip(self.parts, stops, strict=True)]
        in_order = self.order == sorted(self.order)
        self.is_affine = in_order and all(type(part) is ColumnCodec for part in self.parts)

    def encode(self, x: Array) -> Array:
        """(B, frames * d) physical -> (B, frames * width)."""
        frames = x.reshape(len(x), -1, len(self.columns))
        if not self.is_affine:
            pairs = zip(self.parts, self.order, strict=True)
            frames = np.concatenate([part.to_latent(frames[..., i]) for part, i in pairs], axis=-1)
        return ((frames - self.center) / self.scale).reshape(len(x), -1)

    def decode(self, z: Array) -> Array:
        """(B, frames * width) -> (B, frames * d) physical; discrete columns on their levels."""
        frames = z.reshape(len(z), -1, self.layout.width)
        if self.layout.levels:
            frames = frames.copy()
            for i, levels in enumerate(self.layout.levels, self.layout.continuous):
                frames[..., i] = to_level(frames[..., i], levels)
        latent = frames * self.scale + self.center
        if self.is_affine:
            return latent.reshape(len(z), -1)
        out = np.empty((*frames.shape[:-1], len(self.columns)))
        for part, where, i in zip(self.parts, self.slices, self.order, strict=True):
            out[..., i] = part.to_physical(latent[..., where])
        return out.reshape(len(z), -1)


def _part(column: Column, tensors: Mapping[str, Array], numbers: Iterator[int]) -> ColumnCodec:
    """numbers: of the columns whose knots are among the tensors, in their order."""
    if column.type == "category":
        return OneHot(column.values or (0.0,))
    if column.scale == "cyclic":
        return Circle(column.min or 0.0, column.cycle or 1.0)
    if column.scale == "log":
        return Logarithm()
    if column.scale == "quantile":
        at = f"learned_transforms.{next(numbers)}"
        return NormalScore(tensors[f"{at}.knots"], tensors[f"{at}.scores"])
    return ColumnCodec()


def codec_of(graph: DecisionGraph, node: str, tensors: Mapping[str, np.ndarray]) -> NodeCodec:
    """The codec of a node out of the tensors of a bundle."""
    owner = graph.source_of(node)
    if parts := graph[owner].parts:
        return NodeCodec.joined([codec_of(graph, part, tensors) for part, _ in parts])
    own = {k: np.array(v, dtype=np.float64) for k, v in below(f"codec.nodes.{owner}.", tensors).items()}
    return NodeCodec(graph.columns(owner), own)


def below(prefix: str, tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The tensors whose names begin with `prefix`, under the rest of their names."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
