"""Declared effects: signs and slope bounds that a user knows, held by a penalty over the whole legal range.

For a declared effect of input column i on output column o a hinge is laid on the slope between two points that
differ in i alone: `relu(-sign * slope + margin)` and `relu(|slope| - max_slope)`, slopes in model space. The points
are drawn over the whole observed and declared box, not near the data: a sign that only holds where the logs were
is what an optimiser walks around.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from revive.errors import Problem, UserError
from revive.nn.ensemble import SkipNet
from revive.venv.virtual_env import VirtualEnv

MARGIN = 0.01  # of a slope in model space, so that a flat response does not count as the declared one


@dataclass(frozen=True)
class _Hinge:
    """An effect in model space: column of the concatenated inputs, output dimension, sign, largest slope."""

    node: str
    column: int
    output: int
    sign: float
    largest: float | None


class EffectPenalty:
    """The penalty of all effects that the graph declares; `ranges` node -> (lowest, highest) in model space."""

    def __init__(
        self, venv: VirtualEnv, ranges: Mapping[str, tuple[Tensor, Tensor]], samples: int = 64
    ) -> None:
        self.venv, self.samples = venv, samples
        self.hinges = [hinge for name in venv.graph.learned for hinge in _hinges(venv, name)]
        self.box = {
            name: tuple(torch.cat([ranges[i][edge] for i in venv.graph[name].inputs]) for edge in (0, 1))
            for name in {hinge.node for hinge in self.hinges}
        }

    def __call__(self, generator: torch.Generator) -> Tensor:
        """The members' penalties, averaged over drawn points; 0 where nothing is declared: (M,)."""
        total = torch.zeros(self.venv.members, device=generator.device)
        for hinge in self.hinges:
            low, high = self.box[hinge.node]
            spread = torch.rand(
                self.venv.members, self.samples, len(low), generator=generator, device=generator.device
            )
            x = low + (high - low) * spread
            step = 0.1 * (high - low)[hinge.column].clamp_min(1e-3)
            moved = x.clone()
            moved[..., hinge.column] += step
            model = self.venv.model(hinge.node)
            # the current value cancels in the difference, and with it what the change is added to
            slope = (model.mean(moved) - model.mean(x))[..., hinge.output] / step
            slope = slope + self._from_current(hinge)
            cost = torch.relu(MARGIN - hinge.sign * slope) if hinge.sign else torch.zeros_like(slope)
            if hinge.largest is not None:
                cost = cost + torch.relu(slope.abs() - hinge.largest)
            total = total + cost.mean(1)
        return total

    @torch.no_grad()
    def project_start(self, warm: Collection[str]) -> None:
        """Give the linear skips that training starts from the declared signs and slopes; not to `warm` nodes."""
        for hinge in self.hinges:
            net = self.venv.model(hinge.node).net
            if hinge.node in warm or not isinstance(net, SkipNet):
                continue
            unit = self.venv.model(hinge.node).scale[hinge.output]
            shift = self._from_current(hinge)
            slope = net.skip.weight[:, hinge.column, hinge.output] * unit + shift  # (M,)
            if hinge.sign:
                slope = hinge.sign * (hinge.sign * slope).clamp_min(MARGIN)
            if hinge.largest is not None:
                slope = slope.clamp(-hinge.largest, hinge.largest)
            net.skip.weight[:, hinge.column, hinge.output] = (slope - shift) / unit

    def _from_current(self, hinge: _Hinge) -> float:
        """1 where the input column is the very value that the change is added to, else 0."""
        current = self.venv.current_name(hinge.node)
        start = 0
        for name in self.venv.graph[hinge.node].inputs:
            if name == current and hinge.column - start == hinge.output:
                return 1.0
            start += self.venv.codec.width(name)
        return 0.0


def _hinges(venv: VirtualEnv, name: str) -> list[_Hinge]:
    graph, codec = venv.graph, venv.codec
    hinges = []
    for effect in graph[name].effects:
        start = sum(
            codec.width(other) for other in graph[name].inputs[: graph[name].inputs.index(effect.input)]
        )
        column = start + _dimension(venv, effect.input, effect.input_column)
        output = _dimension(venv, name, effect.output_column)
        sign = {"increasing": 1.0, "decreasing": -1.0, None: 0.0}[effect.direction]
        largest = None
        if effect.max_slope is not None:  # from physical units to model space
            source = codec[effect.input].scale[
                _dimension(venv, effect.input, effect.input_column, frame=False)
            ]
            largest = effect.max_slope * float(source / codec[name].scale[output])
        hinges.append(_Hinge(name, column, output, sign, largest))
    return hinges


def _dimension(venv: VirtualEnv, node: str, column: str, frame: bool = True) -> int:
    """The model-space dimension of a column of a node. Raises UserError where it has none of its own."""
    columns = venv.graph[node].columns
    index = next(i for i, c in enumerate(columns) if c.name == column)
    codec = venv.codec[node]
    per_frame = len(codec.columns)
    within = codec.terms.index(index % per_frame)
    if columns[index].type == "category" or columns[index].scale == "cyclic":
        raise UserError(Problem(f"'{column}' has no order, so no effect of it can be declared", place=node))
    return within + (index // per_frame * codec.width if frame else 0)
