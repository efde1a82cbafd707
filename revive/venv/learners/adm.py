"""The any-step dynamics model: transitions from a state k steps ago, k drawn anew for every update.

`L = -E_k mean log p(x' | x_{-k}, a_{-k} .. a_0)`, k uniform over what histories reach (Lin et al. 2024,
arXiv:2405.17031).
All else is as in `bc`: rounds that double, and weights that are kept by held-out rollouts. A rollout takes the mean
of all k opinions, where the paper draws one of them for each step. Its network is `revive.nn.any_step`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Unpack

import torch
from torch import Tensor

from revive.data.declared import is_signed
from revive.errors import Problem, UserError
from revive.nn.any_step import AnyStepNet
from revive.venv.learners.bc import BehaviourCloning
from revive.venv.learners.course import Stage
from revive.venv.learners.members import RoundArguments
from revive.venv.learners.objective import LossKind
from revive.venv.problem import VenvProblem


class AnyStep(BehaviourCloning):
    """Fits all members of both halves at once; transitions that see histories have any-step networks.

    Args: as of `BehaviourCloning`.

    Raises UserError where no transition sees earlier values, and as `BehaviourCloning` does.
    """

    def __init__(self, problem: VenvProblem, *, loss: LossKind, **rounds: Unpack[RoundArguments]) -> None:
        own = {}
        for name in problem.graph.transitions:
            if problem.graph[name].is_learned:
                asked = problem.nodes.get(name, problem.network)
                if asked.backbone != "monotone" or not is_signed(problem.graph, name):
                    own[name] = replace(asked, backbone="any_step", norm=None).sized()
        super().__init__(replace(problem, nodes={**problem.nodes, **own}), loss=loss, **rounds)
        if not self._any_step():
            what = "no transition sees earlier values, so there is no step to look back"
            raise UserError(Problem(what, place="venv.history", remedy="venv.history=5"))

    def _any_step(self) -> dict[str, AnyStepNet]:
        nets = {name: self.venv.model(name).net for name in self.venv.models}
        return {name: net for name, net in nets.items() if isinstance(net, AnyStepNet)}

    def _loss(self, stage: Stage, index: Tensor) -> Tensor:
        nets, rng = self._any_step(), self.generator
        for net in nets.values():
            net.steps_back = 1 + int(torch.randint(net.length, (), generator=rng, device=rng.device))
        loss = super()._loss(stage, index)
        for net in nets.values():
            net.steps_back = None
        return loss

    def notes(self) -> dict[str, Any]:
        return {**super().notes(), "steps_back": {name: net.length for name, net in self._any_step().items()}}
