"""Where training rollouts start: logged states, states from all over the range, shuffled windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from revive.data.windows import Rows
from revive.venv.virtual_env import VirtualEnv


@dataclass(frozen=True)
class Start:
    """start node -> (M, B, d); replayed node -> (T, M, B, d); history -> its frames before, (M, B, ...)."""

    state: dict[str, Tensor]
    given: dict[str, Tensor]
    past: dict[str, Tensor]

    @classmethod
    def joined(cls, parts: Sequence[Start]) -> Start:
        """The branches of all of them, side by side."""

        def join(tables: list[dict[str, Tensor]]) -> dict[str, Tensor]:
            return {name: torch.cat([table[name] for table in tables], dim=-2) for name in tables[0]}

        return cls(*(join([getattr(part, f.name) for part in parts]) for f in fields(cls)))


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
        wide = (_uniform(first, generator) < self.wide).unsqueeze(-1)
        for name in venv.graph.states:
            if self.venv.graph[name].history is not None:
                continue  # a learned stack has no meaning outside the logs
            low, high = self.ranges[name]
            spread = _uniform(state[name], generator)
            anywhere = venv.codec[name].project(low + (high - low) * spread)
            state[name] = torch.where(wide, anywhere, state[name])
            for history, frames in past.items():
                if self.rows.histories[history].source == name:
                    still = state[name].repeat(1, 1, frames.shape[-1] // state[name].shape[-1])
                    past[history] = torch.where(wide, still, frames)
        elsewhere = _uniform(first, generator) < self.shuffled
        moment = torch.where(elsewhere, self._rows(branches, generator), first)
        given = self.rows.at(self.rows.reflected(moment, horizon), venv.replayed_nodes)
        return Start(state, given, past)

    def _rows(self, branches: int, generator: torch.Generator) -> Tensor:
        per_half = self.venv.members // self.venv.halves
        return torch.cat(
            [
                torch.randint(
                    p.start, p.stop, (per_half, branches), generator=generator, device=generator.device
                )
                for p in self.rows.parts
            ]
        )


def _uniform(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.rand(like.shape, generator=generator, device=generator.device)
