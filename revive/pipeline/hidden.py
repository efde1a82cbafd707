"""What a run does about a hidden cause: it stands a reconstruction of it beside the logged columns.

Only where the logs show one (grade D) behind an effect whose direction the user declares: then it is known what the
action does, but the size of it would be learned from logs in which the operator's answers hide it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from revive.data.finding import sample_windows
from revive.data.trajectories import Trajectories
from revive.graph.decision_graph import DecisionGraph
from revive.graph.found import StandIn
from revive.graph.units import with_unit
from revive.pipeline.inputs import Inputs, rewritten
from revive.trust.card import Cards, CausalCard
from revive.trust.question import questions
from revive.trust.stand_in import effect_beside, stand_in

LOOKED_AT = 10_000  # rows from which the effect beside a stand-in is told


def stood_in(inputs: Inputs, leave_alone: bool) -> tuple[Inputs, list[str]]:
    """The inputs with a stand-in for each hidden cause behind a declared effect, and a line about each of them.

    leave_alone: nothing but what an earlier venv was learned with.
    """
    wanted = list(inputs.prescribed)
    lines = [f"{said.node}: stands in for a hidden cause, as in the venv" for said in wanted]
    if not wanted and not leave_alone and inputs.cards is not None:
        for said, card in _behind(inputs.cards, inputs.graph):
            told = _told(inputs, said, card)
            if told is not None:
                wanted.append(said)
                lines.append(told)
    return (_with(inputs, wanted), lines) if wanted else (inputs, [])


def _behind(cards: Cards, graph: DecisionGraph) -> list[tuple[StandIn, CausalCard]]:
    """One for each action column with an alarm behind a declared effect; the card whose alarm is the clearest."""
    found: dict[tuple[str, str, str], CausalCard] = {}
    for card in cards.cards:
        where = next(
            (t for t in graph.transitions if card.output in [c.name for c in graph.columns(t)]), None
        )
        columns = {column.name: column for column in graph.columns(card.node)}
        plain = card.action in columns and columns[card.action].type != "category"
        if not (card.alarm and card.declared and plain) or where is None or not graph[where].is_learned:
            continue
        key = card.node, card.action, where
        if key not in found or abs(card.shift) > abs(found[key].shift):
            found[key] = card
    grouped: dict[tuple[str, str], tuple[list[str], CausalCard]] = {}
    for (node, column, where), card in found.items():
        grouped.setdefault((node, column), ([], card))[0].append(where)
    return [
        (StandIn(_name(column, graph), node, column, tuple(models)), card)
        for (node, column), (models, card) in grouped.items()
    ]


def _name(column: str, graph: DecisionGraph) -> str:
    name = "unlogged_" + re.sub(r"\W", "_", column)
    while name in graph:
        name += "_"
    return name


def _told(inputs: Inputs, said: StandIn, card: CausalCard) -> str | None:
    """What is said of a stand-in; None for one with which the effect contradicts what is declared."""
    sample = sample_windows(inputs.logs, LOOKED_AT)
    question = next(q for q in questions(sample, inputs.graph) if card.output in q.outputs)
    lasting = stand_in(sample, inputs.graph, question.transition, said.source, said.source_column)
    effect = effect_beside(question, lasting, card.node, card.action, card.output)
    if (effect > 0) != (card.declared == "increasing"):
        return None
    size = with_unit(f"{effect:.3g}", card.units)
    return (
        f"{said.node}: what lasts in the moves of '{card.action}' and nothing logged explains; it stands in for the "
        f"hidden cause, beside it the effect on '{card.output}' is {size} (dataset.proposals=ask leaves it out)"
    )


def _with(inputs: Inputs, wanted: Sequence[StandIn]) -> Inputs:
    return rewritten(replace(inputs, prescribed=()), wanted, lambda logs: _filled(logs, inputs.graph, wanted))


def _filled(logs: Trajectories, graph: DecisionGraph, wanted: Sequence[StandIn]) -> Trajectories:
    """The logs with the arrays of stand-ins, each from these rows alone."""
    more = {
        said.node: stand_in(logs, graph, said.models[0], said.source, said.source_column) for said in wanted
    }
    return replace(logs, arrays={**{name: logs.arrays[name] for name in logs.arrays}, **more})
