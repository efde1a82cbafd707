"""What follows from what, for one node: a Gaussian around a linear-skip network, per member."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from revive.nn.ensemble import Activation, LinearSkipNet, ridge
from revive.nn.gaussian import negative_log_likelihood, soft_clamp


@dataclass(frozen=True)
class NetworkSpec:
    """The shape of a node's network; plain data, so that a bundle can say it in JSON.

    `std` is one number per column ("constant") or a second output of the network ("conditioned").
    """

    hidden: tuple[int, ...] = (64, 64)
    activation: Activation = "silu"
    std: Literal["constant", "conditioned"] = "constant"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, spec: dict[str, Any]) -> NetworkSpec:
        return cls(**{**spec, "hidden": tuple(spec["hidden"])})


class NodeModel(nn.Module):
    """`p(node | inputs)` in model space, M members at once.

    A transition is learned as a change: `mean = current + scale * net(x)`, with `scale` the robust spread
    of the change, so that the network's outputs are of order one whatever the sampling rate. Any other
    node is predicted itself (`current` None, `scale` one).
    """

    scale: Tensor

    def __init__(
        self, members: int, inputs: int, width: int, spec: NetworkSpec, scale: Sequence[float]
    ) -> None:
        super().__init__()
        self.width = width
        self.spec = spec
        outputs = width if spec.std == "constant" else 2 * width
        self.net = LinearSkipNet(members, inputs, outputs, spec.hidden, spec.activation)
        self.free_log_std = nn.Parameter(torch.zeros(members, 1, width))
        self.register_buffer("scale", torch.as_tensor(scale, dtype=torch.float32))

    def forward(self, x: Tensor, current: Tensor | None) -> tuple[Tensor, Tensor]:
        """x (M, B, inputs), current (M, B, width) or None -> mean and log std, (M, B, width), of the node."""
        out = self.net(x)
        log_std: Tensor = self.free_log_std
        if self.spec.std == "conditioned":
            out, conditioned = out.split(self.width, dim=-1)
            log_std = log_std + soft_clamp(conditioned)
        mean = out * self.scale if current is None else torch.addcmul(current, out, self.scale)
        return mean, log_std + self.scale.log()

    def mean(self, x: Tensor, current: Tensor | None) -> Tensor:
        return self(x, current)[0]

    def negative_log_likelihood(self, x: Tensor, current: Tensor | None, target: Tensor) -> Tensor:
        """-> (M, B, width), in units of the change, so that all nodes weigh alike."""
        mean, log_std = self(x, current)
        return negative_log_likelihood(target, mean, log_std) + self.scale.log()

    @torch.no_grad()
    def start_linear(self, x: Tensor, current: Tensor | None, target: Tensor) -> None:
        """Put the ridge solution into the skip: x (M, N, inputs), target and current (M, N, width)."""
        change = (target if current is None else target - current) / self.scale
        weight, bias = ridge(x, change)
        width = self.width
        self.net.skip.weight[..., :width] = weight
        self.net.skip.bias[..., :width] = bias
        if self.spec.std == "conditioned":
            self.net.skip.weight[..., width:] = 0.0
        self.refit_std(x, current, target)

    @torch.no_grad()
    def refit_std(self, x: Tensor, current: Tensor | None, target: Tensor) -> None:
        """Scale the std so that the one-step residuals of (M, N, ...) rows have a mean square of one std."""
        mean, log_std = self(x, current)
        ratio = ((target - mean) * (-log_std).exp()).square().mean(1, keepdim=True)
        self.free_log_std.add_(ratio.clamp_min(1e-8).log() * 0.5)
