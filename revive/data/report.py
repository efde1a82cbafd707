"""The data report: everything that is wrong with a data set or worth knowing, before an hour of training."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np

from revive.data import causal_checks, column_checks, order_checks, row_checks
from revive.data.checks import ValueChecks
from revive.data.detectors import Proposal, propose
from revive.data.duration import duration
from revive.data.dynamics_detectors import MOST_STATES
from revive.data.effect_detectors import Effects
from revive.data.finding import Evidence, Finding, counted, first_of_each
from revive.data.parallel import one_blas_thread
from revive.data.split import Split
from revive.data.trajectories import FloatArray, Trajectories
from revive.data.wrapping import wrapping_columns
from revive.errors import Problem, Problems, UserError
from revive.graph.decision_graph import DecisionGraph

_WIDTH: Final = 110
_LISTED: Final = 12  # findings or proposals of one kind that the text lists; the JSON has all

_Row = tuple[str, str, str, str, str]  # severity, kind, place, what, remedy


@dataclass(frozen=True)
class ColumnSummary:
    """How a column is distributed, in its own units; `quartiles` are those of a sample of a long log."""

    node: str
    column: str
    type: str
    min: float
    quartiles: tuple[float, float, float]
    max: float
    missing: int
    units: str | None = None

    def to_json(self) -> dict[str, Any]:
        """All fields as plain JSON values."""
        return {**asdict(self), "quartiles": list(self.quartiles)}


@dataclass(frozen=True)
class DataReport:
    """What the checks found: findings, errors first, proposals, and a summary of every column.

    rows, trajectories: their numbers; 0 where the data could not be read. shortest, longest: in rows.
    applied: the proposals that the graph has in it already, because they hold in every row.
    told_by: what tells one trajectory from the next; empty where nothing does.
    step_seconds: how long a step takes; None where that is not known.
    left_out: what was not looked at, or not in whole, because there is too much of it: a sentence each.
    """

    findings: tuple[Finding, ...]
    proposals: tuple[Proposal, ...] = ()
    columns: tuple[ColumnSummary, ...] = ()
    rows: int = 0
    trajectories: int = 0
    shortest: int = 0
    longest: int = 0
    applied: tuple[Proposal, ...] = ()
    told_by: str = ""
    step_seconds: float | None = None
    left_out: tuple[str, ...] = ()

    @property
    def counts(self) -> str:
        """How much there is to say, in words."""
        numbers = ((self.errors, "error"), (self.warnings, "warning"), (self.proposals, "proposal"))
        return ", ".join(counted(len(found), word) for found, word in numbers)

    @classmethod
    def of_error(cls, error: UserError) -> DataReport:
        """The report of data that could not be read."""
        return cls(tuple(_error(problem) for problem in error.problems))

    @property
    def errors(self) -> tuple[Finding, ...]:
        """What has to be mended before anything can be learned."""
        return tuple(finding for finding in self.findings if finding.severity == "error")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """What stops nothing but should be known."""
        return tuple(finding for finding in self.findings if finding.severity == "warning")

    def to_json(self) -> dict[str, Any]:
        """The whole report as plain JSON values."""
        return {
            "version": 1,
            "rows": self.rows,
            "trajectories": self.trajectories,
            "shortest": self.shortest,
            "longest": self.longest,
            "told_by": self.told_by,
            "step_seconds": self.step_seconds,
            "left_out": [*self.left_out],
            "findings": [finding.to_json() for finding in self.findings],
            "proposals": [proposal.to_json() for proposal in self.proposals],
            "applied": [proposal.to_json() for proposal in self.applied],
            "columns": [column.to_json() for column in self.columns],
        }

    def to_text(self) -> str:
        """The report as aligned plain text."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        if self.rows:
            same = self.shortest == self.longest
            length = counted(self.longest, "row") if same else f"{self.shortest} to {self.longest} rows"
            told = self.told_by or ("nothing tells several apart" if self.trajectories == 1 else "")
            by = f" ({told})" if told else ""
            every = f", a row every {duration(self.step_seconds)}" if self.step_seconds else ""
            several = counted(self.trajectories, "trajectory", "trajectories")
            yield f"{several} of {length}, {self.rows} in all{every}{by}"
        yield self.counts
        yield from (f"not in whole: {what}" for what in self.left_out)
        lines = [("", p.kind, "", applied_line(p), "") for p in self.applied]
        findings = [(f.severity, f.code, f.where, f.message, f.remedy) for f in self.findings]
        proposals = [("proposal", p.kind, ", ".join(p.columns), p.message, p.yaml) for p in self.proposals]
        applied, more = _limited(lines)
        yield from (row[3] for row in applied)
        yield from more
        for rows in (findings, proposals):
            shown, more = _limited(rows)
            if shown:
                yield ""
                yield from _table(shown)
            yield from more


def check_data(
    trajectories: Trajectories,
    graph: DecisionGraph,
    split: Split | None = None,
    horizon: int | None = None,
    applied: Sequence[Proposal] = (),
    ignore_check: bool = False,
) -> DataReport:
    """Errors, warnings and proposals about `trajectories` as data of `graph`, in which `applied` ones are already.

    split: the parts to look for drift between; horizon: the rollout length in steps to hold lengths against;
    ignore_check: a transition that contradicts the next row is no error but a warning.
    One pass over all rows per check; statistics come from about 20 000 rows of them. Raises nothing.
    """
    evidence = Evidence(trajectories, graph)
    usable = all(np.isfinite(bounds).all() for bounds in evidence.ranges.values())
    findings = _broken(evidence, usable, ignore_check)
    proposals: Sequence[Proposal] = ()
    left_out: tuple[str, ...] = ()
    with one_blas_thread():
        if usable:
            found, proposals, left_out = _told_by_values(evidence, split)
            findings += found
        findings += row_checks.time_gaps(evidence)
        findings += row_checks.time_not_used(evidence)
        findings += row_checks.rows_after_done(evidence)
        findings += row_checks.short_trajectories(evidence, horizon)
        findings += causal_checks.unseen_inputs(evidence) if usable else ()
    lengths = trajectories.lengths
    return DataReport(
        tuple(findings),
        tuple(proposals),
        tuple(_summaries(evidence)),
        trajectories.rows,
        trajectories.count,
        int(lengths.min()),
        int(lengths.max()),
        tuple(applied),
        trajectories.told_by,
        trajectories.step_seconds,
        left_out,
    )


def _broken(evidence: Evidence, usable: bool, ignore_check: bool) -> list[Finding]:
    """What contradicts the description or itself. usable: whether every column has finite values."""
    trajectories, problems, breaks = evidence.trajectories, Problems(), Problems()
    arrays = _as_logged(trajectories) if usable else trajectories.arrays
    known = {name: evidence.ranges[name] for name in arrays if name not in (trajectories.missing or {})}
    ValueChecks(evidence.graph, arrays, trajectories.ends, "data", problems, usable, known, breaks).run()
    findings = [_error(problem) for problem in (*problems, *([] if ignore_check else breaks))]
    return findings + [
        replace(_error(problem), severity="warning") for problem in (breaks if ignore_check else ())
    ]


def _told_by_values(
    evidence: Evidence, split: Split | None
) -> tuple[list[Finding], list[Proposal], tuple[str, ...]]:
    """What the values themselves say, what they propose, and what was not looked at."""
    findings = [
        *column_checks.constant_columns(evidence),
        *column_checks.duplicated_columns(evidence),
        *column_checks.outliers(evidence),
        *column_checks.number_for_nothing(evidence),
        *wrapping_columns(evidence),
        *column_checks.category_values(evidence),
        *column_checks.missing_values(evidence),
        *row_checks.duplicated_rows(evidence),
        *row_checks.drift(evidence, split),
    ]
    effects = Effects(evidence)
    stuck = [*order_checks.stuck_sensors(evidence)]
    unordered = [*order_checks.rows_in_no_order(evidence)]
    undecided = [*causal_checks.undecided(evidence)]
    findings += stuck + unordered + undecided
    if not unordered + undecided:  # else no effect can be told anyway
        findings += order_checks.actions_without_effect(evidence, effects)
    proposals = [] if unordered else _unspoilt(propose(evidence, effects), stuck)
    return findings, proposals, tuple(_left_out(evidence, effects, proposing=not unordered))


def _unspoilt(proposals: Iterable[Proposal], stuck: Iterable[Finding]) -> list[Proposal]:
    """Without those that rest on a column that stands still: what follows it seems to change by itself."""
    spoilt = {finding.where for finding in stuck}
    return [p for p in proposals if not spoilt or (p.kind != "exogenous" and not spoilt & {*p.columns})]


def _left_out(evidence: Evidence, effects: Effects, *, proposing: bool) -> Iterator[str]:
    rows, some, few = (data.rows for data in (evidence.trajectories, evidence.sample, evidence.small_sample))
    if some < rows:
        yield f"quartiles come from {some} of the {rows} rows, regressions from {few}, spread over all of them"
    if proposing and effects.left_out:
        count = len(effects.pairs)
        yield (
            f"dead times are looked for in {count} pairs of an action and a state, "
            f"those that move together most, and not in {effects.left_out} more"
        )
    if proposing and len(effects.states) > MOST_STATES:
        yield (
            f"columns that change by themselves, or only add up, are looked for among {MOST_STATES} state columns "
            f"at most, and here are {len(effects.states)}"
        )


def applied_line(proposal: Proposal) -> str:
    """One line about a proposal that is applied, and how to turn that off."""
    return f"{proposal.applied()} (found in the data; dataset.proposals=ask leaves it alone)"


def _as_logged(trajectories: Trajectories) -> dict[str, FloatArray]:
    """The arrays with NaN where the log held no value."""
    masks = trajectories.missing or {}
    return {
        name: np.where(masks[name], np.nan, array) if name in masks else array
        for name, array in trajectories.arrays.items()
    }


def _error(problem: Problem) -> Finding:
    place = ", ".join(str(part) for part in (problem.file, problem.place) if part and part != "data")
    message = f"{place}: {problem.what}" if place else problem.what
    return Finding("error", "illegal-data", message, problem.remedy or "correct the data or the description")


def _summaries(evidence: Evidence) -> Iterator[ColumnSummary]:
    masks = evidence.trajectories.missing or {}
    for node, number, column in evidence.logged(transitions=True):
        low, high = (float(bound[number]) for bound in evidence.ranges[node])
        quarters = np.percentile(evidence.sample.arrays[node][:, number], [25, 50, 75])
        missing = int(masks[node][:, number].sum()) if node in masks else 0
        first, middle, last = (float(value) for value in quarters)
        yield ColumnSummary(
            node, column.name, column.type, low, (first, middle, last), high, missing, column.units
        )


def _limited(rows: Iterable[_Row]) -> tuple[list[_Row], list[str]]:
    """The first rows of each kind, and a line about the others of it."""
    shown, more = first_of_each(rows, lambda row: row[1], _LISTED)
    return shown, [f"... and {count} more of the kind {kind}" for kind, count in more.items()]


def _table(rows: Sequence[_Row]) -> Iterator[str]:
    """Three narrow columns, then the text wrapped beside them and its remedy below it."""
    widths = [max(len(row[number]) for row in rows) for number in range(3)]
    widths[2] = min(widths[2], 30)
    indent = sum(widths) + 6
    for row in rows:
        head = "  ".join(cell.ljust(width) for cell, width in zip(row[:3], widths, strict=True)) + "  "
        room = max(40, _WIDTH - indent)
        text = textwrap.wrap(row[3], room) or [""]
        text += textwrap.wrap(f"-> {row[4]}", room, subsequent_indent="   ")
        yield (head + text[0]).rstrip()
        yield from (" " * indent + line for line in text[1:])
