"""The virtual environment: a decision flow graph whose learned nodes are ensembles of networks.

The graph is data, the step is a plan: which value feeds which is worked out once, so that a rollout
runs tensor work only. All tensors here are in model space, members in front: (M, B, d), time before
that: (T, M, B, d). A branch (an index of B) belongs to the member it stands under.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from revive.data.codec import Codec
from revive.graph.decision_graph import DecisionGraph
from revive.venv.node_model import NetworkSpec, NodeModel

Values = dict[str, Tensor]


@dataclass(frozen=True)
class Actor:
    """Who decides a node in a rollout in place of its model: (M, B, inputs) -> (M, B, width)."""

    node: str
    inputs: tuple[str, ...]
    decide: Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class _Step:
    """One computed node of the plan; the numbers are slots of the value list."""

    slot: int
    name: str
    inputs: tuple[int, ...]
    current: int | None
    given: bool
    decide: Callable[[Tensor], Tensor] | None


class VirtualEnv(nn.Module):
    """Graph + codec + node models with a member axis; members of both halves lie side by side.

    Members `0 .. M/2 - 1` learned from the training half, the rest from the validation half.
    """

    halves = 2

    def __init__(
        self,
        graph: DecisionGraph,
        codec: Codec,
        members: int,
        spec: NetworkSpec,
        scales: Mapping[str, list[float]],
    ) -> None:
        super().__init__()
        self.graph = graph
        self.codec = codec
        self.members = members
        self.spec = spec
        self.scales = dict(scales)
        self.models = nn.ModuleDict(
            {
                name: NodeModel(members, self.input_width(name), graph[name].width, spec, scales[name])
                for name in graph.learned
            }
        )

    def model(self, node: str) -> NodeModel:
        model = self.models[node]
        assert isinstance(model, NodeModel)
        return model

    def input_width(self, node: str) -> int:
        return sum(self.graph[name].width for name in self.graph[node].inputs)

    def current_name(self, node: str) -> str | None:
        """The state node that a transition node's change is added to."""
        return self.graph.state_of(node) if node in self.graph.transitions else None

    def members_of(self, half: int) -> slice:
        per_half = self.members // self.halves
        return slice(half * per_half, (half + 1) * per_half)

    def subset(self, members: Tensor) -> VirtualEnv:
        """A venv of some of the members: indices (m,), half of them of each half."""
        other = VirtualEnv(self.graph, self.codec, len(members), self.spec, self.scales)
        picked = {
            key: value[members] if key in dict(self.named_parameters()) else value
            for key, value in self.state_dict().items()
        }
        other.load_state_dict(picked)
        return other

    def to_json(self) -> dict[str, Any]:
        """What `from_json` needs to make a venv of the same shape."""
        return {
            "graph": self.graph.to_json(),
            "members": self.members,
            "network": self.spec.to_json(),
            "scales": self.scales,
        }

    @classmethod
    def from_json(cls, spec: dict[str, Any]) -> VirtualEnv:
        """An untrained venv, for `load_state_dict` to fill."""
        graph = DecisionGraph.from_json(spec["graph"])
        network = NetworkSpec.from_json(spec["network"])
        return cls(graph, Codec.empty(graph), spec["members"], network, spec["scales"])

    def node_inputs(self, node: str, values: Mapping[str, Tensor]) -> tuple[Tensor, Tensor | None]:
        """Concatenated inputs of a node's model, and the current value a change is added to."""
        current = self.current_name(node)
        x = torch.cat([values[name] for name in self.graph[node].inputs], dim=-1)
        return x, None if current is None else values[current]

    def rollout(
        self,
        start: Mapping[str, Tensor],
        given: Mapping[str, Tensor],
        horizon: int,
        *,
        actor: Actor | None = None,
        noise: Mapping[str, Tensor] | None = None,
        shifts: list[int] | None = None,
    ) -> Values:
        """Run the graph for `horizon` steps.

        start: state node -> (M, B, d) at the first step. given: exogenous node, or decision node whose
        recorded value is to be replayed, -> (T, M, B, d). actor: decides its node in place of the model.
        noise: learned node -> standard normal (T, M, B, d); a node without noise takes its mean.
        shifts: per step, by how many members the branches are handed on within their half (the member
        that answers then changes along a branch). Returns every node's values, (T, M, B, d).
        """
        names = list(self.graph.nodes)
        slot = {name: i for i, name in enumerate(names)}
        plan = self._plan(slot, given, actor)
        carry = [(slot[self.graph.next_of(state)], slot[state]) for state in self.graph.states]
        replay = [(slot[name], values.unbind(0)) for name, values in given.items()]
        drawn = {slot[name]: eps.unbind(0) for name, eps in (noise or {}).items()}
        record: list[list[Tensor]] = []
        values: list[Tensor] = [torch.empty(0)] * len(names)
        for state in self.graph.states:
            values[slot[state]] = start[state]
        for t in range(horizon):
            values = list(values)
            for where, series in replay:
                values[where] = series[t]
            for step in plan:
                if not step.given:
                    eps = drawn[step.slot][t] if step.slot in drawn else None
                    values[step.slot] = self._evaluate(step, values, eps, shifts[t] if shifts else 0)
            record.append(values)
            values = list(values)
            for source, target in carry:
                values[target] = values[source]
        return {name: torch.stack([row[i] for row in record]) for name, i in slot.items()}

    def _plan(self, slot: Mapping[str, int], given: Mapping[str, Tensor], actor: Actor | None) -> list[_Step]:
        plan = []
        order = self.graph.order if actor is None else self.graph.with_inputs(actor.node, actor.inputs).order
        for name in order:
            acts = actor is not None and actor.node == name
            inputs = actor.inputs if actor and acts else self.graph[name].inputs
            current = self.current_name(name)
            plan.append(
                _Step(
                    slot[name],
                    name,
                    tuple(slot[i] for i in inputs),
                    None if current is None else slot[current],
                    name in given,
                    actor.decide if actor and acts else None,
                )
            )
        return plan

    def _evaluate(self, step: _Step, values: list[Tensor], eps: Tensor | None, shift: int) -> Tensor:
        parts = [values[i] for i in step.inputs]
        x = parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)
        if step.decide is not None:
            return step.decide(x)
        current = None if step.current is None else values[step.current]
        if shift:
            x = self._hand_on(x, shift)
            current = None if current is None else self._hand_on(current, shift)
        mean, log_std = self.model(step.name)(x, current)
        value = mean if eps is None else torch.addcmul(mean, log_std.exp(), eps)
        return self._hand_on(value, -shift) if shift else value

    def _hand_on(self, x: Tensor, shift: int) -> Tensor:
        halves = x.view(self.halves, -1, *x.shape[1:])
        return halves.roll(shift, dims=1).reshape(x.shape)
