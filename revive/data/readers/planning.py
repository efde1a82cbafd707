"""Which arrays or table columns make up the nodes of a graph."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from revive.data.derive import is_optional, is_read
from revive.data.readers.container import (
    AND,
    DONE,
    NUMBER,
    PLAIN_ARRAYS,
    RESETS,
    TRAJECTORY,
    WORD,
    WRITE_NUMBERS,
    Container,
    Info,
    Part,
)
from revive.data.readers.options import ReadOptions
from revive.data.readers.spoken import check_spoken
from revive.data.readers.where import ROW, Where, unknown_column
from revive.data.roles import Role, role_by_name
from revive.errors import Problems, first_few, suggestion
from revive.graph.decision_graph import DecisionGraph, NodeKind
from revive.graph.names import mask_name, transition_name

TIME: Final = "time"
NUMBERS: Final = ("numbers",)
_SLICE: Final = re.compile(r"(.+)\[(\d+)(?::(\d+))?\]$", re.DOTALL)
_SHOWN: Final = 20  # names listed in one message
_COMPARED: Final = 200  # names that a misspelt one is compared with


@dataclass(frozen=True)
class Planner:
    """Looks up every node of `graph` in an opened container; adds to `problems` what is not well-formed."""

    container: Container
    graph: DecisionGraph
    options: ReadOptions
    problems: Problems

    def plan(self) -> dict[str, tuple[Part, ...]]:
        """Node -> its parts; without the nodes that are malformed, and without transitions to be built."""
        plan: dict[str, tuple[Part, ...]] = {}
        check_spoken(self.container, self.graph, self.options, self.problems)
        table = self.options.nodes
        for node in table:
            if node not in self.graph:
                remedy = suggestion(node, self.graph.nodes)
                self.problems.add(
                    f"'table' names '{node}', which is no node",
                    file=self.container.name,
                    place="table",
                    remedy=remedy,
                )
        for name in filter(lambda node: is_read(self.graph, node), self.graph.nodes):
            sources = self._sources(name)
            if sources is None:
                continue
            parts = [self._part(name, source) for source in sources]
            known = tuple(part for part in parts if part is not None)
            if len(known) == len(parts) and self._fits(name, known):
                plan[name] = known
        self._check_rows({name: parts[0] for name, parts in plan.items()})
        return plan

    def _sources(self, name: str) -> Sequence[str] | None:
        """What `name` is made of, or None where it is missing, or is no problem to miss."""
        infos, table = self.container.infos, self.options.nodes
        if name in table:
            return table[name]
        transition = name in self.graph.transitions
        if transition and (state := self.graph.state_of(name)) in table:
            sources = [transition_name(source) for source in table[state]]
            return sources if all(_base(source, infos) in infos for source in sources) else None
        if not self.container.is_table:
            if name in infos:
                return [name]
            if not transition and not is_optional(self.graph, name):
                what = f"the array '{name}' of a described node is missing"
                self.problems.add(what, file=self.container.name, remedy=self._absence(name))
            return None
        return self._table_columns(name, transition)

    def _table_columns(self, name: str, transition: bool) -> list[str] | None:
        infos = self.container.infos
        found = [self._table_column(name, number) for number in range(self.graph[name].width)]
        known = [source for source in found if source is not None]
        if len(known) == len(found):
            return known
        if (transition or is_optional(self.graph, name)) and not known:
            return None
        columns = [
            column.name for column, s in zip(self.graph.columns(name), found, strict=True) if s is None
        ]
        what = f"the table has no {first_few(columns, _SHOWN)} of the node '{name}'"
        hint = "name the columns under 'table', or as 'node.column'"
        similar = self._similar(columns[0]) if infos else None
        self.problems.add(what, file=self.container.name, remedy=f"{hint}; {similar}" if similar else hint)
        return None

    def _table_column(self, name: str, number: int) -> str | None:
        """By `node.column`, by `column` where one node alone has it, by `node` of one column, by `node_0`."""
        columns = self.graph.columns(name)
        column = columns[number].name
        bare = column if name not in self.graph.transitions else transition_name(column)
        candidates = [f"{name}.{column}"]
        candidates += [bare] if self._owners[column] < 2 else []
        candidates += [name] if len(columns) == 1 else []
        candidates += [f"{name}_{number}"]
        return next((candidate for candidate in candidates if candidate in self.container.infos), None)

    @cached_property
    def _owners(self) -> Counter[str]:
        """Column -> how many nodes have one of that name."""
        nodes = self.graph.nodes.values()
        return Counter(c.name for n in nodes if n.name == n.columns[0].node for c in n.columns)

    def _part(self, node: str, source: str) -> Part | None:
        infos = self.container.infos
        base, start, stop = source, 0, -1
        if source not in infos and not self.container.is_table and (found := _SLICE.match(source)):
            base, start = found[1], int(found[2])
            stop = start + 1 if found[3] is None else int(found[3])
        if base not in infos:
            kind = "column" if self.container.is_table else "array"
            what = f"'{node}' takes the {kind} '{base}', which is not there"
            remedy = self._similar(base) or "correct the name"
            self.problems.add(what, file=self.container.name, place=f"table.{node}", remedy=remedy)
            return None
        info = infos[base]
        if not info.numeric:
            remedy = PLAIN_ARRAYS if "objects" in info.holds else WRITE_NUMBERS
            what = f"'{base}' holds {info.holds}, not numbers"
            self.problems.add(what, file=self.container.name, place=node, remedy=remedy)
            return None
        if len(info.shape) not in (1, 2):
            self._add_shape(node, info)
            return None
        stop = info.width if stop < 0 else stop
        if not start < stop <= info.width:
            what = f"'{node}' takes '{source}', but '{base}' has {info.width} columns, counted from 0"
            remedy = "name[first:behind], e.g. name[0:2] for the first two columns"
            self.problems.add(what, file=self.container.name, place=f"table.{node}", remedy=remedy)
            return None
        return Part(base, start, stop)

    def _fits(self, node: str, parts: Sequence[Part]) -> bool:
        width = sum(part.width for part in parts)
        rows = [self.container.infos[part.source].shape[0] for part in parts]
        if len({*rows}) > 1:
            what = f"the arrays that make up '{node}' have {first_few([*map(str, rows)], _SHOWN)} rows"
            remedy = "they need a row for each time step"
            self.problems.add(what, file=self.container.name, place=f"table.{node}", remedy=remedy)
            return False
        if width != self.graph[node].width:
            info = self.container.infos[parts[0].source]
            self._add_shape(
                node, info if len(parts) == 1 and not self.options.nodes else Info((rows[0], width))
            )
            return False
        return True

    def _add_shape(self, node: str, info: Info) -> None:
        width = self.graph[node].width
        columns = "column" if width == 1 else "columns"
        shape = str(info.shape).replace("-1", "rows")
        what = f"'{node}' has the shape {shape}, the description gives it {width} {columns}"
        self.problems.add(what, file=self.container.name, place=node, remedy=f"wanted: (rows, {width})")

    def _check_rows(self, parts: dict[str, Part]) -> None:
        counts = {
            name: self.container.infos[part.source].shape[0]
            for name, part in parts.items()
            if self.graph[name].kind is not NodeKind.TUNABLE
        }
        if len(set(counts.values())) > 1:
            shown = first_few([f"{name} {count}" for name, count in counts.items()], _SHOWN)
            what = f"the arrays differ in their number of rows: {shown}"
            self.problems.add(
                what, file=self.container.name, remedy="a row of every array for each time step"
            )

    def _absence(self, name: str) -> str:
        none = (
            ""
            if self.graph[name].is_leaf
            else f", or say that there are no data: nodes: {{{name}: {{data: false}}}}"
        )
        return (self._similar(name) or "add it") + none

    def _similar(self, name: str) -> str | None:
        free = [source for source in self.container.infos if source not in self.graph][:_COMPARED]
        return suggestion(name, free[:_SHOWN]) or None if len(free) <= _SHOWN else _nearest_only(name, free)

    def labels(self) -> dict[str, str]:
        """Role -> source of what tells trajectories, times and rows; adds to `problems` what is not there."""
        infos, options = self.container.infos, self.options
        wanted = {
            f"{TRAJECTORY}:{number}" if number else TRAJECTORY: s
            for number, s in enumerate(options.trajectories)
        }
        wanted |= {role: s for role, s in ((TIME, options.time), (RESETS, options.resets)) if s is not None}
        wanted |= {f"{DONE}:{source}": source for source in self._done()}
        labels = {role: source for role, source in wanted.items() if self._label_fits(role, source)}
        if options.where is not None:
            labels |= self._asked(Where(options.where))
        if not self.container.is_table and "index" in infos and not options.trajectories:
            labels["index"] = "index"
        if not self.container.is_table:
            masks = {mask_name(node) for node in self.graph.nodes}
            labels |= {name: name for name in infos if name in masks}
        return labels

    def _done(self) -> Sequence[str]:
        """What says that a trajectory is done: as told, or by its name where nothing else tells trajectories."""
        options, infos = self.options, self.container.infos
        if options.done is not None:
            return options.done
        told = options.trajectories or options.resets or "index" in infos or self.container.ends is not None
        if told:
            return ()
        return [
            name for name in infos if role_by_name(name) is Role.DONE and self._is_flat(infos[name], NUMBERS)
        ]

    def _asked(self, where: Where) -> dict[str, str]:
        """Role -> source of the columns that a condition asks for."""
        infos, found = self.container.infos, {}
        for name in where.columns:
            if name not in infos:
                if name != ROW:
                    self.problems.append(unknown_column(name, infos, self.container.name))
            elif self._is_flat(infos[name], ("numbers", "dates", "text")):
                found[f"{WORD if infos[name].kind == 'text' or infos[name].words else NUMBER}{name}"] = name
            else:
                what = (
                    f"'where' asks for '{name}' of shape {infos[name].shape}, which holds {infos[name].holds}"
                )
                self.problems.add(
                    what, file=self.container.name, place="dataset.where", remedy="a single column"
                )
        return found

    @staticmethod
    def _is_flat(info: Info, kinds: Sequence[str]) -> bool:
        """Whether it is a single column of one of these kinds."""
        flat = len(info.shape) == 1 or (len(info.shape) == 2 and info.shape[1] == 1)
        return flat and info.kind in kinds

    def _label_fits(self, role: str, source: str) -> bool:
        info = self.container.infos.get(source)
        if info is None:
            what = f"the column '{source}', named as {role.partition(':')[0]}, is not there"
            self.problems.add(
                what, file=self.container.name, place=role, remedy=self._similar(source) or "correct the name"
            )
            return False
        named = role.partition(":")[0]
        kinds = {TRAJECTORY: ("numbers", "dates", "text"), DONE: NUMBERS}.get(named, ("numbers", "dates"))
        if not self._is_flat(info, kinds):
            what = f"'{source}' of shape {info.shape} holds {info.holds}, which cannot tell the {named}"
            remedy = "a single column of numbers, or of dates" + (
                ", or of names" if named == TRAJECTORY else ""
            )
            self.problems.add(what, file=self.container.name, place=role, remedy=remedy)
            return False
        return True

    def extras(self, used: Iterable[str]) -> str:
        """The sources that nothing uses, for a message; empty where there are none."""
        infos = {name for name in self.container.infos if AND not in name}  # nor what joins two columns
        rest = sorted(infos - {part for name in used for part in (name, *name.split(AND))} - {"index"})
        return first_few([repr(name) if not name.strip() else name for name in rest], _SHOWN)


def _nearest_only(name: str, choices: Sequence[str]) -> str | None:
    said = suggestion(name, choices)
    return said.split("?")[0] + "?" if said.startswith("did you mean") else None


def _base(source: str, names: Collection[str]) -> str:
    found = None if source in names else _SLICE.match(source)
    return found[1] if found else source
