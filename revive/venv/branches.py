"""Branches of a venv, stepped one time step at a time, a decision from outside between the two halves of a step.

Everything here is in model space. What branches carry from step to step goes in and out as a `Carried`, so that some of
them can begin anew while the others go on.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from revive.data.codec import Codec
from revive.errors import Problem, UserError
from revive.graph.decision_graph import DecisionGraph
from revive.nn.heads import Outputs
from revive.venv.cells import Cells, OneEach
from revive.venv.plan import Actor, LearnedStep, Plan, Step, compile_plan
from revive.venv.stepping import Stepper
from revive.venv.virtual_env import VirtualEnv


@dataclass(frozen=True)
class Carried:
    """What branches take from one step to the next.

    values: state, or step counter, -> (B, d). pasts: history -> its frames before the present step, (B, lookback * d).
    latents: observed transition -> the state behind the last reading, (B, d).
    """

    values: dict[str, Tensor]
    pasts: dict[str, Tensor]
    latents: dict[str, Tensor]

    def replaced(self, index: Tensor, other: Carried) -> Carried:
        """The same, in which the branches `index` are those of `other`."""
        return Carried(
            *(
                {
                    name: value.index_copy(0, index, getattr(other, f.name)[name])
                    for name, value in table.items()
                }
                for f in fields(self)
                for table in (getattr(self, f.name),)
            )
        )


class Branches:
    """Steps branches of a venv.

    Args:
        venv: whose members answer.
        given: nodes whose value is given in each step; for the rest see `VirtualEnv.replayed_nodes`.
        watched: nodes that are wanted before what is given late (`decided`) is known.
        decided: the node that is given late, between `look` and `act`.
        actor: decides its node in place of the model.
        graph, codec: where the decided node has other inputs than in the venv's own graph.
        together: whether the members of a half answer with their mean.

    Raises UserError where a watched node follows from the decided one.
    """

    def __init__(
        self,
        venv: VirtualEnv,
        given: Iterable[str],
        *,
        watched: Iterable[str] = (),
        decided: str | None = None,
        actor: Actor | None = None,
        graph: DecisionGraph | None = None,
        codec: Codec | None = None,
        together: bool = False,
    ) -> None:
        self.venv, self.together = venv, together
        self.graph = graph or (actor.graph if actor and actor.graph else venv.graph)
        self.codec = codec or (actor.codec if actor and actor.codec else venv.codec)
        late = () if decided is None else (decided,)
        self.given = (*given, *late)
        functions = venv.code.functions
        self.plan: Plan = compile_plan(self.graph, self.codec, functions, self.given, actor, venv.observed)
        self.names = {slot: name for name, slot in self.plan.slots.items()}
        first = sources(self.graph, watched, self.given)
        if decided is not None and decided in first:
            what = f"{', '.join(watched)}: one of them follows from '{decided}', which is decided later"
            raise UserError(Problem(what, remedy="watch what is known before the decision"))
        self._first: list[Step] = [step for step in self.plan.steps if self.names[step.slot] in first]
        self._then: list[Step] = [step for step in self.plan.steps if self.names[step.slot] not in first]
        self._subsets: dict[tuple[int, ...], VirtualEnv] = {}
        self._values: list[Any] = []

    def begin(self, carried: Carried, cells: Cells) -> None:
        """Go on from there, with these members."""
        self.cells = cells
        venv = self._subset(cells.members)
        spread, plan = cells.spread, self.plan
        values: list[Any] = [None] * plan.size
        for name, value in carried.values.items():
            values[plan.slots[name]] = spread(value)
        for name, (behind, _) in plan.latents.items():
            state = carried.latents.get(name, carried.values.get(self.graph.state_of(name)))
            values[behind] = None if state is None else spread(state)
        pasts = [spread(carried.pasts[self.names[kept.slot]]) for kept in plan.histories]
        self._stepper = Stepper(venv, plan, pasts, {}, self.together)
        self._values = values

    def look(self, given: Mapping[str, Tensor], generator: torch.Generator | None = None) -> None:
        """The first part of a time step. given: node -> (B, d). generator: draws noise, where there is to be any."""
        self._values = list(self._values)
        for name, value in given.items():
            if name in self.plan.slots:
                self._values[self.plan.slots[name]] = self.cells.spread(value)
        self._stepper.recall(self._values)
        self._stepper.run(self._first, self._values, self._noise(self._first, generator), 0)

    def act(self, decided: Mapping[str, Tensor], generator: torch.Generator | None = None) -> None:
        """The rest of the time step. decided: what is given late, (B, d)."""
        for name, value in decided.items():
            self._values[self.plan.slots[name]] = self.cells.spread(value)
        self._stepper.run(self._then, self._values, self._noise(self._then, generator), 0)
        for name, (_, following) in self.plan.latents.items():
            if self._values[following] is None:  # the reading was given
                self._values[following] = self._values[self.plan.slots[name]]
        self._stepper.remember(self._values)

    def value(self, name: str) -> Tensor:
        """A node's value in the present step, (B, d)."""
        value = self._values[self.plan.slots[name]]
        if value is None:
            raise UserError(f"'{name}' is not computed")
        return self.cells.gather(value)

    def known(self) -> tuple[str, ...]:
        """The nodes that have a value now."""
        return tuple(name for name, slot in self.plan.slots.items() if self._values[slot] is not None)

    def move_on(self) -> None:
        """To the next time step: transitions become states."""
        carried = self._stepper.carried(self._values, 0)
        keep = {self.plan.counter, *(target for _, target in self.plan.carry)}
        self._values = [value if slot in keep else None for slot, value in enumerate(carried)]

    def carried(self) -> Carried:
        """What the branches take into the present step; asked for after `move_on`."""
        gather, plan = self.cells.gather, self.plan
        values = {name: gather(self._values[plan.slots[name]]) for name in self.venv.start_nodes}
        pasts = {
            self.names[kept.slot]: gather(past)
            for kept, past in zip(plan.histories, self._stepper.pasts, strict=True)
        }
        latents = {name: gather(self._values[now]) for name, (now, _) in plan.latents.items()}
        return Carried(values, pasts, latents)

    def distribution(self, name: str) -> Outputs:
        """What each member says of a learned node, (m, b, ...); all that it follows from is to be known."""
        step = next(s for s in self.plan.steps if isinstance(s, LearnedStep) and s.name == name)
        x = torch.cat([self._values[i] for i in step.inputs], dim=-1)
        current = None if step.current is None else self._values[step.current]
        return self._stepper.venv.model(name)(x, current)  # type: ignore[no-any-return]

    def _noise(self, steps: Sequence[Step], generator: torch.Generator | None) -> dict[str, Tensor]:
        """Standard normal noise of the learned nodes, a draw for each branch; none without a generator."""
        if generator is None:
            return {}
        found = {}
        for step in steps:
            if isinstance(step, LearnedStep):
                shape = (self.branches, self.codec.width(step.name))
                drawn = torch.randn(shape, generator=generator, device=generator.device)
                found[step.name] = self.cells.spread(drawn)
        return found

    @property
    def branches(self) -> int:
        """B."""
        some = next(value for value in self._values if value is not None)
        return len(self.cells.place) if isinstance(self.cells, OneEach) else int(some.shape[1])

    def _subset(self, members: Tensor) -> VirtualEnv:
        """The venv of these members alone; kept, because the same few are asked for again and again."""
        if len(members) == self.venv.members:
            return self.venv
        key = tuple(members.tolist())
        if key not in self._subsets:
            if len(self._subsets) >= 64:
                self._subsets.clear()
            self._subsets[key] = self.venv.subset(members)
        return self._subsets[key]


def sources(graph: DecisionGraph, wanted: Iterable[str], known: Collection[str] = ()) -> set[str]:
    """The nodes `wanted` and all that they follow from in a time step; what is `known` follows from nothing."""
    reached: set[str] = set()
    waiting = list(wanted)
    while waiting:
        name = waiting.pop()
        if name in reached:
            continue
        reached.add(name)
        node = graph[name]
        if name in known:
            continue
        waiting += node.inputs
        if node.history is not None and node.history.delay == 0:
            waiting.append(node.history.source)
    return reached
