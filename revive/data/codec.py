"""Physical units <-> model space, fitted on the training part alone; travels inside every bundle."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from revive.graph.decision_graph import DecisionGraph

SMALLEST_SCALE = 1e-6


def robust_scale(values: np.ndarray) -> np.ndarray:
    """Per column a spread that outliers do not move: IQR * 0.7413, the standard deviation of a normal.

    values (N, d) -> (d,). Falls back to the standard deviation where the IQR is below 5 % of it (a
    switch that is nearly always off), and to 1 where a column never changes.
    """
    low, high = np.percentile(values, [25, 75], axis=0)
    deviation = values.std(axis=0)
    spread = (high - low) * 0.7413
    spread = np.where(spread < 0.05 * deviation, deviation, spread)
    return np.where(spread < SMALLEST_SCALE, 1.0, spread)


class NodeCodec(nn.Module):
    """Robust z-score of one node: `z = (x - center) / scale`, per column."""

    center: Tensor
    scale: Tensor

    def __init__(self, center: np.ndarray, scale: np.ndarray) -> None:
        super().__init__()
        self.register_buffer("center", torch.as_tensor(center, dtype=torch.float32))
        self.register_buffer("scale", torch.as_tensor(scale, dtype=torch.float32))

    @classmethod
    def fit(cls, values: np.ndarray) -> NodeCodec:
        """values (N, d) in physical units, of the training part."""
        return cls(np.median(values, axis=0), robust_scale(values))

    def encode(self, x: Tensor) -> Tensor:
        return (x - self.center) / self.scale

    def decode(self, z: Tensor) -> Tensor:
        return z * self.scale + self.center


class Codec(nn.Module):
    """One `NodeCodec` per node; a transition node shares that of its state node."""

    def __init__(self, graph: DecisionGraph, nodes: Mapping[str, NodeCodec]) -> None:
        super().__init__()
        self.nodes = nn.ModuleDict(nodes)
        self._owner = {name: _owner(graph, name) for name in graph.nodes}

    @classmethod
    def fit(cls, graph: DecisionGraph, arrays: Mapping[str, np.ndarray]) -> Codec:
        """arrays: node -> (N, d) in physical units, of the training part."""
        owners = dict.fromkeys(_owner(graph, name) for name in graph.nodes)
        return cls(graph, {name: NodeCodec.fit(arrays[name]) for name in owners})

    @classmethod
    def empty(cls, graph: DecisionGraph) -> Codec:
        """A codec of the right shapes, for `load_state_dict` to fill."""
        owners = dict.fromkeys(_owner(graph, name) for name in graph.nodes)
        width = {name: graph[name].width for name in owners}
        return cls(graph, {name: NodeCodec(np.zeros(width[name]), np.ones(width[name])) for name in owners})

    def __getitem__(self, node: str) -> NodeCodec:
        codec = self.nodes[self._owner[node]]
        assert isinstance(codec, NodeCodec)
        return codec

    def encode(self, arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: self[name].encode(value) for name, value in arrays.items()}

    def decode(self, arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: self[name].decode(value) for name, value in arrays.items()}


def _owner(graph: DecisionGraph, name: str) -> str:
    return graph.state_of(name) if name in graph.transitions else name
