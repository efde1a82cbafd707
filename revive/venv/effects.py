"""Declared effects: signs and slope bounds that a user knows, held by a penalty over the whole legal range.

For a declared effect of input column i on output column o a hinge is laid on the slope between two points that
differ in i alone: `relu(-sign * slope + margin)` and `relu(|slope| - max_slope)`, slopes in model space. The points
are drawn over the whole observed and declared box, not near the data: a sign that only holds where the logs were
is what an optimiser walks around. A node whose network is `monotone` cannot contradict a sign, and is only charged for
slopes that are too steep.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch
from torch import Tensor

from revive.data.declared import DeclaredEffect, declared_effects
from revive.nn.ensemble import SkipNet
from revive.nn.monotone import MonotoneNet
from revive.venv.virtual_env import VirtualEnv

MARGIN = 0.01  # of a slope in model space, so that a flat response does not count as the declared one


class EffectPenalty:
    """The penalty of all effects that the graph declares; `ranges` node -> (lowest, highest) in model space."""

    def __init__(
        self, venv: VirtualEnv, ranges: Mapping[str, tuple[Tensor, Tensor]], samples: int = 64
    ) -> None:
        self.venv, self.samples = venv, samples
        effects = [effect for name in venv.graph.learned for effect in declared_effects(venv.graph, name)]
        self.hinges = [e for e in effects if e.largest is not None or not _held(venv, e)]
        self.largest = {hinge: self._largest(hinge) for hinge in self.hinges}
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
            signed = hinge.sign and not _held(self.venv, hinge)
            cost = torch.relu(MARGIN - hinge.sign * slope) if signed else torch.zeros_like(slope)
            if (largest := self.largest[hinge]) is not None:
                cost = cost + torch.relu(slope.abs() - largest)
            total = total + cost.mean(1)
        return total

    @torch.no_grad()
    def project_start(self, warm: Collection[str]) -> None:
        """Give the linear skips that training starts from the declared signs and slopes; not to `warm` nodes."""
        for hinge in self.hinges:
            net = self.venv.model(hinge.node).net
            if hinge.node in warm or not isinstance(net, SkipNet) or _held(self.venv, hinge):
                continue
            unit = self.venv.model(hinge.node).scale[hinge.output]
            shift = self._from_current(hinge)
            slope = net.skip.weight[:, hinge.column, hinge.output] * unit + shift  # (M,)
            if hinge.sign:
                slope = hinge.sign * (hinge.sign * slope).clamp_min(MARGIN)
            if (largest := self.largest[hinge]) is not None:
                slope = slope.clamp(-largest, largest)
            net.skip.weight[:, hinge.column, hinge.output] = (slope - shift) / unit

    def _largest(self, effect: DeclaredEffect) -> float | None:
        """The largest slope in model space."""
        if effect.largest is None:
            return None
        codec = self.venv.codec
        source = codec[effect.source].scale[effect.source_dimension]
        return effect.largest * float(
            source / codec[effect.node].scale[effect.output % codec[effect.node].width]
        )

    def _from_current(self, effect: DeclaredEffect) -> float:
        """1 where the input column is the very value that the change is added to, else 0."""
        adds = self.venv.current_name(effect.node) is not None
        return 1.0 if adds and effect.present else 0.0


def _held(venv: VirtualEnv, effect: DeclaredEffect) -> bool:
    """Whether the network cannot contradict the sign of an effect."""
    return isinstance(venv.model(effect.node).net, MonotoneNet)
