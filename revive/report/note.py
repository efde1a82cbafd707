"""What a run says of itself in a few lines of Markdown, for the note of its record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from revive.report.trust.parts import number
from revive.report.trust.verdict import headline, reward_of


def note(summary: Mapping[str, Any]) -> str:
    """The verdict in words, the reward that is promised, and every reason not to believe it."""
    return "\n\n".join(_paragraphs(summary))


def _paragraphs(summary: Mapping[str, Any]) -> Iterator[str]:
    gate, policy = summary["gate"], summary["policy"]
    accepted = ", accepted by hand" if gate.get("overridden") else ""
    yield f"**{headline(summary)}** (gate: {gate.get('status', 'not judged')}{accepted})"
    if "predicted" in policy:
        mean, low, high, logged, unit = reward_of(policy)
        truth = policy.get("episodes", {}).get("truth", {}).get("return")
        if "episodes" not in policy and "truth" in policy:
            truth = policy["truth"]["mean"]
        true = "" if truth is None else f"; {number(truth, 4)} in the simulator"
        yield (
            f"Reward {unit}: {number(logged, 4)} in the logs, {number(mean, 4)} predicted "
            f"({number(low, 4)} to {number(high, 4)}, 90 %){true}."
        )
    if (chosen := policy.get("chosen")) is not None:
        why = f": {chosen['fallback']}" if chosen.get("fallback") else ""
        yield f"Taken: {'a clone of a logged controller' if why else chosen['source']}{why}."
    if verdicts := summary["verdicts"]:
        yield "\n".join(f"* {v['severity']}: {v['sentence']} *{v['remedy']}*" for v in verdicts)
