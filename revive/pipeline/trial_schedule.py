"""The blocks of a trial, one after the other, and the limits that hold in them."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from revive.pipeline.inputs import Inputs
from revive.trust.trial import Rule, played

STAGES = ((2.0, 2), (6.0, 2))  # times the operator's own moves, and pairs, before a candidate is let go
MARGIN = 0.05  # of the logged range, beyond which a state ends a block
Row = dict[str, Any]


@dataclass(frozen=True)
class Blocks:
    """How a trial is cut. counted, skipped: steps of a block. episodes: whether a block is an episode.

    sd: of the difference between two blocks of the logs. floor: reward of a block, below which the trial is ended.
    """

    counted: int
    skipped: int
    episodes: bool
    sd: float
    floor: float

    @property
    def steps(self) -> int:
        return self.counted + self.skipped


@dataclass(frozen=True)
class Course:
    """One candidate: where its bundle is, its rule, and the pairs with small moves that come `before`.

    promised: gain over the controller per step; expected: what the trial is planned for.
    """

    name: str
    source: str
    bundle: str
    promised: float
    expected: float
    rule: Rule
    before: int

    @property
    def pairs(self) -> int:
        return self.before + self.rule.most


def schedule(plan: Sequence[Course], blocks: Blocks, seed: int) -> list[Row]:
    """The blocks of the trial, one after the other, if nothing ends it before."""
    rows: list[Row] = []
    step = 0
    for number_, course in enumerate(plan):
        stages = [times for times, pairs in STAGES for _ in range(pairs)]
        for pair, first in enumerate(played(course.pairs, seed + number_)):
            times = stages[pair] if pair < len(stages) else None
            for plays in (first, not first):
                rows.append(
                    {
                        "block": len(rows) + 1,
                        "candidate": course.name,
                        "pair": pair + 1,
                        "plays": course.name if plays else "controller",
                        "first_step": step,
                        "counted_from": step + blocks.skipped,
                        "last_step": step + blocks.steps - 1,
                        "counts": 0 if times else 1,
                        "times": times if plays else None,
                    }
                )
                step += blocks.steps
    return rows


def moves(summary: Mapping[str, Any], inputs: Inputs) -> list[Row]:
    """How far the operator himself moves each action column away from what is usual, and its logged range."""
    assert inputs.task is not None
    graph, found = inputs.graph, []
    cards = summary.get("causal", {}).get("cards", [])
    decided = [(node, i, c) for node in inputs.task.targets for i, c in enumerate(graph.columns(node))]
    for node, i, column in decided:
        if column.type == "category":
            continue
        values = inputs.logs.arrays[node][:, i]
        own = [c["moved"] for c in cards if c["action"] == column.name and c["moved"] > 0]
        moved = max(own, default=0.1 * float(values.std()))
        found.append(
            {
                "column": column.name,
                "units": column.units,
                "own": moved,
                "logged": [float(values.min()), float(values.max())],
            }
        )
    return found


def states(inputs: Inputs) -> list[Row]:
    """Where a block is to be ended: a little beyond what was logged, within what is declared."""
    found = []
    for node in inputs.graph.states:
        if node not in inputs.logs.arrays or inputs.graph[node].history is not None:
            continue
        for i, column in enumerate(inputs.graph.columns(node)):
            if column.type == "category":
                continue
            values = inputs.logs.arrays[node][:, i]
            room = MARGIN * float(values.max() - values.min())
            low, high = float(values.min()) - room, float(values.max()) + room
            low = low if column.min is None else max(low, column.min)
            high = high if column.max is None else min(high, column.max)
            found.append({"column": column.name, "units": column.units, "low": low, "high": high})
    return found


def write_schedule(file: Path, rows: Sequence[Row], limits: Sequence[Row]) -> None:
    """rows: of `schedule`; limits: of `moves`. With an empty column `reward`."""
    own = {m["column"]: m["own"] for m in limits}
    heads = ["block", "candidate", "pair", "plays", "first_step", "counted_from", "last_step", "counts"]
    with file.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow([*heads, *(f"{c}_at_most_from_controller" for c in own), "reward"])
        for row in rows:
            near = ["" if row["times"] is None else f"{row['times'] * own[c]:.6g}" for c in own]
            writer.writerow([*(row[head] for head in heads), *near, ""])
