"""Who follows from whom: the order of the nodes, and everything that can be wrong with it."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Final, Literal

from revive.errors import Problem, nearest, suggestion
from revive.graph.declaration import Inputs
from revive.graph.names import history_source, name_fault, state_name, transition_name

Section = Literal[
    "graph", "columns", "nodes", "expert_functions", "custom_nodes", "tunable", "metric_nodes", "circle"
]

_MOST_LOOPS: Final = 20
_MOST_CHOICES: Final = 20


@dataclass(frozen=True)
class Fault:
    """One thing wrong with a description: about `node`, where its `section` names it.

    `position` is the place in the node's list of inputs, or in a list of nodes; `key` the option under
    `nodes`. `tentative` marks faults that say that something is missing; they mean nothing as long as part of
    the description could not be read. `remedy` may be worked out when it is wanted.
    """

    what: str
    node: str
    section: Section = "graph"
    position: int | None = None
    remedy: str | Callable[[], str] | None = None
    tentative: bool = False
    key: str | None = None

    @property
    def advice(self) -> str | None:
        """The remedy as text."""
        return self.remedy() if callable(self.remedy) else self.remedy

    def problem(self) -> Problem:
        """The fault as a problem whose place is a key of the description."""
        return Problem(self.what, place=f"{self.section}.{self.node}".rstrip("."), remedy=self.advice)


def choices(word: str, options: Collection[str]) -> Callable[[], str]:
    """A remedy that names the nearest of `options`, and all of them where they are few."""

    def text() -> str:
        if len(options) <= _MOST_CHOICES:
            return suggestion(word, options)
        close = nearest(word, options)
        return f"did you mean '{close}'?" if close else f"none of {len(options)} names is like it"

    return text


def computation_order(inputs: Inputs) -> tuple[str, ...]:
    """The computed nodes, inputs first, ties in written order; without those in or behind loops."""
    rank = {node: number for number, node in enumerate(inputs)}
    missing = {node: len({i for i in of if i in rank}) for node, of in inputs.items()}
    users: dict[str, list[str]] = {}
    for node, of in inputs.items():
        for source in dict.fromkeys(of):
            users.setdefault(source, []).append(node)
    names = list(inputs)
    ready = [rank[node] for node, count in missing.items() if count == 0]
    heapq.heapify(ready)
    order: list[str] = []
    while ready:
        order.append(names[heapq.heappop(ready)])
        for user in users.get(order[-1], ()):
            missing[user] -= 1
            if missing[user] == 0:
                heapq.heappush(ready, rank[user])
    return tuple(order)


def loops(inputs: Inputs) -> list[tuple[str, ...]]:
    """One loop for each knot, from cause to effect; its first written node stands at both ends."""
    rank = {node: number for number, node in enumerate(inputs)}
    found: list[tuple[str, ...]] = []
    rest = dict(inputs)
    while len(found) < _MOST_LOOPS:
        done = set(computation_order(rest))
        rest = {
            node: [i for i in of if i in rest and i not in done]
            for node, of in rest.items()
            if node not in done
        }
        if not rest:
            return found
        path = dict.fromkeys([next(iter(rest))])
        cause = next(iter(path))
        while (cause := rest[cause][0]) not in path:
            path[cause] = None
        walked = list(path)
        loop = walked[walked.index(cause) :]
        head = loop.index(min(loop, key=rank.__getitem__))
        found.append((loop[head], *reversed(loop[head + 1 :]), *reversed(loop[: head + 1])))
        inside = set(loop)
        rest = {node: of for node, of in rest.items() if node not in inside}
    return found


def structure_faults(
    inputs: Inputs, described: Collection[str], implied: Collection[str] = ()
) -> Iterator[Fault]:
    """Everything wrong with the graph `inputs` over the nodes that columns describe, `described`.

    `implied` are further nodes that need no columns of their own.
    """
    if not inputs:
        remedy = "write at least one 'node: [inputs]'"
        yield Fault("the graph computes nothing", "", remedy=remedy, tentative=True)
    check = _Structure(inputs, described, implied)
    for node in inputs:
        yield from check.of_node(node)
    for node in described:
        yield from check.of_described(node)
    yield from loop_faults(inputs)


def loop_faults(inputs: Inputs) -> Iterator[Fault]:
    """A fault for each loop."""
    for loop in loops(inputs):
        steps = loop if len(loop) <= _MOST_CHOICES else (*loop[:5], "...", *loop[-5:])
        remedy = "what is known only after the step belongs into a next_ node"
        yield Fault(f"the graph has a loop: {' -> '.join(steps)}", loop[0], remedy=remedy)


class _Structure:
    """The names in a graph, and what is wrong with them."""

    def __init__(self, inputs: Inputs, described: Collection[str], implied: Collection[str]) -> None:
        self.inputs, self.described = inputs, dict.fromkeys(described)
        self.known = {**self.described, **dict.fromkeys(sorted(implied))}

    def of_node(self, node: str) -> Iterator[Fault]:
        """The faults of the entry `node: [inputs]`."""
        fault = name_fault(node)
        if fault:
            yield Fault(f"{fault}, so it cannot name a node", node)
        if not self.inputs[node]:
            remedy = "a node that nothing computes is left out of graph"
            yield Fault(f"'{node}' has no inputs", node, remedy=remedy)
        yield from self._of_target(node)
        seen: set[str] = set()
        for position, source in enumerate(self.inputs[node]):
            if source in seen:
                yield Fault(f"'{node}' names its input '{source}' twice", node, position=position)
            elif source not in self.inputs and source not in self.known:
                yield self._of_unknown(node, position, source)
            seen.add(source)

    def _of_target(self, node: str) -> Iterator[Fault]:
        state = state_name(node)
        if state is None:
            if node not in self.known:
                what = f"no column describes the node '{node}'"
                yield Fault(what, node, remedy=self._describe(node), tentative=True)
        elif state in self.inputs:
            what = f"'{node}' becomes '{state}' at the next step, but the graph computes '{state}' within the"
            remedy = f"drop one of '{node}' and '{state}' from graph"
            yield Fault(f"{what} step", node, remedy=remedy)
        elif state not in self.known:
            if history_source(state) in self.described:
                yield self._of_endless(node, None, state)
                return
            what = f"'{node}' becomes '{state}' at the next step, but no column describes '{state}'"
            yield Fault(what, node, remedy=self._describe(state), tentative=True)

    def _of_unknown(self, node: str, position: int, source: str) -> Fault:
        state = state_name(source)
        if state is not None and state in self.known:
            what = f"'{node}' takes '{source}', but nothing computes it"
            remedy = f"add '{source}: [inputs]' to graph, or take '{state}'"
            return Fault(what, node, position=position, remedy=remedy)
        if history_source(source) in self.described:
            return self._of_endless(node, position, source)
        near = choices(source, {*self.known, *self.inputs} - {node})
        what = f"'{node}' takes '{source}', which no column describes and nothing computes"
        return Fault(what, node, position=position, remedy=near, tentative=True)

    def _of_endless(self, node: str, position: int | None, history: str) -> Fault:
        source = history_source(history)
        what = f"'{node}' speaks of '{history}', the last values of '{source}', but nothing says how many"
        remedy = f"add to nodes, e.g. '{source}: {{ts: 4}}'"
        return Fault(what, node, position=position, remedy=remedy, tentative=True)

    def _describe(self, node: str) -> Callable[[], str]:
        def text() -> str:
            used = {source for sources in self.inputs.values() for source in sources} | set(self.inputs)
            close = nearest(node, [name for name in self.described if name not in used] or self.described)
            head = f"did you mean '{close}'? " if close else ""
            return f"{head}add an entry with 'dim: {node}' under columns for each of its columns"

        return text

    def of_described(self, node: str) -> Iterator[Fault]:
        """The faults of the name `node` that columns describe."""
        state = state_name(node)
        fault = None if node in self.inputs else name_fault(node)
        if state is not None:
            what = (
                f"columns of '{node}' are described, but a transition has the columns of its state '{state}'"
            )
            other = f"use other names than {transition_name('X')}"
            yield Fault(
                what,
                node,
                "columns",
                remedy=f"describe '{state}' alone" if node in self.inputs else other,
            )
        elif fault:
            yield Fault(f"{fault}, so it cannot name a node", node, "columns")
