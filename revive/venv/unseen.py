"""Rollouts over windows of the logs that no member has read, with what the logs held and what the venv would draw.

Half 0's members are asked about the rows of half 1 and the reverse. No weight and no choice of a member was made with
them: members are fitted on their own half, and judged and stopped on blocks of their own half that they left out. Two
things are shared: the scales are those of the training half, and one course decides for the members of both halves
when to stop, by a mean over all of them. Where a search chose by the error on the other half, use a part that was kept
aside.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from revive.data.windows import Rows
from revive.venv.judging import MOST_VALUES, affordable
from revive.venv.validation import Windows, judged_transitions, replay, unseen_windows
from revive.venv.virtual_env import VirtualEnv

Array = NDArray[np.float64]
MOST_WINDOWS, DRAWS = 200, 6


@dataclass(frozen=True)
class ColumnPaths:
    """One column of one transition, physical units; h halves, B windows of T steps.

    truth, mean: (T, h, B). drawn: (T, h, B, S) sampled rollouts, of all members of a half together. known: (T, h, B)
    False behind the end of a trajectory and where the logs hold no value. cycle: of a cyclic column, else None.
    """

    node: str
    column: str
    units: str | None
    truth: Array
    mean: Array
    drawn: Array
    known: NDArray[np.bool_]
    cycle: float | None = None

    @property
    def name(self) -> str:
        """With its unit."""
        return f"{self.column} [{self.units}]" if self.units else self.column

    @property
    def error(self) -> Array:
        """(T, h, B) truth less mean, NaN where nothing is known; the shorter way round a cycle."""
        error = self._around(self.truth - self.mean)
        return np.where(self.known, error, np.nan)

    @property
    def deviation(self) -> Array:
        """(T, h, B, S) of the drawn rollouts from the mean."""
        return self._around(self.drawn - self.mean[..., None])

    def _around(self, difference: Array) -> Array:
        if self.cycle is None:
            return difference
        return (difference + self.cycle / 2.0) % self.cycle - self.cycle / 2.0


@dataclass(frozen=True)
class Unseen:
    """What the venv said about windows that it never saw.

    columns: the continuous and discrete ones of the judged transitions. first: (h, B) the first row of each window.
    trajectory: (h, B) the number of its trajectory, over all of `rows`. lengths: (n,) the steps of every trajectory
    that windows could be taken from.
    """

    columns: list[ColumnPaths]
    first: NDArray[np.int64]
    trajectory: NDArray[np.int64]
    lengths: NDArray[np.int64]

    @property
    def horizon(self) -> int:
        """Steps of a window."""
        return self.columns[0].truth.shape[0] if self.columns else 0

    def of_node(self, node: str) -> list[ColumnPaths]:
        """The columns of one transition."""
        return [column for column in self.columns if column.node == node]

    def side_by_side(self, steps: int) -> float:
        """How many windows of so many steps the trajectories hold that do not overlap."""
        return float((self.lengths // steps).sum())

    @property
    def nodes(self) -> list[str]:
        """The transitions, in order."""
        return list(dict.fromkeys(column.node for column in self.columns))


@torch.no_grad()
def roll_unseen(
    venv: VirtualEnv,
    rows: Rows,
    horizon: int = 100,
    windows: int = MOST_WINDOWS,
    draws: int = DRAWS,
    seed: int = 0,
) -> Unseen:
    """Open-loop rollouts (recorded decisions and exogenous values) over at most `windows` windows of each half.

    draws: sampled rollouts of every member. What would take too much memory is cut to fewer windows, then draws.
    """
    horizon = min(horizon, int(rows.lengths.max()))
    width = sum(venv.codec.width(name) for name in venv.graph.nodes)
    size = horizon * venv.members * width
    windows = affordable(windows, size * 2)
    chosen = unseen_windows(venv, rows, horizon, most=windows)
    mean = replay(venv, chosen)
    draws = max(2, min(draws, MOST_VALUES // (size * chosen.first.shape[1])))
    drawn = replay(venv, chosen.repeated(draws), noise_seed=seed)
    columns = [
        found
        for node in judged_transitions(venv, rows)
        for found in _columns(venv, rows, chosen, mean[node], drawn[node], node)
    ]
    per_half = venv.members // venv.halves
    first = chosen.first[::per_half]
    trajectory = torch.searchsorted(rows.starts, first.contiguous(), right=True) - 1
    return Unseen(columns, first.cpu().numpy(), trajectory.cpu().numpy(), rows.lengths.cpu().numpy())


def _columns(
    venv: VirtualEnv, rows: Rows, windows: Windows, mean: Tensor, drawn: Tensor, node: str
) -> Iterator[ColumnPaths]:
    """Of every column of a transition but categories; mean (T, M, B, d), drawn (T, M, draws * B, d), model space."""
    codec, halves, per_half = venv.codec[node], venv.halves, venv.members // venv.halves
    steps, _, count = windows.valid.shape
    # (T, M, B, d) each, physical: in the precision of the rollouts, because draws are many
    truth, middle, many = (codec.decode(value) for value in (windows.data[node], mean, drawn))
    weight = rows.weight(node, windows.index)
    for index, column in enumerate(venv.graph.columns(node)):
        if column.type == "category":
            continue
        known = windows.valid[:, ::per_half]
        if weight is not None:
            known = known & (weight[:, ::per_half, :, codec.terms.index(index)] > 0)
        path = middle[..., index].double().reshape(steps, halves, per_half, count).mean(2)
        samples = many[..., index].reshape(
            steps, halves, per_half, -1, count
        )  # draws stand in front of windows
        yield ColumnPaths(
            node,
            column.name,
            column.units,
            _array(truth[:, ::per_half, :, index].double()),
            _array(path),
            _array(samples.permute(0, 1, 4, 2, 3).reshape(steps, halves, count, -1)),
            known.cpu().numpy(),
            column.cycle,
        )


def _array(value: Tensor) -> Array:
    """A copy, because a view would keep all columns."""
    return value.cpu().numpy().copy()
