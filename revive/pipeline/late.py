"""What a run does about a dead time that nobody declared: the transition is shown a history of the action."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from revive.data.derive import with_derived
from revive.data.proposal import Proposal
from revive.graph.amend import amended
from revive.graph.decision_graph import DecisionGraph
from revive.graph.found import Late
from revive.graph.rewire import varies
from revive.pipeline.inputs import Inputs, rewritten
from revive.pipeline.trust import cards_of
from revive.trust.card import Cards, CausalCard

MARGIN = 2  # frames beyond the dead time that was measured


def shown_earlier_values(inputs: Inputs, proposals: Sequence[Proposal] = ()) -> tuple[Inputs, list[str]]:
    """The inputs with a history for each action that shows only later, new cards for them, and a line about each.

    A transition with something else declared about that action, or with a network of the user, is left alone.
    proposals: of the data report. A dead time makes slow moves and fresh ones tell different effects, as a hidden cause
    does. Where the report found one for such a pair, the history is tried, and kept if the alarm is gone with it.
    """
    if inputs.cards is None:
        return inputs, []
    if wanted := list(_late(inputs.cards, inputs.graph)):
        return _with_histories(inputs, wanted), _lines(inputs, wanted, "")
    suspects = _suspects(inputs.cards, inputs.graph, proposals)
    if not suspects:
        return inputs, []
    wanted = list(_grouped(suspects))
    more = _with_histories(inputs, wanted)
    assert more.cards is not None
    pairs = {(card.action, card.output) for card, _, _ in suspects}
    if any(card.alarm for card in more.cards.cards if (card.action, card.output) in pairs):
        return inputs, []
    return more, _lines(inputs, wanted, ", and nothing speaks for a hidden cause any more")


def _with_histories(inputs: Inputs, wanted: Sequence[Late]) -> Inputs:
    graph = amended(inputs.graph, wanted)
    more = rewritten(inputs, wanted, lambda logs: with_derived(logs, graph))
    return replace(more, cards=cards_of(more))


def _lines(inputs: Inputs, wanted: Sequence[Late], more: str) -> list[str]:
    return [
        f"'{_columns(said, inputs.graph)}' shows only later: its last {said.frames} values are inputs of "
        f"{' and '.join(said.models)}{more} (dataset.proposals=ask leaves that out)"
        for said in wanted
    ]


def _suspects(
    cards: Cards, graph: DecisionGraph, proposals: Sequence[Proposal]
) -> list[tuple[CausalCard, str, int]]:
    """Cards with the alarm of a hidden cause for which a dead time was found; their transition, and frames for it."""
    dead = {p.columns: int(p.evidence) for p in proposals if p.kind == "dead_time"}
    found = []
    for card in cards.cards:
        transition = _transition_of(card, graph)
        if (
            not card.alarm
            or card.declared
            or transition is None
            or not _is_free(graph, transition, card.node)
        ):
            continue
        steps = dead.get((f"{card.node}.{card.action}", f"{graph.state_of(transition)}.{card.output}"))
        if steps is not None:
            found.append((card, transition, steps + 1 + MARGIN))
    return found


def looking_back(inputs: Inputs, frames: int) -> tuple[Inputs, list[str]]:
    """The inputs with transitions that see the last `frames` values of all that changes, and a line about it."""
    wanted = list(histories(inputs.graph, frames))
    if not wanted:
        return inputs, []
    graph = amended(inputs.graph, wanted)
    models = " and ".join(dict.fromkeys(name for said in wanted for name in said.models))
    line = f"{models}: from the last {frames} values of their inputs (venv.history)"
    return rewritten(inputs, wanted, lambda logs: with_derived(logs, graph)), [line]


def histories(graph: DecisionGraph, frames: int) -> Iterator[Late]:
    """What gives every transition the last `frames` values of those inputs of which nothing is declared."""
    found: dict[str, list[str]] = {}
    for transition in graph.transitions if frames > 1 else ():
        for source in graph[transition].inputs:
            if varies(graph, source) and _is_free(graph, transition, source):
                found.setdefault(source, []).append(transition)
    for source, models in found.items():
        yield Late(source, frames, tuple(models))


def _late(cards: Cards, graph: DecisionGraph) -> Iterator[Late]:
    found = []
    for card in cards.cards:
        transition = _transition_of(card, graph)
        if card.is_late and transition is not None and _is_free(graph, transition, card.node):
            found.append((card, transition, card.dead_time + MARGIN))
    return _grouped(found)


def _grouped(cards: Sequence[tuple[CausalCard, str, int]]) -> Iterator[Late]:
    """One for each decision node, long enough for all of its columns."""
    found: dict[str, dict[str, int]] = {}
    for card, transition, wanted in cards:
        frames = found.setdefault(card.node, {})
        frames[transition] = max(wanted, frames.get(transition, 0))
    for node, frames in found.items():
        yield Late(node, max(frames.values()), tuple(frames))


def _columns(said: Late, graph: DecisionGraph) -> str:
    return "', '".join(column.name for column in graph.columns(said.node))


def _transition_of(card: CausalCard, graph: DecisionGraph) -> str | None:
    return next((t for t in graph.transitions if card.output in [c.name for c in graph.columns(t)]), None)


def _is_free(graph: DecisionGraph, transition: str, node: str) -> bool:
    """Whether nothing is declared of the transition that names `node` or a history of it."""
    own, model = (
        [name for name in graph[transition].inputs if graph.source_of(name) == node],
        graph[transition],
    )
    named = {
        *(e.input for e in model.effects),
        *(s for s, _ in model.unseen),
        *(c.source for c in model.copies),
    }
    return (
        bool(own) and model.is_learned and not (model.custom or model.principles) and not named & {*own, node}
    )
