"""ONNX graphs, operation by operation: what policies and venv steps share.

Values are (..., columns); physical units are in double precision, networks are computed in single precision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import numpy as np

from revive.errors import Problem, UserError
from revive.graph.columns import Column
from revive.runtime.codec import Array, Circle, ColumnCodec, Logarithm, NodeCodec, NormalScore, OneHot
from revive.runtime.network import Recurrent

OPSET: Final = 18
SINGLE, DOUBLE, INTEGER = 1, 11, 7
_TINY: Final = 1e-30  # beside which no cosine is


def require_onnx() -> Any:
    """The package. Raises UserError where it is not installed."""
    try:
        import onnx
    except ImportError:
        raise UserError(Problem("this needs onnx", remedy="pip install 'revive-logs[onnx]'")) from None
    return onnx


class OnnxGraph:
    """A graph that grows; every method returns the name of the value that it made."""

    def __init__(self) -> None:
        from onnx import helper

        self.helper = helper
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def model(self, name: str, inputs: Iterable[Any], outputs: Iterable[Any]) -> Any:
        """The finished model; inputs and outputs as `value` makes them."""
        made = self.helper.make_graph(self.nodes, name, [*inputs], [*outputs], self.constants)
        return self.helper.make_model(made, opset_imports=[self.helper.make_opsetid("", OPSET)], ir_version=9)

    def value(self, name: str, columns: Sequence[Column], width: int | None = None) -> Any:
        """An input or output (batch, width), its columns and their units beside it."""
        said = ", ".join(f"{column.name} [{column.units or '-'}]" for column in columns[:50])
        shape: list[str | int | None] = ["batch", len(columns) if width is None else width]
        return self.helper.make_tensor_value_info(name, DOUBLE, shape, doc_string=said)

    def op(self, kind: str, *inputs: str, out: str | None = None, **attributes: Any) -> str:
        """One operation; the name of what it gives."""
        out = out or f"v{len(self.nodes)}"
        self.nodes.append(self.helper.make_node(kind, list(inputs), [out], **attributes))
        return out

    def const(self, value: Any, dtype: type = np.float64) -> str:
        """A constant array."""
        from onnx import numpy_helper

        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype=dtype), name))
        return name

    def part(self, x: str, start: int, stop: int) -> str:
        """x[..., start:stop]."""
        bounds = [self.const([n], np.int64) for n in (start, stop, -1)]
        return self.op("Slice", x, *bounds)

    def joined(self, parts: Sequence[str], out: str | None = None) -> str:
        """Values side by side."""
        if len(parts) == 1 and out is None:
            return parts[0]
        return self.op("Concat", *parts, axis=-1, out=out)

    def single(self, x: str) -> str:
        return self.op("Cast", x, to=SINGLE)

    def double(self, x: str) -> str:
        return self.op("Cast", x, to=DOUBLE)

    # -- physical units to model space ---------------------------------------------------------

    def encoded(self, codec: NodeCodec, x: str, width: int) -> str:
        """x (..., frames * columns), `width` of them, physical -> model space, both double."""
        d = len(codec.columns)
        frames = width // d
        if codec.is_affine:
            center, scale = (self.const(np.tile(value, frames)) for value in (codec.center, codec.scale))
            return self.op("Div", self.op("Sub", x, center), scale)
        return self.joined([self._frame(codec, x, frame * d) for frame in range(frames)])

    def _frame(self, codec: NodeCodec, x: str, at: int) -> str:
        pairs = zip(codec.parts, codec.order, strict=True)
        latent = [self.latent(part, self.part(x, at + i, at + i + 1)) for part, i in pairs]
        moved = self.op("Sub", self.joined(latent), self.const(codec.center))
        return self.op("Div", moved, self.const(codec.scale))

    def latent(self, part: ColumnCodec, x: str) -> str:
        """One column (..., 1), physical -> its latent dimensions."""
        if isinstance(part, OneHot):
            distance = self.op("Abs", self.op("Sub", x, self.const(part.values)))
            return self.double(self.one_hot(self.op("ArgMin", distance, axis=-1, keepdims=1), part.width))
        if isinstance(part, Circle):
            angle = self.op("Div", self.op("Sub", x, self.const(part.start)), self.const(part.per_radian))
            whole = self.op("Floor", self.op("Div", angle, self.const(2 * np.pi)))
            rest = self.single(self.op("Sub", angle, self.op("Mul", whole, self.const(2 * np.pi))))
            return self.double(self.joined([self.op("Sin", rest), self.op("Cos", rest)]))
        if isinstance(part, Logarithm):
            return self.op("Log", self.op("Max", x, self.const(1e-12)))
        if isinstance(part, NormalScore):
            return self.interpolated(x, part.knots, part.scores)
        return x

    def one_hot(self, number: str, width: int) -> str:
        """(..., 1) whole numbers -> (..., width) truth values."""
        return self.op("Equal", number, self.const(np.arange(width), np.int64))

    def interpolated(self, x: str, xs: Array, ys: Array) -> str:
        """Piecewise linear through (xs, ys), continued straight beyond the ends; x (..., 1)."""
        below = self.op("Cast", self.op("Greater", x, self.const(xs)), to=INTEGER)
        count = self.op("ReduceSum", below, self.const([-1], np.int64), keepdims=1)
        first, last = self.const(1, np.int64), self.const(len(xs) - 1, np.int64)
        left = self.op("Sub", self.op("Min", self.op("Max", count, first), last), self.const(1, np.int64))
        x0, y0 = (self.op("Gather", self.const(values), left) for values in (xs, ys))
        slope = self.op("Gather", self.const(np.append(np.diff(ys) / np.diff(xs), 0.0)), left)
        return self.op("Add", y0, self.op("Mul", self.op("Sub", x, x0), slope))

    # -- model space to physical units ---------------------------------------------------------

    def decoded(self, codec: NodeCodec, z: str, shaped: Callable[[str, int], str] | None = None) -> str:
        """z (..., width) of one frame, double -> (..., columns), physical.

        shaped: what is made of an ordered dimension first (value, its number); by default levels are made hard.
        """
        found = [""] * len(codec.columns)
        shaped = shaped or self.levelled(codec)
        for part, where, i in zip(codec.parts, codec.slices, codec.order, strict=True):
            y = self.part(z, where.start, where.stop)
            if isinstance(part, OneHot):
                largest = self.op("ArgMax", y, axis=-1, keepdims=1)
                found[i] = self.op("Gather", self.const(part.values), largest)
                continue
            latent = []
            for k in range(where.start, where.stop):
                value = shaped(self.part(z, k, k + 1), k)
                scaled = self.op("Mul", value, self.const(codec.scale[k]))
                latent.append(self.op("Add", scaled, self.const(codec.center[k])))
            found[i] = self._physical(part, latent)
        return self.joined(found)

    def levelled(self, codec: NodeCodec) -> Callable[[str, int], str]:
        """Discrete dimensions on their levels, continuous ones as they are."""
        first = codec.layout.continuous

        def shaped(y: str, k: int) -> str:
            return y if k < first else self.level(y, codec.layout.levels[k - first])

        return shaped

    def _physical(self, part: ColumnCodec, latent: list[str]) -> str:
        if isinstance(part, Circle):
            turned = self.op("Mul", self._angle(*latent), self.const(part.per_radian))
            return self.op("Add", turned, self.const(part.start))
        if isinstance(part, Logarithm):
            return self.op("Exp", latent[0])
        if isinstance(part, NormalScore):
            return self.interpolated(latent[0], part.scores, part.knots)
        return latent[0]

    def _angle(self, sine: str, cosine: str) -> str:
        """The angle in [0, 2 pi); ONNX knows the arc tangent of one number only."""
        small = self.op("Less", self.op("Abs", cosine), self.const(_TINY))
        ratio = self.op("Div", sine, self.op("Where", small, self.const(_TINY), cosine))
        flat = self.double(self.op("Atan", self.single(ratio)))
        behind = self.op("Less", cosine, self.const(-_TINY))
        angle = self.op("Where", behind, self.op("Add", flat, self.const(np.pi)), flat)
        below = self.op("Less", angle, self.const(0.0))
        return self.op("Where", below, self.op("Add", angle, self.const(2 * np.pi)), angle)

    def level(self, y: str, levels: int, dtype: type = np.float64) -> str:
        """The nearest of so many equally spaced values on [-1, 1]."""
        half, one = self.const((levels - 1) / 2.0, dtype), self.const(1.0, dtype)
        inside = self.op("Min", self.op("Max", y, self.const(-1.0, dtype)), one)
        nearest = self.op("Round", self.op("Mul", self.op("Add", inside, one), half))
        return self.op("Sub", self.op("Div", nearest, half), one)

    def between(
        self, x: str, low: Array, high: Array, dtype: type = np.float64, out: str | None = None
    ) -> str:
        """No farther than the limits, (columns,) each."""
        return self.op("Min", self.op("Max", x, self.const(low, dtype)), self.const(high, dtype), out=out)

    # -- networks ------------------------------------------------------------------------------

    def network(
        self,
        x: str,
        layers: Sequence[tuple[Array, Array]],
        skip: tuple[Array, Array],
        last: Array,
        activation: str,
        features: str | None = None,
    ) -> str:
        """`y = A x + b + f(x)`, single precision; weights (..., inputs, outputs), with a member axis or without.

        features: what the layers read; x itself where it is None.
        """
        h = features or x
        for weight, bias in layers:
            h = self._activated(self._affine(h, weight, bias), activation)
        straight = self._affine(x, *skip)
        return self.op("Add", straight, self.op("MatMul", h, self.const(last, np.float32)))

    def recurrent(self, x: str, net: Recurrent) -> str:
        """x (batch, inputs) -> (batch, width + rest): `Recurrent`, single precision. ONNX has the gates as z, r, n."""
        parts = []
        for f in net.frames:
            frames = self.part(x, f.start, f.start + f.count * f.width)
            frames = self.op("Reshape", frames, self.const([0, f.count, f.width], np.int64))
            order = np.maximum(np.arange(net.length) - (net.length - f.count), 0)
            parts.append(self.op("Gather", frames, self.const(order, np.int64), axis=1))
        steps = self.op("Transpose", self.joined(parts), perm=[1, 0, 2])  # (length, batch, frame)

        def ordered(table: Array) -> Array:
            r, z, n = np.split(table, 3, axis=-1)
            return np.concatenate([z, r, n], axis=-1)

        (w, w_bias), (u, u_bias) = net.gates, net.again
        bias = np.concatenate([ordered(w_bias), ordered(u_bias)], axis=-1).reshape(1, -1)
        weights = (ordered(w).T[None], ordered(u).T[None], bias)
        given = [steps, *(self.const(table, np.float32) for table in weights)]
        state = f"v{len(self.nodes)}"
        how = {"hidden_size": net.width, "linear_before_reset": 1}
        self.nodes.append(self.helper.make_node("GRU", given, ["", state], **how))
        last = self.op("Squeeze", state, self.const([0], np.int64))
        return self.joined([last, self.op("Gather", x, self.const(net.rest, np.int64), axis=-1)])

    def _affine(self, x: str, weight: Array, bias: Array) -> str:
        moved = self.op("MatMul", x, self.const(weight, np.float32))
        return self.op("Add", moved, self.const(bias, np.float32))

    def _activated(self, x: str, activation: str) -> str:
        match activation:
            case "silu":
                return self.op("Mul", x, self.op("Sigmoid", x))
            case "tanh":
                return self.op("Tanh", x)
            case "relu":
                return self.op("Relu", x)
        erf = self.op("Erf", self.op("Mul", x, self.const(np.sqrt(0.5), np.float32)))
        half = self.op("Mul", x, self.const(0.5, np.float32))
        return self.op("Mul", half, self.op("Add", erf, self.const(1.0, np.float32)))


def columns_json(columns: Sequence[Column]) -> list[dict[str, Any]]:
    """Names and units, for the metadata of a file."""
    return [{"name": column.name, "units": column.units} for column in columns]


def run(
    content: bytes, outputs: Sequence[str], given: dict[str, Array]
) -> tuple[dict[str, Array], str] | None:
    """What onnxruntime makes of a model: name -> array, and its version. None where it is not installed."""
    try:
        import onnxruntime
    except ImportError:
        return None
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    needed = {entry.name for entry in session.get_inputs()}
    found = session.run(list(outputs), {name: value for name, value in given.items() if name in needed})
    return dict(zip(outputs, found, strict=True)), onnxruntime.__version__
