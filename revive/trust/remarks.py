"""What evidence shows beside an effect: hidden causes, contradictions, dead times, noise, disturbances, memories.

Thresholds are those of grading.py: on statistics by the rate of false alarms, beside them a size that matters.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from revive.graph.units import with_unit
from revive.trust.card import Remark
from revive.trust.evidence import Estimate, Evidence
from revive.trust.series import correlation, critical, lagged, over, score

ALARM: Final = 0.002  # rate of false alarms, of all cards together
NARROW: Final = 0.005  # overlap below which nothing is told
MATTERS: Final = 0.25  # of the effect: a difference between slow and fresh moves that is no trifle
SEEN: Final = 0.02  # of the variance of the response that the difference explains
LAGS: Final = range(1, 41)
LATE: Final = 0.15  # correlations from which something is named
NOISY: Final = -0.1
LASTING: Final = 0.2
REMEMBERS: Final = 0.3  # share of the moves that the past of the states explains
INTERVAL: Final = 0.05  # rate at which any of all intervals misses its effect


def fast_estimate(evidence: Evidence, i: int, j: int) -> Estimate:
    """Of the two estimates by fresh moves that which is nearer to the effect."""
    effect = evidence.effect.value[i, j]
    return min((evidence.fast, evidence.usual), key=lambda found: abs(float(found.value[i, j] - effect)))


def shift_of(evidence: Evidence, i: int, j: int) -> float:
    """The effect less that of the fresh moves, in standard errors of the difference."""
    own, fast = evidence.effect, fast_estimate(evidence, i, j)
    error = float(np.sqrt(np.square(own.influence[:, i, j] - fast.influence[:, i, j]).sum()))
    return float(own.value[i, j] - fast.value[i, j]) / max(error, 1e-300)


def hidden_driver(
    evidence: Evidence,
    pairs: int,
    i: int,
    j: int,
    overlap: float,
    shift: float,
    declared: str | None,
    units: str,
) -> list[Remark]:
    effect, fast = float(evidence.effect.value[i, j]), float(fast_estimate(evidence, i, j).value[i, j])
    gaps = [effect - float(found.value[i, j]) for found in (evidence.fast, evidence.usual)]
    summed = float(evidence.summed.value[i, j]) - effect
    moves, wide = evidence.moves[evidence.kept, i], evidence.wide[evidence.kept, j]
    explains = (effect - fast) ** 2 * float(moves.var()) / max(float(wide.var()), 1e-300)
    certain = abs(shift) > critical(ALARM, pairs, evidence.blocks.count) and gaps[0] * gaps[1] > 0
    large = abs(effect - fast) > MATTERS * max(abs(effect), abs(fast)) and explains > SEEN
    by_noise = summed * (effect - fast) < 0
    if by_noise or not (certain and large and overlap > NARROW):
        return []
    action, output = evidence.question.moves[i].column, evidence.question.outputs[j]
    return [
        Remark(
            "hidden-driver",
            f"Something that is not logged seems to move both '{action}' and '{output}': all moves tell an effect of "
            f"{with_unit(f'{effect:.3g}', units)}, fresh moves {fast:.3g} ({abs(shift):.1f} standard errors apart).",
            "Log what the operator reacts to"
            + (
                "; until then the venv learns the declared effect beside a stand-in for it (docs/trust.md)."
                if declared
                else f", or declare the effect of '{action}' on '{output}' if you know its sign."
            ),
        )
    ]


def contradiction(
    action: str, output: str, declared: str | None, low: float, high: float, units: str
) -> list[Remark]:
    if (declared == "decreasing" and low > 0) or (declared == "increasing" and high < 0):
        return [
            Remark(
                "wrong-sign",
                f"The logs contradict the declared effect: '{action}' is declared {declared} for '{output}', "
                f"but its effect lies in {between(low, high, units)}.",
                "Check the declaration; if it is right, something that is not logged moves both.",
            )
        ]
    return []


def latest(evidence: Evidence, i: int, j: int) -> tuple[int, float, float]:
    """The lag at which moves show most in what is left, their correlation and its score."""
    moves, rest = evidence.moves[:, [i]], evidence.rest[:, [j]]
    shifted = {k: lagged(rest, -k, evidence.ends) for k in LAGS}
    at = max(LAGS, key=lambda k: abs(correlation(moves, shifted[k], evidence.kept)))
    return (
        at,
        correlation(moves, shifted[at], evidence.kept),
        score(moves, shifted[at], evidence.kept, evidence.blocks),
    )


def late(evidence: Evidence, pairs: int, i: int, j: int) -> list[Remark]:
    at, found, certain = latest(evidence, i, j)
    now = abs(correlation(evidence.moves[:, [i]], evidence.wide[:, [j]], evidence.kept))
    limit = critical(ALARM, pairs * len(LAGS), evidence.blocks.count)
    if abs(found) < max(LATE, now) or abs(certain) < limit:
        return []
    action, output = evidence.question.moves[i].column, evidence.question.outputs[j]
    node = evidence.question.moves[i].node
    return [
        Remark(
            "dead-time",
            f"'{action}' shows in '{output}' only {at + 1} steps later; the transition does not see so far back.",
            f"Declare a history: nodes: {{{node}: {{ts: {at + 2}}}}}, and 'ts_{node}' as an input of the transition.",
        )
    ]


def noise_sd(evidence: Evidence, j: int) -> float:
    rest = evidence.rest[:, [j]]
    products = (rest * lagged(rest, 1, evidence.ends))[evidence.kept, 0]
    return float(np.sqrt(max(0.0, -products.mean())))


def noise(evidence: Evidence, j: int, unit: str) -> list[Remark]:
    rest = evidence.rest[:, [j]]
    before = lagged(rest, 1, evidence.ends)
    limit = critical(ALARM, len(evidence.question.outputs), evidence.blocks.count)
    if correlation(rest, before, evidence.kept) > NOISY or (
        score(rest, before, evidence.kept, evidence.blocks) > -limit
    ):
        return []
    output = evidence.question.outputs[j]
    return [
        Remark(
            "measurement-noise",
            f"'{output}' is measured with noise of about {with_unit(f'{noise_sd(evidence, j):.2g}', unit)} (standard "
            "deviation): what one step overshoots, the next one takes back.",
            "An observer keeps a policy from chasing it; a history of the column helps.",
        )
    ]


def disturbance(evidence: Evidence, j: int) -> list[Remark]:
    rest = evidence.rest[:, [j]]
    limit = critical(INTERVAL, len(evidence.question.outputs), evidence.blocks.count)
    before = over(rest, range(2, 7), evidence.ends)
    if correlation(rest, before, evidence.kept) < LASTING or (
        score(rest, before, evidence.kept, evidence.blocks) < limit
    ):
        return []
    output = evidence.question.outputs[j]
    return [
        Remark(
            "disturbance",
            f"Something slow that is not logged moves '{output}'.",
            "Log it, or let the transition see a history, from which it can be told.",
        )
    ]


def controller_memory(evidence: Evidence, i: int) -> list[Remark]:
    own, moves = evidence.own[evidence.kept, i].var(), evidence.moves[evidence.kept, i].var()
    if own > (1.0 - REMEMBERS) * moves:
        return []
    action = evidence.question.moves[i].column
    return [
        Remark(
            "controller-memory",
            f"Whoever decided '{action}' used earlier values: they explain {1 - own / moves:.0%} of what the declared "
            "inputs leave.",
            "Give the decision a history (policy.history, or 'ts' of a node).",
        )
    ]


def between(low: float, high: float, units: str) -> str:
    return with_unit(f"{low:.3g} .. {high:.3g}", units)
