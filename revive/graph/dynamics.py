"""Which learned nodes inside a step belong to the plant rather than to whoever decides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from revive.graph.declaration import Declaration
from revive.graph.names import change_source, state_name


def is_part_of_dynamics(said: Declaration, wiring: Mapping[str, tuple[str, ...]], node: str) -> bool:
    """Whether a learned node, no transition, is what the plant does: predicted in rollouts, never replayed.

    So it is where functions alone lead from it to a next state, and where it either follows from a decision or has
    the columns of that state. A decision whose consequence is a known function has neither.

    wiring: computed node -> its inputs.
    """
    reached = set(_through_functions(said, wiring, node))
    if not reached:
        return False
    own = {column.name for column in said.columns.get(node, ())}
    of_states = {column.name for name in reached for column in said.columns_of(state_name(name) or name)}
    return own <= of_states or any(_is_decided(said, wiring, cause) for cause in _causes(wiring, node))


def _through_functions(said: Declaration, wiring: Mapping[str, tuple[str, ...]], node: str) -> Iterator[str]:
    """The transitions that are functions and are reached from `node` through functions alone."""
    waiting, seen = [node], {node}
    while waiting:
        cause = waiting.pop()
        users = [name for name, inputs in wiring.items() if cause in inputs and name in said.functions]
        for name in (user for user in users if user not in seen):
            seen.add(name)
            waiting.append(name)
            if state_name(name) is not None:
                yield name


def _causes(wiring: Mapping[str, tuple[str, ...]], node: str) -> set[str]:
    """The nodes that `node` follows from within the step."""
    found: set[str] = set()
    waiting = list(wiring.get(node, ()))
    while waiting:
        cause = waiting.pop()
        if cause not in found:
            found.add(cause)
            waiting += wiring.get(cause, ())
    return found


def _is_decided(said: Declaration, wiring: Mapping[str, tuple[str, ...]], node: str) -> bool:
    automatic = node in said.functions or said.history_like(node) is not None
    return node in wiring and not automatic and state_name(node) is None and change_source(node) is None
