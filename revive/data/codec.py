"""Physical units <-> model space, fitted on the training part alone; travels inside every bundle."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn

from revive.data.joint import places
from revive.data.layout import Layout
from revive.data.scaling import center_and_scale, finite, kept_range, scalar
from revive.data.transforms import Circle, Itself, Transform, harden, to_level, transform_of
from revive.errors import Problem, UserError
from revive.graph.columns import Column
from revive.graph.decision_graph import DecisionGraph

SMALLEST_RADIUS = 1e-6


class NodeCodec(nn.Module):
    """One node, or every frame of a history of it: transform each column, group, `z = (latent - center) / scale`.

    Continuous columns get a robust z-score, min-max of the declared or else the training range onto [-1, 1],
    a logarithm or a normal score before the z-score, or sine and cosine; discrete ones lie on [-1, 1]; category
    columns are one-hot. `layout` says which model dimension is what. `low` and `high` are the range, in model
    space, that rollouts are kept in; infinite where they are not.
    """

    center: Tensor
    scale: Tensor
    low: Tensor
    high: Tensor

    def __init__(
        self, columns: Sequence[Column], circles: Sequence[tuple[int, int]], values: np.ndarray | None
    ) -> None:
        super().__init__()
        self.columns = tuple(columns)
        self.layout = Layout.of(columns)
        kinds = {"continuous": 0, "discrete": 1, "category": 2}
        self.order = sorted(range(len(columns)), key=lambda i: kinds[columns[i].type])
        known = [None if values is None else finite(values[:, i]) for i in range(len(columns))]
        self.transforms: list[Transform] = [transform_of(columns[i], known[i]) for i in self.order]
        self.learned_transforms = nn.ModuleList(t for t in self.transforms if isinstance(t, nn.Module))
        self._stops: list[int] = np.cumsum([t.width for t in self.transforms]).tolist()
        widths = (t.width for t in self.transforms)
        self.slices = [slice(stop - width, stop) for width, stop in zip(widths, self._stops, strict=True)]
        place = {column: self.slices[k].start for k, column in enumerate(self.order)}
        self.circles = tuple((place[x], place[y]) for x, y in circles)
        turning = zip(self.transforms, self.slices, strict=True)
        self.circles += tuple((s.start, s.start + 1) for t, s in turning if isinstance(t, Circle))
        self._simple = all(isinstance(t, Itself) for t in self.transforms) and self.order == sorted(
            self.order
        )
        self._register(*self._fitted(known))

    @classmethod
    def joined(cls, parts: Sequence[NodeCodec], circles: Sequence[tuple[int, int]]) -> NodeCodec:
        """The codec of a node that has the columns of all parts, each of them as its part has it."""
        made = cls([column for part in parts for column in part.columns], circles, None)
        own = [part.transforms[part.order.index(i)] for part in parts for i in range(len(part.columns))]
        made.transforms = [own[i] for i in made.order]
        made.learned_transforms = nn.ModuleList(t for t in made.transforms if isinstance(t, nn.Module))
        for part, index in zip(parts, places([part.columns for part in parts]), strict=True):
            for name, value in part.named_buffers(recurse=False):
                made.get_buffer(name)[index] = value
        return made

    @property
    def width(self) -> int:
        """Model-space dimensions."""
        return self.layout.width

    @property
    def is_bounded(self) -> bool:
        """Whether `project` has anything to do beyond making choices hard."""
        clamped = bool((self.low.isfinite() | self.high.isfinite()).any())
        return clamped or bool(self.circles)

    @cached_property
    def terms(self) -> tuple[int, ...]:
        """The column that each term of a loss is about: ordered dimensions one by one, then category columns."""
        kinds = zip(self.transforms, self.order, strict=True)
        return tuple(i for t, i in kinds for _ in range(1 if self.columns[i].type == "category" else t.width))

    @cached_property
    def term_of_dimension(self) -> list[int]:
        """Model-space dimension -> the term of a loss that it belongs to."""
        layout = self.layout
        blocks = [layout.ordered + k for k, size in enumerate(layout.choices) for _ in range(size)]
        return [*range(layout.ordered), *blocks]

    def bound(self, dimension: int, value: float) -> Tensor:
        """A declared bound of the column that `dimension` belongs to, in model space."""
        where = bisect_right(self._stops, dimension)
        latent = self.transforms[where].to_latent(scalar(value))[0]
        return ((latent - self.center[dimension]) / self.scale[dimension]).to(torch.float32)

    def encode(self, x: Tensor) -> Tensor:
        """x (..., frames * d) physical -> (..., frames * width), float32.

        Worked out in the precision of x: a small change on a large offset survives in double precision alone.
        """
        frames = self._frames(x, len(self.columns))
        latent = frames if self._simple else self._to_latent(frames)
        z = (latent - self.center.to(latent.dtype)) / self.scale.to(latent.dtype)
        return z.reshape(*x.shape[:-1], -1).to(torch.float32)

    def decode(self, z: Tensor) -> Tensor:
        """z (..., frames * width) -> (..., frames * d) physical, in the precision of z.

        Discrete columns come out on their levels.
        """
        latent = self._frames(z, self.width) * self.scale.to(z.dtype) + self.center.to(z.dtype)
        physical = latent if self._simple and not self.layout.levels else self._to_physical(latent)
        return physical.reshape(*z.shape[:-1], -1)

    def dimensions(self, column: int) -> slice:
        """The model-space dimensions of a column."""
        return self.slices[self.order.index(column)]

    def encode_column(self, column: int, physical: Tensor) -> Tensor:
        """One continuous column, (...) physical -> (..., its dimensions), in the precision of `physical`."""
        where = self.order.index(column)
        part, latent = self.slices[where], self.transforms[where].to_latent(physical)
        return (latent - self.center[part].to(latent.dtype)) / self.scale[part].to(latent.dtype)

    def decode_column(self, column: int, z: Tensor) -> Tensor:
        """One continuous column out of a node, (..., width) -> (...) physical, in the precision of z."""
        where = self.order.index(column)
        part = self.slices[where]
        return self.transforms[where].to_physical(
            z[..., part] * self.scale[part].to(z.dtype) + self.center[part].to(z.dtype)
        )

    def project(self, z: Tensor) -> Tensor:
        """The nearest legal value: ranges kept, circles of radius 1, levels and choices hard."""
        z = torch.minimum(torch.maximum(z, self.low), self.high)
        if self.circles:
            scale, center = self.scale.to(z.dtype), self.center.to(z.dtype)
            latent = z * scale + center
            parts = list(latent.unbind(-1))
            for x, y in self.circles:
                radius = (parts[x].square() + parts[y].square()).sqrt().clamp_min(SMALLEST_RADIUS)
                parts[x], parts[y] = parts[x] / radius, parts[y] / radius
            z = (torch.stack(parts, dim=-1) - center) / scale
        return z if self.layout.is_plain else self._hard(z)

    def _hard(self, z: Tensor) -> Tensor:
        layout = self.layout
        parts = [z[..., : layout.continuous]]
        for i, levels in enumerate(layout.levels):
            parts.append(to_level(z[..., layout.continuous + i : layout.continuous + i + 1], levels))
        parts += [harden(z[..., a:b]) for a, b in layout.blocks]
        return torch.cat(parts, dim=-1)

    def _frames(self, x: Tensor, width: int) -> Tensor:
        return x if x.shape[-1] == width else x.reshape(*x.shape[:-1], -1, width)

    def _to_latent(self, x: Tensor) -> Tensor:
        pairs = zip(self.transforms, self.order, strict=True)
        return torch.cat([transform.to_latent(x[..., i]) for transform, i in pairs], dim=-1)

    def _to_physical(self, latent: Tensor) -> Tensor:
        columns: list[Tensor] = [latent[..., 0]] * len(self.columns)
        for transform, where, i in zip(self.transforms, self.slices, self.order, strict=True):
            part = latent[..., where]
            if self.columns[i].type == "discrete":
                scale, center = self.scale[where].to(part.dtype), self.center[where].to(part.dtype)
                part = to_level((part - center) / scale, int(self.columns[i].num or 2)) * scale + center
            columns[i] = transform.to_physical(part)
        return torch.stack(columns, dim=-1)

    # -- fitting -------------------------------------------------------------------------------

    def _register(self, center: list[float], scale: list[float], low: list[float], high: list[float]) -> None:
        for name, values in (("center", center), ("scale", scale)):
            self.register_buffer(name, torch.tensor(values, dtype=torch.float64))
        for name, values in (("low", low), ("high", high)):
            self.register_buffer(name, torch.tensor(values, dtype=torch.float32))

    def _fitted(
        self, known: list[np.ndarray | None]
    ) -> tuple[list[float], list[float], list[float], list[float]]:
        center: list[float] = []
        scale: list[float] = []
        low: list[float] = []
        high: list[float] = []
        for transform, i in zip(self.transforms, self.order, strict=True):
            c, s = center_and_scale(self.columns[i], transform, known[i])
            on_circle = any(len(center) in pair for pair in self.circles)
            bounds = (None, None) if on_circle else kept_range(self.columns[i], known[i])
            center += [c] * transform.width
            scale += [s] * transform.width
            for edges, bound, none in ((low, bounds[0], -np.inf), (high, bounds[1], np.inf)):
                latent = none if bound is None else float(transform.to_latent(scalar(bound))[0])
                edges.extend([(latent - c) / s] * transform.width)
        return center, scale, low, high


class Codec(nn.Module):
    """One `NodeCodec` per described node; next_X and the histories of X share that of X."""

    def __init__(self, graph: DecisionGraph, nodes: Mapping[str, NodeCodec]) -> None:
        super().__init__()
        self.nodes = nn.ModuleDict(nodes)
        self._owner = {name: graph.source_of(name) for name in graph.nodes}
        self._frames = {name: graph[name].width // max(1, len(self[name].columns)) for name in graph.nodes}

    @classmethod
    def fit(cls, graph: DecisionGraph, arrays: Mapping[str, np.ndarray]) -> Codec:
        """arrays: node -> (N, d) in physical units, of the training part; NaN where a value is missing.

        A node without data is scaled by its declared bounds alone.
        """
        return cls(graph, {name: _node_codec(graph, name, arrays.get(name)) for name in _owners(graph)})

    @classmethod
    def empty(cls, graph: DecisionGraph) -> Codec:
        """A codec of the right shapes, for `load_state_dict` to fill."""
        return cls(graph, {name: _node_codec(graph, name, None) for name in _owners(graph)})

    def adopt(self, other: Codec) -> None:
        """Take over the codecs of the nodes that another one describes in the same way."""
        for name, codec in other.nodes.items():
            if (
                name in self.nodes
                and self[name].columns == codec.columns
                and self[name].circles == codec.circles
            ):
                self.nodes[name] = codec

    def for_graph(self, graph: DecisionGraph) -> Codec:
        """The same codecs for a graph that sees other histories of the same nodes."""
        return Codec(graph, {name: self._of(graph, name) for name in _owners(graph)})

    def _of(self, graph: DecisionGraph, node: str) -> NodeCodec:
        """That of a node of another graph; of a joint decision made of those of its parts."""
        parts = [self[part] for part, _ in graph[node].parts]
        return (
            NodeCodec.joined(parts, graph[node].circles).to(parts[0].center.device) if parts else self[node]
        )

    def __getitem__(self, node: str) -> NodeCodec:
        codec = self.nodes[self._owner[node]]
        assert isinstance(codec, NodeCodec)
        return codec

    def width(self, node: str) -> int:
        """Model-space dimensions of a node; those of a history are its frames side by side."""
        return self[node].width * self._frames[node]

    def layout(self, node: str) -> Layout:
        """Which of these dimensions is what. Raises UserError for a stack of columns that are not continuous."""
        frames, one = self._frames[node], self[node].layout
        if frames > 1 and not one.is_plain:
            raise UserError(
                Problem(
                    f"'{node}' would have to be learned as a stack of discrete or category columns",
                    remedy="let it be pushed: next_ts_X: [ts_X, next_X]",
                )
            )
        return one if frames == 1 else Layout(one.continuous * frames)

    def encode(self, arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: self[name].encode(value) for name, value in arrays.items()}

    def decode(self, arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: self[name].decode(value) for name, value in arrays.items()}


def _owners(graph: DecisionGraph) -> tuple[str, ...]:
    return tuple(dict.fromkeys(graph.source_of(name) for name in graph.nodes))


def _node_codec(graph: DecisionGraph, owner: str, values: np.ndarray | None) -> NodeCodec:
    return NodeCodec(graph[owner].columns, graph[owner].circles, values)
