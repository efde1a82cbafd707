"""The verdict on a run in one line, and the figures that it is about; drawn from `summary.json` alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

Level = Literal["good", "care", "stop"]
HEADLINES: dict[str, str] = {
    "good": "Nothing was found that speaks against the estimate",
    "care": "Use with care",
    "stop": "Do not use the learned policy on the plant",
}
NO_BETTER: dict[str, str] = {  # where a copy of the logs' controller is handed over
    "good": "No better controller was found; nothing speaks against the virtual plant",
    "care": "No better controller was found; use the virtual plant with care",
    "stop": HEADLINES["stop"],
}


def level_of(summary: Mapping[str, Any]) -> Level:
    """The gate's word where there is one, else what the verdicts say."""
    gate = summary.get("gate")
    said = gate.get("status", gate.get("verdict")) if isinstance(gate, Mapping) else gate
    if isinstance(said, str) and said in ("pass", "warn", "fail"):
        return {"pass": "good", "warn": "care", "fail": "stop"}[said]  # type: ignore[return-value]
    severities = {verdict["severity"] for verdict in summary.get("verdicts", [])}
    return "stop" if "distrust" in severities else "care" if severities else "good"


def headline(summary: Mapping[str, Any]) -> str:
    """The verdict in a line: on the policy where one was learned, on the virtual plant where none was."""
    level = level_of(summary)
    if "predicted" not in summary["policy"]:
        return _without_policy(level)
    return (NO_BETTER if is_copy(summary) else HEADLINES)[level]


def is_copy(summary: Mapping[str, Any]) -> bool:
    """Whether a copy of the logs' controller is handed over, because no learned policy could be relied on."""
    return bool(summary["policy"].get("chosen", {}).get("fallback"))


def reward_of(policy: Mapping[str, Any]) -> tuple[float, float | None, float | None, float, str]:
    """What is foretold of a policy: mean, low, high, what the logs earned, and per what that is counted."""
    if "episodes" in policy:
        episodes = policy["episodes"]
        foretold = episodes["predicted"]
        return foretold["mean"], foretold["low"], foretold["high"], episodes["logs"]["return"], "per episode"
    interval = policy["predicted"].get("interval", {})
    return (
        policy["predicted"]["mean"],
        interval.get("low"),
        interval.get("high"),
        policy["logged"],
        "per step",
    )


def _without_policy(level: Level) -> str:
    return {
        "good": "Nothing was found that speaks against the virtual plant",
        "care": "Use the virtual plant with care",
        "stop": "Do not use the virtual plant",
    }[level]
