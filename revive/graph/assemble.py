"""Makes the nodes of a graph from a declaration: derived ones, learned ones, computed ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from revive.graph.columns import Column
from revive.graph.declaration import Declaration
from revive.graph.dynamics import is_part_of_dynamics
from revive.graph.effects import resolve_effects
from revive.graph.names import (
    DONE,
    STEP,
    TRAJECTORY,
    change_source,
    history_name,
    state_name,
    transition_name,
)
from revive.graph.nodes import (
    CodeRef,
    FunctionSpec,
    HistorySpec,
    Node,
    NodeKind,
    history_circles,
    history_columns,
)
from revive.graph.rules import find_pair
from revive.graph.structure import Fault, computation_order, loop_faults

Wiring = dict[str, tuple[str, ...]]


def assemble(declaration: Declaration) -> tuple[tuple[Node, ...], list[Fault]]:
    """The nodes, leaves first and then in the order of computation, and what showed up to be wrong.

    The declaration has no structural faults. Nodes that the graph does not use are left out.
    """
    said = declaration.without_short_histories().with_newest_frames()
    faults = list(loop_faults(said.inputs))
    if faults:
        return (), faults
    wiring, kept = _with_options(said, _declared_histories(said), faults)
    histories = _timed(wiring, kept)
    learned = {name for name in histories if transition_name(name) in wiring and not _is_pushed(said, name)}
    plan = _Plan(said, wiring, histories, frozenset(learned))
    nodes = {name: plan.node(name) for name in (*plan.leaves(), *plan.computed())}
    for name, option in said.options.items():
        if option.effects and name in nodes:
            effects, wrong = resolve_effects(nodes[name], option.effects, nodes)
            nodes[name] = replace(nodes[name], effects=effects)
            faults += wrong
    named = [nodes[name] for name in said.metric_nodes or () if name in nodes]
    if said.metric_nodes is not None and not any(node.is_learned and node.logged for node in named):
        what = "none of the metric_nodes is learned and has data, so nothing can be judged"
        faults.append(
            Fault(what, "", "metric_nodes", remedy="name a decision or a transition, or drop the key")
        )
    return tuple(nodes.values()), faults


def _is_pushed(said: Declaration, history: str) -> bool:
    return said.is_push(transition_name(history))


@dataclass(frozen=True)
class _Kept:
    """A history before it is known when it ends: `delay` None is as late as possible."""

    source: str
    length: int
    delay: int | None


def _declared_histories(said: Declaration) -> dict[str, _Kept]:
    """The histories `ts_X` that the graph uses."""
    histories: dict[str, _Kept] = {}
    for source in said.columns:
        name, option = history_name(source), said.option(source)
        push = transition_name(name)
        if said.stacked(name) != source or not (name in said.mentioned or push in said.inputs):
            continue
        ts = option.ts or 1
        length = option.ts_length or ts
        delay: int | None = ts - length
        if push in said.inputs and not said.is_push(push):
            delay = int(source in said.inputs)  # a state: its newest frame is known when the step begins
        elif push in said.inputs and source in said.inputs[push]:
            delay = 1
        elif delay == 0 and source in said.inputs:
            delay = None
        histories[name] = _Kept(source, length, delay)
    return histories


def _with_options(
    said: Declaration, histories: Mapping[str, _Kept], faults: list[Fault]
) -> tuple[Wiring, dict[str, _Kept]]:
    """The inputs of each node with what `history`, `step_input` and `traj_id` add, and all histories."""
    wiring: Wiring = {}
    kept = dict(histories)
    constant = {STEP, TRAJECTORY, *said.tunable, *histories}
    constant |= {transition_name(name) for name in constant}
    for node, sources in said.inputs.items():
        option, inputs = said.option(node), list(sources)
        length = option.history or 1
        for position, source in enumerate(inputs if length > 1 else ()):
            name = history_name(source, length)
            if source in constant:
                continue
            if name in said.columns or name in said.inputs:
                what = f"'history' makes the node '{name}', but there is one of this name already"
                faults.append(Fault(what, node, "nodes", key="history", remedy="give that one another name"))
            inputs[position] = name
            kept[name] = _Kept(source, length, 0)
        inputs += [STEP] if option.step_input and STEP not in inputs else []
        inputs += [TRAJECTORY] if option.traj_id and TRAJECTORY not in inputs else []
        wiring[node] = tuple(inputs)
    return wiring, kept


def _timed(wiring: Wiring, histories: Mapping[str, _Kept]) -> dict[str, HistorySpec]:
    """When each history ends: with the present value, or one step before where that follows from it."""
    present = {name: (kept.source,) for name, kept in histories.items() if not kept.delay}
    causes = {**wiring, **present}
    specs: dict[str, HistorySpec] = {}
    for name, kept in histories.items():
        delay = kept.delay
        if delay is None:
            delay = int(name in _ancestors(kept.source, causes))
        specs[name] = HistorySpec(kept.source, kept.length, delay)
    return specs


def _ancestors(node: str, causes: Mapping[str, tuple[str, ...]]) -> set[str]:
    found: set[str] = set()
    waiting = list(causes.get(node, ()))
    while waiting:
        cause = waiting.pop()
        if cause not in found:
            found.add(cause)
            waiting += causes.get(cause, ())
    return found


@dataclass(frozen=True)
class _Plan:
    """Everything needed to make one node after the other; `stacks` are the histories that are states."""

    said: Declaration
    wiring: Wiring
    histories: Mapping[str, HistorySpec]
    stacks: frozenset[str]

    def leaves(self) -> list[str]:
        """The leaves: described ones in written order, then those that are made."""
        used = {source for sources in self.wiring.values() for source in sources}
        used |= {spec.source for spec in self.histories.values()}
        used |= {name for name in self.said.columns if transition_name(name) in self.wiring}
        described = [name for name in self.said.columns if name in used or name == DONE]
        made = [name for name in self.histories if self._is_leaf_history(name)]
        made += [name for name in (STEP, TRAJECTORY) if name in used | {*self._states()}]
        implied = [name for name in self.said.implied if name in used and change_source(name)]
        leaves = dict.fromkeys([*described, *sorted(implied), *made])
        return [name for name in leaves if name not in self.wiring and name not in self._newest]

    def _states(self) -> list[str]:
        return [state for name in self.wiring if (state := state_name(name)) is not None]

    def _is_leaf_history(self, name: str) -> bool:
        return name in self.stacks or self.histories[name].delay > 0

    @cached_property
    def _newest(self) -> dict[str, tuple[str, ...]]:
        """The leaves X that are only the newest frame of a history that is a state."""
        return {
            self.histories[name].source: (name,)
            for name in self.stacks
            if self.histories[name].source not in self.wiring
            and transition_name(self.histories[name].source) not in self.wiring
        }

    def computed(self) -> tuple[str, ...]:
        """The other nodes, inputs first."""
        return computation_order(self._inputs)

    @cached_property
    def _inputs(self) -> Wiring:
        kept = {
            name: (spec.source,) for name, spec in self.histories.items() if not self._is_leaf_history(name)
        }
        return {**self._newest, **kept, **self.wiring}

    def node(self, name: str) -> Node:
        """The node `name`, without its effects."""
        said, option = self.said, self.said.option(name)
        function = self._function(name)
        return Node(
            name,
            self._kind(name, function),
            self.columns(name),
            self._inputs.get(name, ()),
            history=self.histories.get(name),
            function=function,
            custom=said.custom.get(name),
            principles=said.principles.get(name),
            freeze=option.freeze,
            loss_type=option.loss_type,
            circles=self.circles(name),
            logged=option.data,
        )

    def _function(self, name: str) -> FunctionSpec | None:
        code: CodeRef | None = self.said.functions.get(name)
        if code is not None:
            return FunctionSpec(code=code)
        if name in self._newest:
            return FunctionSpec("newest")
        if self.said.is_push(name):
            return FunctionSpec("push")
        if self.said.is_sum(name):
            return FunctionSpec("add")
        return FunctionSpec("step") if self.said.is_count(name) else None

    def _kind(self, name: str, function: FunctionSpec | None) -> NodeKind:
        if function is not None:
            return NodeKind.FUNCTION
        if name in self.histories and name not in self.stacks:
            return NodeKind.HISTORY
        if name == DONE and transition_name(name) not in self.wiring:
            return NodeKind.TERMINATION
        return self._learned_kind(name) if name in self.wiring else self._leaf_kind(name)

    def _leaf_kind(self, name: str) -> NodeKind:
        if name == STEP:
            return NodeKind.STEP
        if name == TRAJECTORY and name in self.said.implied:
            return NodeKind.TRAJECTORY
        if transition_name(name) in self.wiring:
            return NodeKind.STATE
        return NodeKind.TUNABLE if name in self.said.tunable else NodeKind.EXOGENOUS

    def _learned_kind(self, name: str) -> NodeKind:
        if state_name(name) is not None:
            return NodeKind.TRANSITION
        part = change_source(name) is not None or is_part_of_dynamics(self.said, self._inputs, name)
        return NodeKind.CHANGE if part else NodeKind.DECISION

    def columns(self, name: str) -> tuple[Column, ...]:
        """The columns of any node, its own or those it shares."""
        state, change = state_name(name), change_source(name)
        if name in self.said.columns:
            return self.said.columns[name]
        if name in self.histories:
            spec = self.histories[name]
            return history_columns(name, spec, self.columns(spec.source))
        if name in (STEP, TRAJECTORY):
            return (Column(name, name, "continuous", min=0.0),)
        if state is not None:
            return self.columns(state)
        return tuple(
            Column(column.name, name, "continuous", fit=column.fit, units=column.units)
            for column in self.columns(change or name)
        )

    def circles(self, name: str) -> tuple[tuple[int, int], ...]:
        """The pairs of column indices of any node that lie on a circle."""
        state = state_name(name)
        if name in self.said.columns:
            index = {column.name: number for number, column in enumerate(self.said.columns[name])}
            return tuple((index[x.name], index[y.name]) for x, y in self._pairs.get(name, ()))
        if name in self.histories:
            spec = self.histories[name]
            return history_circles(spec, self.circles(spec.source), len(self.columns(spec.source)))
        return () if state is None else self.circles(state)

    @cached_property
    def _pairs(self) -> dict[str, list[tuple[Column, Column]]]:
        """The pairs of columns of each described node that lie on a circle."""
        said = self.said
        asked = [(list(said.columns), pair) for pair in said.circle]
        asked += [([name], pair) for name, option in said.options.items() for pair in option.circle]
        pairs: dict[str, list[tuple[Column, Column]]] = {}
        for nodes, pair in asked:
            found = find_pair(said, nodes, pair)
            if not isinstance(found, str):
                pairs.setdefault(found[0].node, []).append(found)
        return pairs
