"""YAML as plain values that remember their lines, so that every message can name one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from revive.errors import Problem, Problems, UserError, nearest

KeyPath = tuple[str | int, ...]


@dataclass(frozen=True)
class YamlTree:
    """The content of a YAML file: maps with text keys, lists, scalars; and the line of each key path."""

    value: Any
    lines: Mapping[KeyPath, int]

    def place(self, path: KeyPath) -> str:
        """`line 7, metadata.graph.action`: the line of the path, or of the nearest part above it."""
        known = next((path[:n] for n in range(len(path), -1, -1) if path[:n] in self.lines), ())
        dotted = ".".join(str(part) for part in path)
        line = f"line {self.lines.get(known, 1)}"
        return f"{line}, {dotted}" if dotted else line


def read_yaml(path: Path, problems: Problems) -> YamlTree:
    """The content of `path`. Adds duplicate keys to `problems`; raises UserError if nothing can be read."""
    text = _read_text(path)
    loader = yaml.SafeLoader(text)
    try:
        root = loader.get_single_node()
    except yaml.YAMLError as error:
        raise UserError(_syntax_problem(path, text, error)) from None
    if root is None:
        raise UserError(Problem("the file is empty", path, remedy="start with 'metadata:'"))
    builder = _Builder(path, loader, problems)
    return YamlTree(builder.convert(root, ()), builder.lines)


def _read_text(path: Path) -> str:
    if not path.is_file():
        if path.is_dir():
            raise UserError(Problem("is a folder, not a YAML file", path))
        close = nearest(path.name, [p.name for p in path.parent.iterdir()]) if path.parent.is_dir() else None
        remedy = f"did you mean '{close}'?" if close else None
        what = "does not exist" if path.parent.is_dir() else "neither the file nor its folder exists"
        raise UserError(Problem(what, path, remedy=remedy))
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(Problem(f"is no UTF-8 text (byte {error.start})", path)) from None
    except OSError as error:
        raise UserError(Problem(f"cannot be read: {error.strerror}", path)) from None


def _syntax_problem(path: Path, text: str, error: yaml.YAMLError) -> Problem:
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return Problem(f"is not YAML: {' '.join(str(error).split())}", path)
    lines = text.splitlines()
    line = lines[mark.line] if mark.line < len(lines) else ""
    place = f"line {mark.line + 1}, column {mark.column + 1}"
    if "\t" in line[: len(line) - len(line.lstrip())] or line[mark.column : mark.column + 1] == "\t":
        return Problem(
            "the line is indented with a tab", path, place, "YAML allows spaces alone, e.g. two a level"
        )
    context = f" {error.context}" if getattr(error, "context", None) else ""
    return Problem(f"is not YAML{context}: {getattr(error, 'problem', error)}", path, place)


class _Builder:
    """Turns YAML nodes into plain values; keys stay the text that the user wrote."""

    def __init__(self, path: Path, loader: yaml.SafeLoader, problems: Problems) -> None:
        self.lines: dict[KeyPath, int] = {}
        self._path, self._loader, self._problems = path, loader, problems
        self._open: list[yaml.Node] = []

    def convert(self, node: yaml.Node, at: KeyPath) -> Any:
        self.lines.setdefault(at, node.start_mark.line + 1)
        if node in self._open:
            self._add("an alias that contains itself", at)
            return None
        self._open.append(node)
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, at)
            if isinstance(node, yaml.SequenceNode):
                return [self.convert(item, (*at, number)) for number, item in enumerate(node.value)]
            return self._scalar(node, at)
        finally:
            self._open.pop()

    def _mapping(self, node: yaml.MappingNode, at: KeyPath) -> dict[str, Any]:
        seen: dict[str, int] = {}
        for key, _ in node.value:
            name, line = self._key(key), key.start_mark.line + 1
            if name in seen and name != "<<":
                what = f"'{name}' stands here for the second time, first in line {seen[name]}"
                self._problems.add(
                    what, file=self._path, place=f"line {line}, {'.'.join(map(str, (*at, name)))}"
                )
            seen.setdefault(name, line)
        try:
            self._loader.flatten_mapping(node)
        except yaml.YAMLError as error:
            self._add(f"'<<' cannot be merged: {getattr(error, 'problem', error)}", at)
            return {}
        result: dict[str, Any] = {}
        for key, value in node.value:
            name = self._key(key)
            self.lines[(*at, name)] = key.start_mark.line + 1
            result[name] = self.convert(value, (*at, name))
        return result

    def _key(self, key: yaml.Node) -> str:
        return key.value if isinstance(key, yaml.ScalarNode) else "?"

    def _scalar(self, node: yaml.Node, at: KeyPath) -> Any:
        try:
            return self._loader.construct_object(node)
        except (yaml.YAMLError, ValueError) as error:
            self._add(f"{node.value!r} cannot be read: {getattr(error, 'problem', None) or error}", at)
            return None

    def _add(self, what: str, at: KeyPath) -> None:
        self._problems.add(what, file=self._path, place=YamlTree(None, self.lines).place(at))
