"""The part of a policy's C source that remembers: what `Memory` and `Session` are in Python."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate

from revive.runtime.c99_act import Acting


class Remembering:
    """Writes `NAME_reset`, `_begin`, `_track` and `_step` around `NAME_act`.

    widths: how many values of which nodes a step is shown, in the order of `seen[]`. done: where in `action[]` each
    node begins that is decided.
    """

    def __init__(self, acting: Acting) -> None:
        self.acting, self.policy, self.graph, self.name = acting, acting.policy, acting.graph, acting.name
        self.memory = self.policy.memory()
        self.widths = {node: self.graph[node].width for node in self.memory.shown(self.policy.target)}
        self.seen = sum(self.widths.values())
        self.outputs = acting.outputs
        ends = accumulate(self.graph[node].width for node in self.policy.decided)
        starts = {
            node: end - self.graph[node].width for node, end in zip(self.policy.decided, ends, strict=True)
        }
        self.done = {node: f"action + {at}" if at else "action" for node, at in starts.items()}

    @property
    def state(self) -> list[tuple[str, int]]:
        """What is kept, the frames of each history and an action that holds: name of the array, number of values."""
        found = []
        for number, spec in enumerate(self.memory.specs.values()):
            width = self.graph[spec.source].width
            found.append((f"past{number}", max(1, width * spec.lookback)))
        return [*found, ("held", self.outputs)] if self.policy.repeat > 1 else found

    def functions(self) -> Iterator[str]:
        """All of them, line by line."""
        name, state = self.name, f"{self.name}_state *state"
        seen = f"const double seen[{max(self.seen, 1)}]"
        yield f"void {name}_reset({state}) {{ memset(state, 0, sizeof *state); }}\n"
        yield from self._begin(f"int {name}_begin({state}, const double action[{self.outputs}])")
        yield from self._start(f"static void start({state}, const double *seen)")
        yield from self._remember(f"static void remember({state}, const double *seen, const double *action)")
        yield from self._track(f"int {name}_track({state}, {seen}, const double action[{self.outputs}])")
        yield from self._step(f"int {name}_step({state}, {seen}, double action[{self.outputs}])")

    def _begin(self, head: str) -> Iterator[str]:
        yield f"{head} {{"
        yield f"  if (!finite_all(action, {self.outputs})) return 1;"
        yield f"  {self.name}_reset(state);"
        for number, spec in enumerate(self.memory.specs.values()):
            if spec.source in self.done:
                yield from self._filled(number, self.done[spec.source], "  ")
        yield "  state->told = 1;\n  return 0;\n}\n"

    def _start(self, head: str) -> Iterator[str]:
        """What stands for the steps before the first one: the first value seen, or the middle of the logged actions."""
        yield f"{head} {{\n  (void)state; (void)seen;"
        for number, spec in enumerate(self.memory.specs.values()):
            if spec.source in self.widths:
                yield from self._filled(number, f"seen + {self._place(spec.source)}", "  ")
            else:
                yield "  if (!state->told) {"
                first = self.acting.once(f"FIRST{number}", self.memory.middle(spec.source))
                yield from self._filled(number, first, "    ")
                yield "  }"
        yield "}\n"

    def _filled(self, number: int, first: str, indent: str) -> Iterator[str]:
        spec = [*self.memory.specs.values()][number]
        width = self.graph[spec.source].width
        for frame in range(spec.lookback):
            yield f"{indent}memcpy(state->past{number} + {frame * width}, {first}, {width} * sizeof(double));"

    def _remember(self, head: str) -> Iterator[str]:
        yield f"{head} {{\n  (void)seen; (void)action;"
        for number, spec in enumerate(self.memory.specs.values()):
            width, size = self.graph[spec.source].width, self.state[number][1]
            new = self.done.get(spec.source) or f"seen + {self._place(spec.source)}"
            if spec.lookback:
                yield f"  push(state->past{number}, {size}, {new}, {width});"
        if self.policy.repeat > 1:
            yield f"  memcpy(state->held, action, {self.outputs} * sizeof(double));"
        yield "  state->steps += 1.0;\n  state->begun = 1;\n}\n"

    def _track(self, head: str) -> Iterator[str]:
        yield f"{head} {{"
        yield f"  if (!finite_all(seen, {self.seen}) || !finite_all(action, {self.outputs})) return 1;"
        yield f"  if (!state->begun && !state->told) {self.name}_begin(state, action);"
        yield "  if (!state->begun) start(state, seen);"
        yield "  remember(state, seen, action);\n  return 0;\n}\n"

    def _step(self, head: str) -> Iterator[str]:
        yield f"{head} {{\n  double full[{self.acting.inputs}];"
        yield "  if (!state->begun) start(state, seen);"
        at, numbers = 0, {node: number for number, node in enumerate(self.memory.specs)}
        for node in self.policy.inputs:
            yield from self._fill(node, at, numbers.get(node))
            at += self.graph[node].width
        yield f"  if ({self.name}_act(full, action)) return 1;"
        if (repeat := self.policy.repeat) > 1:
            yield f"  if (state->begun && fmod(state->steps, {repeat}.0) != 0.0)"
            yield f"    memcpy(action, state->held, {self.outputs} * sizeof(double));"
        yield "  remember(state, seen, action);\n  return 0;\n}\n"

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
