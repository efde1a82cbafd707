"""A policy as ONNX: normalisation, network and limits in one graph, with named inputs and outputs.

Values are in physical units and double precision; the network itself is computed in single precision. What the policy
remembers goes in and comes out: `past_X` holds the frames of a history before this step, oldest first, and
`past_X_next` is what to hand over in the next step.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import numpy as np

from revive.errors import Problem, UserError
from revive.runtime.c99 import test_vector
from revive.runtime.codec import Array, Circle, ColumnCodec, Logarithm, NodeCodec, NormalScore, OneHot
from revive.runtime.network import SOFTNESS
from revive.runtime.policy import Policy

TOLERANCE: Final = 1e-5  # of the round trip, in units of model space
_OPSET: Final = 18


def export_onnx(policy: Policy, file: Path) -> str:
    """Write the policy; returns what the check of it found, in a sentence.

    Raises UserError where onnx is not installed, a column of the action cannot be written, or onnxruntime says
    something else than numpy.
    """
    try:
        import onnx
    except ImportError:
        raise UserError(Problem("this needs onnx", remedy="pip install 'revive-logs[onnx]'")) from None
    builder = _Builder(policy)
    model = builder.model()
    onnx.checker.check_model(model, full_check=True)
    checked = _checked(policy, model.SerializeToString(), builder.inputs)
    onnx.helper.set_model_props(model, {**builder.notes(), "revive.check": checked})
    file.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, file)
    return checked


def feed(policy: Policy, full: Array) -> dict[str, Array]:
    """The inputs of the ONNX graph that stand for `full` (B, all columns of the policy's inputs), physical."""
    given: dict[str, Array] = {}
    at = 0
    memory = policy.session().memory
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


def _checked(policy: Policy, content: bytes, inputs: list[str]) -> str:
    try:
        import onnxruntime
    except ImportError:
        return "not run at export: onnxruntime is not installed"
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    full, action = test_vector(policy)
    given = {name: value for name, value in feed(policy, full).items() if name in inputs}
    (found,) = session.run([policy.target], given)
    codec = policy.codecs[policy.target]
    error = float(np.abs(codec.encode(found) - codec.encode(action)).max())
    if not error <= TOLERANCE:
        raise UserError(
            Problem(f"onnxruntime differs from numpy by {error:.2g} in model space", policy.target)
        )
    return (
        f"run at export with onnxruntime {onnxruntime.__version__}: differs from numpy by at most {error:.1g}"
    )


class _Builder:
    """The graph of one policy, node by node."""

    def __init__(self, policy: Policy) -> None:
        from onnx import helper

        self.helper, self.policy, self.graph = helper, policy, policy.graph
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.memory = policy.session().memory
        sources = [spec.source for spec in self.memory.specs.values() if spec.source != policy.target]
        seen = [name for name in policy.inputs if name not in self.memory.specs]
        self.plain = list(dict.fromkeys([*seen, *sources]))
        self.inputs = [*self.plain, *(f"past_{name}" for name in self.memory.specs if self._kept(name))]

    def _kept(self, history: str) -> int:
        """Columns before the present step."""
        spec = self.memory.specs[history]
        return self.graph[history].width // spec.length * spec.lookback

    def model(self) -> Any:
        policy, helper = self.policy, self.helper
        codes = [self._encoded(name) for name in policy.inputs]
        z = self.op("Concat", *codes, axis=1) if len(codes) > 1 else codes[0]
        self._decoded(self._network(self.op("Cast", z, to=1)))
        outputs = [(policy.target, self.graph[policy.target].width), *self._remembered()]
        made = helper.make_graph(
            self.nodes,
            "policy",
            [self._value(name, self._width(name)) for name in self.inputs],
            [self._value(name, width) for name, width in outputs],
            self.constants,
        )
        return helper.make_model(made, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=9)

    def notes(self) -> dict[str, str]:
        """What stands in the file's metadata."""
        said = {
            node: [{"name": column.name, "units": column.units} for column in self.graph.columns(node)]
            for node in (*self.plain, self.policy.target)
        }
        return {"revive.columns": json.dumps(said), "revive.inputs": json.dumps(self.inputs)}

    def _width(self, name: str) -> int:
        history = name.removeprefix("past_")
        return (
            self._kept(history)
            if name != history and history in self.memory.specs
            else self.graph[name].width
        )

    def _value(self, name: str, width: int) -> Any:
        return self.helper.make_tensor_value_info(name, 11, ["batch", width])

    def op(self, kind: str, *inputs: str, out: str | None = None, **attributes: Any) -> str:
        """One operation; the name of what it gives."""
        out = out or f"v{len(self.nodes)}"
        self.nodes.append(self.helper.make_node(kind, list(inputs), [out], **attributes))
        return out

    def const(self, value: Any, dtype: type = np.float64) -> str:
        from onnx import numpy_helper

        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype=dtype), name))
        return name

    def _column(self, x: str, start: int, stop: int) -> str:
        bounds = [self.const([n], np.int64) for n in (start, stop, 1)]
        return self.op("Slice", x, *bounds)

    # -- in ------------------------------------------------------------------------------------

    def _encoded(self, node: str) -> str:
        """A node of the policy's inputs, (B, dimensions) in model space."""
        spec = self.memory.specs.get(node)
        if spec is None:
            return self._frames(node, node)
        past = f"past_{node}"
        if spec.delay == 0:
            full = self.op("Concat", past, spec.source, axis=1) if self._kept(node) else spec.source
        else:
            full = self._column(past, 0, self.graph[node].width)
        return self._frames(node, full)

    def _frames(self, node: str, x: str) -> str:
        codec, width = self.policy.codecs[node], self.graph[node].width
        frames, d = width // len(codec.columns), len(codec.columns)
        if codec.is_affine:
            center, scale = (
                self.const(np.tile(value, frames)[None]) for value in (codec.center, codec.scale)
            )
            return self.op("Div", self.op("Sub", x, center), scale)
        parts = [self._frame(codec, x, frame * d) for frame in range(frames)]
        return self.op("Concat", *parts, axis=1) if frames > 1 else parts[0]

    def _frame(self, codec: NodeCodec, x: str, at: int) -> str:
        pairs = zip(codec.parts, codec.order, strict=True)
        latent = [self._latent(part, self._column(x, at + i, at + i + 1)) for part, i in pairs]
        joined = self.op("Concat", *latent, axis=1) if len(latent) > 1 else latent[0]
        return self.op(
            "Div", self.op("Sub", joined, self.const(codec.center[None])), self.const(codec.scale[None])
        )

    def _latent(self, part: ColumnCodec, x: str) -> str:
        if isinstance(part, OneHot):
            distance = self.op("Abs", self.op("Sub", x, self.const(part.values[None])))
            nearest = self.op("ArgMin", distance, axis=1, keepdims=1)
            chosen = self.op("Equal", nearest, self.const(np.arange(part.width)[None], np.int64))
            return self.op("Cast", chosen, to=11)
        if isinstance(part, Circle):
            angle = self.op("Div", self.op("Sub", x, self.const(part.start)), self.const(part.per_radian))
            whole = self.op("Floor", self.op("Div", angle, self.const(2 * np.pi)))
            rest = self.op("Cast", self.op("Sub", angle, self.op("Mul", whole, self.const(2 * np.pi))), to=1)
            both = self.op("Concat", self.op("Sin", rest), self.op("Cos", rest), axis=1)
            return self.op("Cast", both, to=11)
        if isinstance(part, Logarithm):
            return self.op("Log", self.op("Max", x, self.const(1e-12)))
        if isinstance(part, NormalScore):
            return self._interpolated(x, part.knots, part.scores)
        return x

    def _interpolated(self, x: str, xs: Array, ys: Array) -> str:
        below = self.op("Cast", self.op("Greater", x, self.const(xs[None])), to=7)
        count = self.op("ReduceSum", below, self.const([1], np.int64), keepdims=1)
        right = self.op(
            "Min", self.op("Max", count, self.const(1, np.int64)), self.const(len(xs) - 1, np.int64)
        )
        left = self.op("Sub", right, self.const(1, np.int64))
        x0, y0 = (self.op("Gather", self.const(values), left) for values in (xs, ys))
        slopes = np.append(np.diff(ys) / np.diff(xs), 0.0)
        return self.op(
            "Add", y0, self.op("Mul", self.op("Sub", x, x0), self.op("Gather", self.const(slopes), left))
        )

    # -- the network ---------------------------------------------------------------------------

    def _network(self, z: str) -> str:
        net, h = self.policy.network, z
        for weight, bias in net.layers:
            h = self._activated(self.op("Gemm", h, *(self.const(v, np.float32) for v in (weight, bias[0]))))
        straight = self.op("Gemm", z, *(self.const(v, np.float32) for v in (net.skip, net.bias[0])))
        return self.op("Add", straight, self.op("MatMul", h, self.const(net.last, np.float32)))

    def _activated(self, x: str) -> str:
        match self.policy.network.activation:
            case "silu":
                return self.op("Mul", x, self.op("Sigmoid", x))
            case "tanh":
                return self.op("Tanh", x)
            case "relu":
                return self.op("Relu", x)
        erf = self.op("Erf", self.op("Mul", x, self.const(np.sqrt(0.5), np.float32)))
        half = self.op("Mul", x, self.const(0.5, np.float32))
        return self.op("Mul", half, self.op("Add", erf, self.const(1.0, np.float32)))

    # -- out -----------------------------------------------------------------------------------

    def _decoded(self, y: str) -> None:
        """What the network says, (B, dimensions), to the action in physical units."""
        policy, codec = self.policy, self.policy.codecs[self.policy.target]
        y = self.op("Cast", y, to=11)
        found: list[str] = [""] * len(codec.columns)
        for part, where, i in zip(codec.parts, codec.slices, codec.order, strict=True):
            found[i] = self._physical(part, self._column(y, where.start, where.stop), where, codec, i)
        joined = self.op("Concat", *found, axis=1) if len(found) > 1 else found[0]
        edges = [self.const(edge[None]) for edge in (policy.least, policy.most)]
        self.op("Min", self.op("Max", joined, edges[0]), edges[1], out=policy.target)

    def _physical(self, part: ColumnCodec, y: str, where: slice, codec: NodeCodec, i: int) -> str:
        layout, k = self.policy.layout, where.start
        if isinstance(part, OneHot):
            return self.op("Gather", self.const(part.values), self.op("ArgMax", y, axis=1, keepdims=1))
        if isinstance(part, Circle):
            what = f"the column '{codec.columns[i].name}' of '{self.policy.target}' turns in a circle"
            raise UserError(Problem(f"{what}, which cannot be written as ONNX", remedy="export it as C99"))
        value = (
            self._bounded(y, k)
            if k < layout.continuous
            else self._level(y, layout.levels[k - layout.continuous])
        )
        scaled = self.op("Mul", value, self.const(codec.scale[k]))
        latent = self.op("Add", scaled, self.const(codec.center[k]))
        if isinstance(part, Logarithm):
            return self.op("Exp", latent)
        return (
            self._interpolated(latent, part.scores, part.knots) if isinstance(part, NormalScore) else latent
        )

    def _bounded(self, y: str, k: int) -> str:
        low, high = float(self.policy.bounds.low[k]), float(self.policy.bounds.high[k])
        soft = float(np.clip((high - low) / 10.0, 1e-6, SOFTNESS))

        def softplus(edge: float) -> str:
            x = self.op("Div", self.op("Sub", y, self.const(edge)), self.const(soft))
            decayed = self.op("Exp", self.op("Neg", self.op("Abs", x)))
            return self.op(
                "Add",
                self.op("Max", x, self.const(0.0)),
                self.op("Log", self.op("Add", decayed, self.const(1.0))),
            )

        between = self.op("Mul", self.op("Sub", softplus(low), softplus(high)), self.const(soft))
        inside = self.op("Add", between, self.const(low))
        return self.op("Min", self.op("Max", inside, self.const(low)), self.const(high))

    def _level(self, y: str, levels: int) -> str:
        half = (levels - 1) / 2.0
        inside = self.op("Min", self.op("Max", y, self.const(-1.0)), self.const(1.0))
        nearest = self.op("Round", self.op("Mul", self.op("Add", inside, self.const(1.0)), self.const(half)))
        return self.op("Sub", self.op("Div", nearest, self.const(half)), self.const(1.0))

    def _remembered(self) -> list[tuple[str, int]]:
        """The memory for the next step: names and widths of outputs."""
        made: list[tuple[str, int]] = []
        for name, spec in self.memory.specs.items():
            kept = self._kept(name)
            if not kept:
                continue
            joined = self.op("Concat", f"past_{name}", spec.source, axis=1)
            one = self.graph[spec.source].width
            edges = [self.const([n], np.int64) for n in (one, kept + one, 1)]
            self.op("Slice", joined, *edges, out=f"past_{name}_next")
            made.append((f"past_{name}_next", kept))
        if self.memory.counter:
            self.op("Add", self.memory.counter, self.const(1.0), out=f"{self.memory.counter}_next")
            made.append((f"{self.memory.counter}_next", 1))
        return made
