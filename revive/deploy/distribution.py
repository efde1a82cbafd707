"""What networks say of one node: a distribution by each of them, in model space."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from revive.data.codec import NodeCodec
from revive.data.layout import Layout
from revive.nn import heads
from revive.nn.heads import Outputs


@dataclass(frozen=True, repr=False)
class NodeDistribution:
    """The distribution of a node's value by each of M members, for B rows, in the model space of `codec`.

    A discretised logistic for discrete columns, normal for the other ordered ones, before they are kept in range.
    """

    node: str
    codec: NodeCodec
    layout: Layout
    outputs: Outputs

    @property
    def mean(self) -> Tensor:
        """(M, B, ordered) of the continuous and the discrete dimensions."""
        return self.outputs.mean

    @property
    def std(self) -> Tensor:
        """(M, B, ordered); the scale of the logistic for discrete dimensions."""
        return self.outputs.log_std.exp().expand_as(self.outputs.mean)

    @property
    def probabilities(self) -> list[Tensor]:
        """Of each category column, (M, B, choices), in the order of its values."""
        logits, ordered = self.outputs.logits, self.layout.ordered
        if logits is None:
            return []
        return [logits[..., a - ordered : b - ordered].softmax(-1) for a, b in self.layout.blocks]

    def mode(self) -> Tensor:
        """The likeliest value by each member, (M, B, d), physical units."""
        return self._physical(heads.mode(self.outputs, self.layout))

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """A value drawn by each member, (M, B, d), physical units."""
        shape = (*self.mean.shape[:-1], self.layout.width)
        eps = torch.randn(shape, generator=generator, device=self.mean.device)
        return self._physical(heads.sample(self.outputs, self.layout, eps))

    def _physical(self, value: Tensor) -> Tensor:
        return self.codec.decode(self.codec.project(value).double())

    def __repr__(self) -> str:
        members, rows = self.mean.shape[:2]
        return f"NodeDistribution({self.node}: {rows} rows by {members} members)"
