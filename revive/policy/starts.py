"""Where training rollouts start: logged states, states from all over the range, shuffled windows."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from revive.data.windows import Rows
from revive.policy.reward import Reward
from revive.venv.virtual_env import VirtualEnv


@dataclass(frozen=True)
class Starts:
    """Draws starts for every member from the rows of its own half.

    ranges: state node -> (lowest, highest), (d,) each, model space.
    wide: share of the branches whose state is drawn uniformly over its range instead of from a row.
    shuffled: share of the branches whose exogenous series comes from another moment than the state.
    """

    venv: VirtualEnv
    rows: Rows
    ranges: dict[str, tuple[Tensor, Tensor]]
    wide: float
    shuffled: float

    def draw(
        self, branches: int, horizon: int, generator: torch.Generator
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """-> state node -> (M, B, d), exogenous node -> (horizon, M, B, d)."""
        first = self._rows(branches, generator)
        state = self.rows.at(first, self.venv.graph.states)
        wide = torch.rand(first.shape, generator=generator) < self.wide
        for name, value in state.items():
            spread = torch.rand(value.shape, generator=generator)
            low, high = self.ranges[name]
            anywhere = low + (high - low) * spread
            state[name] = torch.where(wide.unsqueeze(-1), anywhere, value)
        elsewhere = torch.rand(first.shape, generator=generator) < self.shuffled
        moment = torch.where(elsewhere, self._rows(branches, generator), first)
        given = self.rows.at(self.rows.reflected(moment, horizon), self.venv.graph.exogenous)
        return state, given

    def _rows(self, branches: int, generator: torch.Generator) -> Tensor:
        per_half = self.venv.members // self.venv.halves
        return torch.cat(
            [
                torch.randint(p.start, p.stop, (per_half, branches), generator=generator)
                for p in self.rows.parts
            ]
        )


@torch.no_grad()
def dead_time(venv: VirtualEnv, rows: Rows, target: str, reward: Reward, horizon: int = 100) -> int:
    """Steps until a change of the action shows most in the reward, counted from 1.

    Two open-loop rollouts of the recorded actions, one of them with the first action moved by half a
    spread: the step at which the mean absolute difference of the reward is largest.
    """
    per_half = venv.members // venv.halves
    longest = int(rows.lengths.max())
    horizon = min(horizon, longest)
    first = torch.cat(
        [torch.linspace(p.start, p.stop - 1, 33)[:-1].long().expand(per_half, -1) for p in rows.parts]
    )
    index, valid = rows.windows(first, horizon)
    data = rows.at(index)
    start = {name: data[name][0] for name in venv.graph.states}
    given = {name: data[name] for name in (*venv.graph.exogenous, *venv.graph.decisions)}
    moved = dict(given)
    moved[target] = given[target].clone()
    moved[target][0] += 0.5
    before, after = (reward(venv.codec.decode(venv.rollout(start, g, horizon))) for g in (given, moved))
    effect = ((after - before).abs() * valid).sum((1, 2)) / valid.sum((1, 2)).clamp_min(1)
    return int(effect.argmax()) + 1
