"""`design-experiment`: what to do on the plant so that the next logs tell what this run's logs do not."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from rich.table import Table

from revive.config.run_arguments import RunArguments
from revive.data.duration import in_time
from revive.data.trajectories import Trajectories
from revive.errors import Problem, UserError
from revive.graph.decision_graph import DecisionGraph
from revive.graph.units import units_of, with_unit
from revive.pipeline.finished import settings_of
from revive.pipeline.inputs import Inputs, gather
from revive.pipeline.trust import cards_of
from revive.report.tables import PLAIN
from revive.report.terminal import Terminal
from revive.runs import write_json
from revive.trust.card import CausalCard
from revive.trust.experiment import Column, Dither, dithers, played


def design_experiment(arguments: Sequence[str]) -> None:
    """Print a table, and leave design_experiment.json and .csv in the run folder.

    arguments: run=NAME [log_dir=DIR] [power=0.9] [steps=1000] [bound=0.5] [seed=0]; bound in spreads of each output.
    Raises UserError for arguments that cannot be understood, and for a run that is not there.
    """
    given = RunArguments.parse("design-experiment", arguments)
    folder = given.folders[0]
    inputs = gather(settings_of(folder))
    cards = cards_of(inputs).cards
    if not cards:
        what = "there are no causal cards to design an experiment from"
        raise UserError(
            Problem(what, folder, remedy="the logs are too short, or have no action: see the run")
        )
    plan = dithers(
        cards,
        {(card.action, card.output): _column(card, inputs) for card in cards},
        power=given.number("power", 0.9, 0.5, 0.999),
        steps=int(given.number("steps", 1000, 50, 1_000_000)),
        bound=given.number("bound", 0.5, 1e-6, 1e6),
    )
    write_json(folder / "design_experiment.json", {"dithers": [dither.to_json() for dither in plan]})
    file = _write_csv(folder, plan, int(given.number("seed", 0, 0, 2**31)))
    terminal = Terminal()
    terminal.console.print(_table(plan, inputs.logs.step_seconds, units_of(inputs.graph)))
    if file is None:
        terminal.note("\nno experiment is needed: the logs tell the effect of every action")
    else:
        terminal.note(
            f"\nplay    {file}: add it to what the operator decides, step by step, within the legal range"
        )


def _column(card: CausalCard, inputs: Inputs) -> Column:
    logs, graph = inputs.logs, inputs.graph
    name = card.action.split("=")[0]
    moved = logs.arrays[card.node][:, [c.name for c in graph.columns(card.node)].index(name)]
    if name != card.action:
        moved = (moved == float(card.action.split("=")[1])).astype(np.float64)
    now, then = _output(card, logs, graph)
    sd = float(now.std())
    remembers = float(np.corrcoef(now, then)[0, 1]) if sd > 0 and then.std() > 0 else 0.0
    return Column(float(moved.std()), sd, float((then - now).std()), remembers)


def _output(card: CausalCard, logs: Trajectories, graph: DecisionGraph) -> tuple[np.ndarray, np.ndarray]:
    for transition in graph.transitions:
        names = [column.name for column in graph.columns(transition)]
        if card.output in names and transition in logs.arrays:
            number, state = names.index(card.output), graph.state_of(transition)
            return logs.arrays[state][:, number], logs.arrays[transition][:, number]
    raise KeyError(card.output)


def _write_csv(folder: Path, plan: Sequence[Dither], seed: int) -> Path | None:
    series = played(plan, seed)
    steps = max((len(values) for values in series.values()), default=0)
    if not steps:
        return None
    file = folder / "design_experiment.csv"
    with file.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(["step", *series])
        writer.writerows([t, *(f"{values[t]:.6g}" for values in series.values())] for t in range(steps))
    return file


def _table(plan: Sequence[Dither], step: float | None, units: Mapping[str, str]) -> Table:
    """step: how long a step takes, in seconds, where that is known. units: of columns."""
    table = Table(title="Moves to add to each action", **PLAIN)
    heads = (
        "action",
        "plus or minus",
        "hold",
        "steps",
        "power",
        "adds to the output at most",
        "allowed",
        "why",
    )
    for head in heads:
        table.add_column(head)
    for dither in plan:
        if not dither.needed:
            table.add_row(dither.action, "nothing", "", "", "", "", "", dither.because)
            continue
        unit = units.get(dither.output, "")
        added = f"{with_unit(f'{dither.disturbs:.3g}', unit)} of {dither.output} (sd)"
        cells = (
            with_unit(f"{dither.amplitude:.3g}", units.get(dither.action, "")),
            f"{dither.hold}{in_time(dither.hold, step)}",
            f"{dither.steps}{in_time(dither.steps, step)}",
            f"{dither.power:.0%}",
            added,
        )
        table.add_row(dither.action, *cells, with_unit(f"{dither.bound:.3g}", unit), dither.because)
    return table
