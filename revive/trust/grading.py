"""From evidence to cards: what is tested, at which rate of false alarms, and which grade follows.

Every threshold on a statistic follows from the number of independent blocks and from a rate for *all* pairs and lags
together (series.critical). Beside it stands a size below which a difference does not matter, however certain it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from revive.data.finding import sample_windows
from revive.data.trajectories import Trajectories
from revive.graph.decision_graph import DecisionGraph
from revive.graph.units import effect_units, units_of, with_unit
from revive.trust.card import Cards, CausalCard, Grade, Reference, Remark
from revive.trust.evidence import Estimate, Evidence, evidence_for
from revive.trust.question import Question, declared_effect, questions
from revive.trust.references import references
from revive.trust.series import correlation, critical, lagged, over, score

ROWS: Final = 10_000  # at most, in windows of consecutive ones
LEAST: Final = 200  # rows, and for each input:
PER_INPUT: Final = 10
ALARM: Final = 0.002  # rate of false alarms, of all cards together
INTERVAL: Final = 0.05  # rate at which any of all intervals misses its effect
NARROW: Final = 0.005  # overlap below which nothing is told
WIDE: Final = 0.1  # overlap above which there is plenty
NIL: Final = 0.1  # share of the usual change of the output that a usual move makes: no effect to speak of
MATTERS: Final = 0.25  # of the effect: a difference between slow and fresh moves that is no trifle
SEEN: Final = 0.02  # of the variance of the response that the difference explains
LAGS: Final = range(1, 41)
CROSS: Final = range(-10, 31)
LATE: Final = 0.15  # correlations from which something is named
NOISY: Final = -0.1
LASTING: Final = 0.2
References = Mapping[tuple[int, int], tuple[Reference, ...]]
REMEMBERS: Final = 0.3  # share of the moves that the past of the states explains


def causal_cards(logs: Trajectories, graph: DecisionGraph) -> Cards:
    """The card of each pair of a decision column and an output column that it reaches within a step.

    logs: what both halves learn from, with everything that follows from the columns (histories, changes).
    """
    sample = sample_windows(logs, ROWS)
    asked = list(questions(sample, graph))
    skipped = _never_vary(logs, graph)
    needed = max((_needed(question) for question in asked), default=LEAST)
    cards: list[CausalCard] = []
    blocks = 0
    pairs = sum(len(question.moves) * len(question.outputs) for question in asked)
    for question in asked:
        if int(question.known.sum()) < _needed(question):
            known = int(question.known.sum())
            skipped.append(
                f"{question.transition}: {known} complete rows are too few for a causal card, "
                f"{_needed(question)} are needed"
            )
            continue
        evidence = evidence_for(question, sample.ends)
        blocks = max(blocks, evidence.blocks.count)
        cards += _cards(evidence, graph, pairs, references(question, sample.lengths))
    return Cards(tuple(cards), sample.rows, blocks, ALARM, needed, tuple(skipped))


def _needed(question: Question) -> int:
    return max(
        LEAST, PER_INPUT * (question.covariates.shape[1] + len(question.moves) + len(question.earlier))
    )


def _never_vary(logs: Trajectories, graph: DecisionGraph) -> list[str]:
    """Decision columns without a card, in words."""
    return [
        f"{column.name}: never varies in the logs, so nothing can be told of its effect"
        for node in graph.decisions
        if node in logs.arrays
        for number, column in enumerate(graph.columns(node))
        if logs.arrays[node][:, number].min() == logs.arrays[node][:, number].max()
    ]


def _cards(evidence: Evidence, graph: DecisionGraph, pairs: int, known: References) -> list[CausalCard]:
    """One for each decision column and output; of a category that value of it whose effect is clearest, or an alarm."""
    cards: list[CausalCard] = []
    question = evidence.question
    for j in range(len(question.outputs)):
        found: dict[tuple[str, str], CausalCard] = {}
        for i, move in enumerate(question.moves):
            card = replace(_card(evidence, graph, pairs, i, j), references=known.get((i, j), ()))
            key = move.node, move.column
            if key not in found or "D-ABC".index(card.grade) < "D-ABC".index(found[key].grade):
                found[key] = card
        cards += found.values()
    return cards


def _card(evidence: Evidence, graph: DecisionGraph, pairs: int, i: int, j: int) -> CausalCard:
    question, kept = evidence.question, evidence.kept
    move, output = question.moves[i], question.outputs[j]
    effect, se, steps = _clearest(evidence, i, j)
    wide = critical(INTERVAL, pairs * (1 + len(question.earlier)), evidence.blocks.count) * se
    low, high = effect - wide, effect + wide
    overlap = _overlap(evidence, i)
    fresh = _fast(evidence, i, j)
    fast, fast_se = float(fresh.value[i, j]), float(fresh.se[i, j])
    declared = declared_effect(graph, question.transition, move, output)
    scale = float(question.moved[kept, i].std() / question.change[kept, j].std())
    shift = _shift(evidence, i, j)
    action = move.column if move.level is None else f"{move.column}={move.level:g}"
    units = effect_units(units_of(graph), action, output)
    hidden = _hidden(evidence, pairs, i, j, overlap, shift, declared, units)
    remarks = [
        *hidden,
        *_contradiction(move.column, output, declared, low, high, units),
        *([] if hidden else _late(evidence, pairs, i, j)),
        *_noise(evidence, j),
        *_disturbance(evidence, j),
        *_memory(evidence, i),
    ]
    grade, reasons = _grade(overlap, low, high, scale, remarks, units)
    late = next((r for r in remarks if r.code == "dead-time"), None)
    rest, moves = evidence.rest[:, [j]], evidence.moves[:, [i]]
    noise = _noise_sd(evidence, j) if any(r.code == "measurement-noise" for r in remarks) else None
    return CausalCard(
        node=move.node,
        action=action,
        output=output,
        grade=grade,
        overlap=overlap,
        moved=float(evidence.moves[kept, i].std()),
        effect=effect,
        low=low,
        high=high,
        dead_time=(_latest(evidence, i, j)[0] if late else steps) + 1,
        fast=fast,
        fast_se=fast_se,
        shift=shift,
        share=correlation(moves, evidence.wide[:, [j]], kept) ** 2,
        lasts=float(evidence.lasts[i]),
        declared=declared,
        noise=noise,
        moves_acf=_acf(moves, evidence),
        rest_acf=_acf(rest, evidence),
        cross=tuple(correlation(moves, lagged(rest, -k, evidence.ends), kept) for k in CROSS),
        rest=float(rest[kept].std()),
        reasons=tuple(reasons),
        remarks=tuple(remarks),
        units=units,
    )


def _clearest(evidence: Evidence, i: int, j: int) -> tuple[float, float, int]:
    """Effect, its standard error, and how many steps before the decision was made; that which is clearest."""
    move = evidence.question.moves[i]
    found = [(float(evidence.effect.value[i, j]), float(evidence.effect.se[i, j]), 0)]
    if evidence.earlier is not None:
        for number, other in enumerate(evidence.question.earlier):
            if (other.node, other.column) == (move.node, move.column):
                value, se = evidence.earlier.value[number, j], evidence.earlier.se[number, j]
                found.append((float(value), float(se), other.steps))
    return max(found, key=lambda item: abs(item[0]) / max(item[1], 1e-300))


def _overlap(evidence: Evidence, i: int) -> float:
    """The share of a decision's variance that neither what was known nor the other decisions explain."""
    moves = evidence.moves[evidence.kept]
    covariance = np.atleast_2d(np.cov(moves, rowvar=False))
    alone = 1.0 / max(float(np.linalg.pinv(covariance)[i, i]), 1e-300)
    return min(1.0, alone / max(float(evidence.question.moved[evidence.kept, i].var()), 1e-300))


def _fast(evidence: Evidence, i: int, j: int) -> Estimate:
    """Of the two estimates by fresh moves that which is nearer to the effect."""
    effect = evidence.effect.value[i, j]
    return min((evidence.fast, evidence.usual), key=lambda found: abs(float(found.value[i, j] - effect)))


def _shift(evidence: Evidence, i: int, j: int) -> float:
    """The effect less that of the fresh moves, in standard errors of the difference."""
    own, fast = evidence.effect, _fast(evidence, i, j)
    error = float(np.sqrt(np.square(own.influence[:, i, j] - fast.influence[:, i, j]).sum()))
    return float(own.value[i, j] - fast.value[i, j]) / max(error, 1e-300)


def _hidden(
    evidence: Evidence,
    pairs: int,
    i: int,
    j: int,
    overlap: float,
    shift: float,
    declared: str | None,
    units: str,
) -> list[Remark]:
    effect, fast = float(evidence.effect.value[i, j]), float(_fast(evidence, i, j).value[i, j])
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


def _contradiction(
    action: str, output: str, declared: str | None, low: float, high: float, units: str
) -> list[Remark]:
    if (declared == "decreasing" and low > 0) or (declared == "increasing" and high < 0):
        return [
            Remark(
                "wrong-sign",
                f"The logs contradict the declared effect: '{action}' is declared {declared} for '{output}', "
                f"but its effect lies in {_between(low, high, units)}.",
                "Check the declaration; if it is right, something that is not logged moves both.",
            )
        ]
    return []


def _latest(evidence: Evidence, i: int, j: int) -> tuple[int, float, float]:
    """The lag at which moves show most in what is left, their correlation and its score."""
    moves, rest = evidence.moves[:, [i]], evidence.rest[:, [j]]
    shifted = {k: lagged(rest, -k, evidence.ends) for k in LAGS}
    at = max(LAGS, key=lambda k: abs(correlation(moves, shifted[k], evidence.kept)))
    return (
        at,
        correlation(moves, shifted[at], evidence.kept),
        score(moves, shifted[at], evidence.kept, evidence.blocks),
    )


def _late(evidence: Evidence, pairs: int, i: int, j: int) -> list[Remark]:
    at, found, certain = _latest(evidence, i, j)
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


def _noise_sd(evidence: Evidence, j: int) -> float:
    rest = evidence.rest[:, [j]]
    products = (rest * lagged(rest, 1, evidence.ends))[evidence.kept, 0]
    return float(np.sqrt(max(0.0, -products.mean())))


def _noise(evidence: Evidence, j: int) -> list[Remark]:
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
            f"'{output}' is measured with noise of about {_noise_sd(evidence, j):.2g} (sd): what one step "
            "overshoots, the next one takes back.",
            "An observer keeps a policy from chasing it; a history of the column helps.",
        )
    ]


def _disturbance(evidence: Evidence, j: int) -> list[Remark]:
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


def _memory(evidence: Evidence, i: int) -> list[Remark]:
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


def _grade(
    overlap: float, low: float, high: float, scale: float, remarks: Sequence[Remark], units: str
) -> tuple[Grade, list[str]]:
    """scale: a usual move over the usual change of the output, so that interval times scale is a share."""
    against = [r.sentence for r in remarks if r.code in ("hidden-driver", "wrong-sign")]
    if against:
        return "D", against
    reasons = [r.sentence for r in remarks if r.code == "dead-time"]
    if overlap < NARROW:
        reasons.append(
            f"only {overlap:.2g} of its variance is its own, the rest follows from what was logged"
        )
    nil = max(abs(low), abs(high)) * scale < NIL
    if low <= 0 <= high and not nil:
        reasons.append(f"the effect lies in {_between(low, high, units)}, its sign is not known")
    if reasons:
        return "C", reasons
    known = (
        "no effect to speak of" if low <= 0 <= high else f"the effect lies in {_between(low, high, units)}"
    )
    return ("A" if overlap > WIDE else "B"), [known]


def _between(low: float, high: float, units: str) -> str:
    return with_unit(f"{low:.3g} .. {high:.3g}", units)


def _acf(x: np.ndarray, evidence: Evidence) -> tuple[float, ...]:
    return tuple(correlation(x, lagged(x, k, evidence.ends), evidence.kept) for k in range(1, 21))
