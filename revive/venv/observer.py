"""What a reading says about the state behind it, where sensors are noisy.

A state node is then a reading; behind it stands a latent state that transitions start from. With the gain g of a
column:

    y(t+1) = f(x(t), a(t)) + e(t+1),        x(t+1) = f(x(t), a(t)) + g e(t+1)

the innovations form of a state-space model with a steady gain (Ljung 1999, System Identification, section 4.3): e is
what a reading holds beyond the prediction. Rollouts draw e, or take it from readings that were logged; decisions see y.
So noise of a sensor does not add up along a rollout, and does not draw what is learned towards the mean, as it does
where next values are regressed on readings (errors in variables). With g = 1 a reading is the state.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import torch
from torch import Tensor, nn

from revive.data.codec import Codec
from revive.graph.decision_graph import DecisionGraph

BURN_IN = 20  # readings that the latent state of a window is estimated from
LARGEST = 0.95  # gain that learning starts from, 0.05 the smallest


class Readings(NamedTuple):
    """Logged values of a transition for the first steps of a rollout: value (T, M, B, d), known likewise or None."""

    value: Tensor
    known: Tensor | None

    def at(self, step: int, predicted: Tensor) -> Tensor:
        """The reading of a step, (M, B, d); what was predicted where it is missing."""
        value = self.value[step]
        return value if self.known is None else torch.where(self.known[step] > 0, value, predicted)


class Observer(nn.Module):
    """The gains of one transition's columns, member by member; 1 for columns that are no numbers.

    Args:
        members: M.
        width: dimensions of the node in model space, the first `continuous` of which have a gain.
    """

    def __init__(self, members: int, width: int, continuous: int) -> None:
        super().__init__()
        self.rest = width - continuous
        self.logit = nn.Parameter(torch.full((members, 1, continuous), 3.0))

    @property
    def gain(self) -> Tensor:
        """(M, 1, width), from 0 (readings say nothing) to 1 (a reading is the state)."""
        return nn.functional.pad(torch.sigmoid(self.logit), (0, self.rest), value=1.0)

    @torch.no_grad()
    def set(self, gain: Tensor) -> None:
        """Start from gains (M, 1, continuous), or near them: at 0 and 1 nothing could be learned."""
        self.logit.copy_(torch.logit(gain.clamp(1.0 - LARGEST, LARGEST)))

    def update(self, predicted: Tensor, reading: Tensor) -> Tensor:
        """The latent state after a reading; all (M, B, width)."""
        return torch.lerp(predicted, reading, self.gain.to(predicted.dtype))


def observable(graph: DecisionGraph, codec: Codec, nodes: Collection[str]) -> tuple[str, ...]:
    """Those transitions among `nodes` whose state can be latent.

    Other transitions must see that state directly: one that sees a history of it filters by itself, and one that sees a
    function of it would meet the function of a reading.
    """
    found = []
    for name in nodes:
        if not graph[name].is_learned or graph[name].history is not None or graph[name].copies:
            continue
        between = _onward(graph, {name, graph.state_of(name)})
        reach = any(source in between for t in graph.transitions for source in graph[t].inputs)
        if codec.layout(name).continuous and not reach:
            found.append(name)
    return tuple(found)


def _onward(graph: DecisionGraph, sources: set[str]) -> set[str]:
    """What is computed from the nodes, up to decisions and transitions."""
    stops = {*graph.decisions, *graph.transitions}
    reached: set[str] = set()
    grown = True
    while grown:
        more = {
            name
            for name in graph.nodes
            if name not in stops and (reached | sources).intersection(_sources(graph, name))
        }
        grown = not more <= reached
        reached |= more
    return reached


def _sources(graph: DecisionGraph, name: str) -> tuple[str, ...]:
    history = graph[name].history
    return (*graph[name].inputs, *((history.source,) if history else ()))
