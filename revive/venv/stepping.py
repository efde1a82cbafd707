"""A rollout, step by step: what a plan does to the values of a time step, and what it hands on to the next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from revive.venv.observer import Readings
from revive.venv.plan import ComputedStep, LearnedStep, Plan, Step

if TYPE_CHECKING:
    from revive.venv.virtual_env import VirtualEnv


class Stepper:
    """Runs one rollout of a venv; values are a list with a tensor (M, B, width) per slot of the plan.

    Args:
        venv: whose models and observers answer.
        plan: of its graph.
        pasts: frames before the first step, of the histories in the order of the plan; moved on in place.
        readings, together: as of `VirtualEnv.rollout`.
    """

    def __init__(
        self,
        venv: VirtualEnv,
        plan: Plan,
        pasts: list[Tensor],
        readings: Mapping[str, Readings],
        together: bool,
    ) -> None:
        self.venv, self.plan, self.pasts = venv, plan, pasts
        self.readings, self.together = readings, together
        self._place = {step.slot: i for i, step in enumerate(plan.histories)}

    def step(self, values: list[Any], noise: Mapping[str, Tensor], shift: int) -> None:
        """One time step, in place. shift: by how many members the branches are handed on."""
        self.recall(values)
        self.run(self.plan.steps, values, noise, shift)
        self.remember(values)

    def recall(self, values: list[Any]) -> None:
        """The histories that are leaves, in place."""
        for kept in self.plan.before:
            values[kept.slot] = kept.value(self.pasts[self._place[kept.slot]], None)

    def run(self, steps: Sequence[Step], values: list[Any], noise: Mapping[str, Tensor], shift: int) -> None:
        """Some of the plan's operations, in place."""
        for step in steps:
            if isinstance(step, LearnedStep):
                self._evaluate(step, values, noise.get(step.name), shift)
            elif isinstance(step, ComputedStep):
                values[step.slot] = step.compute(*(values[i] for i in step.inputs))
            else:
                values[step.slot] = step.value(self.pasts[self._place[step.slot]], values[step.source])

    def remember(self, values: list[Any]) -> None:
        """Move all histories on by the values of this step."""
        for i, kept in enumerate(self.plan.histories):
            self.pasts[i] = kept.advance(self.pasts[i], values[kept.source])

    def carried(self, values: list[Any], done: int) -> list[Any]:
        """What the step after step `done` begins with: states, or what was read of them, and the step counter."""
        plan, values = self.plan, list(values)
        for source, target in plan.carry:
            values[target] = values[source]
        self._correct(values, done)
        if plan.counter is not None:
            values[plan.counter] = values[plan.counter] + plan.one_step
        return values

    def _evaluate(self, step: LearnedStep, values: list[Any], eps: Tensor | None, shift: int) -> None:
        """The value of a learned node, and the latent state behind it where it is a reading; in place."""
        parts = [values[i] for i in step.inputs]
        x = parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)
        current = None if step.current is None else values[step.current]
        if shift:
            x = self.venv.hand_on(x, shift)
            current = None if current is None else self.venv.hand_on(current, shift)
            eps = None if eps is None else self.venv.hand_on(eps, shift)
        model = self.venv.model(step.name)
        out = model(x, current)
        values[step.slot] = value = self._finished(step, values, model.drawn(out, eps), shift)
        if step.latent is not None:
            drawn = eps is not None
            predicted = self._finished(step, values, model.drawn(out, None), shift) if drawn else value
            values[step.latent] = self.venv.observer(step.name).update(predicted, value)

    def _finished(self, step: LearnedStep, values: list[Any], value: Tensor, shift: int) -> Tensor:
        """A model's answer within its bounds, back under its branch, with what is copied."""
        if self.together:
            value = self._agreed(value)
        if step.project or self.together:
            value = self.venv.codec[step.name].project(value)
        value = self.venv.hand_on(value, -shift) if shift else value
        for source, copy in step.copies:
            value = copy(value, values[source])
        return value

    def _correct(self, values: list[Any], done: int) -> None:
        """Put the readings of a step, where there are any, in place of what was predicted for it."""
        for name, series in self.readings.items():
            if done >= len(series.value):
                continue
            predicted = values[self.plan.slots[name]]
            state = self.plan.slots[self.venv.graph.state_of(name)]
            values[state] = reading = series.at(done, predicted)
            if name in self.plan.latents:
                values[self.plan.latents[name][0]] = self.venv.observer(name).update(predicted, reading)

    def _agreed(self, value: Tensor) -> Tensor:
        """(M, ...) with the mean of its half under every member."""
        halves = value.reshape(self.venv.halves, -1, *value.shape[1:])
        return halves.mean(1, keepdim=True).expand_as(halves).reshape(value.shape)
