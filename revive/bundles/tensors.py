"""The weights of a bundle: which tensors its description calls for, and reading exactly those.

The file is a safetensors file as the safetensors library writes it. It is read here, without torch, because each
name, type, shape and offset has to be the one that the description implies.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from revive.bundles.manifest import parse_json
from revive.bundles.network_tensors import Frame, net_tensors
from revive.data.declared import declared_effects, distinct, frame_count, frame_layout, patterns, width_of
from revive.data.layout import Layout
from revive.errors import Problem, Problems, UserError
from revive.graph.decision_graph import DecisionGraph
from revive.graph.joint import apart

KNOTS: Final = 65  # of a normal score
_DTYPES: Final[dict[str, np.dtype[Any]]] = {"F64": np.dtype("<f8"), "F32": np.dtype("<f4")}
_LONGEST_HEADER: Final = 16 << 20
_OPEN: Final = frozenset({"low", "high"})  # of a codec: infinite where a column has no bound
_POSITIVE: Final = frozenset({"scale"})


@dataclass(frozen=True)
class Shape:
    """The type of a tensor, F32 or F64, and its sizes."""

    dtype: str
    sizes: tuple[int, ...]

    @property
    def bytes(self) -> int:
        return _DTYPES[self.dtype].itemsize * math.prod(self.sizes)


@dataclass(frozen=True)
class Wanted:
    """The tensors that a description calls for; below the prefixes in `free` a user's network may have any."""

    shapes: Mapping[str, Shape]
    free: tuple[str, ...] = ()

    @property
    def bytes(self) -> int:
        """Of all tensors whose shape is known."""
        return sum(shape.bytes for shape in self.shapes.values())

    def is_free(self, name: str) -> bool:
        return name.startswith(self.free) if self.free else False


class Widths:
    """How many model-space dimensions each node of a graph has."""

    def __init__(self, graph: DecisionGraph) -> None:
        self.graph = graph

    def layout(self, node: str) -> Layout:
        """Of one frame."""
        return frame_layout(self.graph, node)

    def frames(self, node: str) -> int:
        return frame_count(self.graph, node)

    def width(self, node: str) -> int:
        return width_of(self.graph, node)

    def inputs(self, node: str) -> int:
        return sum(self.width(source) for source in self.graph[node].inputs)

    def stacks(self, node: str) -> list[Frame]:
        """Of every history among the inputs its frames, their width, and whether it is that of a state."""
        graph, found = self.graph, []
        for source in graph[node].inputs:
            if (count := self.frames(source)) > 1:
                found.append((count, self.layout(source).width, graph.source_of(source) in graph.states))
        return found

    def blocks(self, node: str, outputs: int, network: Mapping[str, Any]) -> int:
        """Kinds of outputs that a monotone network has, by the signs that are declared of them; 0 without any."""
        if network.get("backbone") != "monotone":
            return 0
        kinds = distinct(patterns(declared_effects(self.graph, node), self.inputs(node), outputs))
        return len(kinds) if any(map(any, kinds)) else 0

    def learned(self, node: str) -> Layout:
        """As a network says it; a stack of frames is continuous."""
        frames, one = self.frames(node), self.layout(node)
        if frames > 1 and not one.is_plain:
            raise UserError(f"'{node}' is a stack of columns that are not continuous")
        return one if frames == 1 else Layout(one.continuous * frames)


def venv_tensors(
    graph: DecisionGraph,
    members: int,
    network: Mapping[str, Any],
    observed: Collection[str] = (),
    nodes: Mapping[str, Mapping[str, Any]] | None = None,
) -> Wanted:
    """What a venv bundle must hold. `network`: `NetworkSpec` as JSON. observed: transitions that are readings.

    nodes: networks that nodes have for themselves.

    Raises UserError where something is observed that is no learned transition.
    """
    widths, shapes, free = Widths(graph), dict(_codec_tensors(graph)), []
    for name in graph.learned:
        layout, at, own = widths.learned(name), f"models.{name}", dict((nodes or {}).get(name, network))
        own["hidden"] = network["hidden"] if own["hidden"] is None else own["hidden"]
        stds = layout.ordered if own["std"] == "conditioned" else 0
        extra, parameters = _head(layout.continuous, members, own)
        shapes.update({f"{at}.head.{key}": shape for key, shape in parameters.items()})
        if graph[name].custom is None:
            outputs = layout.width + stds + extra
            made = widths.stacks(name), widths.blocks(name, outputs, own)
            shapes.update(_net_tensors(f"{at}.net", members, widths.inputs(name), outputs, own, *made))
        else:
            free.append(f"{at}.net.")
        if (known := graph[name].principles) is not None:
            shapes[f"{at}.principles.free"] = Shape("F32", (members, len(known.parameters)))
        shapes[f"{at}.free_log_std"] = Shape("F32", (members, 1, layout.ordered))
        shapes[f"{at}.scale"] = Shape("F32", (layout.ordered,))
    for name in observed:
        if name not in graph.learned or name not in graph.transitions:
            raise UserError(f"'{name[:100]}' is observed, but it is no learned transition")
        shapes[f"observers.{name}.logit"] = Shape("F32", (members, 1, widths.learned(name).continuous))
    return Wanted(shapes, tuple(free))


def scenario_tensors(graph: DecisionGraph, nodes: Collection[str], rows: int) -> Wanted:
    """What the file of a venv's scenario must hold: node -> (rows, columns), as `NODE.rows`, physical units."""
    return Wanted({f"{name}.rows": Shape("F64", (rows, graph[name].width)) for name in nodes})


def _head(continuous: int, members: int, network: Mapping[str, Any]) -> tuple[int, dict[str, Shape]]:
    """Outputs that the family of a node's continuous dimensions takes of its network, and its own tensors."""
    head = network.get("head", "normal") if continuous else "normal"
    if head == "mixture":
        components = network.get("components", 5)
        shape = Shape("F32", (members, 1, components, continuous))
        return 2 * components * continuous, {"places": shape, "log_ratios": shape}
    if head == "zero_inflated":
        return continuous, {"atom": Shape("F32", (continuous,))}
    return 0, {}


def policy_tensors(graph: DecisionGraph, target: str, network: Mapping[str, Any]) -> Wanted:
    """What a policy bundle must hold."""
    widths, shapes = Widths(graph), dict(_codec_tensors(graph))
    layout, parts = widths.learned(target), graph[target].parts
    own = Widths(apart(graph)) if parts else widths
    nets = {f"net.parts.{i}": name for i, (name, _) in enumerate(parts)} or {"net": target}
    for at, name in nets.items():
        width = own.learned(name).width
        shapes.update(_net_tensors(at, 1, own.inputs(name), width, network, own.stacks(name)))
    for edge in ("low", "high"):
        shapes[edge] = Shape("F32", (layout.ordered,))
    shapes["noise"] = Shape("F32", ())
    return Wanted(shapes)


def _codec_tensors(graph: DecisionGraph) -> Iterator[tuple[str, Shape]]:
    widths = Widths(graph)
    for owner in dict.fromkeys(graph.source_of(name) for name in graph.nodes):
        if graph[owner].parts:
            continue  # it is made of those of its parts
        at, width = f"codec.nodes.{owner}", widths.layout(owner).width
        for name in ("center", "scale"):
            yield f"{at}.{name}", Shape("F64", (width,))
        for name in ("low", "high"):
            yield f"{at}.{name}", Shape("F32", (width,))
        scored = [c for c in graph.columns(owner) if c.type != "category" and c.scale == "quantile"]
        for number in range(len(scored)):
            for name in ("scores", "knots"):
                yield f"{at}.learned_transforms.{number}.{name}", Shape("F64", (KNOTS,))


def _net_tensors(
    at: str,
    members: int,
    inputs: int,
    outputs: int,
    network: Mapping[str, Any],
    stacks: Sequence[Frame] = (),
    blocks: int = 0,
) -> Iterator[tuple[str, Shape]]:
    for name, sizes in net_tensors(members, inputs, outputs, network, stacks, blocks):
        yield f"{at}.{name}", Shape("F32", sizes)


def read_tensors(content: bytes, wanted: Wanted, file: Path) -> dict[str, np.ndarray]:
    """Name -> array (a view of `content`). Raises UserError where anything is not as the description has it."""
    header, start = _header(content, file)
    problems, found, end = Problems(), {}, 0
    for name, entry in header.items():
        shape = _shape(name, entry, file)
        known = wanted.shapes.get(name)
        if known is None and not wanted.is_free(name):
            problems.add(f"holds '{name[:100]}', which the description does not call for", file=file)
        elif known not in (None, shape):
            problems.add(
                f"'{name}' is {_said(shape)}, the description calls for {_said(wanted.shapes[name])}",
                file=file,
            )
        if entry["data_offsets"] != [end, end + shape.bytes]:
            raise UserError(
                Problem(f"the place of '{name[:100]}' is not the one that it is written to", file)
            )
        found[name], end = (shape, start + end), end + shape.bytes
        if len(problems) > 5:
            break
    missing = [name for name in wanted.shapes if name not in header]
    if missing:
        problems.add(f"lacks {', '.join(missing[:5])}", file=file)
    if not problems and (end != len(content) - start or list(header) != _order(header)):
        problems.add("its tensors do not lie as they are written", file=file)
    problems.raise_if_any()
    arrays = {name: _array(content, shape, at) for name, (shape, at) in found.items()}
    _check_values(arrays, file)
    return arrays


def _header(content: bytes, file: Path) -> tuple[dict[str, Any], int]:
    """The entries in the order of their places, and where the first value lies."""
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or length > min(_LONGEST_HEADER, len(content) - 8):
        raise UserError(Problem("is no safetensors file", file))
    header = parse_json(content[8 : 8 + length], file)
    if not isinstance(header, dict):
        raise UserError(Problem("is no safetensors file", file))
    keys = {"dtype", "shape", "data_offsets"}
    for name, entry in header.items():
        sound = (
            isinstance(entry, dict)
            and set(entry) == keys
            and all(map(_are_counts, (entry["shape"], entry["data_offsets"])))
        )
        if not sound or len(entry["data_offsets"]) != 2:
            raise UserError(Problem(f"'{name[:100]}' is no tensor", file))
    return dict(sorted(header.items(), key=lambda item: item[1]["data_offsets"])), 8 + length


def _are_counts(value: Any) -> bool:
    return isinstance(value, list) and all(type(n) is int and 0 <= n < 1 << 48 for n in value)


def _shape(name: str, entry: Mapping[str, Any], file: Path) -> Shape:
    if entry["dtype"] not in _DTYPES:
        what = f"'{name[:100]}' is of type {str(entry['dtype'])[:20]}; possible: {', '.join(_DTYPES)}"
        raise UserError(Problem(what, file))
    return Shape(entry["dtype"], tuple(entry["shape"]))


def _order(header: Mapping[str, Any]) -> list[str]:
    """The order that the safetensors library writes: the widest types first, names sorted."""
    return sorted(header, key=lambda name: (-_DTYPES[header[name]["dtype"]].itemsize, name))


def _said(shape: Shape) -> str:
    return f"{shape.dtype} of {list(shape.sizes)}"


def _array(content: bytes, shape: Shape, at: int) -> np.ndarray:
    count = math.prod(shape.sizes)
    return np.frombuffer(content, _DTYPES[shape.dtype], count, at).reshape(shape.sizes)


def _check_values(arrays: Mapping[str, np.ndarray], file: Path) -> None:
    """Raises UserError where a value is none that a model could have been left with."""
    problems = Problems()
    for name, array in arrays.items():
        codec, last = name.startswith("codec."), name.rpartition(".")[2]
        if np.isnan(array).any() or (np.isinf(array).any() and not (codec and last in _OPEN)):
            problems.add(f"'{name}' holds values that are not finite", file=file)
        elif last in _POSITIVE and (array <= 0).any():
            problems.add(f"'{name}' holds a value that is not above 0", file=file)
        elif last == "low" and (array > arrays[name.removesuffix("low") + "high"]).any():
            problems.add(f"'{name}' is above its upper bound", file=file)
        elif last in ("knots", "scores") and codec and (np.diff(array) <= 0).any():
            problems.add(f"'{name}' does not rise", file=file)
        elif name == "noise" and array < 0:
            problems.add("'noise' is below 0", file=file)
        if len(problems) >= 5:
            break
    if problems:
        remedy = "copy the bundle again, or train it again"
        raise UserError(*(Problem(p.what, p.file, remedy=remedy) for p in problems))
