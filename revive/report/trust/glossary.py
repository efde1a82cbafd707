"""What the words of the first page mean, one sentence each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from revive.data.duration import duration


def glossary(summary: Mapping[str, Any]) -> list[str]:
    """`Word: what it means.`, and a line about every column that is no sensor."""
    long = summary["data"].get("step_seconds")
    lines = [
        "Venv: the virtual plant that was learned from the logs.",
        "Half: the logs are cut in two, called the training and the validation half; each teaches a venv of its own, "
        "which is tested on the other.",
        "Member: one of the models that make up a venv; where they disagree, the logs did not say enough.",
        "Policy: the controller that the run hands over.",
        "Clone: a copy of the controller in the logs.",
        "Reward: what the policy is to make large, as the reward file says.",
        f"Step: one row of the logs{', ' + duration(long) if long else ''}.",
        "Own moves: what an action did that the logged columns do not explain, as when an operator tries something; "
        "fresh moves: what its own past does not foretell either.",
        "Band: what holds nine values in ten, counted on steps that were not learned from.",
    ]
    lines += [
        f"{name}: no sensor, but a stand-in for a cause that nobody logged, reckoned from what lasts in the operator's "
        "moves; 0 is usual."
        for name in standing(summary)
    ]
    return lines


def standing(summary: Mapping[str, Any]) -> list[str]:
    """The columns that stand in for causes that nobody logged."""
    return list((summary.get("causal") or {}).get("stand_ins", []))
