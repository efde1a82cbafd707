"""A trial plan for people: a table of what to try, and the rules beside it. From the values of trial_plan.json."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.table import Table

from revive.data.duration import in_time, steps_told
from revive.report.next_steps import PROGRAM
from revive.report.tables import PLAIN


def trial_table(plan: Mapping[str, Any]) -> Table:
    """The candidates in order."""
    table = Table(title="What to try on the plant, in this order (gains per step)", **PLAIN)
    for head in (
        "",
        "candidate",
        "made by",
        "promised",
        "planned for",
        "pairs at most",
        "steps at most",
        "chance",
    ):
        table.add_column(head)
    for number, c in enumerate(plan["candidates"], 1):
        cells = f"{c['promised']:+.3g}", f"{c['expected']:+.3g}", f"{c['before']} + {c['rule']['most']}"
        most = f"{c['steps']}{in_time(c['steps'], plan.get('step_seconds'))}"
        table.add_row(str(number), c["name"], c["source"], *cells, most, f"{c['chance']:.0%}")
    return table


def trial_lines(plan: Mapping[str, Any], worth: float, file: Path) -> Iterator[str]:
    """How to play it, where to begin, when to go back, when to stop. worth: of the planned gain. file: the CSV."""
    blocks, limits, count = plan["blocks"], plan["limits"], len(plan["candidates"])
    step = plan.get("step_seconds")
    how = (
        "each is an episode"
        if blocks["episodes"]
        else f"each is {steps_told(blocks['steps'], step)}, of which the first {blocks['skipped']}"
        f"{in_time(blocks['skipped'], step)} let the plant settle"
    )
    yield ""
    yield "chance  that the planned gain, if it is real, is found by then; as a rule it takes half as many pairs"
    yield "load    a candidate by revive.load_policy from its folder in candidates/, or write it as code: export BUNDLE"
    if plan.get("gate_failed"):
        yield "        with accept_failed_gate=True: the run failed its gate, and these only copy a logged controller"
    yield f"play    the present controller and the candidate in turn, in pairs of blocks; {how}"
    yield "        the order within a pair is drawn and stands in the file: keep to it, the error rate rests on it"
    for move in limits["moves"]:
        unit = f" {move['units']}" if move["units"] else ""
        near = ", then ".join(
            f"{s['times_own_moves'] * move['own']:.3g}{unit} for {s['pairs']} pairs" for s in plan["stages"]
        )
        low, high = move["logged"]
        yield f"begin   with '{move['column']}' no further from what the controller would do than {near};"
        yield f"        after that within what was logged, {low:.4g} to {high:.4g}{unit}"
    for state in limits["states"]:
        unit = f" {state['units']}" if state["units"] else ""
        inside = f"{state['low']:.4g} to {state['high']:.4g}{unit}"
        yield f"back    to the controller at once where '{state['column']}' leaves {inside}"
    yield f"back    for good where a block of a candidate earns less than {blocks['floor']:.4g} per step:"
    yield "        fewer than one logged block in a hundred did"
    yield f"stop    as soon as 'results' says so; a gain surely below {worth:.0%} of the planned one is given up"
    together = f"all {count} candidates together" if count > 1 else "this candidate"
    yield f"        chance of a wrong 'better' or 'worse', for {together}, however often you look:"
    yield f"        {plan['error']:.0%} at most"
    yield f"file    {file}: fill in 'reward', the mean reward per counted step of each block, then ask"
    yield f"        {PROGRAM} trial-plan run={shlex.quote(str(file.parent))} results={shlex.quote(str(file))}"
