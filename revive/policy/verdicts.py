"""Every reason not to believe a run, as a value with a sentence and a remedy. Pure functions of figures.

`distrust` is said where the venv is not the plant, so that nothing found in it may be used; where that shows before a
policy is chosen, the clone of the logs' controller is taken instead. `caution` is said where the estimate may be wrong.
Thresholds are of two kinds, and both must be passed: a difference is larger than chance (intervals.py), and large
enough to matter (in spreads of what was logged). docs/trust.md says what each verdict means.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from revive.errors import first_few
from revive.policy.conduct import Use
from revive.policy.intervals import Interval
from revive.trust.card import Cards

OUTSIDE = 0.05  # share of the steps
MOVES = 3.0  # times those of the logs
NAMED = 3  # effects that a sentence names

Severity = Literal["distrust", "caution"]


@dataclass(frozen=True)
class Verdict:
    """code: for machines. sentence: what was found. remedy: what to do about it."""

    code: str
    sentence: str
    remedy: str
    severity: Severity

    def to_json(self) -> dict[str, str]:
        return asdict(self)


def about_gain(gain: Interval, own: float) -> list[Verdict]:
    """gain: per step over the clone, foretold by the half that the policy did not learn in; own: in the other one."""
    if gain.low > 0.0:
        return []
    sentence = (
        f"The gain of the best learned policy over the clone is not certain: per step {gain.mean:.3g} in the venv of "
        f"one half, {own:.3g} in the one that it learned in; the true gain is in {gain.low:.3g} .. {gain.high:.3g}."
    )
    remedy = "Log more, above all where the policy would lead; until then the clone is the safer choice."
    return [Verdict("gain", sentence, remedy, "distrust")]


def about_gain_over_logs(gain: Interval) -> list[Verdict]:
    """Of a policy beside a clone that is at fault. gain: per step over the logs, where all members see one."""
    sentence = (
        f"The gain of the learned policy over the logs is not certain: {gain.low:.3g} .. {gain.high:.3g} per step. It "
        f"is taken because every member of the venv sees one, and the clone of the logs' controller is itself at fault."
    )
    remedy = "Log what the controller sees, or try the policy on the plant step by step (python -m revive trial-plan)."
    return [Verdict("gain", sentence, remedy, "caution")]


def about_conduct(uses: Iterable[Use]) -> list[Verdict]:
    """What the learned policy does that the logs never did."""
    found = []
    for use in uses:
        if use.outside > OUTSIDE:
            what = "action" if use.is_action else "state"
            found.append(
                Verdict(
                    f"{what}-range",
                    f"The policy leaves the logged range of '{use.column}' in {use.outside:.0%} of the steps: "
                    f"{use.visited[0]:.3g} to {use.visited[1]:.3g}, logged {use.logged[0]:.3g} to {use.logged[1]:.3g}.",
                    "Nothing was measured there: try it carefully, or declare narrower limits (min, max)."
                    if use.is_action
                    else "Nothing was measured there: log some of it, or let the reward keep the plant away from it.",
                    "caution",
                )
            )
        if use.fastest is not None and use.faster > OUTSIDE:
            found.append(
                Verdict(
                    "pace",
                    f"The logs never move '{use.column}' by more than {use.fastest:.3g} in a step, and often by just "
                    f"that, as an actuator does that can go no faster; the policy moves it further in "
                    f"{use.faster:.0%} of the steps.",
                    "If this column is where a slow actuator stands, log what it is told to do as the action, and its "
                    "position as a state: the venv takes every move for possible, and so promises too much.",
                    "caution",
                )
            )
        if use.moves is not None and use.moves > MOVES:
            found.append(
                Verdict(
                    "moves",
                    f"The policy moves '{use.column}' {use.moves:.1f} times as much from step to step as the logs.",
                    "If the actuator must not be moved like that, let the reward charge for it.",
                    "caution",
                )
            )
    return found


def about_promise(policy: Mapping[str, Any]) -> list[Verdict]:
    """Of a run's policy figures (report/summary.py): whether what is taken promises more than what the logs have.

    Two things are held against it: the clone in the venv, and, because a clone may lack what the controller saw, the
    reward of the logs, which it must not miss for certain.
    """
    if "predicted" not in policy:
        return []
    learned = not policy.get("chosen", {}).get("fallback")
    other = 1 - policy["learned_in_half"]
    if learned and policy["predicted"]["mean"] <= policy["behaviour"][other]["mean"]:
        sentence = "The learned policy promises no more than the logs' controller earns: do not use it."
        return [Verdict("no-gain", sentence, "Keep the controller that you have.", "caution")]
    if "episodes" in policy:
        promised, logged = policy["episodes"]["predicted"], policy["episodes"]["logs"]["return"]
    else:
        promised, logged = policy["predicted"].get("interval"), policy.get("logged")
    if promised is None or logged is None or not promised["high"] < logged:
        return []
    what = "learned policy" if learned else "clone that is handed over"
    sentence = (
        f"The {what} promises less than the logs' controller earned: {promised['high']:.4g} at most, against "
        f"{logged:.4g}."
    )
    remedy = "Keep the controller that you have: it knows something that a policy with these inputs does not."
    return [Verdict("no-gain", sentence, remedy, "caution")]


def about_cards(cards: Cards | None, targets: Collection[str] = ()) -> list[Verdict]:
    """What the logs say about cause and effect, before anything is learned from them.

    targets: the nodes that a policy decides. A hidden cause of another decision is a caution, and so is one against
    which an effect is declared. A venv that does not see the move that acts is none to learn in, whatever is declared.
    """
    if cards is None:
        return []
    found = [Verdict("no-card", f"{said}.", "Log more of it.", "caution") for said in cards.skipped]
    unknown = [card for card in cards.cards if card.grade == "C" and not card.is_late]
    if unknown:
        told = [f"'{card.action}' on '{card.output}': {card.reasons[0]}" for card in unknown]
        found.append(
            Verdict(
                "unknown-effect",
                f"The logs do not tell what an action does (causal grade C): {first_few(told, NAMED, '; ')}.",
                "Move the action by hand in new logs, or declare its effect if you know the sign; policies are judged "
                "more strictly meanwhile.",
                "caution",
            )
        )
    for card in cards.cards:
        for remark in card.remarks:
            if remark.code in ("hidden-driver", "wrong-sign", "dead-time"):
                declared = card.declared is not None and remark.code != "dead-time"
                settled = declared or card.node not in targets
                severity: Severity = "caution" if settled else "distrust"
                found.append(Verdict(remark.code, remark.sentence, remark.remedy, severity))
    return found


def first_distrust(verdicts: Iterable[Verdict]) -> str | None:
    """Why no learned policy may be taken, in the words of the first such verdict."""
    return next((v.sentence for v in verdicts if v.severity == "distrust"), None)
