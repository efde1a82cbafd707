"""The networks of a policy that decides several nodes, with numpy: as `revive.policy.joint_net`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from revive.data.joint import places_of
from revive.data.layout import Frames, Layout
from revive.graph.decision_graph import DecisionGraph
from revive.graph.joint import apart
from revive.runtime.codec import Array, NodeCodec, below, to_level
from revive.runtime.network import Bounds, Network


def frames_of(graph: DecisionGraph, node: str, codecs: Mapping[str, NodeCodec]) -> list[Frames]:
    """The histories among the inputs of a node, in model space; codecs: of the nodes that they are of."""
    found, start = [], 0
    for name in graph[node].inputs:
        codec = codecs[name]
        count, width = graph[name].width // len(codec.columns), codec.layout.width
        found += [Frames(start, count, width)] if count > 1 else []
        start += count * width
    return found


def likeliest(out: Array, layout: Layout, bounds: Bounds) -> Array:
    """What a network says, (B, width), as the likeliest action inside its bounds."""
    if layout.is_plain:
        return bounds(out)
    action = np.empty_like(out)
    action[:, : layout.ordered] = bounds(out[:, : layout.ordered])
    for i, levels in enumerate(layout.levels, layout.continuous):
        action[:, i] = to_level(out[:, i], levels)
    for start, stop in layout.blocks:
        hard = out[:, start:stop].argmax(-1)[:, None] == np.arange(stop - start)
        action[:, start:stop] = hard
    return action


@dataclass(frozen=True)
class Part:
    """One of the nodes: what it sees, its network, and where its dimensions stand in the joint decision."""

    name: str
    inputs: tuple[str, ...]
    network: Network
    layout: Layout
    bounds: Bounds
    place: NDArray[np.int64]


class JointNetwork:
    """x (B, inputs) -> (B, width), in model space, before bounds."""

    def __init__(self, parts: Sequence[Part], slices: Mapping[str, slice]) -> None:
        self.parts, self.slices = tuple(parts), dict(slices)
        self.width = sum(part.layout.width for part in parts)
        names = {part.name for part in parts}
        self.seen_later = {name for part in parts for name in part.inputs if name in names}

    @classmethod
    def of(
        cls,
        graph: DecisionGraph,
        target: str,
        activation: str,
        tensors: Mapping[str, np.ndarray],
        codecs: Mapping[str, NodeCodec],
    ) -> JointNetwork:
        """Out of the tensors of a bundle. codecs: of the inputs and of the parts."""
        own, made = apart(graph), []
        for number, (name, place) in enumerate(places_of(graph, target).items()):
            layout, weights = codecs[name].layout, below(f"net.parts.{number}.", tensors)
            edges = [tensors[edge][place[: layout.ordered]] for edge in ("low", "high")]
            network = Network(weights, activation, frames_of(own, name, codecs))
            made.append(Part(name, own[name].inputs, network, layout, Bounds(*edges), np.array(place)))
        widths = [codecs[name].layout.width * _frames(graph, name, codecs) for name in graph[target].inputs]
        stops = accumulate(widths)
        named = zip(graph[target].inputs, stops, widths, strict=True)
        return cls(made, {name: slice(stop - width, stop) for name, stop, width in named})

    def __call__(self, x: Array) -> Array:
        out, decided = np.empty((len(x), self.width)), dict[str, Array]()
        for part in self.parts:
            seen = [decided[n] if n in decided else x[:, self.slices[n]] for n in part.inputs]
            said = part.network(np.concatenate(seen, axis=1))
            out[:, part.place] = said
            if part.name in self.seen_later:
                decided[part.name] = likeliest(said, part.layout, part.bounds)
        return out


def _frames(graph: DecisionGraph, name: str, codecs: Mapping[str, NodeCodec]) -> int:
    return graph[name].width // len(codecs[name].columns)
