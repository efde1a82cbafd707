"""The part of a policy's C source that acts: its constants, network, and scales."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from revive.runtime.c99_network import network_source
from revive.runtime.codec import Array, Circle, Logarithm, NodeCodec, NormalScore, OneHot
from revive.runtime.policy import Policy


class Acting:
    """Writes `NAME_act`, from all inputs of the policy (`inputs` values) to its action (`outputs` values).

    constants: declarations that have been asked for so far.
    """

    def __init__(self, policy: Policy, name: str) -> None:
        self.policy, self.name, self.graph = policy, name, policy.graph
        self.outputs = self.graph[policy.target].width
        self.inputs = sum(self.graph[node].width for node in policy.inputs)
        self.constants: list[str] = []

    def constant(self, name: str, values: Array) -> str:
        text = ", ".join(f"{value!r}" for value in np.asarray(values, dtype=np.float64).reshape(-1).tolist())
        self.constants.append(f"static const double {name}[{max(1, np.size(values))}] = {{{text or '0.0'}}};")
        return name

    def once(self, name: str, values: Array) -> str:
        if not any(line.startswith(f"static const double {name}[") for line in self.constants):
            self.constant(name, values)
        return name

    def network(self) -> Iterator[str]:
        return network_source(self.policy.network, self.constant)

    def act(self) -> Iterator[str]:
        policy, name, dimensions = self.policy, self.name, self.policy.layout.width
        yield f"int {name}_act(const double full[{self.inputs}], double action[{self.outputs}]) {{"
        yield f"  double z[{policy.width}], y[{dimensions}];"
        yield f"  if (!finite_all(full, {self.inputs})) return 1;"
        at, to = 0, 0
        for number, node in enumerate(policy.inputs):
            codec = policy.codecs[node]
            frames = self.graph[node].width // len(codec.columns)
            for _ in range(frames):
                yield from self._encode(f"n{number}", codec, at, to)
                at, to = at + len(codec.columns), to + codec.layout.width
        yield "  network(z, y);"
        yield from self._decode(policy.codecs[policy.target])
        yield "  return 0;\n}\n"

    def _encode(self, name: str, codec: NodeCodec, at: int, to: int) -> Iterator[str]:
        """Statements from full[at ...] to z[to ...], one frame of a node."""
        for part, where, i in zip(codec.parts, codec.slices, codec.order, strict=True):
            x = f"full[{at + i}]"
            if isinstance(part, OneHot):
                values = self.once(f"{name}_values{i}", part.values)
                latent = [f"(nearest({x}, {values}, {part.width}) == {k})" for k in range(part.width)]
            elif isinstance(part, Circle):
                angle = f"(({x} - {part.start!r}) / {part.per_radian!r})"
                latent = [f"sin{angle}", f"cos{angle}"]
            elif isinstance(part, Logarithm):
                latent = [f"log({x} > 1e-12 ? {x} : 1e-12)"]
            elif isinstance(part, NormalScore):
                knots = self.once(f"{name}_knots{i}", part.knots)
                scores = self.once(f"{name}_scores{i}", part.scores)
                latent = [f"interpolate({x}, {knots}, {scores}, {len(part.knots)})"]
            else:
                latent = [x]
            for k, text in enumerate(latent, where.start):
                yield f"  z[{to + k}] = ({text} - {float(codec.center[k])!r}) / {float(codec.scale[k])!r};"

    def _decode(self, codec: NodeCodec) -> Iterator[str]:
        """Statements from y, as the network says it, to action[]."""
        layout, bounds = self.policy.layout, self.policy.bounds
        for part, where, i in zip(codec.parts, codec.slices, codec.order, strict=True):
            latent = []
            for k in range(where.start, where.stop):
                if k < layout.continuous:
                    low, high = float(bounds.low[k]), float(bounds.high[k])
                    value = f"bounded(y[{k}], {low!r}, {high!r})"
                elif k < layout.ordered:
                    value = f"level(y[{k}], {layout.levels[k - layout.continuous]})"
                else:
                    continue
                latent.append(f"({value} * {float(codec.scale[k])!r} + {float(codec.center[k])!r})")
            yield f"  action[{i}] = {self._physical(part, where, latent, i)};"
            for test, limit in (("<", self.policy.least[i]), (">", self.policy.most[i])):
                if np.isfinite(limit):
                    yield f"  if (action[{i}] {test} {float(limit)!r}) action[{i}] = {float(limit)!r};"

    def _physical(self, part: object, where: slice, latent: list[str], i: int) -> str:
        if isinstance(part, OneHot):
            values = self.once(f"choices{i}", part.values)
            return f"{values}[largest(y + {where.start}, {part.width})]"
        if isinstance(part, Circle):
            return f"{part.start!r} + turn(atan2({latent[0]}, {latent[1]})) * {part.per_radian!r}"
        if isinstance(part, Logarithm):
            return f"exp({latent[0]})"
        if isinstance(part, NormalScore):
            knots, scores = self.once(f"knots{i}", part.knots), self.once(f"scores{i}", part.scores)
            return f"interpolate({latent[0]}, {scores}, {knots}, {len(part.knots)})"
        return latent[0]
