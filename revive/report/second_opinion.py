"""What it means that the logs alone (fitted Q evaluation) and the models say the same of a policy's gain, or not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ALIKE = 2.0  # times, that one gain may be the other


def gains(of: Mapping[str, float]) -> tuple[float, float]:
    """Over the logs' controller, of the logs alone and of the models; of: an entry of `policy.fqe.halves`."""
    return of["policy"] - of["logs"], of["venv_policy"] - of["venv_behaviour"]


def disagree(policy: Mapping[str, Any]) -> bool:
    """Whether one says that the policy is better than the logs' controller, and the other that it is worse."""
    fqe = policy.get("fqe", {})
    if "halves" not in fqe:
        return False
    logs, venv = gains(fqe["halves"][fqe["half"]])
    return logs * venv < 0


def second_opinion(policy: Mapping[str, Any]) -> str:
    """In words, in the half that the policy did not learn in; empty where the logs alone say nothing."""
    fqe = policy.get("fqe", {})
    if "halves" not in fqe:
        return ""
    logs, venv = gains(fqe["halves"][fqe["half"]])
    if disagree(policy):
        words = ("better", "worse") if venv > 0 else ("worse", "better")
        return (
            f"They disagree: the models say that the policy is {words[0]} than the logs' controller, the logs alone "
            f"that it is {words[1]}. One of them is wrong, and the logs do not tell which. Fitted Q evaluation errs "
            "where the policy acts as nobody did in the logs; the models err where the plant is not what they learned. "
            "Try the policy on the plant before you rely on it (trial-plan)."
        )
    low, high = sorted((abs(logs), abs(venv)))
    if high <= ALIKE * low:
        return "They agree: what the models promise does not rest on the models alone."
    if abs(venv) > abs(logs):
        return (
            "They agree about the sign, not about the size. The logs know little of actions that were seldom taken, so "
            "their figure leans towards what was usual; rely on the sign rather than on the size."
        )
    return "They agree about the sign, not about the size: the models promise less, and are the careful ones here."
