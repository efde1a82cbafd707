"""Parts of networks under REVIVE's names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "elu": nn.ELU,
    "leakyrelu": lambda: nn.LeakyReLU(0.1),
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "identity": nn.Identity,
    "gelu": nn.GELU,
    "swish": nn.SiLU,
}


class MLP(nn.Module):
    """Linear layers with an activation in between: (..., in_features) to (..., out_features).

    norm: `ln` puts a layer norm before every activation. Raises ValueError for one that needs a whole batch.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        hidden_features: int,
        hidden_layers: int,
        norm: str | None = None,
        hidden_activation: str = "leakyrelu",
        output_activation: str = "identity",
    ) -> None:
        super().__init__()
        if norm not in (None, "ln"):
            raise ValueError(f"norm is {norm!r}; None and 'ln' treat every row by itself")
        widths = [in_features, *[hidden_features] * hidden_layers]
        parts: list[nn.Module] = []
        for before, after in pairwise(widths):
            parts += [nn.Linear(before, after), *([nn.LayerNorm(after)] if norm else [])]
            parts.append(ACTIVATIONS[hidden_activation]())
        parts += [nn.Linear(widths[-1], out_features), ACTIVATIONS[output_activation]()]
        self.net = nn.Sequential(*parts)

    def forward(self, x: Tensor) -> Tensor:
        """x (..., in_features) -> (..., out_features)."""
        found: Tensor = self.net(x)
        return found


class Parameters(NamedTuple):
    """What a network says of its node: the parameters of its distribution, (..., output_dim)."""

    values: Tensor

    @property
    def mode(self) -> Tensor:
        """The same; what is likeliest follows from them where the node is evaluated."""
        return self.values


class DistributionWrapper(nn.Module):
    """Marks a tensor as the parameters of the node's distribution, which follows from its columns.

    The distribution itself is that of any other node of the graph, whatever `distribution_type` and `params` say.
    """

    def __init__(self, distribution_type: str = "normal", **params: Any) -> None:
        super().__init__()
        self.distribution_type, self.params = distribution_type, params

    def forward(self, x: Tensor, *ignored: Any, **also_ignored: Any) -> Parameters:
        """x (..., output_dim)."""
        return Parameters(x)


def joined(parts: Sequence[Tensor]) -> Tensor:
    """Inputs side by side, (..., sum of their widths)."""
    return torch.cat(list(parts), dim=-1)
