"""Matchers: networks that tell rows of the logs from rows of rollouts, and what a generator earns by deceiving them.

`L_D = softplus(-D(real)) + softplus(D(fake)) + (c / 2) E |grad D|^2` at points between them (Goodfellow et al. 2014,
arXiv:1406.2661; the penalty about zero: Mescheder et al. 2018, arXiv:1801.04406). At the optimum D is the logarithm of
the ratio of the two densities: nothing, where they are the same. A generator earns `softplus(D)` for a step, which is
`-log(1 - sigmoid(D))` (Ho and Ermon 2016, arXiv:1606.03476).

A matcher of single steps cannot see how steps hang together. One over time sees a window of the last ones; at the start
of a rollout its first step stands for earlier ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import softplus

from revive.data.layout import Frames
from revive.data.windows import Rows
from revive.errors import Problems, suggestion
from revive.graph.decision_graph import DecisionGraph, NodeKind
from revive.nn.backbones import OVER_TIME, Backbone, make_net
from revive.venv.judging import with_data

NO_EVIDENCE = (
    NodeKind.STEP,
    NodeKind.TRAJECTORY,
    NodeKind.HISTORY,
)  # by which a matcher could cheat, or said already
SPREAD = 4096  # rows that features are standardised by


class Evidence(Protocol):
    """What matchers are made for: a `VenvProblem`, or anything else with these fields; `members` of each half."""

    @property
    def graph(self) -> DecisionGraph: ...
    @property
    def rows(self) -> Rows: ...
    @property
    def members(self) -> int: ...
    @property
    def device(self) -> torch.device: ...


def groups_of(problem: Evidence, asked: Sequence[Sequence[str]] | None) -> list[list[str]]:
    """The nodes that each matcher sees: as `asked`, or one that sees all that is learned and what that follows from.

    Raises UserError for a node that there is not, and for one without data.
    """
    graph, known = problem.graph, with_data(problem.rows)
    if asked is None:
        nodes = {name for node in graph.learned for name in (node, *graph[node].inputs)}
        return [[n for n in graph.nodes if n in nodes and n in known and graph[n].kind not in NO_EVIDENCE]]
    problems = Problems()
    for group in asked:
        for name in group:
            if name not in graph.nodes:
                problems.add(
                    f"there is no node '{name}'",
                    place="venv.learner.matchers",
                    remedy=suggestion(name, graph.nodes),
                )
            elif name not in known:
                what = f"there are no data of '{name}' to compare with"
                problems.add(what, place="venv.learner.matchers", remedy=suggestion(name, known))
        if not group:
            what, remedy = "a matcher sees no node", "name some, or null for one that sees everything"
            problems.add(what, place="venv.learner.matchers", remedy=remedy)
    problems.raise_if_any()
    return [list(group) for group in asked]


class Matchers(nn.Module):
    """One matcher for each group of nodes, for every member of its own.

    What a matcher sees of its nodes is their values and, of transitions, the change of their state, all standardised by
    the logs.

    backbone: mlp, residual, gru, lstm or transformer. window: steps that the last three of them see.
    """

    def __init__(
        self,
        problem: Evidence,
        groups: Sequence[Sequence[str]],
        hidden: Sequence[int],
        backbone: Backbone = "mlp",
        window: int = 1,
    ) -> None:
        super().__init__()
        self.window = window if backbone in OVER_TIME else 1
        self.graph, self.groups, members = (
            problem.graph,
            [list(group) for group in groups],
            2 * problem.members,
        )
        index = torch.linspace(
            0, problem.rows.count - 1, min(SPREAD, problem.rows.count), device=problem.device
        ).long()
        rows = {name: value.unsqueeze(0) for name, value in problem.rows.at(index).items()}
        inside = torch.ones(1, 1, len(index), device=problem.device)
        nets = []
        for number, group in enumerate(self.groups):
            known = known_rows(problem, group, index.view(1, 1, -1), inside)[0] > 0
            raw = self._raw(group, rows)[0][known if known.any() else ~known]  # (N, F)
            self.register_buffer(f"center_{number}", raw.mean(0))
            self.register_buffer(f"spread_{number}", raw.std(0, correction=0).clamp_min(1e-3))
            width = raw.shape[-1]
            frames = [Frames(0, self.window, width)] if self.window > 1 else []
            nets.append(
                make_net(
                    backbone,
                    members,
                    self.window * width,
                    1,
                    hidden=hidden,
                    activation="silu",
                    norm=False,
                    frames=frames,
                )
            )
        self.nets = nn.ModuleList(nets).to(problem.device)

    def _raw(self, group: Sequence[str], values: Mapping[str, Tensor]) -> Tensor:
        parts = [values[name] for name in group]
        for name in group:
            if name in self.graph.transitions and self.graph.state_of(name) in values:
                parts.append(values[name] - values[self.graph.state_of(name)])
        return torch.cat(parts, dim=-1)

    def features(self, values: Mapping[str, Tensor]) -> list[Tensor]:
        """Node -> (M, N, d) in model space -> what each matcher sees of single steps, (M, N, F)."""
        found = []
        for number, group in enumerate(self.groups):
            center, spread = self.get_buffer(f"center_{number}"), self.get_buffer(f"spread_{number}")
            found.append((self._raw(group, values) - center) / spread)
        return found

    def seen(self, values: Mapping[str, Tensor], earlier: Mapping[str, Tensor] | None = None) -> list[Tensor]:
        """Node -> (T, M, B, d) in model space -> what each matcher sees, (M, T * B, window * F), oldest step first.

        earlier: the window - 1 steps before these, where they begin in the middle of a rollout.
        """
        before = 0 if earlier is None else self.window - 1
        if before:
            values = {name: torch.cat([earlier[name], value]) for name, value in values.items()}  # type: ignore[index]
        steps = len(next(iter(values.values())))
        parts = [one.unflatten(1, (steps, -1)) for one in self.features(flat(values))]  # (M, T, B, F)
        return [framed(one, self.window)[:, before:].flatten(1, 2) for one in parts]

    def logits(self, features: Sequence[Tensor], past: Sequence[Mapping[str, Tensor]] = ()) -> Tensor:
        """What matchers say, and those of earlier iterations whose weights are `past`: (matchers, M, N)."""
        said = [net(seen).squeeze(-1) for net, seen in zip(self.nets, features, strict=True)]
        for weights in past:
            for number, (net, seen) in enumerate(zip(self.nets, features, strict=True)):
                own = _below(weights, f"nets.{number}.")
                said.append(functional_call(net, own, (seen,)).squeeze(-1))
        return torch.stack(said)

    def loss(
        self,
        real: Sequence[Tensor],
        fake: Sequence[Tensor],
        weight: Sequence[Tensor],
        *,
        penalty: float,
        smoothing: float,
        generator: torch.Generator,
    ) -> tuple[Tensor, Tensor]:
        """The loss of every member, and what of it is about telling apart: (M,) each, means over matchers.

        real, fake: features (M, N, F). weight: 0 for real rows (M, N) that are not known. smoothing: share of real
        rows that are taken for false.
        """
        total, apart = torch.zeros((), device=generator.device), torch.zeros((), device=generator.device)
        for net, logged, made, known in zip(self.nets, real, fake, weight, strict=True):
            share = known.sum(1).clamp_min(1.0)
            said, told = net(logged).squeeze(-1), net(made).squeeze(-1)
            right = ((1.0 - smoothing) * softplus(-said) + smoothing * softplus(said)) * known
            one = right.sum(1) / share + softplus(told).mean(1)
            mix = torch.rand(*made.shape[:2], 1, generator=generator, device=generator.device)
            between = torch.lerp(logged, made, mix).detach().requires_grad_()
            with sdpa_kernel(SDPBackend.MATH):  # of attention this alone can be differentiated twice
                (slope,) = torch.autograd.grad(net(between).sum(), between, create_graph=True)
            steep = (slope.square().sum(-1) * known).sum(1) / share
            total, apart = total + one + 0.5 * penalty * steep, apart + one.detach()
        return total / len(self.nets), apart / len(self.nets)

    def snapshot(self) -> dict[str, Tensor]:
        """The weights as they are."""
        return {name: value.detach().clone() for name, value in self.named_parameters()}


def _below(weights: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}


def reward(logits: Tensor, ends: bool) -> Tensor:
    """What a step earns, (matchers, M, N) -> (M, N): the mean of `softplus(D)`, or of D where rollouts can end.

    A reward that is always positive would pay for staying alive (Kostrikov et al. 2019, arXiv:1809.02925).
    """
    return (logits.clamp(-5.0, 5.0) if ends else softplus(logits)).mean(0)


def flat(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """(T, M, B, d) -> (M, T * B, d)."""
    return {name: value.transpose(0, 1).flatten(1, 2) for name, value in values.items()}


def framed(steps: Tensor, window: int) -> Tensor:
    """(M, T, B, F) -> (M, T, B, window * F): each step with those before it; the first stands for earlier ones."""
    if window == 1:
        return steps
    now = torch.arange(steps.shape[1], device=steps.device)
    return torch.cat([steps[:, (now - back).clamp_min(0)] for back in reversed(range(window))], dim=-1)


def known_windows(
    problem: Evidence, group: Sequence[str], index: Tensor, valid: Tensor, window: int
) -> Tensor:
    """`known_rows` of all steps of a window: (M, T * B)."""
    known = known_rows(problem, group, index, valid)
    by_step = known.unflatten(1, (len(index), -1)).unsqueeze(-1)
    return framed(by_step, window).amin(-1).flatten(1)


def known_rows(problem: Evidence, group: Sequence[str], index: Tensor, valid: Tensor) -> Tensor:
    """1 where all that a matcher sees was logged, inside the window: index, valid (T, M, B) -> (M, T * B)."""
    graph, known = problem.graph, valid.to(torch.float32)
    states = [graph.state_of(name) for name in group if name in graph.transitions]
    for name in {*group, *states}:
        weight = problem.rows.weight(name, index)
        if weight is not None:
            known = known * weight.amin(-1)
    return known.transpose(0, 1).flatten(1)


def energy(real: Sequence[Tensor], fake: Sequence[Tensor], weight: Sequence[Tensor]) -> Tensor:
    """`(2 E|X - Y| - E|X - X'| - E|Y - Y'|) / E|X - X'|` between features (M, N, F), by member: (M,).

    Pairs are rows that lie a third of all rows apart (Szekely and Rizzo 2013, the energy distance). 0 for one and the
    same distribution, up to chance.
    """
    total = torch.zeros((), device=real[0].device)
    for logged, made, known in zip(real, fake, weight, strict=True):
        shift = max(1, logged.shape[1] // 3)
        both = known * known.roll(shift, 1)

        def apart(one: Tensor, other: Tensor, both: Tensor = both, shift: int = shift) -> Tensor:
            return ((one - other.roll(shift, 1)).norm(dim=-1) * both).sum(1) / both.sum(1).clamp_min(1.0)

        usual = apart(logged, logged)
        total = total + (
            apart(logged, made) + apart(made, logged) - usual - apart(made, made)
        ) / usual.clamp_min(1e-6)
    return total / len(real)
