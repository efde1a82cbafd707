"""What networks say of one node, as users meet it: in their losses, and from `node_dist`."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from revive.data.layout import Layout
from revive.nn import heads
from revive.nn.heads import Outputs


@dataclass(frozen=True, repr=False)
class NodeDistribution:
    """The distribution of a node's value, in model space, for any leading axes (..., B).

    A discretised logistic for discrete columns, normal for the other ordered ones, before they are kept in range.
    """

    outputs: Outputs
    layout: Layout

    @property
    def mean(self) -> Tensor:
        """(..., B, ordered) of the continuous and the discrete dimensions."""
        return self.outputs.mean

    @property
    def std(self) -> Tensor:
        """(..., B, ordered); the scale of the logistic for discrete dimensions."""
        return self.outputs.log_std.exp().expand_as(self.outputs.mean)

    @property
    def probabilities(self) -> list[Tensor]:
        """Of each category column, (..., B, choices), in the order of its values."""
        logits, ordered = self.outputs.logits, self.layout.ordered
        if logits is None:
            return []
        return [logits[..., a - ordered : b - ordered].softmax(-1) for a, b in self.layout.blocks]

    @property
    def mode(self) -> Tensor:
        """The likeliest value, (..., B, width)."""
        return self.told(heads.mode(self.outputs, self.layout))

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """A value that is drawn, (..., B, width)."""
        shape = (*self.mean.shape[:-1], self.layout.width)
        eps = torch.randn(shape, generator=generator, device=self.mean.device)
        return self.told(heads.sample(self.outputs, self.layout, eps))

    def log_prob(self, value: Tensor) -> Tensor:
        """Of values (..., B, width) in model space, summed over dimensions: (..., B)."""
        return -heads.terms(self.outputs, self.layout, value).sum(-1)

    def told(self, value: Tensor) -> Tensor:
        """A value of the node, (..., B, width), as `mode` and `sample` return it."""
        return value
