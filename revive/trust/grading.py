"""From evidence to cards: what is tested, at which rate of false alarms, and which grade follows.

Every threshold on a statistic follows from the number of independent blocks and from a rate for *all* pairs and lags
together (series.critical). Beside it stands a size below which a difference does not matter, however certain it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from revive.data.finding import sample_windows
from revive.data.trajectories import Trajectories
from revive.graph.decision_graph import DecisionGraph
from revive.graph.units import effect_units, units_of
from revive.trust.card import Cards, CausalCard, Grade, Reference, Remark
from revive.trust.evidence import Evidence, evidence_for
from revive.trust.question import Question, declared_effect, questions
from revive.trust.references import references
from revive.trust.remarks import (
    ALARM,
    INTERVAL,
    NARROW,
    between,
    contradiction,
    controller_memory,
    disturbance,
    fast_estimate,
    hidden_driver,
    late,
    latest,
    noise,
    noise_sd,
    shift_of,
)
from revive.trust.series import correlation, critical, lagged

ROWS: Final = 10_000  # at most, in windows of consecutive ones
LEAST: Final = 200  # rows, and for each input:
PER_INPUT: Final = 10
WIDE: Final = 0.1  # overlap above which there is plenty
NIL: Final = 0.1  # share of the usual change of the output that a usual move makes: no effect to speak of
CROSS: Final = range(-10, 31)
References = Mapping[tuple[int, int], tuple[Reference, ...]]


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
    fresh = fast_estimate(evidence, i, j)
    fast, fast_se = float(fresh.value[i, j]), float(fresh.se[i, j])
    declared = declared_effect(graph, question.transition, move, output)
    scale = float(question.moved[kept, i].std() / question.change[kept, j].std())
    shift = shift_of(evidence, i, j)
    action = move.column if move.level is None else f"{move.column}={move.level:g}"
    units = effect_units(units_of(graph), action, output)
    hidden = hidden_driver(evidence, pairs, i, j, overlap, shift, declared, units)
    remarks = [
        *hidden,
        *contradiction(move.column, output, declared, low, high, units),
        *([] if hidden else late(evidence, pairs, i, j)),
        *noise(evidence, j, units_of(graph).get(output, "")),
        *disturbance(evidence, j),
        *controller_memory(evidence, i),
    ]
    grade, reasons = _grade(overlap, low, high, scale, remarks, units)
    codes = {remark.code for remark in remarks}
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
        dead_time=(latest(evidence, i, j)[0] if "dead-time" in codes else steps) + 1,
        fast=fast,
        fast_se=fast_se,
        shift=shift,
        lasts=float(evidence.lasts[i]),
        declared=declared,
        noise=noise_sd(evidence, j) if "measurement-noise" in codes else None,
        reasons=tuple(reasons),
        remarks=tuple(remarks),
        units=units,
        **_correlations(evidence, i, j),
    )


def _correlations(evidence: Evidence, i: int, j: int) -> dict[str, Any]:
    """Fields of a card: how the operator's own moves, and what they leave of the output, go together over time."""
    rest, moves, kept = evidence.rest[:, [j]], evidence.moves[:, [i]], evidence.kept
    return {
        "share": correlation(moves, evidence.wide[:, [j]], kept) ** 2,
        "moves_acf": _acf(moves, evidence),
        "rest_acf": _acf(rest, evidence),
        "cross": tuple(correlation(moves, lagged(rest, -k, evidence.ends), kept) for k in CROSS),
        "rest": float(rest[kept].std()),
    }


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
            f"only {100 * overlap:.2g} % of its variance is its own, the rest follows from what was logged"
        )
    nil = max(abs(low), abs(high)) * scale < NIL
    if low <= 0 <= high and not nil:
        reasons.append(f"the effect lies in {between(low, high, units)}, its sign is not known")
    if reasons:
        return "C", reasons
    known = "no effect to speak of" if low <= 0 <= high else f"the effect lies in {between(low, high, units)}"
    return ("A" if overlap > WIDE else "B"), [known]


def _acf(x: np.ndarray, evidence: Evidence) -> tuple[float, ...]:
    return tuple(correlation(x, lagged(x, k, evidence.ends), evidence.kept) for k in range(1, 21))
