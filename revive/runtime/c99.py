"""A policy as C99: one header and one source file, weights as arrays, no heap, no library but libm.

The source holds a test vector from the numpy runtime and a function that repeats it; where a C compiler is at hand,
the export compiles and runs it, and writes into the file how far the two are apart.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from revive.errors import Problem, UserError
from revive.graph.columns import Column
from revive.runtime.c99_helpers import HELPERS
from revive.runtime.c99_network import network_source
from revive.runtime.codec import Array, Circle, Logarithm, NodeCodec, NormalScore, OneHot
from revive.runtime.policy import Policy

TOLERANCE: Final = 1e-6  # of the test vector, in spans of the action
_ROWS: Final = 16  # of the test vector
_FLAGS: Final = ("-std=c99", "-O2", "-Wall", "-Wextra", "-Werror", "-pedantic")


def export_c99(policy: Policy, folder: Path, name: str = "policy") -> str:
    """Write `name`.h and `name`.c into `folder`; returns what the check of them found, in a sentence.

    Raises UserError for a name that C does not know as one, and where the compiled file differs from numpy.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        remedy = "small letters, digits and _, beginning with a letter"
        raise UserError(Problem(f"'{name}' cannot be the name of C functions", remedy=remedy))
    writer = _Writer(policy, name)
    checked = _checked(writer, name)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.h").write_text(writer.header(), encoding="utf-8")
    (folder / f"{name}.c").write_text(writer.source(checked), encoding="utf-8")
    return checked


def _checked(writer: _Writer, name: str) -> str:
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        return "not compiled at export: no C compiler was found"
    with tempfile.TemporaryDirectory() as made:
        home = Path(made)
        (home / f"{name}.h").write_text(writer.header(), encoding="utf-8")
        (home / f"{name}.c").write_text(writer.source(""), encoding="utf-8")
        body = f'int main(void) {{ printf("%.17g", {name}_selftest()); return 0; }}'
        main = f'#include <stdio.h>\n#include "{name}.h"\n{body}\n'
        (home / "main.c").write_text(main, encoding="utf-8")
        command = [compiler, *_FLAGS, "-o", "check", "main.c", f"{name}.c", "-lm"]
        built = subprocess.run(command, cwd=home, capture_output=True, text=True, check=False)
        if built.returncode:
            raise UserError(Problem(f"the C file does not compile: {built.stderr[:500]}", f"{name}.c"))
        done = subprocess.run([home / "check"], capture_output=True, text=True, check=False)
        error = float(done.stdout) if done.returncode == 0 else float("inf")
    if not error <= TOLERANCE:
        raise UserError(
            Problem(f"the C file differs from numpy by {error:.2g} of the action's span", f"{name}.c")
        )
    built_by = f"{Path(compiler).name} {' '.join(_FLAGS[:2])}"
    return f"compiled at export ({built_by}): differs from numpy by at most {error:.1g} of the action's span"


class _Writer:
    """Header and source of one policy."""

    def __init__(self, policy: Policy, name: str) -> None:
        self.policy, self.name, self.graph = policy, name, policy.graph
        self.outputs = self.graph[policy.target].width
        self.inputs = sum(self.graph[node].width for node in policy.inputs)
        self.session = policy.session()
        self.memory = self.session.memory
        self.widths = {node: self.graph[node].width for node in self.session.seen}
        self.constants: list[str] = []

    # -- header --------------------------------------------------------------------------------

    def header(self) -> str:
        upper, name = self.name.upper(), self.name
        seen = sum(self.widths.values())
        state = "".join(f"\n  double {at}[{size}];" for at, size in self._state())
        return f"""#ifndef {upper}_H
#define {upper}_H
/* A policy that revive has learned. All values are in physical units.

   seen[{seen}]:
{self._listed(self.session.seen)}
   action[{self.outputs}]:
{self._listed([self.policy.target])}
   full[{self.inputs}], of {name}_act alone:
{self._listed(self.policy.inputs)} */

#define {upper}_SEEN {seen}
#define {upper}_ACTION {self.outputs}
#define {upper}_FULL {self.inputs}

typedef struct {{{state}
  double steps; /* since the last reset */
}} {name}_state;

/* Begin anew. */
void {name}_reset({name}_state *state);

/* One step of a plant: what is seen to what is to be done.
   Returns 0; or 1, and no action, where a value is not finite. */
int {name}_step({name}_state *state, const double seen[{max(seen, 1)}], double action[{self.outputs}]);

/* The same without a memory: histories and step counters are given. */
int {name}_act(const double full[{self.inputs}], double action[{self.outputs}]);

/* The largest difference from the values that stand in the source, in spans of the action. */
double {name}_selftest(void);

#endif
"""

    def _listed(self, nodes: tuple[str, ...] | list[str]) -> str:
        lines, at = [], 0
        for node in nodes:
            for column in self.graph.columns(node):
                lines.append(f"     [{at}] {_comment(_said(column))}")
                at += 1
        return "\n".join(lines) or "     nothing"

    def _state(self) -> list[tuple[str, int]]:
        """The frames that are kept of each history: name of the array, number of values."""
        found = []
        for number, (node, spec) in enumerate(self.memory.specs.items()):
            width = self.graph[node].width // spec.length
            found.append((f"past{number}", max(1, width * spec.lookback)))
        return found

    # -- source --------------------------------------------------------------------------------

    def source(self, checked: str) -> str:
        self.constants = []
        body = "\n".join(
            [
                *network_source(self.policy.network, self._constant),
                *self._act(),
                *self._stepping(),
                *self._selftest(),
            ]
        )
        note = f"/* {_comment(checked)} */\n" if checked else ""
        head = f'{note}#include "{self.name}.h"\n\n#include <float.h>\n#include <math.h>\n#include <string.h>\n\n'
        return head + "\n".join(self.constants) + "\n\n" + HELPERS + body + "\n"

    def _constant(self, name: str, values: Array) -> str:
        text = ", ".join(f"{value!r}" for value in np.asarray(values, dtype=np.float64).reshape(-1).tolist())
        self.constants.append(f"static const double {name}[{max(1, np.size(values))}] = {{{text or '0.0'}}};")
        return name

    def _act(self) -> Iterator[str]:
        policy, name, dimensions = self.policy, self.name, self.policy.layout.width
        yield f"int {name}_act(const double full[{self.inputs}], double action[{self.outputs}]) {{"
        yield f"  double z[{policy.width}], y[{dimensions}];"
        yield f"  for (int i = 0; i < {self.inputs}; i++) if (!(fabs(full[i]) <= DBL_MAX)) return 1;"
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
                values = self._once(f"{name}_values{i}", part.values)
                latent = [f"(nearest({x}, {values}, {part.width}) == {k})" for k in range(part.width)]
            elif isinstance(part, Circle):
                angle = f"(({x} - {part.start!r}) / {part.per_radian!r})"
                latent = [f"sin{angle}", f"cos{angle}"]
            elif isinstance(part, Logarithm):
                latent = [f"log({x} > 1e-12 ? {x} : 1e-12)"]
            elif isinstance(part, NormalScore):
                knots = self._once(f"{name}_knots{i}", part.knots)
                scores = self._once(f"{name}_scores{i}", part.scores)
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
            values = self._once(f"choices{i}", part.values)
            return f"{values}[largest(y + {where.start}, {part.width})]"
        if isinstance(part, Circle):
            return f"{part.start!r} + turn(atan2({latent[0]}, {latent[1]})) * {part.per_radian!r}"
        if isinstance(part, Logarithm):
            return f"exp({latent[0]})"
        if isinstance(part, NormalScore):
            knots, scores = self._once(f"knots{i}", part.knots), self._once(f"scores{i}", part.scores)
            return f"interpolate({latent[0]}, {scores}, {knots}, {len(part.knots)})"
        return latent[0]

    def _once(self, name: str, values: Array) -> str:
        if not any(line.startswith(f"static const double {name}[") for line in self.constants):
            self._constant(name, values)
        return name

    # -- memory --------------------------------------------------------------------------------

    def _stepping(self) -> Iterator[str]:
        name, memory = self.name, self.memory
        yield f"void {name}_reset({name}_state *state) {{ memset(state, 0, sizeof *state); }}\n"
        seen = max(sum(self.widths.values()), 1)
        yield f"int {name}_step({name}_state *state, const double seen[{seen}], double action[{self.outputs}]) {{"
        yield f"  double full[{self.inputs}];"
        yield "  (void)seen;"
        if memory.specs:
            yield "  if (state->steps == 0.0) {"
            for number, node in enumerate(memory.specs):
                yield from self._begin(number, node)
            yield "  }"
        at, numbers = 0, {node: number for number, node in enumerate(memory.specs)}
        for node in self.policy.inputs:
            yield from self._fill(node, at, numbers.get(node))
            at += self.graph[node].width
        yield f"  if ({name}_act(full, action)) return 1;"
        for number, (_, spec) in enumerate(memory.specs.items()):
            width, size = self.graph[spec.source].width, self._state()[number][1]
            new = "action" if spec.source == self.policy.target else f"seen + {self._place(spec.source)}"
            if spec.lookback:
                yield f"  push(state->past{number}, {size}, {new}, {width});"
        yield "  state->steps += 1.0;\n  return 0;\n}\n"

    def _begin(self, number: int, node: str) -> Iterator[str]:
        """What stands for the steps before the first one."""
        spec = self.memory.specs[node]
        width = self.graph[spec.source].width
        known = spec.source in self.widths
        first = (
            f"seen + {self._place(spec.source)}"
            if known
            else self._once(f"FIRST{number}", self.memory.middle(spec.source))
        )
        for frame in range(spec.lookback):
            yield f"    memcpy(state->past{number} + {frame * width}, {first}, {width} * sizeof(double));"

    def _fill(self, node: str, at: int, number: int | None) -> Iterator[str]:
        """Statements that put an input of the policy into full[at ...]."""
        width = self.graph[node].width
        if node == self.memory.counter:
            yield f"  full[{at}] = state->steps;"
        elif number is None:
            yield f"  memcpy(full + {at}, seen + {self._place(node)}, {width} * sizeof(double));"
        else:
            spec = self.memory.specs[node]
            one = width // spec.length
            kept = one * spec.lookback if spec.delay == 0 else width
            if kept:
                yield f"  memcpy(full + {at}, state->past{number}, {kept} * sizeof(double));"
            if spec.delay == 0:
                yield f"  memcpy(full + {at + kept}, seen + {self._place(spec.source)}, {one} * sizeof(double));"

    def _place(self, node: str) -> int:
        """Where a node lies in seen[]."""
        names = list(self.widths)
        return sum(self.widths[name] for name in names[: names.index(node)])

    # -- test ----------------------------------------------------------------------------------

    def _selftest(self) -> Iterator[str]:
        name, (full, action) = self.name, test_vector(self.policy)
        self._constant("TEST_FULL", full)
        self._constant("TEST_ACTION", action)
        span = self._constant("SPAN", _span(self.policy))
        yield f"double {name}_selftest(void) {{\n  double worst = 0.0, action[{self.outputs}];"
        yield f"  for (int row = 0; row < {len(full)}; row++) {{"
        yield f"    if ({name}_act(TEST_FULL + row * {self.inputs}, action)) return DBL_MAX;"
        yield f"    for (int i = 0; i < {self.outputs}; i++) {{"
        yield f"      double error = fabs(action[i] - TEST_ACTION[row * {self.outputs} + i]) / {span}[i];"
        yield "      if (!(error <= worst)) worst = error;\n    }\n  }\n  return worst;\n}"


def test_vector(policy: Policy) -> tuple[Array, Array]:
    """Inputs around the logged values, (rows, columns), and what numpy makes of them, both in physical units."""
    rng, parts = np.random.default_rng(0), []
    for node in policy.inputs:
        codec = policy.codecs[node]
        frames = policy.graph[node].width // len(codec.columns)
        z = rng.normal(size=(_ROWS, frames * codec.layout.width))
        parts.append(codec.decode(z))
    full = np.concatenate(parts, axis=1)
    return full, policy.decided(full)


def _span(policy: Policy) -> Array:
    """What a difference is measured by: one unit of model space of each column of the action, or 1."""
    codec = policy.codecs[policy.target]
    span = np.ones(len(codec.columns))
    for where, i in zip(codec.slices, codec.order, strict=True):
        if codec.columns[i].type != "category" and codec.columns[i].scale not in (
            "log",
            "quantile",
            "cyclic",
        ):
            span[i] = codec.scale[where.start]
    return span


def _said(column: Column) -> str:
    return f"{column.name} of {column.node}" + (f", {column.units}" if column.units else "")


def _comment(text: str) -> str:
    """Text that cannot end a comment, nor go on in the next line."""
    return "".join(c if c.isprintable() else " " for c in text).replace("*/", "* /").replace("/*", "/ *")
