"""Batches that end when a logged clock has run down, and that are paid for in that step.

A column that is replayed from the logs, such as the steps that are left, ends every trajectory at the same value. Where
the reward of a trajectory lies in its last row, rollouts have to end there as well: replayed beyond it, the clock would
turn round (Rows.reflected) and the batch would be paid for and go on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from revive.data.codec import Codec
from revive.data.windows import Rows
from revive.graph.decision_graph import DecisionGraph

FEWEST = 3  # trajectories
EVEN = 1e-3  # of a step of the clock, by which steps may differ
AT_THE_END = 0.5  # share of all that is earned and paid, in absolute value, that lies in last rows


@dataclass(frozen=True)
class Closing:
    """node, column: the clock. last: what it says in the last step of every batch; step: its change; physical units."""

    node: str
    column: int
    last: float
    step: float

    def going(self, codec: Codec, rolled: Mapping[str, Tensor]) -> Tensor | None:
        """Node -> (T, M, B, d) in model space -> (T, M, B), 0 in the last step; None where the clock is not in it."""
        if self.node not in rolled:
            return None
        told = codec[self.node].decode(rolled[self.node])[..., self.column]
        return ((told - self.last).abs() > 0.5 * abs(self.step)).float()

    def told(self, codec: Codec) -> str:
        """The line that says so."""
        name = codec[self.node].columns[self.column].name
        return (
            f"ends     every trajectory ends where '{name}' is {self.last:.4g}, and most of its reward lies in that "
            f"step: rollouts end there, too"
        )


def closing_of(graph: DecisionGraph, codec: Codec, rows: Rows, row_reward: Tensor) -> Closing | None:
    """What ends the trajectories of `rows`, and closes their accounts; None where nothing does, or `done` says it.

    row_reward: (N,), of each row.
    """
    last = rows.starts + rows.lengths - 1
    if graph.done is not None or len(last) < FEWEST or int(rows.lengths.min()) < 2:
        return None
    size = row_reward.abs().double()
    if not float(size[last].sum()) >= AT_THE_END * float(size.sum()) > 0:
        return None
    used = {source for name in graph.order for source in graph[name].inputs}  # what rollouts replay
    for node in graph.leaves:
        if node in used and node not in graph.states and node in rows.values and node not in rows.weights:
            told = codec[node].decode(rows.values[node]).double()
            for column in range(told.shape[1]):
                if (found := _clock(rows, told[:, column], last)) is not None:
                    return Closing(node, column, *found)
    return None


def _clock(rows: Rows, told: Tensor, last: Tensor) -> tuple[float, float] | None:
    """The last value and the step of a column (N,) that counts in even steps to one value in every trajectory."""
    steps = (told[1:] - told[:-1])[rows.ends[1:] == rows.ends[:-1]]
    step, final = float(steps.median()), float(told[last].median())
    even = torch.allclose(steps, steps.new_tensor(step), rtol=0.0, atol=EVEN * abs(step))
    alike = bool(((told[last] - final).abs() <= EVEN * abs(step)).all())
    return (final, step) if step and even and alike else None
