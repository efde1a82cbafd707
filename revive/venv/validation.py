"""How far a venv can be trusted: open-loop rollouts against data that its members never saw."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from revive.data.codec import NodeCodec
from revive.data.windows import Rows
from revive.venv.judging import latent_states
from revive.venv.virtual_env import VirtualEnv

Array = NDArray[np.float64]
HORIZONS = (1, 10, 50, 100)


@dataclass(frozen=True)
class RolloutError:
    """Errors of open-loop rollouts (recorded decisions and exogenous values), in physical units.

    venv, persistence, average: transition -> (halves, T, d), the mean absolute error of the members' mean, of "nothing
    changes" and of "always the mean" of the half that was learned from, at each step; half i was learned from part i of
    the data and judged on the other.
    windows: the number of windows of each half; they overlap. For a category column the error is the share of
    wrong values.
    spread: transition -> (d,), the standard deviation of the data, to compare columns by.
    """

    venv: dict[str, Array]
    persistence: dict[str, Array]
    spread: dict[str, Array]
    windows: tuple[int, ...]
    average: dict[str, Array] = field(default_factory=dict)

    @property
    def horizon(self) -> int:
        return next(iter(self.venv.values())).shape[1] if self.venv else 0

    def mean_until(self, steps: int, half: int | None = 0, of: str = "venv") -> float:
        """Mean absolute error over the first `steps` steps and all columns; half None means both."""
        table: dict[str, Array] = getattr(self, of)
        halves = slice(None) if half is None else slice(half, half + 1)
        per_column = np.concatenate([np.nanmean(v[halves, :steps], (0, 1)) for v in table.values()])
        return float(per_column.mean())

    def by_horizon(self, half: int | None = 0, of: str = "venv") -> dict[str, float]:
        """`mean_until` for the usual horizons that the data is long enough for."""
        return {str(h): self.mean_until(h, half, of) for h in HORIZONS if h <= self.horizon}

    def at_step(self, step: int, half: int | None = 0, of: str = "venv") -> float:
        """Mean absolute error at one step, counted from 1, over all columns; half None means both."""
        table: dict[str, Array] = getattr(self, of)
        halves = slice(None) if half is None else slice(half, half + 1)
        return float(np.concatenate([np.nanmean(v[halves, step - 1], 0) for v in table.values()]).mean())

    def at_horizons(self, half: int | None = 0, of: str = "venv") -> dict[str, float]:
        """`at_step` for the usual horizons that the data is long enough for."""
        return {str(h): self.at_step(h, half, of) for h in HORIZONS if h <= self.horizon}

    def in_spreads(self, of: str = "venv") -> Array:
        """At each step the mean over all columns in spreads of the data, (halves, T); what is no number is infinite."""
        table: dict[str, Array] = getattr(self, of)
        parts = [value / np.maximum(self.spread[name], 1e-9) for name, value in table.items()]
        joined = np.concatenate(parts, axis=-1)
        known = ~np.isnan(np.concatenate(list(self.persistence.values()), axis=-1))  # NaN there: no data
        joined = np.where(np.isnan(joined) & known, np.inf, joined)
        return np.nanmean(joined, axis=-1)  # type: ignore[no-any-return]

    def by_column(self, columns: dict[str, list[str]]) -> dict[str, Any]:
        """Column -> its error over the whole horizon on the validation half, venv and persistence."""
        return {
            label: {
                "venv": float(np.nanmean(value[0, :, i])),
                "persistence": float(np.nanmean(self.persistence[node][0, :, i])),
            }
            for node, value in self.venv.items()
            for i, label in enumerate(columns[node])
        }


@dataclass(frozen=True)
class Windows:
    """Windows of the other half's rows under each member: rows (T, M, B), data (T, M, B, d), validity (T, M, B).

    past: of histories, before them. latent: what observers make of the state that they begin in (see
    `VirtualEnv.rollout`).
    """

    index: Tensor
    data: dict[str, Tensor]
    past: dict[str, Tensor]
    valid: Tensor
    latent: dict[str, Tensor]

    @property
    def first(self) -> Tensor:
        """The first row of each window, (M, B)."""
        return self.index[0]

    def repeated(self, times: int) -> Windows:
        """The same windows so many times, side by side."""

        def again(table: dict[str, Tensor], axis: int) -> dict[str, Tensor]:
            return {name: torch.cat([value] * times, axis) for name, value in table.items()}

        index, valid = (torch.cat([table] * times, 2) for table in (self.index, self.valid))
        return Windows(index, again(self.data, 2), again(self.past, 1), valid, again(self.latent, 1))


def unseen_windows(venv: VirtualEnv, rows: Rows, horizon: int, most: int = 200) -> Windows:
    """At most `most` windows, evenly spread over the half that a member did not learn from.

    A venv with observers is given the readings before a window, unless none is left with as many before it.
    """
    per_half = venv.members // venv.halves
    firsts, lead = [], venv.burn_in
    for half in range(venv.halves):
        part = rows.parts[1 - half]
        room = torch.arange(part.start, part.stop, device=rows.device)
        fits = room[rows.ends[room] - room >= horizon]
        firsts.append(fits if len(fits) else room)
    late = [first[first - rows.start_of(first) >= lead] for first in firsts]
    firsts, lead = (late, lead) if all(map(len, late)) else (firsts, 0)
    size = min(most, *(len(first) for first in firsts))
    even = [first[torch.linspace(0, len(first) - 1, size).long()] for first in firsts]
    first = torch.cat([half.expand(per_half, -1) for half in even])
    index, valid = rows.windows(first, horizon)
    return Windows(index, rows.at(index), rows.past(first), valid, latent_states(venv, rows, first, lead))


@torch.no_grad()
def replay(venv: VirtualEnv, windows: Windows, noise_seed: int | None = None) -> dict[str, Tensor]:
    """Open-loop rollout of the windows, node -> (T, M, B, d) in model space; sampled with a seed."""
    noise = None
    if noise_seed is not None:
        steps, _, branches = windows.valid.shape
        noise = venv.noise(steps, branches, torch.Generator(venv.device).manual_seed(noise_seed))
    return venv.replay(windows.data, windows.past, noise, latent=windows.latent)


def judged_transitions(venv: VirtualEnv, rows: Rows) -> tuple[str, ...]:
    """The transitions with data of their own; stacks of earlier values are judged by what is pushed on them."""
    return tuple(n for n in venv.graph.transitions if n in rows.values and venv.graph[n].history is None)


@torch.no_grad()
def rollout_error(venv: VirtualEnv, rows: Rows, horizon: int = 100) -> RolloutError:
    """Judge every half's members on the other half, over `horizon` steps or the longest trajectory."""
    horizon = min(horizon, int(rows.lengths.max()))
    windows = unseen_windows(venv, rows, horizon)
    rolled = replay(venv, windows)
    model: dict[str, Array] = {}
    still: dict[str, Array] = {}
    usual: dict[str, Array] = {}
    spread: dict[str, Array] = {}
    inside = windows.valid.float().unsqueeze(-1)
    reached = int((inside.sum(2) > 0).all(1).sum())  # steps that some window of either half lasts for
    for name in judged_transitions(venv, rows):
        state, codec = venv.graph.state_of(name), venv.codec[name]
        known = rows.weight(name, windows.index)
        first_term = [codec.terms.index(i) for i in range(len(codec.columns))]
        weight = inside if known is None else inside * known[..., first_term]
        truth = codec.decode(windows.data[name])  # (T, M, B, d)
        mean = codec.decode(_members_mean(venv, rolled[name]))
        start = codec.decode(windows.data[state][:1])
        average = _usual_value(venv, rows, state)
        for table, guess in ((model, mean), (still, start), (usual, average)):
            error = _error(codec, guess, truth) * weight
            total = error.sum(2) / weight.sum(
                2
            )  # (T, M, d), the same for all members of a half; NaN: no data
            per_half = total[:reached, :: venv.members // venv.halves].cpu()
            table[name] = per_half.transpose(0, 1).double().numpy()
        spread[name] = codec.decode(rows.values[state]).std(0).double().cpu().numpy()
    return RolloutError(model, still, spread, (windows.first.shape[1],) * venv.halves, usual)


def _usual_value(venv: VirtualEnv, rows: Rows, state: str) -> Tensor:
    """The mean of each half's own rows under its members, the commonest value of a category: (1, M, 1, d), physical."""
    codec, found = venv.codec[state], []
    for part in rows.parts:
        values = rows.values[state][part.start : part.stop]
        known = rows.weight(state, torch.arange(part.start, part.stop, device=rows.device))
        weight = torch.ones_like(values) if known is None else known[:, codec.term_of_dimension]
        mean = (values * weight).sum(0) / weight.sum(0).clamp_min(1.0)
        found.append(codec.decode(codec.project(mean)))
    return torch.stack(found).repeat_interleave(venv.members // venv.halves, 0)[None, :, None]


def _members_mean(venv: VirtualEnv, value: Tensor) -> Tensor:
    """Each half's mean over its members, standing under every one of them; (T, M, B, d)."""
    per_half = value.reshape(value.shape[0], venv.halves, -1, *value.shape[2:])
    return per_half.mean(2, keepdim=True).expand_as(per_half).reshape(value.shape)


def _error(codec: NodeCodec, guess: Tensor, truth: Tensor) -> Tensor:
    """Absolute difference per column; 1 for a wrong category; the shorter way round for a cyclic column."""
    difference = (guess - truth).abs()
    for i, column in enumerate(codec.columns):
        if column.type == "category":
            difference[..., i] = (difference[..., i] > 1e-6).float()
        elif column.cycle is not None:
            difference[..., i] = torch.minimum(difference[..., i], column.cycle - difference[..., i])
    return difference
