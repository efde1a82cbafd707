"""The virtual environment: a decision flow graph whose learned nodes are ensembles of networks.

The graph is data, the step is a plan (plan.py). All tensors here are in model space, members in front:
(M, B, d), time before that: (T, M, B, d). A branch (an index of B) belongs to the member it stands under.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from revive.data.codec import Codec
from revive.data.layout import Frames
from revive.errors import Problem, UserError
from revive.graph.decision_graph import DecisionGraph
from revive.graph.found import Late
from revive.graph.names import history_name
from revive.nn.ensemble import LinearSkipNet
from revive.venv.columnwise import seen_dimensions
from revive.venv.functions import UserCode
from revive.venv.node_model import NetworkSpec, NodeModel
from revive.venv.observer import BURN_IN, Observer, Readings
from revive.venv.plan import Actor, Plan, compile_plan
from revive.venv.stepping import Stepper

__all__ = ["Actor", "VirtualEnv"]

Noise = Mapping[str, Tensor]


class VirtualEnv(nn.Module):
    """Graph + codec + node models with a member axis; members of both halves lie side by side.

    Members `0 .. M/2 - 1` learned from the training half, the rest from the validation half. `code` is the
    user's, for function nodes that are not built in and for custom networks.
    """

    halves = 2

    def __init__(
        self,
        graph: DecisionGraph,
        codec: Codec,
        members: int,
        spec: NetworkSpec,
        scales: Mapping[str, list[float]],
        code: UserCode | None = None,
        observed: Sequence[str] = (),
        nodes: Mapping[str, NetworkSpec] | None = None,
    ) -> None:
        super().__init__()
        self.graph = graph
        self.codec = codec
        self.members = members
        self.spec = spec.sized()
        self.nodes = {name: own.sized() for name, own in (nodes or {}).items()}
        self.scales = dict(scales)
        self.code = code or UserCode()
        self.models = nn.ModuleDict(
            {
                name: NodeModel(
                    members,
                    self.input_width(name),
                    codec.layout(name),
                    self.network(name),
                    scales[name],
                    self.code.networks.get(name),
                    seen_dimensions(graph, codec, name),
                    _at_zero(codec, name) if self.network(name).head == "zero_inflated" else None,
                    history_frames(graph, codec, name),
                )
                for name in graph.learned
            }
        )
        self.observers = nn.ModuleDict()
        self.observe(observed)

    def network(self, node: str) -> NetworkSpec:
        """The shape of a node's network; one that grows has the venv's size where the node has none of its own."""
        own = self.nodes.get(node, self.spec)
        return replace(own, hidden=self.spec.hidden) if own.hidden is None else own

    @property
    def observed(self) -> tuple[str, ...]:
        """The transitions whose values are readings of a latent state."""
        return tuple(self.observers)

    @property
    def burn_in(self) -> int:
        """Readings that a latent state is to be estimated from; 0 where all states are what was read."""
        return BURN_IN if self.observed else 0

    def observe(self, nodes: Sequence[str]) -> None:
        """Take the values of these transitions for readings of a latent state, each with a gain of its own."""
        for name in nodes:
            width, continuous = self.codec.width(name), self.codec.layout(name).continuous
            self.observers[name] = Observer(self.members, width, continuous).to(self.device)

    def observer(self, node: str) -> Observer:
        observer = self.observers[node]
        assert isinstance(observer, Observer)
        return observer

    @torch.no_grad()
    def reading_noise(self, node: str) -> Tensor:
        """Standard deviation of a transition's readings about the latent state, members' mean, model space: (continuous,).

        The part of an innovation that does not stay; 0 without an observer.
        """
        width = self.codec.layout(node).continuous
        if node not in self.observed:
            return torch.zeros(width, device=self.device)
        model = self.model(node)
        std = model.free_log_std.exp()[..., :width] * model.scale[:width]
        return ((1.0 - self.observer(node).gain[..., :width]) * std).mean((0, 1))

    @property
    def device(self) -> torch.device:
        """Where its weights lie."""
        return next(self.codec.buffers()).device

    def model(self, node: str) -> NodeModel:
        model = self.models[node]
        assert isinstance(model, NodeModel)
        return model

    def input_width(self, node: str) -> int:
        return sum(self.codec.width(name) for name in self.graph[node].inputs)

    def current_name(self, node: str) -> str | None:
        """The state node that a transition node's change is added to."""
        adds = node in self.graph.transitions and self.network(node).transition == "residual"
        return self.graph.state_of(node) if adds else None

    def members_of(self, half: int) -> slice:
        per_half = self.members // self.halves
        return slice(half * per_half, (half + 1) * per_half)

    def subset(self, members: Tensor) -> VirtualEnv:
        """A venv of some of the members: indices (m,), half of them of each half."""
        other = VirtualEnv(
            self.graph,
            self.codec,
            len(members),
            self.spec,
            self.scales,
            self.code,
            self.observed,
            self.nodes,
        )
        own = {name for name, _ in self.named_parameters()}
        picked = {key: value[members] if key in own else value for key, value in self.state_dict().items()}
        other.load_state_dict(picked)
        return other.to(self.device).requires_grad_(any(p.requires_grad for p in self.parameters()))

    @torch.no_grad()
    def take_over(self, earlier: VirtualEnv) -> set[str]:
        """Copy the models of nodes with the same inputs, columns and network; returns their names.

        Members are taken in turn, half by half, where the earlier venv has fewer.
        """
        per_half = torch.arange(self.members // self.halves) % (earlier.members // earlier.halves)
        source = torch.cat([per_half, per_half + earlier.members // earlier.halves])
        taken = set()
        for name in self.graph.learned:
            if name not in earlier.models:
                continue
            mine, theirs = self.graph[name], earlier.graph[name]
            if (mine.inputs, mine.unseen) != (theirs.inputs, theirs.unseen):
                continue
            own, other = self.model(name), earlier.model(name)
            if own.spec.kind != other.spec.kind:
                continue
            shapes = {k: v.shape[1:] for k, v in own.named_parameters()}
            if shapes != {k: v.shape[1:] for k, v in other.named_parameters()}:
                continue
            for key, value in other.named_parameters():
                own.get_parameter(key).copy_(value[source])
            own.scale.copy_(other.scale)
            self.scales[name] = earlier.scales[name]
            taken.add(name)
        return taken

    @torch.no_grad()
    def widen_from(self, narrower: VirtualEnv) -> None:
        """Say what a venv of the same graph and members with fewer hidden units says; user's networks are copied."""
        for name in self.graph.learned:
            own, other = self.model(name), narrower.model(name)
            if isinstance(own.net, LinearSkipNet) and isinstance(other.net, LinearSkipNet) and own.spec.grows:
                own.net.widen_from(other.net)
                own.free_log_std.copy_(other.free_log_std)
                if own.head is not None and other.head is not None:
                    own.head.load_state_dict(other.head.state_dict())
            else:
                own.load_state_dict(other.state_dict())
        self.observers.load_state_dict(narrower.observers.state_dict())

    def to_json(self) -> dict[str, Any]:
        """What `from_json` needs to make a venv of the same shape."""
        return {
            "graph": self.graph.to_json(),
            "members": self.members,
            "network": self.spec.to_json(),
            "scales": self.scales,
            "observed": list(self.observed),
            **({"nodes": {name: spec.to_json() for name, spec in self.nodes.items()}} if self.nodes else {}),
        }

    @classmethod
    def from_json(cls, spec: dict[str, Any], code: UserCode | None = None) -> VirtualEnv:
        """An untrained venv, for `load_state_dict` to fill."""
        graph = DecisionGraph.from_json(spec["graph"])
        network = NetworkSpec.from_json(spec["network"])
        observed = spec.get("observed", ())
        nodes = {name: NetworkSpec.from_json(own) for name, own in spec.get("nodes", {}).items()}
        return cls(graph, Codec.empty(graph), spec["members"], network, spec["scales"], code, observed, nodes)

    def node_inputs(self, node: str, values: Mapping[str, Tensor]) -> tuple[Tensor, Tensor | None]:
        """Concatenated inputs of a node's model, and the current value a change is added to."""
        current = self.current_name(node)
        x = torch.cat([values[name] for name in self.graph[node].inputs], dim=-1)
        return x, None if current is None else values[current]

    def completed(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """A batch (M, B, d) of rows with the nodes that have no data filled in by the graph, with gradients."""
        missing = [name for name in self.graph.order if name not in batch]
        if not missing:
            return batch
        start = {name: batch[name] for name in self.start_nodes}
        given = {name: value.unsqueeze(0) for name, value in batch.items() if name not in start}
        rolled = self.rollout(start, given, 1)
        return {**batch, **{name: rolled[name][0] for name in missing}}

    @torch.no_grad()
    def alive(self, rolled: Mapping[str, Tensor]) -> Tensor | None:
        """1 until a branch has ended, 0 after the step that ended it: (T + 1, M, B). None where nothing ends."""
        done = self.graph.done
        if done is None or done not in self.graph.order:
            return None
        going = (self.codec[done].decode(rolled[done])[..., 0] < 0.5).float().cumprod(0)
        return torch.cat([torch.ones_like(going[:1]), going])

    def replay(
        self,
        data: Mapping[str, Tensor],
        past: Mapping[str, Tensor],
        noise: Noise | None = None,
        readings: Mapping[str, Readings] | None = None,
        latent: Mapping[str, Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """Open-loop rollout over windows of data, node -> (T, M, B, d): recorded decisions, own states.

        readings, latent: as of `rollout`.
        """
        recorded = (*self.replayed_nodes, *(name for name in self.graph.decisions if name in data))
        given = {name: data[name] for name in recorded}
        start = {name: data[name][0] for name in self.start_nodes}
        steps = len(next(iter(data.values())))
        return self.rollout(start, given, steps, past=past, noise=noise, readings=readings, latent=latent)

    # -- what a rollout needs ------------------------------------------------------------------

    @property
    def start_nodes(self) -> tuple[str, ...]:
        """Leaves that a rollout is started with and then keeps by itself: states, step counter."""
        return (*self.graph.states, *((self.graph.step,) if self.graph.step else ()))

    @property
    def replayed_nodes(self) -> tuple[str, ...]:
        """Leaves that must be given for every step."""
        kept = {*self.start_nodes, *self.graph.histories}
        used = {source for name in self.graph.order for source in self.graph[name].inputs}
        return tuple(name for name in self.graph.leaves if name not in kept and name in used)

    def noise(
        self, steps: int, branches: int, generator: torch.Generator, nodes: tuple[str, ...] | None = None
    ) -> dict[str, Tensor]:
        """Standard normal noise, node -> (T, M, B, width), for the learned nodes or some of them."""
        shape = (steps, self.members, branches)
        names = self.graph.learned if nodes is None else nodes
        return {
            name: torch.randn(*shape, self.codec.width(name), generator=generator, device=generator.device)
            for name in names
        }

    def rollout(
        self,
        start: Mapping[str, Tensor],
        given: Mapping[str, Tensor],
        horizon: int,
        *,
        past: Mapping[str, Tensor] | None = None,
        actor: Actor | None = None,
        noise: Noise | None = None,
        shifts: list[int] | None = None,
        readings: Mapping[str, Readings] | None = None,
        latent: Mapping[str, Tensor] | None = None,
        together: bool = False,
    ) -> dict[str, Tensor]:
        """Run the graph for `horizon` steps.

        start: start node -> (M, B, d) at the first step. given: replayed node, or decision node whose recorded
        value is to be replayed, -> (T, M, B, d). past: history -> its `lookback` frames before the first step,
        (M, B, lookback * d), oldest first; the source's first value where it is not given.
        actor: decides its node in place of the model. noise: learned node -> standard normal (T, M, B, d); a node
        without noise takes its likeliest value. shifts: per step, by how many members the branches are handed
        on within their half (the member that answers then changes along a branch). readings: transition -> what was
        logged at the first steps: the next step then goes on from there, or from what an observer makes of it.
        latent: observed transition -> the state behind the first reading, (M, B, d), where it is known better than by it.
        together: the members of a half answer with their mean at every step (see modes.py for the ways that have names).
        Returns every node's values, (T, M, B, d).
        """
        plan = compile_plan(self.graph, self.codec, self.code.functions, given, actor, self.observed)
        drawn = {name: eps.unbind(0) for name, eps in (noise or {}).items()}
        replay = [
            (plan.slots[name], series.unbind(0)) for name, series in given.items() if name in plan.slots
        ]
        values: list[Tensor | None] = [None] * plan.size
        for name, value in start.items():
            values[plan.slots[name]] = value
        for name, (behind, _) in plan.latents.items():
            values[behind] = (latent or {}).get(name, start[self.graph.state_of(name)])
        first = {name: series[0] for name, series in given.items()}
        pasts = plan.pasts({**self._supposed({**first, **start}), **(past or {})}, start, first)
        stepper = Stepper(self, plan, pasts, readings or {}, together)
        record: list[list[Tensor | None]] = []
        for t in range(horizon):
            values = list(values)
            for slot, series in replay:
                values[slot] = series[t]
            stepper.step(values, {name: eps[t] for name, eps in drawn.items()}, shifts[t] if shifts else 0)
            record.append(values)
            values = stepper.carried(values, t)
        return {
            name: torch.stack([row[i] for row in record])  # type: ignore[misc]
            for name, i in plan.slots.items()
            if record[0][i] is not None
        }

    def _supposed(self, known: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The middle of the logs for the past of what nobody declared to be late, where not even its present is known."""
        found = {}
        for said in self.graph.found:
            if isinstance(said, Late) and said.node not in known:
                shape = (*next(iter(known.values())).shape[:-1], (said.frames - 1) * self.codec.width(said.node))
                found[history_name(said.node, said.frames)] = torch.zeros(shape, device=self.device)
        return found

    def hand_on(self, x: Tensor, shift: int) -> Tensor:
        """(M, ...) with every member's entry moved to the member `shift` places on in its half."""
        halves = x.view(self.halves, -1, *x.shape[1:])
        return halves.roll(shift, dims=1).reshape(x.shape)


def _at_zero(codec: Codec, node: str) -> Tensor:
    """Where the continuous dimensions of a node lie in model space when its columns are zero."""
    one = codec[node]
    zero = one.encode(torch.zeros(1, len(one.columns), dtype=torch.float64, device=one.center.device))[0]
    continuous = codec.layout(node).continuous
    return zero[: one.layout.continuous].repeat(continuous // max(1, one.layout.continuous))


def history_frames(graph: DecisionGraph, codec: Codec, node: str) -> list[Frames]:
    """The histories among the inputs of a node."""
    found, start = [], 0
    for source in graph[node].inputs:
        width, one = codec.width(source), codec[source].width
        if width > one:
            found.append(Frames(start, width // one, one))
        start += width
    return found
