"""Nodes as plain JSON values, and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from typing import Any

from revive.graph.columns import Column
from revive.graph.names import state_name
from revive.graph.nodes import (
    CodeRef,
    Copy,
    Effect,
    FirstPrinciples,
    FreeParameter,
    FunctionSpec,
    HistorySpec,
    Node,
    NodeKind,
    history_columns,
)

_DEFAULTS = {field.name: field.default for field in fields(Node)}
_PLAIN = ("freeze", "loss_type", "logged")


def nodes_to_json(nodes: Iterable[Node]) -> list[dict[str, Any]]:
    """The nodes, each with the fields that differ from their defaults; shared columns stand once."""
    return [_node_to_json(node) for node in nodes]


def _node_to_json(node: Node) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": node.name, "kind": node.kind.value, "inputs": list(node.inputs)}
    if node.history is None and state_name(node.name) is None:
        entry["columns"] = [column.to_json() for column in node.columns]
    for key in ("history", "function", "custom", "principles"):
        value = getattr(node, key)
        if value is not None:
            entry[key] = _without_none(asdict(value))
    if node.principles is not None:
        entry["principles"]["parameters"] = [_without_none(asdict(p)) for p in node.principles.parameters]
        if node.principles.residual is not None:
            entry["principles"]["residual"] = list(node.principles.residual)
    if node.effects:
        entry["effects"] = [_without_none(asdict(effect)) for effect in node.effects]
    if node.circles:
        entry["circles"] = [list(pair) for pair in node.circles]
    if node.unseen:
        entry["unseen"] = [list(pair) for pair in node.unseen]
    if node.copies:
        entry["copies"] = [asdict(copy) for copy in node.copies]
    for key in _PLAIN:
        if getattr(node, key) != _DEFAULTS[key]:
            entry[key] = getattr(node, key)
    return entry


def _without_none(value: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _without_none(item) if isinstance(item, Mapping) else item
        for key, item in value.items()
        if item is not None
    }


def nodes_from_json(entries: Iterable[Mapping[str, Any]]) -> tuple[Node, ...]:
    """The nodes that `nodes_to_json` wrote."""
    by_name = {entry["name"]: entry for entry in entries}
    return tuple(_node_from_json(entry, by_name) for entry in by_name.values())


def _node_from_json(entry: Mapping[str, Any], by_name: Mapping[str, Mapping[str, Any]]) -> Node:
    return Node(
        name=entry["name"],
        kind=NodeKind(entry["kind"]),
        columns=_columns(entry["name"], by_name),
        inputs=tuple(entry["inputs"]),
        history=HistorySpec(**entry["history"]) if "history" in entry else None,
        function=_function(entry["function"]) if "function" in entry else None,
        custom=CodeRef(**entry["custom"]) if "custom" in entry else None,
        principles=_principles(entry["principles"]) if "principles" in entry else None,
        effects=tuple(Effect(**effect) for effect in entry.get("effects", ())),
        circles=tuple((x, y) for x, y in entry.get("circles", ())),
        unseen=tuple((source, column) for source, column in entry.get("unseen", ())),
        copies=tuple(Copy(**copy) for copy in entry.get("copies", ())),
        **{key: entry[key] for key in _PLAIN if key in entry},
    )


def _function(fields_of: Mapping[str, Any]) -> FunctionSpec:
    code = fields_of.get("code")
    return FunctionSpec(fields_of.get("builtin"), None if code is None else CodeRef(**code))


def _principles(fields_of: Mapping[str, Any]) -> FirstPrinciples:
    residual = fields_of.get("residual")
    return FirstPrinciples(
        CodeRef(**fields_of["code"]),
        tuple(FreeParameter(**parameter) for parameter in fields_of.get("parameters", ())),
        None if residual is None else tuple(residual),
    )


def _columns(name: str, by_name: Mapping[str, Mapping[str, Any]]) -> tuple[Column, ...]:
    entry = by_name[name]
    if "columns" in entry:
        return tuple(map(Column.from_json, entry["columns"]))
    if "history" in entry:
        spec = HistorySpec(**entry["history"])
        return history_columns(name, spec, _columns(spec.source, by_name))
    return _columns(state_name(name) or name, by_name)
