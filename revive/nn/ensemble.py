"""Independent networks of one shape as one batched operation: a leading axis `M` in every parameter.

Members never share a gradient: with a loss that sums the members' own mean losses, and Adam's
element-wise update, training M networks together equals training them one by one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

Activation = Literal["silu", "tanh", "relu", "gelu", "elu", "leaky_relu", "sigmoid"]
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "silu": nn.functional.silu,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "gelu": nn.functional.gelu,
    "elu": nn.functional.elu,
    "leaky_relu": partial(nn.functional.leaky_relu, negative_slope=0.1),
    "sigmoid": torch.sigmoid,
}


class EnsembleLinear(nn.Module):
    """`y[m] = x[m] W[m] + b[m]` for M members; x (M, B, inputs) -> (M, B, outputs)."""

    def __init__(self, members: int, inputs: int, outputs: int, gain: float = 1.0) -> None:
        super().__init__()
        bound = gain / math.sqrt(max(inputs, 1))
        self.weight = nn.Parameter(torch.empty(members, inputs, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(members, 1, outputs))

    def forward(self, x: Tensor) -> Tensor:
        return torch.baddbmm(self.bias, x, self.weight)


class EnsembleNorm(nn.Module):
    """Layer normalisation over the last axis, with a scale and a shift for every member (Ba et al. 2016)."""

    def __init__(self, members: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(members, 1, width))
        self.bias = nn.Parameter(torch.zeros(members, 1, width))

    def forward(self, x: Tensor) -> Tensor:
        return torch.addcmul(self.bias, nn.functional.layer_norm(x, x.shape[-1:]), self.weight)


class SkipNet(nn.Module):
    """`y = A x + b + W h(x)`, where h are features of any kind and W starts near zero.

    The linear part carries what extrapolates; the rest adds what the line cannot say. x (M, B, inputs) ->
    (M, B, outputs), all in model space. A subclass makes what its features need, then calls `finish`.
    """

    last: nn.Parameter
    steps_back: int | None = None  # which of several opinions is asked for, see `any_step`

    def __init__(self, members: int, inputs: int, outputs: int, activation: Activation) -> None:
        super().__init__()
        self.activation = ACTIVATIONS[activation]
        self.skip = EnsembleLinear(members, inputs, outputs, gain=0.1)

    def finish(self, members: int, width: int, outputs: int) -> None:
        """Make W for features of this width."""
        self.last = nn.Parameter(torch.randn(members, width, outputs) * 0.01 / math.sqrt(width))

    def features(self, x: Tensor) -> Tensor:
        """(M, B, inputs) -> (M, B, width)."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        return torch.baddbmm(self.skip(x), self.features(x), self.last)

    @property
    def opinions(self) -> tuple[int | None, ...]:
        """What `steps_back` can be."""
        return (None,)

    def base(self, x: Tensor, current: Tensor) -> Tensor:
        """What a predicted change is added to, (M, B, width or more)."""
        return current

    def seen(self, x: Tensor) -> Tensor:
        """The inputs that the linear part is fitted to."""
        return x

    @torch.no_grad()
    def put_linear(self, weight: Tensor, bias: Tensor) -> None:
        """Let the linear part of the first k outputs be (M, inputs, k) and (M, 1, k); all others get none."""
        self.skip.weight[..., : weight.shape[-1]] = weight
        self.skip.bias[..., : bias.shape[-1]] = bias
        self.skip.weight[..., weight.shape[-1] :] = 0.0

    def linear_parameters(self) -> list[nn.Parameter]:
        """The parameters that weight decay must leave alone."""
        return [self.skip.weight, self.skip.bias]

    def residual_parameters(self) -> list[nn.Parameter]:
        """All others."""
        return [p for name, p in self.named_parameters() if not name.startswith("skip.")]


class LinearSkipNet(SkipNet):
    """The features are those of a small perceptron; with `norm` each of its layers is normalised."""

    def __init__(
        self,
        members: int,
        inputs: int,
        outputs: int,
        hidden: Sequence[int] = (64, 64),
        activation: Activation = "silu",
        norm: bool = False,
    ) -> None:
        super().__init__(members, inputs, outputs, activation)
        widths = [inputs, *hidden]
        self.layers = nn.ModuleList(
            EnsembleLinear(members, a, b, gain=math.sqrt(3.0)) for a, b in pairwise(widths)
        )
        self.norms = nn.ModuleList(EnsembleNorm(members, width) for width in hidden if norm)
        self.finish(members, widths[-1], outputs)

    def features(self, x: Tensor) -> Tensor:
        h = x
        for i, layer in enumerate(self.layers):
            h = layer(h)
            h = self.activation(self.norms[i](h) if len(self.norms) else h)
        return h

    @torch.no_grad()
    def widen_from(self, narrower: LinearSkipNet) -> None:
        """Say the same as a net with fewer hidden units: the units that it lacks have no outgoing weights yet.

        Their incoming weights stay as they were drawn, so that they can learn (Chen et al. 2016, Net2Net,
        arXiv:1511.05641, for growing a network without changing its function).
        """
        _fill(self.last, narrower.last, rest=0.0)
        self.skip.load_state_dict(narrower.skip.state_dict())
        for i, (layer, other) in enumerate(zip(self.layers, narrower.layers, strict=True)):
            assert isinstance(layer, EnsembleLinear)
            assert isinstance(other, EnsembleLinear)
            if i > 0:
                layer.weight[:, other.weight.shape[1] :, : other.weight.shape[2]] = 0.0
            _fill(layer.weight, other.weight)
            _fill(layer.bias, other.bias)


def _fill(parameter: Tensor, smaller: Tensor, rest: float | None = None) -> None:
    """Put `smaller` into the first corner of `parameter`, and `rest`, where it is given, everywhere else."""
    if rest is not None:
        parameter.fill_(rest)
    parameter[tuple(slice(0, size) for size in smaller.shape)] = smaller


def ridge(x: Tensor, y: Tensor, strength: float = 1e-3, rows: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Least squares with an unpunished intercept, per member.

    x (M, N, i), y (M, N, o), rows (M, N, 1) weights of the rows or None -> weight (M, i, o), bias (M, 1, o);
    `strength` is relative to the number of rows. With more inputs than rows it is solved in rows, which gives the same
    weights and takes (M, N, N) of memory in place of (M, i, i).
    """
    share = torch.ones_like(x[..., :1]) if rows is None else rows
    share = share / share.sum(1, keepdim=True).clamp_min(1.0)
    x_mean, y_mean = (x * share).sum(1, keepdim=True), (y * share).sum(1, keepdim=True)
    xc, yc = (x - x_mean).double(), (y - y_mean).double()
    if x.shape[-1] > x.shape[-2]:
        root = share.sqrt()
        a, gram, moment = xc * root, (xc * root) @ (xc * root).mT, yc * root
    else:
        a, gram, moment = None, xc.mT @ (xc * share), xc.mT @ (yc * share)
    gram.diagonal(dim1=-2, dim2=-1).add_(strength)
    solved = torch.linalg.solve(gram, moment)
    weight = (solved if a is None else a.mT @ solved).to(x.dtype)
    return weight, y_mean - x_mean @ weight


@torch.no_grad()
def clip_gradient_by_member(parameters: Iterable[nn.Parameter], limit: float) -> Tensor:
    """Scale each member's gradient to a norm of at most `limit`; returns the norms before, (M,)."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    squares = torch.stack([g.flatten(1).square().sum(1) for g in gradients])  # (params, M)
    norms = squares.sum(0).sqrt()
    scale = (limit / norms.clamp_min(1e-12)).clamp_max(1.0)
    scale = torch.where(torch.isfinite(norms), scale, torch.zeros_like(scale))
    for g in gradients:
        g.nan_to_num_(0.0, 0.0, 0.0).mul_(scale.view(-1, *[1] * (g.dim() - 1)))
    return norms


@torch.no_grad()
def decay_by_member(parameters: Iterable[nn.Parameter], amount: Tensor) -> None:
    """Shrink what has a gradient by each member's own share, amount (M,): `p *= 1 - amount`.

    With the step size in `amount` this is decoupled weight decay (Loshchilov & Hutter 2019, arXiv:1711.05101).
    """
    for p in parameters:
        if p.grad is not None:
            p.mul_((1.0 - amount).view(-1, *[1] * (p.dim() - 1)))


@torch.no_grad()
def keep_where(module: nn.Module, members: Tensor, state: dict[str, Tensor]) -> None:
    """Put back `state` (of an earlier `state_dict`) for those members where `members` (M,) is False."""
    for name, parameter in module.named_parameters():
        mask = members.view(-1, *[1] * (parameter.dim() - 1))
        parameter.copy_(torch.where(mask, parameter, state[name]))
