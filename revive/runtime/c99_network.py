"""The network of a policy as C99."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from revive.runtime.joint import JointNetwork, Part
from revive.runtime.network import Array, Network, Recurrent

Constant = Callable[[str, Array], str]
"""Writes an array under a name, and returns the name."""
ACTIVATIONS: Final = {
    "silu": "x / (1.0 + exp(-x))",
    "tanh": "tanh(x)",
    "relu": "x > 0.0 ? x : 0.0",
    "gelu": "0.5 * x * (1.0 + erf(x / sqrt(2.0)))",
}


def network_source(nets: Network | JointNetwork, constant: Constant) -> Iterator[str]:
    """Lines of `network(z, y)`: y = A z + b + f(z), in model space, or what several say one after the other."""
    several = isinstance(nets, JointNetwork)
    each = [part.network for part in nets.parts] if isinstance(nets, JointNetwork) else [nets]
    yield f"static double activate(double x) {{ return {ACTIVATIONS[each[0].activation]}; }}\n"
    if any(net.recurrent is not None for net in each):
        yield "static double sigmoid(double x) { return 0.5 * tanh(0.5 * x) + 0.5; }\n"
    for number, net in enumerate(each):
        yield from _network(net, constant, f"_{number}" if several else "")
    if isinstance(nets, JointNetwork):
        yield from _joint(nets)


def _network(net: Network, constant: Constant, tag: str) -> Iterator[str]:
    """Lines of `network<tag>(z, y)`; the tag also tells the constants of several networks apart."""
    inputs, outputs = net.skip.shape
    features = inputs if net.recurrent is None else net.recurrent.width + len(net.recurrent.rest)
    if net.recurrent is not None:
        yield from _recurrent(net.recurrent, constant, tag)
    widest = max([features, *(weight.shape[1] for weight, _ in net.layers)])
    yield f"static void network{tag}(const double *z, double *y) {{\n  double a[{widest}], b[{widest}];"
    copied = f"memcpy(a, z, {inputs} * sizeof(double));"
    yield f"  {copied if net.recurrent is None else f'recurrent{tag}(z, a);'}"
    for number, (weight, bias) in enumerate(net.layers):
        w, c = constant(f"W{number}{tag}", weight.T), constant(f"B{number}{tag}", bias)
        yield f"  affine(a, {weight.shape[0]}, {w}, {c}, b, {weight.shape[1]});"
        yield f"  for (int i = 0; i < {weight.shape[1]}; i++) a[i] = activate(b[i]);"
    if not net.layers:
        yield "  (void)b; (void)activate;"
    parts = (("SKIP", net.skip.T), ("BIAS", net.bias), ("LAST", net.last.T))
    skip, straight, last = (constant(f"{name}{tag}", values) for name, values in parts)
    yield f"  affine(z, {inputs}, {skip}, {straight}, y, {outputs});"
    yield f"  add(a, {net.last.shape[0]}, {last}, y, {outputs});\n}}\n"


def _joint(net: JointNetwork) -> Iterator[str]:
    """Lines of `network(z, y)`: the parts in their order, each with what it sees of z and of earlier ones."""
    yield "static void network(const double *z, double *y) {"
    numbers = {part.name: number for number, part in enumerate(net.parts)}
    for number, part in enumerate(net.parts):
        width = part.layout.width
        yield f"  double x{number}[{len(part.network.skip)}], y{number}[{width}];"
        at = 0
        for name in part.inputs:
            where = net.slices.get(name)
            source = f"d{numbers[name]}" if where is None else f"z + {where.start}"
            size = net.parts[numbers[name]].layout.width if where is None else where.stop - where.start
            yield f"  memcpy(x{number} + {at}, {source}, {size} * sizeof(double));"
            at += size
        yield f"  network_{number}(x{number}, y{number});"
        yield from (f"  y[{to}] = y{number}[{k}];" for k, to in enumerate(part.place.tolist()))
        if part.name in net.seen_later:
            yield from _decided(part, number)
    yield "}\n"


def _decided(part: Part, number: int) -> Iterator[str]:
    """Statements that put what a part was decided to be into d<number>, as later ones see it."""
    layout, y = part.layout, f"y{number}"
    yield f"  double d{number}[{layout.width}];"
    for k in range(layout.continuous):
        low, high = float(part.bounds.low[k]), float(part.bounds.high[k])
        yield f"  d{number}[{k}] = bounded({y}[{k}], {low!r}, {high!r});"
    for k, levels in enumerate(layout.levels, layout.continuous):
        yield f"  d{number}[{k}] = level({y}[{k}], {levels});"
    for start, stop in layout.blocks:
        for k in range(start, stop):
            yield f"  d{number}[{k}] = largest({y} + {start}, {stop - start}) == {k - start};"


def _recurrent(net: Recurrent, constant: Constant, tag: str) -> Iterator[str]:
    """Lines of `recurrent<tag>(z, h)`: the last state of the unit, then the inputs that are no history."""
    w, wide = net.width, len(net.columns[0])
    gates, again = (f"GATES{tag}", f"GATES_BIAS{tag}"), (f"AGAIN{tag}", f"AGAIN_BIAS{tag}")
    for names, (weight, bias) in ((gates, net.gates), (again, net.again)):
        constant(names[0], weight.T)
        constant(names[1], bias)
    yield f"static void recurrent{tag}(const double *z, double *h) {{\n  double f[{wide}], g[{3 * w}], o[{3 * w}];"
    yield f"  memset(h, 0, {w} * sizeof(double));"
    yield f"  for (int t = 0; t < {net.length}; t++) {{"
    at = 0
    for one in net.frames:
        late = net.length - one.count
        frame = f"(t > {late} ? t - {late} : 0)" if late else "t"
        yield f"    memcpy(f + {at}, z + {one.start} + {one.width} * {frame}, {one.width} * sizeof(double));"
        at += one.width
    yield f"    affine(f, {wide}, {gates[0]}, {gates[1]}, g, {3 * w});"
    yield f"    affine(h, {w}, {again[0]}, {again[1]}, o, {3 * w});"
    yield f"    for (int i = 0; i < {w}; i++) {{"
    yield f"      double n = tanh(g[{2 * w} + i] + sigmoid(g[i] + o[i]) * o[{2 * w} + i]);"
    yield f"      h[i] = n + sigmoid(g[{w} + i] + o[{w} + i]) * (h[i] - n);\n    }}\n  }}"
    for to, source in enumerate(net.rest.tolist(), w):
        yield f"  h[{to}] = z[{source}];"
    yield "}\n"
