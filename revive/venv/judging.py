"""How wrong a venv's members are on rows that they did not learn from: what gates stages and chooses members."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from revive.data.windows import Rows, Segments
from revive.venv.observer import BURN_IN, Readings
from revive.venv.virtual_env import VirtualEnv

FLOOR = 0.01  # a hundredth of the error of "nothing changes" is as good as none
FAR = 3.0  # times the error of "nothing changes", that no rollout in a sound venv comes to
CAP = 5.0  # of an error, in spreads of the column
WINDOWS = 128  # per member
MOST_VALUES = 50_000_000  # numbers that a batch of windows may consist of

Penalty = Callable[[torch.Generator], Tensor]
"""Draws what it needs, and says what each member is to be charged beside its error: (M,)."""


def with_data(rows: Rows) -> set[str]:
    """The nodes that `rows` hold values of, histories of such nodes included."""
    return {*rows.values, *(n for n, h in rows.histories.items() if h.source in rows.values)}


def rollout_errors(
    venv: VirtualEnv,
    rows: Rows,
    nodes: Sequence[str],
    windows: tuple[Tensor, Tensor],
    horizon: int,
    *,
    burn_in: int = 0,
    filtered: bool = False,
) -> dict[str, tuple[Tensor, Tensor]]:
    """Open-loop rollout: each of `nodes` -> errors and weights, (T, M, B, d) each, model space.

    burn_in: so many steps are predicted one at a time first, from the readings of the rows before. filtered: so are
    all others, too. T = burn_in + horizon.
    """
    first, stop = windows
    index, valid = rows.windows(first, burn_in + horizon, stop)
    data = rows.at(index)
    readings = readings_of(venv, rows, index if filtered else index[:burn_in], data) if burn_in else None
    rolled = venv.replay(data, rows.past(first), readings=readings)
    inside = valid.unsqueeze(-1).to(torch.float32)
    found = {}
    for name in nodes:
        known = rows.weight(name, index)
        spread = venv.codec[name].term_of_dimension
        weight = inside if known is None else inside * known[..., spread]
        found[name] = (rolled[name] - data[name], weight.expand_as(data[name]))
    return found


def readings_of(
    venv: VirtualEnv, rows: Rows, index: Tensor, data: Mapping[str, Tensor]
) -> dict[str, Readings]:
    """The logged values of all transitions with data at the rows `index` (T, M, B), which `data` begins with."""
    found = {}
    for name in venv.graph.transitions:
        if name in data:
            known = rows.weight(name, index)
            spread = venv.codec[name].term_of_dimension
            found[name] = Readings(data[name][: len(index)], None if known is None else known[..., spread])
    return found


@torch.no_grad()
def latent_states(venv: VirtualEnv, rows: Rows, first: Tensor, lead: int) -> dict[str, Tensor]:
    """Observed transition -> what observers make of the state at the rows `first` (M, B) from `lead` rows before."""
    if not lead:
        return {}
    index, _ = rows.windows(first - lead, lead)
    data = rows.at(index)
    rolled = venv.replay(data, rows.past(index[0]), readings=readings_of(venv, rows, index, data))
    readings = readings_of(venv, rows, index[-1:], {name: value[-1:] for name, value in data.items()})
    return {
        name: venv.observer(name).update(rolled[name][-1], readings[name].at(0, rolled[name][-1]))
        for name in venv.observed
    }


def estimated(venv: VirtualEnv, rows: Rows, index: Tensor) -> dict[str, Tensor]:
    """Observed state -> what observers make of it at rows (M, B) from those before; the reading where these are few."""
    start, lead = rows.start_of(index), venv.burn_in
    known = index - start >= lead
    found = latent_states(venv, rows, torch.where(known, index, start + lead), lead)
    states = {name: venv.graph.state_of(name) for name in found}
    return {
        states[name]: torch.where(known.unsqueeze(-1), latent, rows.values[states[name]][index])
        for name, latent in found.items()
    }


def nothing_changes(
    venv: VirtualEnv,
    rows: Rows,
    nodes: Sequence[str],
    windows: tuple[Tensor, Tensor],
    horizon: int,
    burn_in: int = 0,
    *,
    filtered: bool = False,
) -> dict[str, Tensor]:
    """How far each of `nodes` moves away from where the windows start, model space: (T, M, B, d) each.

    burn_in: windows start so many steps later. filtered: how far they move in each step.
    """
    first, stop = windows
    index, _ = rows.windows(first, burn_in + horizon, stop)
    index = index[burn_in:]
    moved = {}
    for name in nodes:
        state = venv.graph.state_of(name)
        before = rows.at(index if filtered else index[0], (state,))[state]
        moved[name] = rows.at(index, (name,))[name] - before
    return moved


def bands(horizon: int) -> list[tuple[int, int]]:
    """Ranges of steps that count alike, all ending at three times where the one before ended: 1, 2..3, 4..9, 10..27."""
    edges = [0, 1]
    while edges[-1] < horizon:
        edges.append(min(3 * edges[-1], horizon))
    return list(pairwise(edges))


class HeldOutError:
    """The members' error on what they left out.

    For every column and band of steps the mean absolute error of open-loop rollouts over that of "nothing
    changes"; of these ratios the geometric mean. So a fall by the same factor counts alike in all columns, near and
    far ahead, with and without noise. What is far below `FLOOR` counts as learned.

    Args:
        venv: what is judged.
        rows: the data of both halves.
        unseen: the rows that each member left out.
        nodes: transitions with data, of their states too; the error is that of rollouts.
        fitted: learned nodes with data, whose one-step cost is the error where there are no transitions.
        horizon: steps of the rollouts.
        penalties: what is charged beside the error.
    """

    def __init__(
        self,
        venv: VirtualEnv,
        rows: Rows,
        unseen: Segments,
        *,
        nodes: Sequence[str],
        fitted: Sequence[str],
        horizon: int,
        penalties: Sequence[Penalty],
    ) -> None:
        self.venv, self.rows, self.unseen = venv, rows, unseen
        self.nodes, self.fitted, self.horizon = nodes, fitted, horizon
        self.penalties = penalties

    def on(self, rows: Segments) -> HeldOutError:
        """The same on other rows than those that were left out."""
        other = copy.copy(self)
        other.unseen = rows
        return other

    def __call__(self) -> Tensor:
        """Each member's error and what it is charged beside it: (M,)."""
        return self.over_steps()[0]

    @torch.no_grad()
    def over_steps(self) -> tuple[Tensor, Tensor]:
        """The members' error with their charges, and that of one step alone: (M,) and (M,).

        Without transitions both are the one-step cost, and the first one is charged.
        """
        generator = torch.Generator(self.venv.device).manual_seed(0)
        if self.nodes:
            ratios = self._log_ratios(generator, self.horizon, filtered=False)
            error, one_step = ratios.mean(1).exp(), ratios[:, 0].exp()
        else:
            error = one_step = self._one_step_cost()
        return self._charged(error, generator), one_step

    @torch.no_grad()
    def of_filter(self) -> Tensor:
        """The members' error one step ahead of what their observers make of all readings so far, charged: (M,)."""
        generator = torch.Generator(self.venv.device).manual_seed(0)
        ratios = self._log_ratios(generator, BURN_IN, filtered=True)
        return self._charged(ratios.mean(1).exp(), generator)

    @torch.no_grad()
    def stay_near(self) -> Tensor:
        """Whether the members' rollouts are in the end no more than `FAR` times as wrong as "nothing changes": (M,)."""
        generator = torch.Generator(self.venv.device).manual_seed(0)
        return self._log_ratios(generator, self.horizon, filtered=False)[:, -1].exp() <= FAR

    def _charged(self, error: Tensor, generator: torch.Generator) -> Tensor:
        for penalty in self.penalties:  # a stage that mends a declared sign is not undone for a little error
            error = error + penalty(generator)
        return error

    def _log_ratios(self, generator: torch.Generator, horizon: int, *, filtered: bool) -> Tensor:
        """Mean over columns of the log of the error's ratio to that of "nothing changes", by band: (M, bands)."""
        burn_in = self.venv.burn_in
        length = (horizon if filtered else max(1, horizon // 2)) + burn_in
        drawn = self.unseen.sample(self._windows(), length, generator)
        still = nothing_changes(self.venv, self.rows, self.nodes, drawn, horizon, burn_in, filtered=filtered)
        found = rollout_errors(
            self.venv, self.rows, self.nodes, drawn, horizon, burn_in=burn_in, filtered=filtered
        )
        ranges = [(0, horizon)] if filtered else bands(horizon)
        total, counted = torch.zeros(1, device=self.venv.device), torch.zeros(1, device=self.venv.device)
        for name, whole in found.items():
            error, weight = (part[burn_in:] for part in whole)
            # a window that diverges is capped, so that it cannot hide the rest
            sizes = [part.abs().nan_to_num(CAP).clamp_max(CAP) for part in (error, still[name])]
            ratio, known = _by_band(sizes[0], sizes[1], weight * self._fit_mask(name), ranges)
            total, counted = total + ratio.sum(2), counted + known.sum(2)
        return total / counted.clamp_min(1.0)

    def _windows(self) -> int:
        """Windows per member."""
        width = sum(self.venv.codec.width(name) for name in self.venv.graph.nodes)
        return affordable(WINDOWS, self.venv.members * self.horizon * width)

    def _fit_mask(self, name: str) -> Tensor:
        codec, columns = self.venv.codec[name], self.venv.graph.columns(name)
        fits = torch.tensor(
            [float(columns[codec.terms[i]].fit) for i in codec.term_of_dimension], device=self.venv.device
        )
        return fits if fits.any() else torch.ones_like(fits)

    def _one_step_cost(self) -> Tensor:
        index, _ = self.unseen.sample(1024, 1, torch.Generator(self.venv.device).manual_seed(0))
        batch = self.venv.completed(self.rows.at(index))
        total = torch.zeros(self.venv.members, device=self.venv.device)
        for name in self.fitted:
            x, current = self.venv.node_inputs(name, batch)
            total += self.venv.model(name).cost(x, current, batch[name]).mean((1, 2))
        return total


def affordable(wanted: int, size_of_one: int) -> int:
    """As many of what is `wanted` as `MOST_VALUES` numbers hold, but a handful at least."""
    return max(min(wanted, 8), min(wanted, MOST_VALUES // max(1, size_of_one)))


def _by_band(
    error: Tensor, still: Tensor, weight: Tensor, ranges: Sequence[tuple[int, int]]
) -> tuple[Tensor, Tensor]:
    """Log ratios of two sizes (T, M, B, d) over ranges of steps, and 1 where they say something, else both 0.

    Both (M, ranges, d). A column that stays as it is, and steps that no window reaches, say nothing.
    """
    ratios, counts = [], []
    for first, stop in ranges:
        inside = weight[first:stop]
        share = inside.sum((0, 2))  # (M, d)
        wrong = (error[first:stop] * inside).sum((0, 2)) / share.clamp_min(1.0)
        moved = (still[first:stop] * inside).sum((0, 2)) / share.clamp_min(1.0)
        known = ((share > 0) & (moved > 1e-6)).to(error.dtype)
        ratios.append(torch.log(wrong / moved.clamp_min(1e-6) + FLOOR) * known)
        counts.append(known)
    return torch.stack(ratios, 1), torch.stack(counts, 1)
