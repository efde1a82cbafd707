"""What members pay beside their error: for slopes that contradict declared effects, and for what a rule finds."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor

from revive.data.windows import Segments, value_ranges
from revive.venv.effects import EffectPenalty
from revive.venv.judging import Penalty
from revive.venv.problem import VenvProblem
from revive.venv.rules import RulePenalty
from revive.venv.virtual_env import VirtualEnv


class Charges:
    """The penalties of a problem on a venv that may be exchanged.

    Args:
        problem: whose graph declares effects, and whose user may have written a rule.
        venv: what is charged.
        seen, unseen: the rows that members learn from, and those that they are judged on.
        effect_weight, rule_weight: of the two penalties.
    """

    def __init__(
        self,
        problem: VenvProblem,
        venv: VirtualEnv,
        seen: Segments,
        unseen: Segments,
        *,
        effect_weight: float,
        rule_weight: float,
    ) -> None:
        self.unseen, self.effect_weight, self.rule_weight = unseen, effect_weight, rule_weight
        self.effects = EffectPenalty(venv, value_ranges(problem.rows, problem.codec, problem.graph))
        self.rule = None if problem.rule is None else RulePenalty(venv, problem.rule, problem.rows, seen)
        nodes = {hinge.node for hinge in self.effects.hinges}
        self.nodes = nodes | (set(problem.rule.nodes) if problem.rule is not None else set())

    @property
    def venv(self) -> VirtualEnv:
        """What is charged."""
        return self.effects.venv

    @venv.setter
    def venv(self, venv: VirtualEnv) -> None:
        self.effects.venv = venv
        if self.rule is not None:
            self.rule.venv = venv

    def project_start(self, warm: Collection[str]) -> None:
        """Give the linear start of all nodes but `warm` ones the declared signs."""
        self.effects.project_start(warm)

    def loss(self, generator: torch.Generator) -> Tensor:
        """What all members pay in training, added up."""
        total = torch.zeros((), device=generator.device)
        if self.effects.hinges:
            total = total + self.effect_weight * self.effects(generator).sum()
        if self.rule is not None:
            total = total + self.rule_weight * self.rule.loss(generator).sum()
        return total

    def judged(self) -> list[Penalty]:
        """What members are charged where they are compared."""
        charges: list[Penalty] = []
        if self.effects.hinges:
            charges.append(lambda generator: self.effect_weight * self.effects(generator))
        if (rule := self.rule) is not None:
            charges.append(lambda generator: self.rule_weight * rule.judged(self.unseen, generator))
        return charges
