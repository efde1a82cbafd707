"""The decision flow graph: what is known, who decides from what, and what follows from what."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, Final

from revive.errors import Problem, UserError, suggestion
from revive.graph import picture
from revive.graph.assemble import assemble
from revive.graph.columns import Column
from revive.graph.declaration import Declaration, Inputs
from revive.graph.found import Amendment, amendment_from_json, amendment_to_json
from revive.graph.names import DONE, change_source, state_name, transition_name
from revive.graph.nodes import LEARNED, DataOrigin, Node, NodeKind, Origin
from revive.graph.rewire import rewired
from revive.graph.rules import declaration_faults
from revive.graph.serial import nodes_from_json, nodes_to_json
from revive.graph.structure import Fault, structure_faults

__all__ = ["DataOrigin", "DecisionGraph", "Node", "NodeKind", "Origin"]

_JSON_VERSION: Final = 1


@dataclass(frozen=True, repr=False)
class DecisionGraph:
    """An immutable graph, evaluated once per time step; then each `next_X` becomes `X`.

    `all_nodes` holds the leaves, then the computed nodes in the order of computation; `judged` the nodes that
    the user wants models to be judged by, None for all; `found` what was written into the nodes because the data
    show it (see `amended`). Use `build` to make a graph from columns and inputs.
    Equal graphs compare and hash equal; graphs can be pickled. Raises UserError where nodes do not fit.
    """

    all_nodes: tuple[Node, ...]
    judged: tuple[str, ...] | None = None
    found: tuple[Amendment, ...] = ()

    def __post_init__(self) -> None:
        known: set[str] = set()
        later = {node.name for node in self.all_nodes}
        for node in self.all_nodes:
            missing = [source for source in node.inputs if source not in known]
            source = node.history.source if node.history else node.name
            if missing or node.name in known or source not in later:
                raise UserError(f"the nodes {', '.join(later)} do not stand in the order of computation")
            known.add(node.name)

    @classmethod
    def build(cls, columns: Iterable[Column], inputs: Inputs) -> DecisionGraph:
        """The graph in which each key of `inputs` is computed from its values; `columns` describe all others.

        Columns of nodes that the graph does not use are left out. Raises UserError with every problem.
        """
        return cls.of(Declaration.of(columns, inputs))

    @classmethod
    def of(cls, declaration: Declaration) -> DecisionGraph:
        """The graph that `declaration` describes. Raises UserError with every problem."""
        graph, faults = cls.attempt(declaration)
        if graph is None:
            raise UserError(*(fault.problem() for fault in faults))
        return graph

    @classmethod
    def attempt(cls, declaration: Declaration) -> tuple[DecisionGraph | None, Iterable[Fault]]:
        """The graph that `declaration` describes, or None and everything that is wrong with it."""
        faults = [
            *structure_faults(declaration.inputs, list(declaration.columns), declaration.implied),
            *declaration_faults(declaration),
        ]
        if faults:
            return None, faults
        nodes, faults = assemble(declaration)
        judged = declaration.without_short_histories().metric_nodes
        return (None, faults) if faults else (cls(nodes, judged), ())

    @cached_property
    def nodes(self) -> Mapping[str, Node]:
        """All nodes by name: the leaves, then the computed nodes in order."""
        return MappingProxyType({node.name: node for node in self.all_nodes})

    @cached_property
    def order(self) -> tuple[str, ...]:
        """The computed nodes, inputs before what follows from them, ties in written order."""
        return tuple(node.name for node in self.all_nodes if not node.is_leaf)

    @cached_property
    def leaves(self) -> tuple[str, ...]:
        """The nodes given at the start of a time step, in written order; those that are made come last."""
        return tuple(node.name for node in self.all_nodes if node.is_leaf)

    @cached_property
    def states(self) -> tuple[str, ...]:
        """The leaves that a transition replaces at the next step."""
        return self._of_kind(NodeKind.STATE)

    @cached_property
    def exogenous(self) -> tuple[str, ...]:
        """The leaves that are replayed from data, tunable ones among them."""
        return self._of_kind(NodeKind.EXOGENOUS, NodeKind.TUNABLE)

    @cached_property
    def tunables(self) -> tuple[str, ...]:
        """The exogenous leaves, constant over a trajectory, that parameter tuning searches."""
        return self._of_kind(NodeKind.TUNABLE)

    @cached_property
    def decisions(self) -> tuple[str, ...]:
        """The learned nodes that a policy may take the place of, in order."""
        return self._of_kind(NodeKind.DECISION)

    @cached_property
    def changes(self) -> tuple[str, ...]:
        """The learned nodes that say by how much something changes until the next step, in order."""
        return self._of_kind(NodeKind.CHANGE)

    @cached_property
    def transitions(self) -> tuple[str, ...]:
        """The nodes that become a state at the next step, learned or not, in order."""
        states = set(self.states)
        return tuple(transition for transition in self.order if state_name(transition) in states)

    @cached_property
    def learned(self) -> tuple[str, ...]:
        """The nodes that are networks, in order."""
        return tuple(name for name in self.order if self.nodes[name].kind in LEARNED)

    @cached_property
    def histories(self) -> tuple[str, ...]:
        """The nodes that hold the last values of another one and are kept by the rollout itself.

        Those whose newest frame is the present one are computed from it; the others are leaves.
        """
        return self._of_kind(NodeKind.HISTORY)

    @cached_property
    def lookback(self) -> int:
        """How many steps before the present one the oldest value lies that any node needs."""
        return max((node.history.lookback for node in self.all_nodes if node.history), default=0)

    @cached_property
    def functions(self) -> tuple[str, ...]:
        """The nodes that a function computes, built in or the user's, in order."""
        return self._of_kind(NodeKind.FUNCTION)

    @cached_property
    def code_files(self) -> tuple[str, ...]:
        """The Python files of the user, beside the description, that functions and networks come from."""
        code = [node.custom for node in self.all_nodes]
        code += [node.principles.code for node in self.all_nodes if node.principles]
        code += [node.function.code for node in self.all_nodes if node.function]
        return tuple(dict.fromkeys(reference.file for reference in code if reference))

    @property
    def step(self) -> str | None:
        """The leaf that counts steps, where there is one."""
        return next(iter(self._of_kind(NodeKind.STEP)), None)

    @property
    def trajectory(self) -> str | None:
        """The leaf that holds the number of the trajectory, where there is one."""
        return next(iter(self._of_kind(NodeKind.TRAJECTORY)), None)

    @property
    def done(self) -> str | None:
        """The node that ends a trajectory: learned, a function, or a leaf that only the logs know."""
        return next((name for name in (transition_name(DONE), DONE) if name in self.nodes), None)

    @cached_property
    def metric_nodes(self) -> tuple[str, ...]:
        """The nodes that models are judged by: learned ones with data, of them those the user named."""
        asked = self.learned if self.judged is None else self.judged
        return tuple(name for name in self.learned if name in asked and self.nodes[name].logged)

    @property
    def default_target(self) -> str:
        """The first decision node. Raises UserError where the graph has none."""
        if not self.decisions:
            what = "the graph has no decision node, so there is no policy to learn"
            raise UserError(
                Problem(what, remedy="name one in the graph, or learn no policy: policy.mode=none")
            )
        return self.decisions[0]

    def next_of(self, state: str) -> str:
        """The transition that becomes `state` at the next step. Raises UserError for any other node."""
        if state not in self.states:
            raise _foreign(f"'{state}' is no state of the graph", state, self.states)
        return transition_name(state)

    def state_of(self, transition: str) -> str:
        """The state that `transition` becomes at the next step. Raises UserError for any other node."""
        state = state_name(transition)
        if state is None or transition not in self.transitions:
            raise _foreign(f"'{transition}' is no transition", transition, self.transitions)
        return state

    def columns(self, node: str) -> tuple[Column, ...]:
        """The columns of `node`; those of a transition are the columns of its state."""
        return self[node].columns

    def source_of(self, node: str) -> str:
        """The node whose columns, units and codec `node` uses, itself for most.

        X for next_X, ts_X and next_ts_X; the array of a history is that of X, frame beside frame.
        """
        history, state = self[node].history, state_name(node)
        if history is not None:
            return self.source_of(history.source)
        return node if state is None else self.source_of(state)

    def data_of(self, node: str) -> DataOrigin:
        """How the data of `node` come out of the logs, where no array has its name."""
        found, state, changed = self[node], state_name(node), change_source(node)
        source = found.history.source if found.history else state
        if not found.logged or (source is not None and self.data_of(source).how is Origin.NONE):
            return DataOrigin(Origin.NONE)
        if found.kind is NodeKind.STEP:
            return DataOrigin(Origin.STEP)
        if found.kind is NodeKind.TRAJECTORY:
            return DataOrigin(Origin.TRAJECTORY)
        if found.history is not None:
            return DataOrigin(Origin.STACK, found.history.source)
        if state is not None:
            return DataOrigin(Origin.NEXT, state)
        if changed in self.nodes:
            return DataOrigin(Origin.CHANGE, changed)
        return DataOrigin(Origin.LOGGED)

    def with_inputs(self, node: str, inputs: Sequence[str], history: int = 1) -> DecisionGraph:
        """The same graph, in which the decision node `node` is computed from `inputs`.

        With a `history` of k above 1 it sees the last k values of each input that changes in time.
        Effects declared on inputs that it no longer has are dropped. Raises UserError where `node` is no
        decision node, and for unknown or repeated inputs and loops.
        """
        return replace(self, all_nodes=rewired(self, node, inputs, history))

    def without_data(self, nodes: Collection[str]) -> DecisionGraph:
        """The same graph, in which `nodes` are marked as having no data.

        Raises UserError for a node that has to be given, and where nothing is left to be judged.
        """
        for name in nodes:
            if self[name].is_leaf:
                raise UserError(f"there are no data of '{name}', but nothing computes it either")
        marked = (replace(node, logged=node.logged and node.name not in nodes) for node in self.all_nodes)
        graph = replace(self, all_nodes=tuple(marked))
        if self.metric_nodes and not graph.metric_nodes:
            raise UserError("none of the nodes that models are judged by has data")
        return graph

    def __getitem__(self, node: str) -> Node:
        try:
            return self.nodes[node]
        except KeyError:
            raise _foreign(f"the graph has no node '{node}'", node, self.nodes) from None

    def __contains__(self, node: object) -> bool:
        return node in self.nodes

    def __reduce__(self) -> tuple[Any, ...]:
        return DecisionGraph, (self.all_nodes, self.judged, self.found)

    def _of_kind(self, *kinds: NodeKind) -> tuple[str, ...]:
        return tuple(node.name for node in self.all_nodes if node.kind in kinds)

    def to_json(self) -> dict[str, Any]:
        """The graph as plain JSON values, for `from_json`."""
        judged = {} if self.judged is None else {"metric_nodes": list(self.judged)}
        found = {"found": [amendment_to_json(a) for a in self.found]} if self.found else {}
        return {"version": _JSON_VERSION, "nodes": nodes_to_json(self.all_nodes), **judged, **found}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> DecisionGraph:
        """The graph that `to_json` wrote."""
        if fields.get("version") != _JSON_VERSION:
            raise UserError(f"graph of version {fields.get('version')!r}, this release reads {_JSON_VERSION}")
        judged = fields.get("metric_nodes")
        return cls(
            nodes_from_json(fields["nodes"]),
            None if judged is None else tuple(judged),
            tuple(map(amendment_from_json, fields.get("found", ()))),
        )

    def mermaid(self) -> str:
        """The graph as a Mermaid flowchart; dotted arrows lead to the next time step."""
        return picture.mermaid(self)

    def __repr__(self) -> str:
        return picture.text(self)


def _foreign(what: str, name: str, known: Iterable[str]) -> UserError:
    return UserError(Problem(what, remedy=suggestion(name, known)))
