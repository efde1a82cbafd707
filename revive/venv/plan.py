"""The execution plan of a decision flow graph: worked out once per rollout, then run without a look-up.

A plan is a list of operations on the value list of a step, one tensor (M, B, width) per slot, in model space.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from revive.data.codec import Codec
from revive.data.joint import places_of
from revive.errors import Problem, UserError
from revive.graph.decision_graph import DecisionGraph, NodeKind
from revive.graph.nodes import HistorySpec
from revive.venv.columnwise import ColumnCopy

Values = list[Tensor]


@dataclass(frozen=True)
class Actor:
    """Who decides a node in a rollout in place of its model: (M, B, inputs) -> (M, B, width).

    `graph` and its `codec` are those in which the node has these inputs, where they differ from the venv's. A decision
    holds for `repeat` steps, counted from the first one of a rollout.
    """

    node: str
    inputs: tuple[str, ...]
    decide: Callable[[Tensor], Tensor]
    graph: DecisionGraph | None = None
    codec: Codec | None = None
    repeat: int = 1

    def begun(self) -> Callable[[Tensor], Tensor]:
        """`decide` as one rollout calls it, step by step."""
        return held(self.decide, self.repeat)


def held(decide: Callable[[Tensor], Tensor], repeat: int) -> Callable[[Tensor], Tensor]:
    """`decide`, asked anew at every `repeat`-th call; between them its last answer stands."""
    if repeat == 1:
        return decide
    calls, answer = 0, None

    def decided(x: Tensor) -> Tensor:
        nonlocal calls, answer
        if answer is None or calls % repeat == 0:
            answer = decide(x)
        calls += 1
        return answer

    return decided


@dataclass(frozen=True)
class LearnedStep:
    """A network: concatenated `inputs`, the slot of the value its change is added to, noise by name.

    copies: (slot, what puts a column of it into the network's value). latent: slot of the latent state that follows,
    where the value is a reading of it (see `observer`).
    """

    slot: int
    name: str
    inputs: tuple[int, ...]
    current: int | None
    project: bool
    copies: tuple[tuple[int, ColumnCopy], ...] = ()
    latent: int | None = None


@dataclass(frozen=True)
class ComputedStep:
    """Anything computed from other slots by a function of tensors in model space."""

    slot: int
    inputs: tuple[int, ...]
    compute: Callable[..., Tensor]


@dataclass(frozen=True)
class HistoryStep:
    """The last values of a slot: `past` holds `spec.lookback` frames of `width` before the present one."""

    slot: int
    source: int
    spec: HistorySpec
    width: int

    def value(self, past: Tensor, present: Tensor | None) -> Tensor:
        """`length` frames, oldest first, the newest `delay` steps ago."""
        if self.spec.delay == 0:
            assert present is not None
            return torch.cat([past, present], dim=-1)
        return past[..., : self.spec.length * self.width]

    def advance(self, past: Tensor, present: Tensor) -> Tensor:
        """The past as the next step sees it."""
        return torch.cat([past, present], dim=-1)[..., self.width :]


Step = LearnedStep | ComputedStep | HistoryStep


@dataclass(frozen=True)
class Plan:
    """slots: name -> position. before: leaf histories. steps: in order. carry: (from, to) between time steps.

    latents: observed transition -> slots of the latent values of its state, and of what follows; after all others.
    """

    slots: dict[str, int]
    before: tuple[HistoryStep, ...]
    steps: tuple[Step, ...]
    histories: tuple[HistoryStep, ...]
    carry: tuple[tuple[int, int], ...]
    counter: int | None
    one_step: float
    latents: dict[str, tuple[int, int]]

    @property
    def size(self) -> int:
        """The number of all slots."""
        return len(self.slots) + 2 * len(self.latents)

    def pasts(
        self, past: Mapping[str, Tensor], start: Mapping[str, Tensor], given: Mapping[str, Tensor]
    ) -> list[Tensor]:
        """The frames before the first step of every history, (..., lookback * d), in the order of `histories`.

        past: history -> its frames, where they are known; elsewhere the first value of its source, of `start` or
        `given` (node -> (..., d)), stands for them. Raises UserError where there is none.
        """
        names, pasts = {slot: name for name, slot in self.slots.items()}, []
        for kept in self.histories:
            name, source = names[kept.slot], names[kept.source]
            if name in past:
                pasts.append(past[name])
                continue
            first = start.get(source, given.get(source))
            if first is None:
                what = f"the history '{name}' needs the values of '{source}' before the first step"
                remedy = (
                    f"start with them: '{name}', (B, frames * columns), the oldest frame first; or with"
                    f" '{source}', (B, columns), which is held to have stood there"
                )
                raise UserError(Problem(what, remedy=remedy))
            pasts.append(first.repeat(*[1] * (first.dim() - 1), kept.spec.lookback))
        return pasts


def compile_plan(
    graph: DecisionGraph,
    codec: Codec,
    functions: Mapping[str, Callable[[dict[str, Tensor]], Tensor]],
    given: Iterable[str],
    actor: Actor | None,
    observed: Collection[str] = (),
) -> Plan:
    """What one time step of `graph` does when the nodes `given` are replayed and `actor` decides its own.

    observed: transitions whose values are readings of a latent state, which all transitions start from.
    """
    replayed = set(given)
    if actor is not None:
        graph = actor.graph or graph.with_inputs(actor.node, actor.inputs)
        codec = actor.codec or codec
    slots = {name: i for i, name in enumerate(graph.nodes)}
    latents = {name: (len(slots) + 2 * i, len(slots) + 2 * i + 1) for i, name in enumerate(observed)}
    behind = {**slots}  # what transitions see
    for name, (now, following) in latents.items():
        behind.update({graph.state_of(name): now, name: following})
    before: list[HistoryStep] = []
    steps: list[Step] = []
    histories: list[HistoryStep] = []
    for name, node in graph.nodes.items():
        if node.kind is NodeKind.HISTORY and node.history and name not in replayed:
            source = node.history.source
            kept = HistoryStep(slots[name], slots[source], node.history, codec[source].width)
            histories.append(kept)
            (before if node.is_leaf else steps).append(kept)
        elif node.is_leaf or name in replayed:
            continue
        elif actor is not None and actor.node == name:
            steps.append(ComputedStep(slots[name], _of(slots, actor.inputs), _joined(actor.begun())))
        elif node.is_learned:
            seen = behind if name in graph.transitions else slots
            current = seen[graph.state_of(name)] if name in graph.transitions else None
            bounded = codec[name].is_bounded
            copies = tuple((slots[c.source], ColumnCopy.of(graph, codec, name, c)) for c in node.copies)
            latent = latents[name][1] if name in latents else None
            steps.append(
                LearnedStep(slots[name], name, _of(seen, node.inputs), current, bounded, copies, latent)
            )
        else:
            steps.append(
                ComputedStep(slots[name], _of(slots, node.inputs), computation(graph, codec, name, functions))
            )
    carry = tuple((slots[graph.next_of(state)], slots[state]) for state in graph.states)
    carry += tuple((following, now) for now, following in latents.values())
    counter = slots[graph.step] if graph.step and graph.step not in replayed else None
    one_step = 1.0 / float(codec[graph.step].scale[0]) if graph.step else 0.0
    return Plan(slots, tuple(before), tuple(steps), tuple(histories), carry, counter, one_step, latents)


def _of(slots: Mapping[str, int], names: Sequence[str]) -> tuple[int, ...]:
    return tuple(slots[name] for name in names)


def _joined(decide: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    def compute(*parts: Tensor) -> Tensor:
        return decide(parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1))

    return compute


def computation(
    graph: DecisionGraph,
    codec: Codec,
    name: str,
    functions: Mapping[str, Callable[[dict[str, Tensor]], Tensor]],
) -> Callable[..., Tensor]:
    """A function node's computation, from model space to model space."""
    node, spec = graph[name], graph[name].function
    builtin = spec.builtin if spec else None
    if builtin == "push":
        return _push(graph, codec, name)
    if builtin == "part":
        return _part(graph, name)
    if builtin == "newest":
        width = codec[name].width
        return lambda history: history[..., -width:]
    if builtin == "add":
        first, second = (codec[i] for i in node.inputs)
        return lambda x, y: codec[name].encode(first.decode(x) + second.decode(y))
    if builtin == "step":
        (source,) = node.inputs
        return lambda x: codec[name].encode(codec[source].decode(x) + 1.0)
    function, inputs = functions[name], node.inputs

    def compute(*parts: Tensor) -> Tensor:
        physical = {i: codec[i].decode(part) for i, part in zip(inputs, parts, strict=True)}
        return codec[name].encode(function(physical))

    return compute


def _part(graph: DecisionGraph, name: str) -> Callable[..., Tensor]:
    """The dimensions of a node out of the joint decision that it is a part of."""
    index = places_of(graph, graph[name].inputs[0])[name]
    return lambda joint: joint[..., index]


def _push(graph: DecisionGraph, codec: Codec, name: str) -> Callable[..., Tensor]:
    """The history among the inputs, its oldest frame dropped, and the other input at its end."""
    inputs = graph[name].inputs
    at = next(i for i, source in enumerate(inputs) if graph[source].history is not None)
    width = codec[inputs[1 - at]].width

    def compute(*parts: Tensor) -> Tensor:
        return torch.cat([parts[at][..., width:], parts[1 - at]], dim=-1)

    return compute
