"""The default venv learner: one-step likelihood until it is learned, then a multi-step curriculum, all of it gated.

Rounds at one step double in length, each from the full step size to none. After a round the members are judged on the
rows that they left out (see `judging`); where that lowered the error, another one follows, with a wider network
where it pays. Nodes that rollouts do not test go on alone while their cost falls. Then rollouts of growing length are
learned from, or, where readings are noisy (see `noise`), observers of the states behind them; see `objective`. `course`
decides what comes next.

All members of both halves are fitted at once, each with other blocks left out. A member keeps the weights with the
lowest held-out error that it had. Decision nodes and others that no rollout on recorded decisions tests are judged by
their own one-step cost, and are left alone as soon as that stops falling.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

import torch
from torch import Tensor

from revive.nn.ensemble import clip_gradient_by_member, decay_by_member
from revive.venv.learners.course import Stage, planned
from revive.venv.learners.members import RoundArguments, hidden_layers
from revive.venv.learners.objective import LossKind
from revive.venv.learners.staged import StagedLearner
from revive.venv.problem import VenvProblem

GAIN_PACE = 20.0  # step size of the observers' gains over that of the networks


class MultiStepLearner(StagedLearner):
    """Fits all members of both halves at once.

    Args:
        problem: what is to be learned, from what. Without `network.hidden` the network grows as `widths` say.
        one_step_updates: updates of the first one-step round; each further one has twice as many.
        widths: width of the two hidden layers in each round; also how many rounds there may be.
        curriculum: pairs (K, updates) of the multi-step stages, in order.
        batch_size: rows per member of a one-step update.
        window_batch: windows per member of a multi-step update.
        lr, multi_step_lr: Adam's step sizes at the start of a stage, cosine to zero within it.
        filter_steps, filter_updates, filter_lr: of a stage that takes the curriculum's place where readings are noisy:
            rows of its windows, its updates and step size. 0 updates for no such stage.
        weight_decay: on the residual network; the linear skip is never decayed. Of several values the members try
            one each in turn, until one is clearly better.
        likelihood_weight: w of the one-step term in the multi-step loss.
        least_fall: share by which a round must lower the held-out error for another one to follow.
        clip: limit of each member's gradient norm.
        block: rows of the blocks that members leave out.
        held_out: share of the blocks that each member leaves out.
        effect_weight: of the penalty for slopes that contradict declared effects.
        rule_weight: of the rule's penalty.
        max_seconds: of training; the stage that it ends in is judged and is the last one. None for no limit. Only
            with a limit is time what decides, and then the result depends on the machine.
        chunk: updates per round of Lightning.
        loss: one-step loss of the nodes whose description names none.

    Raises UserError for a budget that is too small to train anything.
    """

    def __init__(
        self,
        problem: VenvProblem,
        *,
        curriculum: Sequence[Sequence[int]],
        window_batch: int,
        multi_step_lr: float,
        filter_steps: int,
        filter_updates: int,
        filter_lr: float,
        likelihood_weight: float,
        loss: LossKind = "log_prob",
        **rounds: Unpack[RoundArguments],
    ) -> None:
        course = planned(
            widths=hidden_layers(problem, rounds["widths"]),
            one_step_updates=rounds["one_step_updates"],
            lr=rounds["lr"],
            curriculum=curriculum,
            multi_step_lr=multi_step_lr,
            filters=(filter_steps, filter_updates, filter_lr),
            longest=int(problem.rows.lengths.max()),
            budget=problem.budget,
            least_fall=rounds["least_fall"],
        )
        names = ("weight_decay", "block", "held_out", "effect_weight", "rule_weight")
        shared = {name: rounds[name] for name in names}  # type: ignore[literal-required]
        super().__init__(
            problem,
            course,
            chunk=rounds["chunk"],
            max_seconds=rounds["max_seconds"],
            window_batch=window_batch,
            loss=loss,
            **shared,
        )
        self.likelihood_weight = likelihood_weight
        self.batch_size, self.clip = rounds["batch_size"], rounds["clip"]

    def configure_optimizers(self) -> torch.optim.Optimizer:
        names = [name for name in self.venv.graph.learned if not self.venv.graph[name].freeze]
        groups = [{"params": [p for name in names for p in self.venv.model(name).parameters()], "pace": 1.0}]
        if self.venv.observed:
            groups.append({"params": list(self.venv.observers.parameters()), "pace": GAIN_PACE})
        return torch.optim.Adam(groups, lr=1e-3, fused=True)

    def _update(self, stage: Stage, updates: int) -> Tensor:
        """Their rows are drawn at once."""
        (optimizer,) = self.own_optimizers()
        inner = optimizer.optimizer
        drawn, _ = self.seen.sample(self.batch_size * updates, 1, self.generator)
        names = self.live if stage.alone else list(self.venv.models)
        residual = [p for name in names for p in self.venv.model(name).net.residual_parameters()]
        loss = torch.zeros((), device=self.venv.device)
        for i, index in enumerate(drawn.view(len(drawn), updates, self.batch_size).unbind(1)):
            lr = stage.step_size(self._done + i)
            for group in inner.param_groups:
                group["lr"] = lr * group["pace"]
            loss = self._loss(stage, index)
            if not loss.requires_grad:  # nothing is learned any more here, as where functions are the plant
                return loss
            inner.zero_grad(set_to_none=True)
            loss.backward()
            clip_gradient_by_member(self.venv.parameters(), self.clip)
            optimizer.step()
            decay_by_member(residual, lr * self.decay.by_member)
        return loss

    def _loss(self, stage: Stage, index: Tensor) -> Tensor:
        if stage.alone:
            return self.objective.one_step(self.rows.at(index), index, self.live)
        names = [name for name in self.objective.fitted if name in self.live or name not in self.alone]
        names = [name for name in names if name not in self.venv.observed]  # the filter's loss is theirs
        rows = self.rows.at(index)
        loss = self.objective.one_step(rows, index, names)
        if stage.filtered:
            loss = loss + self.objective.starting(rows, index, stage.horizon)
        if not stage.is_round:
            rolled = self.objective.filtered if stage.filtered else self.objective.multi_step
            loss = rolled(stage.horizon, self.generator) + self.likelihood_weight * loss
        return loss + self.charges.loss(self.generator)
