"""A policy as ONNX: normalisation, network and limits in one graph, with named inputs and outputs.

Values are in physical units and double precision; the network itself is computed in single precision. What the policy
remembers goes in and comes out: `past_X` holds the frames of a history before this step, oldest first, and
`past_X_next` is what to hand over in the next step.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

from revive.data.layout import Layout
from revive.errors import Problem, UserError
from revive.graph.joint import side_by_side, split
from revive.runtime.codec import Array
from revive.runtime.joint import JointNetwork, Part
from revive.runtime.network import SOFTNESS, Bounds, Network
from revive.runtime.onnx_graph import OnnxGraph, columns_json, require_onnx, run
from revive.runtime.policy import Policy
from revive.runtime.vectors import drawn_vector

TOLERANCE: Final = 1e-5  # of the round trip, in units of model space


def export_onnx(policy: Policy, file: Path) -> str:
    """Write the policy; returns what the check of it found, in a sentence.

    Raises UserError where onnx is not installed, or onnxruntime says something else than numpy.
    """
    onnx = require_onnx()
    policy.require_each_step("an ONNX graph")
    builder = _Builder(policy)
    model = builder.finished()
    onnx.checker.check_model(model, full_check=True)
    checked = _checked(policy, model.SerializeToString())
    onnx.helper.set_model_props(model, {**builder.notes(), "revive.check": checked})
    file.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, file)
    return checked


def feed(policy: Policy, full: Array) -> dict[str, Array]:
    """The inputs of the ONNX graph that stand for `full` (B, all columns of the policy's inputs), physical."""
    given: dict[str, Array] = {}
    at = 0
    memory = policy.memory()
    for node in policy.inputs:
        width = policy.graph[node].width
        part, at = full[:, at : at + width], at + width
        spec = memory.specs.get(node)
        if spec is None:
            given[node] = part
            continue
        one = width // spec.length
        if spec.delay == 0:
            given[spec.source] = part[:, -one:]
            given[f"past_{node}"] = part[:, :-one]
        else:
            given[f"past_{node}"] = np.pad(part, ((0, 0), (0, one * (spec.lookback - spec.length))), "edge")
    return given


def _checked(policy: Policy, content: bytes) -> str:
    full, action = drawn_vector(policy)
    told = run(content, policy.decided, feed(policy, full))
    if told is None:
        return "not run at export: onnxruntime is not installed"
    nodes, version = told
    codec, found = policy.codecs[policy.target], side_by_side(policy.graph, policy.target, nodes)
    error = float(np.abs(codec.encode(found) - codec.encode(action)).max())
    if not error <= TOLERANCE:
        raise UserError(
            Problem(f"onnxruntime differs from numpy by {error:.2g} in model space", policy.target)
        )
    return f"run at export with onnxruntime {version}: differs from numpy by at most {error:.1g}"


class _Builder(OnnxGraph):
    """The graph of one policy, node by node."""

    def __init__(self, policy: Policy) -> None:
        super().__init__()
        self.policy, self.graph, self.memory = policy, policy.graph, policy.memory()
        sources = [spec.source for spec in self.memory.specs.values() if spec.source not in policy.decided]
        seen = [name for name in policy.inputs if name not in self.memory.specs]
        self.plain = list(dict.fromkeys([*seen, *sources]))
        self.kept = {f"past_{name}": self._kept(name) for name in self.memory.specs if self._kept(name)}

    def _kept(self, history: str) -> int:
        """Columns before the present step."""
        spec = self.memory.specs[history]
        return self.graph[history].width // spec.length * spec.lookback

    def finished(self) -> Any:
        """The model."""
        policy = self.policy
        z = self.joined([self._seen(name) for name in policy.inputs])
        y = self.double(self._said(policy.network, self.single(z)))
        physical = self.decoded(policy.codecs[policy.target], y, self._shaped(policy.layout, policy.bounds))
        for name, at in split(self.graph, policy.target, np.arange(len(policy.least))).items():
            own = self.part(physical, int(at[0]), int(at[-1]) + 1) if len(policy.decided) > 1 else physical
            self.between(own, policy.least[at], policy.most[at], out=name)
        inputs = [self.value(name, self.graph.columns(name)) for name in self.plain]
        inputs += [self.value(name, (), width) for name, width in self.kept.items()]
        outputs = [self.value(name, self.graph.columns(name)) for name in policy.decided]
        outputs += [self.value(name, (), width) for name, width in self._remembered()]
        return self.model("policy", inputs, outputs)

    def _said(self, nets: Network | JointNetwork, x: str) -> str:
        """What the network says of x (B, inputs), or several one after the other: (B, width), single precision."""
        if isinstance(nets, Network):
            again = None if nets.recurrent is None else self.recurrent(x, nets.recurrent)
            return self.network(x, nets.layers, (nets.skip, nets.bias), nets.last, nets.activation, again)
        said, decided = [], dict[str, str]()
        for part in nets.parts:
            seen = [decided[n] if n in decided else self._cut(x, nets.slices[n]) for n in part.inputs]
            said.append(self._said(part.network, self.joined(seen)))
            if part.name in nets.seen_later:
                decided[part.name] = self._likeliest(part, self.double(said[-1]))
        order = np.argsort(np.concatenate([part.place for part in nets.parts]))
        return self.op("Gather", self.joined(said), self.const(order, np.int64), axis=-1)

    def _likeliest(self, part: Part, y: str) -> str:
        """What a node is decided to be, as later ones see it: double in, single out, both in model space."""
        layout, shaped = part.layout, self._shaped(part.layout, part.bounds)
        found = [shaped(self.part(y, k, k + 1), k) for k in range(layout.ordered)]
        for start, stop in layout.blocks:
            largest = self.op("ArgMax", self.part(y, start, stop), axis=-1, keepdims=1)
            found.append(self.double(self.one_hot(largest, stop - start)))
        return self.single(self.joined(found))

    def _cut(self, x: str, where: slice) -> str:
        return self.part(x, where.start, where.stop)

    def notes(self) -> dict[str, str]:
        """What stands in the file's metadata."""
        said = {node: columns_json(self.graph.columns(node)) for node in (*self.plain, *self.policy.decided)}
        inputs = [*self.plain, *self.kept]
        return {"revive.columns": json.dumps(said), "revive.inputs": json.dumps(inputs)}

    def _seen(self, node: str) -> str:
        """A node of the policy's inputs, (B, dimensions) in model space."""
        spec, codec, width = self.memory.specs.get(node), self.policy.codecs[node], self.graph[node].width
        if spec is None:
            return self.encoded(codec, node, width)
        past = f"past_{node}"
        if spec.delay == 0:
            full = self.joined([past, spec.source]) if self._kept(node) else spec.source
        else:
            full = self.part(past, 0, width)
        return self.encoded(codec, full, width)

    def _shaped(self, layout: Layout, bounds: Bounds) -> Callable[[str, int], str]:
        """What is made of what the network says of an ordered dimension: within its bounds, or on its levels."""

        def shaped(y: str, k: int) -> str:
            if k < layout.continuous:
                return self._bounded(y, float(bounds.low[k]), float(bounds.high[k]))
            return self.level(y, layout.levels[k - layout.continuous])

        return shaped

    def _bounded(self, y: str, low: float, high: float) -> str:
        soft = float(np.clip((high - low) / 10.0, 1e-6, SOFTNESS))

        def softplus(edge: float) -> str:
            x = self.op("Div", self.op("Sub", y, self.const(edge)), self.const(soft))
            decayed = self.op("Exp", self.op("Neg", self.op("Abs", x)))
            rest = self.op("Log", self.op("Add", decayed, self.const(1.0)))
            return self.op("Add", self.op("Max", x, self.const(0.0)), rest)

        between = self.op("Mul", self.op("Sub", softplus(low), softplus(high)), self.const(soft))
        return self.between(self.op("Add", between, self.const(low)), np.array(low), np.array(high))

    def _remembered(self) -> list[tuple[str, int]]:
        """The memory for the next step: names and widths of outputs."""
        made: list[tuple[str, int]] = []
        for past, kept in self.kept.items():
            source = self.memory.specs[past.removeprefix("past_")].source
            one = self.graph[source].width
            both = self.joined([past, source])
            edges = [self.const([n], np.int64) for n in (one, kept + one, -1)]
            self.op("Slice", both, *edges, out=f"{past}_next")
            made.append((f"{past}_next", kept))
        if self.memory.counter:
            self.op("Add", self.memory.counter, self.const(1.0), out=f"{self.memory.counter}_next")
            made.append((f"{self.memory.counter}_next", 1))
        return made
