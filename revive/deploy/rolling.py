"""Rollouts for a session: branches with their members, and of every step only what is asked for.

In physical units outside, float64; inside a venv's model space.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from revive.deploy.policy_session import PolicySession
from revive.deploy.values import Form, Tensors, legal, read, within
from revive.errors import UserError
from revive.graph.limits import Outside
from revive.policy.reward import Reward
from revive.venv.branches import Branches, Carried, sources
from revive.venv.cells import Cells, Everybody, Listened, OneEach
from revive.venv.modes import Mode
from revive.venv.plan import Actor
from revive.venv.virtual_env import VirtualEnv

Answers = Mode | None  # None: the members go their own ways, and their mean is what is told


class Rollout:
    """One rollout, ready to go.

    Args:
        venv: the model.
        start: states, histories, step counter -> (B, d); decisions: what was done in the steps before.
        given: node -> (T, B, d); it is not computed then.
        policy: decides its node.
        mode: who answers and what is drawn (see `modes`); None for the members' mean of rollouts of their own.
        generator: draws members and noise.
        clip: keep what is told within the declared limits.
    """

    def __init__(
        self,
        venv: VirtualEnv,
        start: Tensors,
        given: Tensors,
        *,
        policy: PolicySession | None = None,
        mode: Answers = None,
        generator: torch.Generator,
        clip: bool = True,
    ) -> None:
        self.venv, self.mode, self.generator, self.clip = venv, mode, generator, clip
        self.given = {name: encoded(venv, name, value) for name, value in given.items()}
        actor = None if policy is None else actor_of(policy, venv)
        together = mode in ("mean", "sample")
        self.branches = Branches(venv, given, actor=actor, together=together)
        self.graph, self.codec = self.branches.graph, self.branches.codec
        self.count = next(iter(start.values())).shape[0] if start else next(iter(given.values())).shape[1]
        cells = self._cells()
        self.branches.begin(self._carried(start), cells)

    def steps(self, horizon: int) -> Iterator[None]:
        """Run; at each step the values are `value`'s."""
        generator = None if self.mode in (None, "mean") else self.generator
        for t in range(horizon):
            if t:
                self.branches.move_on()
                if self.mode == "mixture":
                    self.branches.begin(self.branches.carried(), self._cells())
            self.branches.look({name: series[t] for name, series in self.given.items()}, generator)
            self.branches.act({}, generator)
            yield

    def value(self, name: str) -> Tensor:
        """A node's value at this step, (B, d), model space."""
        return self.branches.value(name)

    def record(self, horizon: int, nodes: Collection[str] | None, reward: Reward | None) -> Tensors:
        """The nodes asked for (None: all of them), (T, B, d); and the `reward`, (T, B, 1), where there is one."""
        kept: dict[str, list[Tensor]] = {}
        paid: list[Tensor] = []
        for _ in self.steps(horizon):
            known = [name for name in self.branches.known() if not self.graph[name].parts]
            for name in known if nodes is None else nodes:
                kept.setdefault(name, []).append(self.value(name))
            if reward is not None:
                paid.append(reward({name: self.codec[name].decode(self.value(name)) for name in known}))
        found = {name: self.told(name, torch.stack(kept.pop(name))) for name in [*kept]}
        return found if reward is None else {**found, "reward": torch.stack(paid).double().unsqueeze(-1)}

    def told(self, name: str, value: Tensor) -> Tensor:
        """(..., d) in model space as it is told: physical, float64, within the declared limits."""
        physical = self.codec[name].decode(value.double())
        return within(physical, name, self.graph) if self.clip else physical

    def _cells(self) -> Cells:
        members, device = self.venv.members, self.venv.device
        everybody = torch.arange(members, device=device)
        if self.mode in (None, "mean"):
            return Everybody(everybody)
        who = torch.randint(members, (self.count,), generator=self.generator, device=self.generator.device)
        return Listened(everybody, who) if self.mode == "sample" else OneEach.of(who)

    def _carried(self, start: Tensors) -> Carried:
        """What the first step begins with."""
        graph, plan = self.venv.graph, self.branches.plan
        first = {name: encoded(self.venv, name, value) for name, value in start.items()}
        if graph.step and graph.step not in first:
            first[graph.step] = encoded(
                self.venv, graph.step, torch.zeros(self.count, 1, dtype=torch.float64)
            )
        past = {name: past_of(self.venv, name, first.pop(name)) for name in graph.histories if name in first}
        done = {name: first.pop(name) for name in graph.decisions if name in first}
        now = {name: series[0] for name, series in self.given.items()}
        pasts = plan.pasts(past, {**first, **done}, now)
        named = {
            self.branches.names[kept.slot]: frames for kept, frames in zip(plan.histories, pasts, strict=True)
        }
        return Carried(first, named, {})


def look_at(
    venv: VirtualEnv,
    wanted: Sequence[str],
    nodes: Mapping[str, Any],
    *,
    policy: PolicySession | None = None,
    generator: torch.Generator | None = None,
    outside: Outside = "refuse",
) -> tuple[Branches, Form]:
    """Branches in which the nodes `wanted` are known, and nothing that they do not follow from.

    nodes: whatever is known, (B, d), physical; it is not computed. policy: decides its node. generator: one member
    answers each row, with noise; without it all members do, and their mean is told.
    Raises UserError where something is missing, of another shape or not legal.
    """
    actor = None if policy is None or policy.decided[0] in nodes else actor_of(policy, venv)
    graph = venv.graph if actor is None or actor.graph is None else actor.graph
    needed = sources(graph, wanted, nodes.keys())
    looked = [n for n in needed if graph[n].history is not None and n not in nodes]
    names = [n for n in graph.nodes if n in needed and (n in nodes or (graph[n].is_leaf and n not in looked))]
    names += [s for n in looked if (s := graph[n].history.source) not in names]  # type: ignore[union-attr]
    values, form = read(nodes, names, graph, lead=1)
    first = {name: encoded(venv, name, value) for name, value in legal(values, graph, outside).items()}
    start = {name: first.pop(name) for name in venv.start_nodes if name in first}
    branches = Branches(venv, first, watched=wanted, actor=actor)
    count, plan = len(next(iter(values.values()))), branches.plan
    unused = {
        branches.names[kept.slot]: torch.zeros(count, kept.spec.lookback * kept.width, device=venv.device)
        for kept in plan.histories
        if branches.names[kept.slot] not in looked
    }
    named = zip(plan.histories, plan.pasts(unused, start, first), strict=True)
    pasts = {branches.names[kept.slot]: frames for kept, frames in named}
    members = torch.arange(venv.members, device=venv.device)
    if generator is None:
        cells: Cells = Everybody(members)
    else:
        cells = OneEach.of(
            torch.randint(venv.members, (count,), generator=generator, device=generator.device)
        )
    branches.begin(Carried(start, pasts, {}), cells)
    branches.look(first, generator)
    return branches, form


def encoded(venv: VirtualEnv, name: str, value: Tensor) -> Tensor:
    """A node's values, (..., d) physical, in the venv's model space."""
    return venv.codec.nodes[venv.graph.source_of(name)].encode(value.to(venv.device))  # type: ignore[operator]


def past_of(venv: VirtualEnv, name: str, frames: Tensor) -> Tensor:
    """The frames before the present step out of a history as the user gives it, (..., frames * d)."""
    spec = venv.graph[name].history
    assert spec is not None
    width = frames.shape[-1] // spec.length
    if spec.delay == 0:
        return frames[..., : (spec.length - 1) * width]
    newest = frames[..., -width:]
    return torch.cat([frames, *[newest] * (spec.delay - 1)], dim=-1)


def actor_of(policy: PolicySession, venv: VirtualEnv) -> Actor:
    """The policy as a part of this venv: the two may have scales of their own.

    Raises UserError where the venv lacks what the policy sees or decides.
    """
    model = policy.model
    foreign = [n for n in (*policy.decided, *policy.inputs) if model.graph.source_of(n) not in venv.graph]
    if foreign:
        raise UserError(f"this venv has no {', '.join(foreign)}, which the policy needs")
    codec = venv.codec.for_graph(model.graph)
    widths = [codec.width(name) for name in policy.inputs]
    alike = all(_alike(codec[n], model.codec[n]) for n in (policy.target, *policy.inputs))

    def decide(x: Tensor) -> Tensor:
        """(m, b, inputs) -> (m, b, width), in the venv's model space."""
        if alike:
            return model(x.reshape(1, -1, x.shape[-1])).reshape(*x.shape[:-1], -1)
        parts = zip(policy.inputs, x.double().split(widths, dim=-1), strict=True)
        own = torch.cat([model.codec[n].encode(codec[n].decode(part)) for n, part in parts], dim=-1)
        action = model(own.reshape(1, -1, own.shape[-1])).reshape(*x.shape[:-1], -1)
        return codec[policy.target].encode(model.codec[policy.target].decode(action.double()))

    return Actor(policy.target, policy.inputs, decide, model.graph, codec, model.repeat)


def _alike(one: Any, other: Any) -> bool:
    """Whether two codecs of a node are the same in every value."""
    mine, theirs = one.state_dict(), other.state_dict()
    return (
        one.columns == other.columns
        and one.circles == other.circles
        and mine.keys() == theirs.keys()
        and all(torch.equal(value.cpu(), theirs[name].cpu()) for name, value in mine.items())
    )
