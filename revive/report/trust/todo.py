"""What to do about a run, in the plant's terms: the last part of the first page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from revive.data.duration import in_time, steps_told
from revive.data.finding import first_of_each
from revive.report.trust.glossary import standing
from revive.report.trust.parts import number, quoted
from revive.report.trust.verdict import is_copy, level_of
from revive.venv.bands import fewest_blocks

MOST_CHANGES = 6  # rows that are told


def todo(summary: Mapping[str, Any], study: Mapping[str, Any]) -> list[str]:
    """Sentences, most urgent first: the remedies of the verdicts, what to log, and whether to try the policy."""
    shown, _ = first_of_each(summary.get("verdicts", []), lambda verdict: verdict["code"])
    lines = list(dict.fromkeys(verdict["remedy"] for verdict in shown))
    lines += _dither(summary)
    lines += _gap(study, standing(summary))
    lines += _more_steps(study, summary["data"].get("step_seconds"))
    lines += _changes(study)
    if "predicted" not in summary["policy"]:
        return lines
    if level_of(summary) == "stop":
        lines.append("Until then keep the controller that runs now.")
    elif is_copy(summary):
        lines.append(
            "Keep the controller that runs now: what is handed over does no more than copy it. Whether a learned one "
            f"is worth a trial on the plant, 'python -m revive trial-plan run={summary['run_id']}' says."
        )
    else:
        lines.append(
            "Try it first where a mistake costs little, with the logged controller ready to take over, and compare: "
            f"'python -m revive trial-plan run={summary['run_id']}' says for how long, and when to stop."
        )
    return lines


def _dither(summary: Mapping[str, Any]) -> list[str]:
    """Where an action is to be moved by hand, and how that is planned."""
    cards = (summary.get("causal") or {}).get("cards", [])
    actions = list(dict.fromkeys(card["action"] for card in cards if card["grade"] == "C"))
    if not actions:
        return []
    return [
        f"'python -m revive design-experiment run={summary['run_id']}' says how far to move {quoted(actions)}, and "
        "how long."
    ]


def _changes(study: Mapping[str, Any]) -> list[str]:
    """Where to look for what was changed at the plant."""
    rows: dict[int, list[str]] = {}
    for name, parts in study["drift"].items():
        for part in parts:
            for row in part["changes"] if part["alarm"] else []:
                rows.setdefault(row, []).append(name)
    if not rows:
        return []
    told = ", ".join(f"{row} ({quoted(names, 2)})" for row, names in sorted(rows.items())[:MOST_CHANGES])
    return [f"Ask what was changed at the plant near row {told}; log it, or leave out what came before."]


def _gap(study: Mapping[str, Any], stand_ins: list[str]) -> list[str]:
    found = [gap for gap in study.get("policy", {}).get("input_gap", []) if gap["certain"]]
    lines = []
    for gap in found[:2]:
        hidden = gap["column"] in stand_ins
        what = (
            f"Log the cause that '{gap['column']}' stands in for, and let the controller see it"
            if hidden
            else f"Let the controller see '{gap['column']}' (policy.inputs)"
        )
        lines.append(
            f"{what}: a straight line in it alone would gain {number(gap['gain'])} per step (standard error "
            f"{number(gap['error'])}) in the venv."
        )
    return lines


def _more_steps(study: Mapping[str, Any], long: float | None) -> list[str]:
    for lengths in study["bands"]["paths"].values():
        for steps, band in lengths.items():
            if band["q"] is None:
                needed = int((fewest_blocks() - band["blocks"]) * int(steps)) + 1
                more = max(needed, int(steps))
                return [
                    f"For bands of whole paths of {steps_told(int(steps), long)}, log about {more} more "
                    f"steps{in_time(more, long)}, best as runs of their own."
                ]
    return []
