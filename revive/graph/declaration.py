"""A description as it was written, in plain values: what is between the file and the graph."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from revive.graph.columns import Column
from revive.graph.names import (
    STEP,
    TRAJECTORY,
    change_name,
    change_source,
    history_name,
    history_source,
    state_name,
    transition_name,
)
from revive.graph.nodes import CodeRef, Direction, FirstPrinciples

Inputs = Mapping[str, Sequence[str]]
"""Computed node -> its input nodes, both in the order the user wrote."""


@dataclass(frozen=True)
class EffectRule:
    """One declared effect as written: `input` and `output` name a node, a column, or `node.column`.

    `output` None stands for every column of the node.
    """

    input: str
    output: str | None = None
    direction: Direction | None = None
    max_slope: float | None = None


@dataclass(frozen=True)
class NodeOptions:
    """What a description says about a node under `nodes`; `given` names the keys that were written."""

    ts: int | None = None
    ts_length: int | None = None
    history: int | None = None
    step_input: bool = False
    traj_id: bool = False
    freeze: bool = False
    loss_type: str | None = None
    effects: tuple[EffectRule, ...] = ()
    circle: tuple[tuple[str, str], ...] = ()
    data: bool = True
    given: tuple[str, ...] = ()


@dataclass(frozen=True)
class Declaration:
    """Everything a description says; the graph is built from it. `columns`: described node -> its columns."""

    columns: Mapping[str, tuple[Column, ...]]
    inputs: Inputs
    options: Mapping[str, NodeOptions] = field(default_factory=dict)
    functions: Mapping[str, CodeRef] = field(default_factory=dict)
    custom: Mapping[str, CodeRef] = field(default_factory=dict)
    principles: Mapping[str, FirstPrinciples] = field(default_factory=dict)
    tunable: tuple[str, ...] = ()
    metric_nodes: tuple[str, ...] | None = None
    circle: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, columns: Iterable[Column], inputs: Inputs, **others: Any) -> Declaration:
        """The declaration of `columns`, which name their nodes, and the graph `inputs`."""
        grouped: dict[str, list[Column]] = {}
        for column in columns:
            grouped.setdefault(column.node, []).append(column)
        return cls({node: tuple(group) for node, group in grouped.items()}, inputs, **others)

    def option(self, node: str) -> NodeOptions:
        """The options of `node`, all at their defaults where nothing is said."""
        return self.options.get(node, _NOTHING)

    def stacked(self, node: str) -> str | None:
        """The described node whose history `node` is, by its name and a `ts` of two or more; else None."""
        source = self.history_like(node)
        return source if source is not None and (self.option(source).ts or 0) > 1 else None

    def plain(self, node: str) -> str:
        """`node`, or X where `node` is a `ts_X` (next_X where it is a next_ts_X) with `ts` of one or less."""
        state = state_name(node)
        if state is not None and node not in self.columns:
            current = self.plain(state)
            return node if current == state else transition_name(current)
        source = self.history_like(node)
        ts = None if source is None else self.option(source).ts
        return node if source is None or ts is None or ts > 1 else source

    def without_short_histories(self) -> Declaration:
        """The same, in which every history of one value or less is what it is a history of."""
        if all(self.plain(node) == node for node in self.mentioned | set(self.inputs)):
            return self
        plain = self.plain
        kept = [node for node in self.inputs if plain(node) == node or not self.is_push(node)]
        return replace(
            self,
            inputs={plain(node): tuple(dict.fromkeys(map(plain, self.inputs[node]))) for node in kept},
            options={plain(node): self._plain_option(plain(node)) for node in self.options},
            functions={plain(node): self.functions[node] for node in self.functions},
            custom={plain(node): self.custom[node] for node in self.custom},
            principles={plain(node): self._plain_principles(node) for node in self.principles},
            metric_nodes=None if self.metric_nodes is None else tuple(map(plain, self.metric_nodes)),
        )

    @property
    def whole_stacks(self) -> tuple[str, ...]:
        """The next_ts_X that are to be learned frame by frame, although all frames but the newest are known."""
        return tuple(node for node in self.inputs if self._newest_frame(node) is not None)

    def _newest_frame(self, node: str) -> str | None:
        """The next_X to be learned in place of `node`, where this is a next_ts_X that is learned whole; else None."""
        state = state_name(node)
        source = None if state is None else self.stacked(state)
        if source is None or self.is_push(node) or self.has_code(node):
            return None
        busy = {source, transition_name(source)} & set(self.inputs) or self.option(source).ts_length
        return None if busy else transition_name(source)

    def with_newest_frames(self) -> Declaration:
        """The same, in which of a history that is learned whole the newest frame is learned, and pushed."""
        newest = {node: frame for node in self.inputs if (frame := self._newest_frame(node)) is not None}
        if not newest:
            return self
        inputs: dict[str, Sequence[str]] = {}
        for node, sources in self.inputs.items():
            inputs[newest.get(node, node)] = sources
            if node in newest:
                inputs[node] = (state_name(node) or node, newest[node])
        judged = self.metric_nodes
        return replace(
            self,
            inputs=inputs,
            options={newest.get(node, node): option for node, option in self.options.items()},
            metric_nodes=None if judged is None else tuple(newest.get(node, node) for node in judged),
        )

    def _plain_option(self, node: str) -> NodeOptions:
        """The options of `node`, or of the history of one value that is called `node` now."""
        said = next(
            name for name in (node, *self.options) if name in self.options and self.plain(name) == node
        )
        option = self.options[said]
        return replace(
            option, effects=tuple(replace(rule, input=self.plain(rule.input)) for rule in option.effects)
        )

    def _plain_principles(self, node: str) -> FirstPrinciples:
        said = self.principles[node]
        return replace(
            said, residual=None if said.residual is None else tuple(map(self.plain, said.residual))
        )

    def has_code(self, node: str) -> bool:
        """Whether the user has a function or a network class for `node`."""
        return node in self.functions or node in self.custom or node in self.principles

    def history_like(self, node: str) -> str | None:
        """The described node whose history `node` is by its name, unless `node` has columns of its own."""
        source = history_source(node)
        return source if source in self.columns and node not in self.columns else None

    @cached_property
    def names(self) -> frozenset[str]:
        """Every node that the description speaks of."""
        return frozenset({*self.columns, *self.inputs, *(self.mentioned & self.implied)})

    @cached_property
    def mentioned(self) -> frozenset[str]:
        """Every node that is an input of another."""
        return frozenset(source for sources in self.inputs.values() for source in sources)

    @cached_property
    def implied(self) -> frozenset[str]:
        """The nodes without columns of their own that the description may speak of all the same."""
        return frozenset(self._implied()) - frozenset(self.columns)

    def _implied(self) -> Iterator[str]:
        for node in self.columns:
            yield change_name(node)
            if self.option(node).ts is not None:
                yield history_name(node)
        asked = self.options.values()
        said = self.mentioned | set(self.inputs)
        if {STEP, transition_name(STEP)} & said or any(option.step_input for option in asked):
            yield STEP
        if any(option.traj_id for option in asked):
            yield TRAJECTORY

    def is_push(self, node: str) -> bool:
        """Whether `node` is a `next_ts_X` that pushes the present or the next X into the history."""
        state = state_name(node)
        source = None if state is None else self.history_like(state)
        if state is None or source is None or self.has_code(node):
            return False
        return set(self.inputs.get(node, ())) in ({state, source}, {state, transition_name(source)})

    def is_sum(self, node: str) -> bool:
        """Whether `node` is a `next_X` whose inputs are exactly X and delta_X."""
        state = state_name(node)
        if state is None or self.has_code(node):
            return False
        return set(self.inputs.get(node, ())) == {state, change_name(state)}

    def is_count(self, node: str) -> bool:
        """Whether `node` is the step counter of the next step."""
        inputs = list(self.inputs.get(node, ()))
        return node == transition_name(STEP) and inputs == [STEP] and node not in self.functions

    def columns_of(self, node: str) -> tuple[Column, ...]:
        """The columns that `node` has or shares; empty where there are none or it is a history."""
        state = state_name(node)
        if node in self.columns:
            return self.columns[node]
        if state is not None and state in self.columns:
            return self.columns[state]
        source = change_source(node)
        return self.columns_of(source) if source is not None else ()


_NOTHING = NodeOptions()
