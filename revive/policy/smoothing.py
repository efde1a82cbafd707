"""Rewards and endings that are comparisons, integrated over what the venv cannot know.

An outcome f of what follows, in model space x, is replaced by its mean over the venv's one-step residual,
`E[f(x + s e)]`, e ~ N(0, 1), s the standard deviation that the venv states. Its gradient is estimated by
antithetic draws, with autograd's own gradient g of f as a control variate:

    d/dx_j E[f(x + s e)] = E[ g_j + ((f(x + s e) - f(x - s e)) / 2 - g . s e) e_j / s_j ]

(Gaussian smoothing: Nesterov & Spokoiny 2017, doi:10.1007/s10208-015-9296-2). Where f is smooth, the second part
is nothing and the gradient is autograd's; where f is a comparison, g is zero and the second part is all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from revive.data.windows import Rows
from revive.graph.decision_graph import NodeKind
from revive.policy.policy import Policy
from revive.policy.reward import Reward
from revive.venv.plan import computation
from revive.venv.virtual_env import VirtualEnv

PAIRS = 4  # antithetic draws
CLIFFS = 0.25  # share of an outcome's changes that is above what its slope says, from which on it is smoothed
ROWS = 1024  # of each half, that an outcome is probed on
Outcome = Callable[[Mapping[str, Tensor]], Tensor]  # node -> (..., d) physical, to (...)


class _Change(NamedTuple):
    """Half the difference of an antithetic pair and its mean, (...); node -> its noise in units of s."""

    half: Tensor
    mean: Tensor
    noise: dict[str, Tensor]


class Smoothed:
    """An outcome's mean over the venv's one-step residual, with a gradient.

    Args:
        policy: whose graph and codec the outcome is computed in.
        size: of the residual, in standard deviations that the venv states.
    """

    def __init__(
        self, outcome: Outcome, venv: VirtualEnv, rows: Rows, policy: Policy, size: float = 1.0
    ) -> None:
        self.outcome, self.graph, self.codec = outcome, policy.graph, policy.codec
        self._functions = venv.code.functions
        sample = _sample(venv, rows)
        self.std = {name: std * size for name, std in _residuals(venv, sample, policy.target).items()}
        self.followers = self._followers()
        self.std = {name: std for name, std in self.std.items() if self._reads(sample, name)}
        self.cliffs = self._unexplained(sample)

    @property
    def has_cliffs(self) -> bool:
        """Whether autograd misses much of what the outcome does within a residual."""
        return self.cliffs > CLIFFS

    def __call__(self, values: Mapping[str, Tensor], generator: torch.Generator) -> Tensor:
        """node -> (T, M, B, d) in model space -> (T, M, B)."""
        at, slopes, physical = self._at(values)
        total, gradient = torch.zeros_like(at), {name: torch.zeros_like(s) for name, s in slopes.items()}
        for _ in range(PAIRS):
            change = self._changed(values, physical, generator)
            left = change.half - self._linear(slopes, change.noise)
            total = total + change.mean / PAIRS
            for name, noise in change.noise.items():
                gradient[name] += left.unsqueeze(-1) * noise / (self.std[name] * PAIRS)
        out = at + (total - at).detach()
        for name, slope in slopes.items():
            x = values[name][..., : slope.shape[-1]]
            out = out + ((slope + gradient[name]) * (x - x.detach())).sum(-1)
        return out

    def _at(self, values: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]:
        """The outcome, with a gradient to all that is not moved; its slopes in what is moved; physical values."""
        with torch.enable_grad():
            leaves = {name: values[name].detach().requires_grad_() for name in self.std}
            physical = self.codec.decode(values)
            at = self.outcome({**physical, **self._moved(values, leaves)})
            slopes = {name: torch.zeros_like(leaf) for name, leaf in leaves.items()}
            if at.requires_grad and leaves:
                found = torch.autograd.grad(
                    at.sum(), list(leaves.values()), allow_unused=True, retain_graph=True
                )
                slopes.update({n: g for n, g in zip(leaves, found, strict=True) if g is not None})
        plain = {name: value.detach() for name, value in physical.items()}
        return at, {name: s[..., : self.std[name].shape[-1]] for name, s in slopes.items()}, plain

    @torch.no_grad()
    def _changed(
        self, values: Mapping[str, Tensor], physical: Mapping[str, Tensor], generator: torch.Generator
    ) -> _Change:
        noise = {
            name: torch.randn(
                *values[name].shape[:-1], std.shape[-1], generator=generator, device=generator.device
            )
            for name, std in self.std.items()
        }
        sides = []
        for sign in (1.0, -1.0):
            moved = {}
            for name, eps in noise.items():
                moved[name] = values[name].clone()
                moved[name][..., : eps.shape[-1]] += sign * self.std[name] * eps
            sides.append(self.outcome({**physical, **self._moved(values, moved)}))
        up, down = sides
        return _Change(0.5 * (up - down), 0.5 * (up + down), noise)

    def _linear(self, slopes: Mapping[str, Tensor], noise: Mapping[str, Tensor]) -> Tensor:
        """What the slopes say of half the difference."""
        parts = [(slopes[name] * self.std[name] * eps).sum(-1) for name, eps in noise.items()]
        return sum(parts, torch.zeros(()))

    def _moved(self, values: Mapping[str, Tensor], moved: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What is moved and what is computed from it, in physical units."""
        new = dict(moved)
        for name, compute in self.followers.items():
            new[name] = compute(*(new.get(i, values[i]) for i in self.graph[name].inputs))
        return {name: self.codec[name].decode(value) for name, value in new.items()}

    def _followers(self) -> dict[str, Callable[..., Tensor]]:
        """The function nodes that are computed from what can be moved, in order."""
        found: dict[str, Callable[..., Tensor]] = {}
        for name in self.graph.order:
            node = self.graph[name]
            if node.is_learned or node.kind is NodeKind.HISTORY or node.function is None:
                continue
            if any(source in self.std or source in found for source in node.inputs):
                found[name] = computation(self.graph, self.codec, name, self._functions)
        return found

    @torch.no_grad()
    def _reads(self, sample: Mapping[str, Tensor], name: str) -> bool:
        """Whether the outcome of any row changes when it gets the node's value of another row."""
        physical = self.codec.decode(sample)
        swapped = self.outcome({**physical, **self._moved(sample, {name: sample[name].flip(-2)})})
        return not torch.equal(swapped, self.outcome(physical))

    def _unexplained(self, sample: Mapping[str, Tensor]) -> float:
        """Of what an outcome changes within a residual the share above what its slope says; a kink has none."""
        if not self.std:
            return 0.0
        device = next(iter(sample.values())).device
        _, slopes, physical = self._at(sample)
        change = self._changed(sample, physical, torch.Generator(device).manual_seed(0))
        above = torch.relu(change.half.abs() - self._linear(slopes, change.noise).abs())
        return float(above.square().sum() / change.half.square().sum().clamp_min(1e-12))


class Endings:
    """Whether a branch goes on after each step: 1 or 0 going forward, with the gradient of the probability.

    Learned: that of the straight-through sample. A function of the user: integrated over the residual.
    """

    def __init__(self, venv: VirtualEnv, rows: Rows, policy: Policy) -> None:
        self.node, self.codec, graph = venv.graph.done, policy.codec, policy.graph
        self.closing = venv.closing
        self.exist = self.closing is not None or (self.node is not None and self.node in venv.graph.order)
        self._smoothed: Smoothed | None = None
        if self.exist and self.closing is None and self.node is not None and not graph[self.node].is_learned:
            name = self.node
            self._smoothed = Smoothed(lambda data: (data[name][..., 0] > 0.5).float(), venv, rows, policy)

    def going(self, rolled: Mapping[str, Tensor], generator: torch.Generator) -> Tensor | None:
        """node -> (T, M, B, d) in model space -> (T, M, B); None where nothing ends."""
        if self.closing is not None:
            return self.closing.going(self.codec, rolled)
        if not self.exist or self.node is None:
            return None
        value = rolled[self.node]
        hard = (self.codec[self.node].decode(value.detach())[..., 0] < 0.5).float()
        if self._smoothed is not None:
            soft = 1.0 - self._smoothed(rolled, generator)
        else:
            soft = 1.0 - self._probability(value)
        return hard + soft - soft.detach()

    def _probability(self, value: Tensor) -> Tensor:
        """Of the end, as a learned node says it in model space."""
        codec, layout = self.codec[self.node or ""], self.codec.layout(self.node or "")
        if not layout.choices:
            return codec.decode(value)[..., 0]
        start, stop = layout.blocks[0]
        ends = [float(v) > 0.5 for v in codec.columns[0].values or ()]
        return value[..., start:stop][..., torch.tensor(ends, device=value.device)].sum(-1)


def smoothed_reward(
    reward: Reward, spread: float, venv: VirtualEnv, rows: Rows, policy: Policy
) -> Smoothed | None:
    """The reward in its spreads, smoothed; None where autograd says enough of it."""
    smoothed = Smoothed(lambda data: reward(data) / spread, venv, rows, policy)
    return smoothed if smoothed.has_cliffs else None


@torch.no_grad()
def _sample(venv: VirtualEnv, rows: Rows) -> dict[str, Tensor]:
    """Logged rows of each member's half, completed by the venv's graph: node -> (M, n, d)."""
    per_half = venv.members // venv.halves
    count = min(ROWS, *(len(part) for part in rows.parts))
    spread = [torch.linspace(p.start, p.stop - 1, count, device=venv.device).long() for p in rows.parts]
    index = torch.cat([part.expand(per_half, -1) for part in spread])
    return venv.completed(rows.at(index))


@torch.no_grad()
def _residuals(venv: VirtualEnv, sample: Mapping[str, Tensor], target: str) -> dict[str, Tensor]:
    """The std of the continuous columns of what follows, and of the states that it becomes: (M, 1, continuous)."""
    found = {}
    for name in venv.graph.learned:
        continuous = venv.codec.layout(name).continuous
        if name == target or name in venv.graph.decisions or not continuous:
            continue
        x, current = venv.node_inputs(name, sample)
        out = venv.model(name)(x, current)
        std = out.log_std.exp().expand_as(out.mean).mean(1, keepdim=True)[..., :continuous]
        found[name] = std.clamp_min(1e-6)
        if name in venv.graph.transitions:
            found[venv.graph.state_of(name)] = found[name]
    return found


def stops_gradient(venv: VirtualEnv, target: str) -> str | None:
    """The first function node in numpy that stands between the action and a state; None where there is none."""
    graph = venv.graph
    reached, grown = {target}, True
    while grown:
        more = {n for n in graph.order if reached.intersection(graph[n].inputs)} | {
            graph.state_of(n) for n in graph.transitions if n in reached
        }
        grown = not more <= reached
        reached |= more
    for name, function in venv.code.functions.items():
        if name not in reached or function.uses_torch:
            continue
        onward, grown = {name}, True
        while grown:
            more = {n for n in graph.order if onward.intersection(graph[n].inputs)}
            grown = not more <= onward
            onward |= more
        if onward.intersection(graph.transitions):
            return name
    return None
