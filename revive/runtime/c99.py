"""A policy as C99: one header and one source file, weights as arrays, no heap, no library but libm.

The source holds a test vector from the numpy runtime and a function that repeats it; where a C compiler is at hand,
the export compiles and runs it, and writes into the file how far the two are apart.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from revive.errors import Problem, UserError
from revive.graph.columns import Column
from revive.runtime.c99_act import Acting
from revive.runtime.c99_helpers import HELPERS
from revive.runtime.c99_memory import Remembering
from revive.runtime.policy import Policy
from revive.runtime.vectors import drawn_vector, span_of

TOLERANCE: Final = 1e-6  # of the test vector, in spans of the action
_FLAGS: Final = ("-std=c99", "-O2", "-Wall", "-Wextra", "-Werror", "-pedantic")


def export_c99(policy: Policy, folder: Path, name: str = "policy") -> str:
    """Write `name`.h and `name`.c into `folder`; returns what the check of them found, in a sentence.

    Raises UserError for a name that C does not know as one, and where the compiled file differs from numpy.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        remedy = "small letters, digits and _, beginning with a letter"
        raise UserError(Problem(f"'{name}' cannot be the name of C functions", remedy=remedy))
    writer = _Files(policy, name)
    checked = _checked(writer, name)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.h").write_text(writer.header(), encoding="utf-8")
    (folder / f"{name}.c").write_text(writer.source(checked), encoding="utf-8")
    return checked


def _checked(writer: _Files, name: str) -> str:
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


class _Files:
    """Header and source of one policy."""

    def __init__(self, policy: Policy, name: str) -> None:
        self.name, self.acting = name, Acting(policy, name)
        self.memory = Remembering(self.acting)

    # -- header --------------------------------------------------------------------------------

    def header(self) -> str:
        upper, name = self.name.upper(), self.name
        policy, inputs, outputs = self.acting.policy, self.acting.inputs, self.acting.outputs
        seen = self.memory.seen
        state = "".join(f"\n  double {at}[{size}];" for at, size in self.memory.state)
        assumed = _comment(self._assumed())
        return f"""#ifndef {upper}_H
#define {upper}_H
/* A policy that revive has learned. All values are in physical units.

   seen[{seen}]:
{self._listed([*self.memory.widths])}
   action[{outputs}]:
{self._listed([policy.target])}
   full[{inputs}], of {name}_act alone:
{self._listed(policy.inputs)} */

#define {upper}_SEEN {seen}
#define {upper}_ACTION {outputs}
#define {upper}_FULL {inputs}

typedef struct {{{state}
  double steps; /* since the last reset */
  int begun, told;
}} {name}_state;

/* Begin anew, where nobody knows what was before. {assumed} */
void {name}_reset({name}_state *state);

/* Begin anew where the actuator stands: action counts as what was done in all steps before.
   Returns 0; or 1, and nothing has begun, where a value is not finite. */
int {name}_begin({name}_state *state, const double action[{outputs}]);

/* A step that somebody else decided, an operator say: it is only remembered. The first one counts as {name}_begin does.
   Returns 0; or 1, and nothing is remembered, where a value is not finite. */
int {name}_track({name}_state *state, const double seen[{max(seen, 1)}], const double action[{outputs}]);

/* One step of a plant: what is seen to what is to be done.
   Returns 0; or 1, and no action, where a value is not finite. */
int {name}_step({name}_state *state, const double seen[{max(seen, 1)}], double action[{outputs}]);

/* The same without a memory: histories and step counters are given. */
int {name}_act(const double full[{inputs}], double action[{outputs}]);

/* The largest difference from the values that stand in the source, in spans of the action. */
double {name}_selftest(void);

#endif
"""

    def _listed(self, nodes: Sequence[str]) -> str:
        lines, at = [], 0
        for node in nodes:
            for column in self.acting.graph.columns(node):
                lines.append(f"     [{at}] {_comment(_said(column))}")
                at += 1
        return "\n".join(lines) or "     nothing"

    def _assumed(self) -> str:
        """What stands for the past after a reset, as sessions say it."""
        said = self.acting.policy.session().assumed
        return " ".join(f"Of {node} {text}." for node, text in said.items())

    # -- source --------------------------------------------------------------------------------

    def source(self, checked: str) -> str:
        acting = self.acting
        acting.constants = []
        body = "\n".join([*acting.network(), *acting.act(), *self.memory.functions(), *self._selftest()])
        note = f"/* {_comment(checked)} */\n" if checked else ""
        head = f'{note}#include "{self.name}.h"\n\n#include <float.h>\n#include <math.h>\n#include <string.h>\n\n'
        return head + "\n".join(acting.constants) + "\n\n" + HELPERS + body + "\n"

    def _selftest(self) -> Iterator[str]:
        inputs, outputs = self.acting.inputs, self.acting.outputs
        name, (full, action) = self.name, drawn_vector(self.acting.policy)
        self.acting.constant("TEST_FULL", full)
        self.acting.constant("TEST_ACTION", action)
        span = self.acting.constant("SPAN", span_of(self.acting.policy))
        yield f"double {name}_selftest(void) {{\n  double worst = 0.0, action[{outputs}];"
        yield f"  for (int row = 0; row < {len(full)}; row++) {{"
        yield f"    if ({name}_act(TEST_FULL + row * {inputs}, action)) return DBL_MAX;"
        yield f"    for (int i = 0; i < {outputs}; i++) {{"
        yield f"      double error = fabs(action[i] - TEST_ACTION[row * {outputs} + i]) / {span}[i];"
        yield "      if (!(error <= worst)) worst = error;\n    }\n  }\n  return worst;\n}"


def _said(column: Column) -> str:
    return f"{column.name} of {column.node}" + (f", {column.units}" if column.units else "")


def _comment(text: str) -> str:
    """Text that cannot end a comment, nor go on in the next line."""
    return "".join(c if c.isprintable() else " " for c in text).replace("*/", "* /").replace("/*", "/ *")
