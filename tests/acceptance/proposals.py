"""What `check` proposes about made-up plants whose truth is known, as a table: python tests/acceptance/proposals.py.

Each kind is drawn 20 times. `right` counts the plants about which it says what is true; `wrong` those about which it
says anything else that is not true (a dead time, an exogenous column, a stuck sensor, rows in no order).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from revive.data.readers import from_arrays
from revive.data.report import DataReport, check_data
from revive.graph.columns import Column
from revive.graph.decision_graph import DecisionGraph
from tests.acceptance.made_plants import Logs, drawn, logged, shuffled, stuck

KINDS = ("dead_time", "exogenous", "stuck", "no-order", "no-effect")


@dataclass(frozen=True)
class Said:
    """One thing that was said: its kind, the column, and a number where it has one."""

    kind: str
    column: str
    number: int = 0


def report_of(logs: Logs) -> DataReport:
    """The data report of logs whose description takes every column for a state."""
    columns = [Column(name, "state", "continuous") for name in logs.names]
    columns.append(Column("valve", "action", "continuous"))
    graph = DecisionGraph.build(columns, {"action": ["state"], "next_state": ["state", "action"]})
    return check_data(from_arrays(logs.arrays, graph, "made"), graph)


def said_about(logs: Logs) -> set[Said]:
    """Everything of `KINDS` that the report says."""
    report = report_of(logs)
    found = {
        Said(p.kind, p.columns[-1].rpartition(".")[2], int(p.evidence) if p.kind == "dead_time" else 0)
        for p in report.proposals
    }
    found |= {Said(f.code, f.column or "") for f in report.findings}
    return {said for said in found if said.kind in KINDS}


def healthy(seed: int) -> tuple[Logs, set[Said]]:
    """Nothing is wrong."""
    return logged(drawn(seed), seed), set()


def delayed(seed: int) -> tuple[Logs, set[Said]]:
    """A dead time of 0 to 20 steps before the level."""
    return logged(drawn(seed, dead_time=seed % 21), seed), (
        {Said("dead_time", "level", seed % 21)} if seed % 21 else set()
    )


def hidden(seed: int) -> tuple[Logs, set[Said]]:
    """The action acts through a state that is not logged."""
    return logged(drawn(seed, hidden=True), seed), set()


def alone(seed: int) -> tuple[Logs, set[Said]]:
    """The same, and the level behind it is all that is logged."""
    return logged(drawn(seed, hidden=True, alone=True), seed), set()


def disturbed(seed: int) -> tuple[Logs, set[Said]]:
    """A measured disturbance is described as a state."""
    return logged(drawn(seed, disturbed=True), seed), {Said("exogenous", "feed")}


def standing(seed: int) -> tuple[Logs, set[Said]]:
    """A sensor stands still for a while."""
    logs = stuck(logged(drawn(seed), seed), seed)
    return logs, {Said("stuck", str(logs.truth["column"]))}


def mixed(seed: int) -> tuple[Logs, set[Said]]:
    """Rows in no order."""
    return shuffled(logged(drawn(seed), seed), seed), {Said("no-order", "")}


PLANTS: dict[str, Callable[[int], tuple[Logs, set[Said]]]] = {
    "healthy": healthy,
    "dead time": delayed,
    "hidden lag": hidden,
    "hidden, alone": alone,
    "disturbance": disturbed,
    "stuck": standing,
    "shuffled": mixed,
}


def judged(kind: str, seeds: range) -> Iterator[tuple[int, bool, set[Said], set[Said]]]:
    """Seed, whether all was right, what was said wrongly, what was not said."""
    for seed in seeds:
        logs, wanted = PLANTS[kind](seed)
        found = said_about(logs)
        # the temp follows the level, so that a dead time before it is true as well; near it, it may be longer
        extra = {s for s in found - wanted if not (s.kind == "dead_time" and s.column != "level" and wanted)}
        yield seed, not extra and wanted <= found, extra, wanted - found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--kinds", nargs="*", default=[*PLANTS])
    parser.add_argument("--verbose", action="store_true")
    given = parser.parse_args()
    print(f"{'plants':<14} right  wrong  missed   of {given.seeds}")
    for kind in given.kinds:
        results = [*judged(kind, range(given.first, given.first + given.seeds))]
        counts = [sum(bool(r[k]) for r in results) for k in (1, 2, 3)]
        print(f"{kind:<14} {counts[0]:>5}  {counts[1]:>5}  {counts[2]:>6}", flush=True)
        for seed, right, extra, missing in results if given.verbose else ():
            if not right:
                print(
                    f"    seed {seed}: said {sorted(map(str, extra))}, did not say {sorted(map(str, missing))}"
                )
                print(f"        {drawn(seed)}")


if __name__ == "__main__":
    main()
