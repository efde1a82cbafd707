"""What a trial on the plant says so far: its rewards, judged by the rule of the plan."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from revive.errors import Problem, UserError
from revive.runs import write_json
from revive.trust.trial import Judgement, Rule

_A_NUMBER = "write a number, or nothing where the block was not played"
SAID = {
    "go on": "go on: nothing is certain yet",
    "better": "stop: it is better than the controller",
    "worse": "stop: it is worse than the controller; go back",
    "futile": "give it up: its gain is too small to be worth more trials",
    "undecided": "give it up: after all planned pairs no difference shows",
}


def results(plan: Mapping[str, Any], file: Path, out: Path) -> list[str]:
    """A line for each candidate that was tried, and what to do next; also written to `out`.

    plan: trial_plan.json. file: trial_plan.csv with rewards. Raises UserError where the two do not fit.
    """
    earned = _rewards(file)
    lines, found = [], []
    try:
        pairs = _pairs(plan, earned)
        floor = float(plan["blocks"]["floor"])
        for candidate in plan["candidates"]:
            judged = Rule(**candidate["rule"]).judge(pairs[candidate["name"]])
            bad = [
                block
                for block, name, _, plays, _ in plan["schedule"]
                if name == plays == candidate["name"] and earned.get(block, math.inf) < floor
            ]
            found.append({"candidate": candidate["name"], "blocks_below_floor": bad, **judged.to_json()})
            lines.append(_line(candidate["name"], judged, bad))
            if judged.state in ("go on", "better"):
                break
    except (KeyError, TypeError, ValueError) as error:
        remedy = "make the plan anew: trial-plan run=NAME"
        raise UserError(Problem(f"does not fit the plan: {error}", file, remedy=remedy)) from error
    write_json(out, {"candidates": found})
    return lines


def _rewards(file: Path) -> dict[int, float]:
    """Block -> reward, of the blocks that have one."""
    try:
        with file.open(newline="", encoding="utf-8") as text:
            rows = list(csv.DictReader(text))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            Problem(f"cannot be read: {error}", file, remedy="results=trial_plan.csv of the run")
        ) from error
    if not rows or not {"block", "reward"} <= rows[0].keys():
        raise UserError(
            Problem("lacks the columns block and reward", file, remedy="fill in trial_plan.csv of the run")
        )
    found: dict[int, float] = {}
    for number, row in enumerate(rows, 2):
        if not (row["reward"] or "").strip():
            continue
        try:
            found[int(row["block"])] = float(row["reward"])
        except (TypeError, ValueError) as error:
            raise UserError(Problem(str(error), file, f"line {number}", _A_NUMBER)) from error
        if not math.isfinite(found[int(row["block"])]):
            raise UserError(Problem(f"the reward is {row['reward']}", file, f"line {number}", _A_NUMBER))
    return found


def _pairs(plan: Mapping[str, Any], earned: Mapping[int, float]) -> dict[str, list[float]]:
    """Candidate -> differences of the complete pairs that count, candidate less controller."""
    both: dict[tuple[str, int], dict[bool, float]] = {}
    for block, name, pair, plays, counts in plan["schedule"]:
        if counts and block in earned:
            both.setdefault((name, pair), {})[plays == name] = earned[block]
    found: dict[str, list[float]] = {candidate["name"]: [] for candidate in plan["candidates"]}
    for (name, _), values in both.items():
        if len(values) == 2:
            found[name].append(values[True] - values[False])
    return found


def _line(name: str, judged: Judgement, bad: list[int]) -> str:
    gain = (
        f"gain {judged.mean:+.3g} ({judged.low:.3g} .. {judged.high:.3g} at all times together)"
        if math.isfinite(judged.low)
        else f"gain {judged.mean:+.3g}, too few pairs for an interval"
    )
    text = f"{name}: {SAID[judged.state]}. {judged.pairs} pairs, {gain}"
    return f"{text}; block {bad[0]} earned less than the floor: go back for good" if bad else text
