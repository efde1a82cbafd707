"""YAML as plain values that remember their lines, so that every message can name one."""

from __future__ import annotations

import numbers
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from revive.errors import Problem, Problems, UserError, nearest

KeyPath = tuple[str | int, ...]
Place = Path | str

_LARGEST: Final = 8_000_000  # bytes of a file
_LONG: Final = 1 << 16  # characters from which a text is read in C
_MOST_VALUES: Final = 400_000  # with every alias written out
_DEEPEST: Final = 40
_MERGE: Final = "tag:yaml.org,2002:merge"
_OTHERWISE: Final = re.compile(r"[-+]?(?:0[0-7_]+|[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?)$")
_UNREADABLE: Final = (
    yaml.YAMLError,
    ValueError,
    KeyError,
    IndexError,
    AttributeError,
    TypeError,
    OverflowError,
)


@dataclass(frozen=True)
class YamlTree:
    """The content of a YAML file: maps with text keys, lists, scalars; and the line of each key path.

    `lines` is empty where the values come from no file.
    """

    value: Any
    lines: Mapping[KeyPath, int]

    def place(self, path: KeyPath) -> str:
        """`line 7, metadata.graph.action`: the line of the path, or of the nearest part above it."""
        dotted = ".".join(str(part) for part in path)
        if not self.lines:
            return dotted
        known = next((path[:n] for n in range(len(path), -1, -1) if path[:n] in self.lines), ())
        line = f"line {self.lines.get(known, 1)}"
        return f"{line}, {dotted}" if dotted else line


def plain_tree(value: Any, source: Place, problems: Problems) -> YamlTree:
    """The tree of `value`, maps and lists from anywhere. Adds keys that are no text to `problems`.

    Raises UserError where it is nested too deeply or too large.
    """
    return YamlTree(_Plain(source, problems).convert(value, ()), {})


class _Limits:
    """Counts what is read, so that a small file cannot unfold into an endless one."""

    def __init__(self, source: Place) -> None:
        self.source, self.count = source, 0

    def check(self, at: KeyPath) -> None:
        self.count += 1
        if len(at) > _DEEPEST:
            raise UserError(Problem(f"is nested more than {_DEEPEST} levels deep", self.source))
        if self.count > _MOST_VALUES:
            what = f"holds more than {_MOST_VALUES} values, aliases written out"
            raise UserError(Problem(what, self.source, remedy="describe a smaller system"))


class _Plain:
    """Turns maps and lists of any type into plain ones."""

    def __init__(self, source: Place, problems: Problems) -> None:
        self._limits, self._problems = _Limits(source), problems

    def convert(self, value: Any, at: KeyPath) -> Any:
        self._limits.check(at)
        if isinstance(value, Mapping):
            result: dict[str, Any] = {}
            for key, item in value.items():
                if not isinstance(key, str):
                    what, place = f"a name is wanted, not {key!r}", YamlTree(None, {}).place(at)
                    remedy = f"put it into quotes: '{key}'"
                    self._problems.add(what, file=self._limits.source, place=place, remedy=remedy)
                result[str(key)] = self.convert(item, (*at, str(key)))
            return result
        if isinstance(value, list | tuple):
            return [self.convert(item, (*at, number)) for number, item in enumerate(value)]
        if isinstance(value, numbers.Real) and not isinstance(value, bool | int | float):
            return int(value) if isinstance(value, numbers.Integral) else float(value)
        return value


def read_yaml(path: Path, problems: Problems) -> YamlTree:
    """The content of `path`. Adds duplicate keys to `problems`; raises UserError if nothing can be read."""
    text = _read_text(path)
    try:
        loader = _loader(text)
        root = loader.get_single_node()
    except (yaml.YAMLError, ValueError) as error:
        raise UserError(_syntax_problem(path, text, error)) from None
    except RecursionError:
        raise UserError(Problem(f"is nested more than {_DEEPEST} levels deep", path)) from None
    if root is None:
        raise UserError(Problem("the file is empty", path, remedy="start with 'metadata:'"))
    builder = _Builder(path, loader, problems)
    return YamlTree(builder.convert(root, ()), builder.lines)


def _loader(text: str) -> yaml.SafeLoader:
    """Reads long texts in C, ten times as fast, unless their nesting might be too deep for its stack."""
    if len(text) < _LONG or not yaml.__with_libyaml__:
        return yaml.SafeLoader(text)
    depth = deepest = 0
    for line in text.splitlines():
        opened = line.count("[") + line.count("{")
        deepest = max(deepest, len(line) - len(line.lstrip()) + line.count("- ") + depth + opened)
        depth = max(0, depth + opened - line.count("]") - line.count("}"))
    if deepest > _DEEPEST:
        return yaml.SafeLoader(text)
    try:
        yaml.CSafeLoader(text).get_single_node()
    except yaml.YAMLError:
        return yaml.SafeLoader(text)  # its messages are the better ones
    return yaml.CSafeLoader(text)


def _read_text(path: Path) -> str:
    if not path.is_file():
        if path.is_dir():
            raise UserError(Problem("is a folder, not a YAML file", path, remedy="name the file in it"))
        close = nearest(path.name, [p.name for p in path.parent.iterdir()]) if path.parent.is_dir() else None
        remedy = f"did you mean '{close}'?" if close else None
        what = "does not exist" if path.parent.is_dir() else "neither the file nor its folder exists"
        raise UserError(Problem(what, path, remedy=remedy))
    try:
        size = path.stat().st_size
        if size > _LARGEST:
            raise UserError(Problem(f"is no description: {size / 1e6:.0f} MB", path))
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        what = f"is no UTF-8 text (byte {error.start})"
        raise UserError(Problem(what, path, remedy="save it as UTF-8 in the editor")) from None
    except OSError as error:
        raise UserError(Problem(f"cannot be read: {error.strerror}", path)) from None


def _syntax_problem(path: Path, text: str, error: Exception) -> Problem:
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
    said = getattr(error, "context", None)
    context = f" {said}" if said else ""
    return Problem(f"is not YAML{context}: {getattr(error, 'problem', error)}", path, place)


class _Builder:
    """Turns YAML nodes into plain values; keys stay the text that the user wrote."""

    def __init__(self, path: Path, loader: yaml.SafeLoader, problems: Problems) -> None:
        self.lines: dict[KeyPath, int] = {}
        self._path, self._loader, self._problems = path, loader, problems
        self._limits = _Limits(path)
        self._open: list[yaml.Node] = []

    def convert(self, node: yaml.Node, at: KeyPath) -> Any:
        self._limits.check(at)
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
            name, line = self._key(key, at), key.start_mark.line + 1
            if name in seen and key.tag != _MERGE:
                what = f"'{name}' stands here for the second time, first in line {seen[name]}"
                self._problems.add(
                    what, file=self._path, place=f"line {line}, {'.'.join(map(str, (*at, name)))}"
                )
            seen.setdefault(name, line)
        result: dict[str, Any] = {}
        for name, (key, value) in self._merged(node, at, (node,)).items():
            self.lines[(*at, name)] = key.start_mark.line + 1
            result[name] = self.convert(value, (*at, name))
        return result

    def _merged(
        self, node: yaml.MappingNode, at: KeyPath, open_: tuple[yaml.Node, ...]
    ) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        """The entries of a map by key, those that `<<` takes from other maps among them; own ones win."""
        entries: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        for key, value in node.value:
            if key.tag != _MERGE:
                entries[self._key(key, at)] = (key, value)
        for other in self._merge_sources(node, at, open_):
            for name, entry in self._merged(other, at, (*open_, other)).items():
                entries.setdefault(name, entry)
        return entries

    def _merge_sources(
        self, node: yaml.MappingNode, at: KeyPath, open_: tuple[yaml.Node, ...]
    ) -> Iterator[yaml.MappingNode]:
        for key, value in node.value:
            if key.tag != _MERGE:
                continue
            for other in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                self._limits.check((*at, *range(len(open_))))
                if not isinstance(other, yaml.MappingNode):
                    self._add("'<<' merges something that is no map", at)
                elif other in open_:
                    self._add("'<<' merges a map into itself", at)
                else:
                    yield other

    def _key(self, key: yaml.Node, at: KeyPath) -> str:
        if isinstance(key, yaml.ScalarNode):
            return str(key.value)
        self._add("a key is a list or a map, not a name", at)
        return "?"

    def _scalar(self, node: yaml.Node, at: KeyPath) -> Any:
        try:
            value = self._loader.construct_object(node)
            if (
                isinstance(value, int | float)
                and not isinstance(value, bool)
                and _OTHERWISE.match(node.value)
            ):
                text = node.value.replace("_", "")
                if ":" in text or int(text) != value:
                    base = 60 if ":" in text else 8
                    self._add(
                        f"YAML reads {text} as {value:g}, a number to the base {base}: write the one that is meant",
                        at,
                    )
            return value
        except _UNREADABLE as error:
            self._add(f"{node.value!r} cannot be read: {getattr(error, 'problem', None) or error}", at)
            return None

    def _add(self, what: str, at: KeyPath) -> None:
        problem = Problem(what, self._path, YamlTree(None, self.lines).place(at))
        if problem not in self._problems:
            self._problems.append(problem)
