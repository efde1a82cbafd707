"""What speaks against the venv: imitation, signs of effects, rollouts that err; see `verdicts`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from revive.data.duration import in_time, steps_told
from revive.policy.intervals import Interval
from revive.policy.signs import SignOfEffect
from revive.policy.verdicts import Verdict
from revive.venv.validation import HORIZONS, RolloutError

RELEVANT = 0.25  # spreads of the logged reward per step, and share of the gain: a gap below both is no matter
WITHIN, BETWEEN = 0.8, 0.7  # agreement about a sign among the members of a half, and between the halves
SLACK = 1.02  # times the error of a baseline, so that a tie after one small step is none
# Steps: a venv that fails within them is of no use; beyond, what is chaotic can be foretold by none.
SOON = 10
EXPLODED = 3.0  # spreads of the data
HALVES = ("training", "validation")


@dataclass(frozen=True)
class Imitation:
    """What the behaviour policy earned in one half's venv, and what the logs earned on the very same rows, per step.

    gap: venv less logs, with its 90 % interval. spread: of the logged reward, from one stretch of the logs to another.
    """

    logs: float
    venv: float
    gap: Interval
    spread: float

    @property
    def is_real(self) -> bool:
        """Whether the gap is more than chance, and no trifle."""
        if not self.gap.is_finite:
            return True
        certain = self.gap.low > 0.0 or self.gap.high < 0.0
        return certain and not self.is_close

    @property
    def is_close(self) -> bool:
        """Whether the gap, as well as it is known, is a trifle."""
        return self.gap.is_finite and abs(self.gap.mean) <= RELEVANT * self.spread

    def to_json(self) -> dict[str, Any]:
        return {"logs": self.logs, "venv": self.venv, "gap": self.gap.to_json()}


def about_imitation(
    imitations: Sequence[Imitation],
    gain: float | None,
    clone_at_fault: bool = False,
    remembered: Sequence[Imitation] = (),
) -> list[Verdict]:
    """gain: per step, that the best policy promises over the clone; None where none is learned.

    A gap that is small beside the gain leaves the gain standing. clone_at_fault: the venv passed the replay with the
    controller's departures; remembered: the same rows under a controller that has a memory (imitation.py).
    """
    if not any(i.is_real for i in imitations):
        return []
    judged = remembered or imitations
    worst = max(abs(i.gap.mean) if i.gap.is_finite else math.inf for i in judged)
    sentence = (
        f"The clone of the logs' controller does not earn in the venv what the controller earned in the logs: "
        f"{_both(imitations, 'venv')} against {_both(imitations, 'logs')} per step on the same rows of the two halves."
    )
    if remembered:
        sentence += f" With a memory of what it saw and did it earns {_both(remembered, 'venv')}."
    if clone_at_fault:
        sentence += (
            " With the controller's departures from the clone replayed it does: the clone is at fault."
        )
    if clone_at_fault or all(i.is_close for i in judged):
        remedy = (
            "Let the policy see what the controller saw (policy.inputs, policy.history, declared histories)."
        )
        return [Verdict("imitation", sentence, remedy, "caution")]
    remedy = (
        "Ask what the venv or the clone does not see: a dead time or earlier values (a history), a disturbance or an "
        "input of the controller that is not declared, an effect whose sign you know (declare it in the description)."
    )
    trusted = gain is not None and math.isfinite(gain) and worst < RELEVANT * gain
    return [Verdict("imitation", sentence, remedy, "caution" if trusted else "distrust")]


def _both(imitations: Sequence[Imitation], which: Literal["venv", "logs"]) -> str:
    return " and ".join(f"{getattr(i, which):.3g}" for i in imitations)


def about_signs(signs: Iterable[SignOfEffect], step_seconds: float | None = None) -> list[Verdict]:
    """One verdict for each pair of an action and a column; that of the horizon at which the agreement is worst.

    step_seconds: how long a step takes, where that is known.
    """
    worst: dict[tuple[str, str], SignOfEffect] = {}
    for sign in signs:
        key = (sign.action, sign.column)
        if (sign.within < WITHIN or sign.between < BETWEEN) and (
            key not in worst or _agreement(sign) < _agreement(worst[key])
        ):
            worst[key] = sign
    found = []
    for sign in worst.values():
        who = "The two halves" if sign.between < BETWEEN else "The members of the venv"
        steps = steps_told(sign.steps, step_seconds)
        found.append(
            Verdict(
                "sign",
                f"{who} disagree whether more '{sign.action}' raises or lowers '{sign.column}' after {steps} "
                f"(agreement within a half {sign.within:.0%}, between halves {sign.between:.0%}).",
                f"Move '{sign.action}' by hand in new logs, or declare its effect in the description if you know it.",
                "distrust",
            )
        )
    return found


def _agreement(sign: SignOfEffect) -> float:
    return min(sign.within / WITHIN, sign.between / BETWEEN)


def about_errors(errors: RolloutError, step_seconds: float | None = None) -> list[Verdict]:
    """What rollouts against data of the other half show. step_seconds: how long a step takes, where that is known."""
    return [*_exploded(errors, step_seconds), *_no_better(errors, step_seconds)] if errors.horizon else []


def _no_better(errors: RolloutError, step_seconds: float | None) -> list[Verdict]:
    venv = errors.in_spreads().mean(0)
    found = []
    for of, name in (("persistence", "nothing changes"), ("average", "always the mean")):
        simple = errors.in_spreads(of).mean(0)
        steps = [h for h in HORIZONS if h <= errors.horizon and venv[h - 1] > SLACK * simple[h - 1]]
        if not steps:
            continue
        soon = min(steps) <= SOON
        remedy = (
            "Log more or faster, or declare what the venv cannot see: nothing found in it can be relied on."
            if soon
            else "Do not read rollouts that far; a smaller policy.horizon keeps training within the steps before."
        )
        listed = ", ".join(f"{step}{in_time(step, step_seconds)}" for step in steps)
        found.append(
            Verdict(
                "baseline",
                f"At step {listed} the venv predicts no better than '{name}'.",
                remedy,
                "distrust" if soon else "caution",
            )
        )
    return found


def _exploded(errors: RolloutError, step_seconds: float | None) -> list[Verdict]:
    found = []
    table = errors.in_spreads()
    for half, at_step in enumerate(table):
        beyond = [step for step, error in enumerate(at_step, 1) if not error < EXPLODED]
        if beyond:
            found.append(
                Verdict(
                    "explosion",
                    f"On the {HALVES[1 - half]} half the rollout error explodes: it passes {EXPLODED:g} spreads of the "
                    f"data at step {beyond[0]}{in_time(beyond[0], step_seconds)}.",
                    "Declare bounds (min, max) of the states, log more of the range, or look for a transition that is "
                    "told apart by nothing that is declared.",
                    "distrust",
                )
            )
    return found
