"""Where training rollouts start: logged states, states from all over the range, shuffled windows."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from revive.data.windows import Rows
from revive.policy.reward import Reward
from revive.venv.virtual_env import VirtualEnv


@dataclass(frozen=True)
class Start:
    """start node -> (M, B, d); replayed node -> (T, M, B, d); history -> its frames before, (M, B, ...)."""

    state: dict[str, Tensor]
    given: dict[str, Tensor]
    past: dict[str, Tensor]


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

    def draw(self, branches: int, horizon: int, generator: torch.Generator) -> Start:
        """Starts for every member, with what is replayed for `horizon` steps."""
        venv = self.venv
        first = self._rows(branches, generator)
        state, past = self.rows.at(first, venv.start_nodes), self.rows.past(first)
        wide = (torch.rand(first.shape, generator=generator) < self.wide).unsqueeze(-1)
        for name in venv.graph.states:
            if self.venv.graph[name].history is not None:
                continue  # a learned stack has no meaning outside the logs
            low, high = self.ranges[name]
            spread = torch.rand(state[name].shape, generator=generator)
            anywhere = venv.codec[name].project(low + (high - low) * spread)
            state[name] = torch.where(wide, anywhere, state[name])
            for history, frames in past.items():
                if self.rows.histories[history].source == name:
                    still = state[name].repeat(1, 1, frames.shape[-1] // state[name].shape[-1])
                    past[history] = torch.where(wide, still, frames)
        elsewhere = torch.rand(first.shape, generator=generator) < self.shuffled
        moment = torch.where(elsewhere, self._rows(branches, generator), first)
        given = self.rows.at(self.rows.reflected(moment, horizon), venv.replayed_nodes)
        return Start(state, given, past)

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
    horizon = min(horizon, int(rows.lengths.max()))
    first = torch.cat(
        [torch.linspace(p.start, p.stop - 1, 33)[:-1].long().expand(per_half, -1) for p in rows.parts]
    )
    index, valid = rows.windows(first, horizon)
    data, past = rows.at(index), rows.past(first)
    moved = {**data, target: data[target].clone()}
    moved[target][0] = _elsewhere(venv, target, data[target][0])
    before, after = (reward(venv.codec.decode(venv.replay(d, past))) for d in (data, moved))
    effect = ((after - before).abs() * valid).sum((1, 2)) / valid.sum((1, 2)).clamp_min(1)
    return int(effect.argmax()) + 1


def _elsewhere(venv: VirtualEnv, target: str, action: Tensor) -> Tensor:
    """Half a spread more of the ordered dimensions, the next value of every category."""
    layout = venv.codec.layout(target)
    parts = [action[..., : layout.ordered] + 0.5]
    parts += [action[..., a:b].roll(1, dims=-1) for a, b in layout.blocks]
    return torch.cat(parts, dim=-1)
