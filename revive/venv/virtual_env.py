"""The virtual environment: a decision flow graph whose learned nodes are ensembles of networks.

The graph is data, the step is a plan (plan.py). All tensors here are in model space, members in front:
(M, B, d), time before that: (T, M, B, d). A branch (an index of B) belongs to the member it stands under.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from revive.graph.found import Late
from revive.graph.names import history_name
from revive.venv.closing import Closing
from revive.venv.graph_models import GraphModels
from revive.venv.observer import Readings
from revive.venv.plan import Actor, compile_plan
from revive.venv.stepping import Stepper

__all__ = ["Actor", "VirtualEnv"]

Noise = Mapping[str, Tensor]


class VirtualEnv(GraphModels):
    """What `GraphModels` holds, stepped and rolled out.

    closing: what ends batches where no `done` does (closing.py); known where policies are learned and judged.
    """

    closing: Closing | None = None

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
        if done is not None and done in self.graph.order:
            going = (self.codec[done].decode(rolled[done])[..., 0] < 0.5).float()
        elif self.closing is None or (closed := self.closing.going(self.codec, rolled)) is None:
            return None
        else:
            going = closed
        going = going.cumprod(0)
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
        latent: observed transition -> the state behind the first reading, (M, B, d), where more than it is known.
        together: the members of a half answer with their mean at every step (modes.py names the ways to answer).
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
        """The middle of the logs for the past of what was found to be late, where not even its present is known."""
        found = {}
        for said in self.graph.found:
            if isinstance(said, Late) and said.node not in known:
                shape = (
                    *next(iter(known.values())).shape[:-1],
                    (said.frames - 1) * self.codec.width(said.node),
                )
                found[history_name(said.node, said.frames)] = torch.zeros(shape, device=self.device)
        return found

    def hand_on(self, x: Tensor, shift: int) -> Tensor:
        """(M, ...) with every member's entry moved to the member `shift` places on in its half."""
        halves = x.view(self.halves, -1, *x.shape[1:])
        return halves.roll(shift, dims=1).reshape(x.shape)
