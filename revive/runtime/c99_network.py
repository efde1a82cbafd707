"""The network of a policy as C99."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from revive.runtime.network import Array, Network, Recurrent

Constant = Callable[[str, Array], str]
"""Writes an array under a name, and returns the name."""
ACTIVATIONS: Final = {
    "silu": "x / (1.0 + exp(-x))",
    "tanh": "tanh(x)",
    "relu": "x > 0.0 ? x : 0.0",
    "gelu": "0.5 * x * (1.0 + erf(x / sqrt(2.0)))",
}


def network_source(net: Network, constant: Constant) -> Iterator[str]:
    """Lines of `network(z, y)`: y = A z + b + f(z), in model space."""
    inputs, outputs = net.skip.shape
    features = inputs if net.recurrent is None else net.recurrent.width + len(net.recurrent.rest)
    yield f"static double activate(double x) {{ return {ACTIVATIONS[net.activation]}; }}\n"
    if net.recurrent is not None:
        yield from _recurrent(net.recurrent, inputs, constant)
    widest = max([features, *(weight.shape[1] for weight, _ in net.layers)])
    yield f"static void network(const double *z, double *y) {{\n  double a[{widest}], b[{widest}];"
    copied = f"memcpy(a, z, {inputs} * sizeof(double));"
    yield f"  {copied if net.recurrent is None else 'recurrent(z, a);'}"
    for number, (weight, bias) in enumerate(net.layers):
        w, c = constant(f"W{number}", weight.T), constant(f"B{number}", bias)
        yield f"  affine(a, {weight.shape[0]}, {w}, {c}, b, {weight.shape[1]});"
        yield f"  for (int i = 0; i < {weight.shape[1]}; i++) a[i] = activate(b[i]);"
    if not net.layers:
        yield "  (void)b; (void)activate;"
    for name, values in (("SKIP", net.skip.T), ("BIAS", net.bias), ("LAST", net.last.T)):
        constant(name, values)
    yield f"  affine(z, {inputs}, SKIP, BIAS, y, {outputs});"
    yield f"  add(a, {net.last.shape[0]}, LAST, y, {outputs});\n}}\n"


def _recurrent(net: Recurrent, inputs: int, constant: Constant) -> Iterator[str]:
    """Lines of `recurrent(z, h)`: the last state of the unit, then the inputs that are no history."""
    w, wide = net.width, len(net.columns[0])
    gates, again = ("GATES", "GATES_BIAS"), ("AGAIN", "AGAIN_BIAS")
    for names, (weight, bias) in ((gates, net.gates), (again, net.again)):
        constant(names[0], weight.T)
        constant(names[1], bias)
    yield "static double sigmoid(double x) { return 0.5 * tanh(0.5 * x) + 0.5; }\n"
    yield f"static void recurrent(const double *z, double *h) {{\n  double f[{wide}], g[{3 * w}], o[{3 * w}];"
    yield f"  memset(h, 0, {w} * sizeof(double));"
    yield f"  for (int t = 0; t < {net.length}; t++) {{"
    at = 0
    for one in net.frames:
        late = net.length - one.count
        frame = f"(t > {late} ? t - {late} : 0)" if late else "t"
        yield f"    memcpy(f + {at}, z + {one.start} + {one.width} * {frame}, {one.width} * sizeof(double));"
        at += one.width
    yield f"    affine(f, {wide}, GATES, GATES_BIAS, g, {3 * w});"
    yield f"    affine(h, {w}, AGAIN, AGAIN_BIAS, o, {3 * w});"
    yield f"    for (int i = 0; i < {w}; i++) {{"
    yield f"      double n = tanh(g[{2 * w} + i] + sigmoid(g[i] + o[i]) * o[{2 * w} + i]);"
    yield f"      h[i] = n + sigmoid(g[{w} + i] + o[{w} + i]) * (h[i] - n);\n    }}\n  }}"
    for to, source in enumerate(net.rest.tolist(), w):
        yield f"  h[{to}] = z[{source}];"
    yield "}\n"
