"""The default venv learner: one-step likelihood, then a multi-step curriculum, each stage gated.

One-step: `L = -mean log p(y | parents)` per node (behaviour cloning of every learned node).
Multi-step: `L = mean_k Huber((yhat_k - y_k) / sigma) + w * NLL`, the rollout running through the model
with recorded decisions and exogenous values, differentiated through all K steps (simulation error
minimisation; Benechehab et al. 2023, arXiv:2310.05672, for the weighted form). Under measurement noise a
one-step fit regresses on a noisy input and shrinks the state's coefficient; the multi-step loss does not.

All members of both halves are fitted at once, each with other blocks left out. After a stage, a
member goes back to its former weights where the stage did not lower its held-out rollout error.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from revive.data.windows import Rows, Segments, all_of, cut_blocks, join_members, leave_out, value_ranges
from revive.errors import Problem, UserError
from revive.nn.ensemble import clip_gradient_by_member, keep_where
from revive.training import Standing
from revive.venv.effects import EffectPenalty
from revive.venv.judging import HeldOutError, Penalty, rollout_errors, with_data
from revive.venv.learners.base import VenvLearner
from revive.venv.problem import VenvProblem
from revive.venv.rules import RulePenalty
from revive.venv.virtual_env import VirtualEnv


@dataclass(frozen=True)
class Stage:
    """So many updates at one loss horizon, in chunks that are one Lightning step each."""

    horizon: int
    updates: int
    lr: float

    @property
    def name(self) -> str:
        return "one_step" if self.horizon == 1 else f"multi_step_{self.horizon}"


def _seen_and_unseen(
    venv: VirtualEnv, rows: Rows, block: int, held_out: float, generator: torch.Generator
) -> tuple[Segments, Segments]:
    """What each member learns from, and what it leaves out of its half."""
    per_half = venv.members // venv.halves
    halves = [
        leave_out(rows, cut_blocks(rows, part, block), per_half, held_out, generator) for part in rows.parts
    ]
    return join_members(*(drawn for drawn, _ in halves)), join_members(*(left for _, left in halves))


class MultiStepLearner(VenvLearner):
    """Fits all members of both halves at once.

    Args:
        problem: what is to be learned, from what.
        one_step_updates: updates of the one-step stage.
        curriculum: pairs (K, updates) of the multi-step stages, in order.
        batch_size: rows per member of a one-step update.
        window_batch: windows per member of a multi-step update.
        lr, multi_step_lr: AdamW step sizes at the start of a stage, cosine to zero within it.
        weight_decay: on the residual network; the linear skip is never decayed.
        likelihood_weight: w of the one-step term in the multi-step loss.
        clip: limit of each member's gradient norm.
        block: rows of the blocks that members leave out.
        held_out: share of the blocks that each member leaves out.
        effect_weight: of the penalty for slopes that contradict declared effects.
        rule_weight: of the rule's penalty.
        chunk: updates per round.
    """

    def __init__(
        self,
        problem: VenvProblem,
        *,
        one_step_updates: int,
        curriculum: Sequence[Sequence[int]],
        batch_size: int,
        window_batch: int,
        lr: float,
        multi_step_lr: float,
        weight_decay: float,
        likelihood_weight: float,
        clip: float,
        block: int,
        held_out: float,
        effect_weight: float,
        rule_weight: float,
        chunk: int,
    ) -> None:
        super().__init__()
        if one_step_updates < 1:
            raise UserError(Problem("must be at least 1", place="venv.learner.one_step_updates"))
        self.problem, self.rows = problem, problem.rows
        venv, self.warm = problem.make(problem.network)
        self.venv, rows = venv, problem.rows
        self.batch_size, self.window_batch = batch_size, window_batch
        self.weight_decay, self.likelihood_weight = weight_decay, likelihood_weight
        self.clip, self.chunk = clip, chunk
        self.stages = [Stage(1, one_step_updates, lr)]
        self.stages += [Stage(int(k), int(n), multi_step_lr) for k, n in curriculum if n > 0]
        self.generator = problem.generator()
        self.seen, self.unseen = _seen_and_unseen(venv, rows, block, held_out, self.generator)
        self.effect_weight, self.rule_weight = effect_weight, rule_weight
        self.effects = EffectPenalty(venv, value_ranges(rows, venv.codec, venv.graph))
        self.rule = None if problem.rule is None else RulePenalty(venv, problem.rule, rows, self.seen)
        self.losses = dict(problem.losses)
        known = with_data(rows)
        self.fitted = [n for n in venv.graph.learned if n in known and not venv.graph[n].freeze]
        self.judged = [name for name in venv.graph.transitions if name in known]
        self.judge = HeldOutError(
            venv,
            rows,
            self.unseen,
            nodes=self.judged,
            fitted=self.fitted,
            horizon=max(stage.horizon for stage in self.stages),
            penalties=self._penalties(),
        )
        self.kept: dict[str, list[bool]] = {}
        self._reference = -torch.ones(venv.members, device=problem.device)
        self._best: dict[str, Tensor] = {}
        self._sigma: dict[str, Tensor] = {}

    # -- what Lightning asks for ---------------------------------------------------------------

    def configure_optimizers(self) -> torch.optim.Optimizer:
        linear, residual, rest = [], [], []
        for name in self.venv.graph.learned:
            if self.venv.graph[name].freeze:
                continue
            model = self.venv.model(name)
            linear += model.net.linear_parameters()
            residual += model.net.residual_parameters()
            rest.append(model.free_log_std)
        groups = [
            {"params": residual, "weight_decay": self.weight_decay},
            {"params": linear + rest, "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=1e-3, fused=True)

    @property
    def rounds(self) -> int:
        return len(self.chunks)

    @property
    def chunks(self) -> list[tuple[int, int, int]]:
        """(stage, updates done in it, updates to do): one for each round."""
        return [
            (i, done, min(self.chunk, stage.updates - done))
            for i, stage in enumerate(self.stages)
            for done in range(0, stage.updates, self.chunk)
        ]

    def round(self, number: int) -> None:
        which, done, updates = self.chunks[number]
        stage = self.stages[which]
        optimizer = self.optimizers()
        inner = optimizer.optimizer  # type: ignore[union-attr]
        inner.param_groups[0]["weight_decay"] = self.weight_decay  # not what a checkpoint says
        if done == 0:
            self._begin(which, inner)
        loss = torch.zeros((), device=self.venv.device)
        for update in range(done, done + updates):
            progress = update / stage.updates
            for group in inner.param_groups:
                group["lr"] = stage.lr * 0.5 * (1.0 + math.cos(math.pi * progress))
            loss = self._loss(stage)
            inner.zero_grad(set_to_none=True)
            loss.backward()
            clip_gradient_by_member(self.venv.parameters(), self.clip)
            optimizer.step()  # type: ignore[union-attr]
        self.log("loss", loss.detach() / self.venv.members)
        if done + updates == stage.updates:
            self._end(which)

    # -- losses --------------------------------------------------------------------------------

    def _loss(self, stage: Stage) -> Tensor:
        loss = self._one_step_loss()
        if stage.horizon > 1:
            loss = self._multi_step_loss(stage.horizon) + self.likelihood_weight * loss
        if self.effects.hinges:
            loss = loss + self.effect_weight * self.effects(self.generator).sum()
        if self.rule is not None:
            loss = loss + self.rule_weight * self.rule.loss(self.generator).sum()
        return loss

    def _penalties(self) -> list[Penalty]:
        """What members are charged beside their error, where they are compared."""
        charges: list[Penalty] = []
        if self.effects.hinges:
            charges.append(lambda generator: self.effect_weight * self.effects(generator))
        if (rule := self.rule) is not None:
            charges.append(lambda generator: self.rule_weight * rule.judged(self.unseen, generator))
        return charges

    def _one_step_loss(self) -> Tensor:
        index, _ = self.seen.sample(self.batch_size, 1, self.generator)
        batch = self.venv.completed(self.rows.at(index))
        loss = torch.zeros((), device=self.venv.device)
        for name in self.fitted:
            loss = loss + _weighted(self._cost(name, batch), self.rows.weight(name, index))
        return loss

    def _cost(self, name: str, batch: dict[str, Tensor]) -> Tensor:
        """What a node's one-step loss averages, (M, B, terms)."""
        x, current = self.venv.node_inputs(name, batch)
        model, kind = self.venv.model(name), self.venv.graph[name].loss_type
        if name in self.losses:
            return self.losses[name](model(x, current), model.layout, batch[name])
        if kind in ("mae", "mse"):
            return model.deviation(x, current, batch[name], kind)  # type: ignore[arg-type]
        return model.cost(x, current, batch[name])

    def _multi_step_loss(self, horizon: int) -> Tensor:
        windows = self.seen.sample(self.window_batch, horizon, self.generator)
        loss = torch.zeros((), device=self.venv.device)
        errors = rollout_errors(self.venv, self.rows, self.judged, windows, horizon)
        for name, (error, weight) in errors.items():
            scaled = error / self._sigma[name]
            huber = torch.nn.functional.huber_loss(scaled, torch.zeros_like(scaled), reduction="none")
            total = (huber * weight).sum((0, 2, 3))
            loss = loss + (total / weight.sum((0, 2, 3)).clamp_min(1.0)).sum()
        return loss

    # -- stages and their gate -----------------------------------------------------------------

    def _begin(self, which: int, optimizer: torch.optim.Optimizer) -> None:
        optimizer.state.clear()
        if which == 0:
            self._start_linear()
            return
        for name in self.judged:
            self._sigma[name] = self._one_step_std(name)

    @torch.no_grad()
    def _one_step_std(self, name: str) -> Tensor:
        """The rms over rows of the std the model states, (M, 1, d), in model space; 1 for category dimensions."""
        batch = self.venv.completed(
            self.rows.at(self.seen.sample(512, 1, torch.Generator(self.venv.device).manual_seed(2))[0])
        )
        if name not in self.venv.models:
            return torch.ones(1, 1, 1, device=self.venv.device)
        out = self.venv.model(name)(*self.venv.node_inputs(name, batch))
        std = (2.0 * out.log_std).exp().mean(1, keepdim=True).sqrt()
        return torch.nn.functional.pad(std, (0, batch[name].shape[-1] - std.shape[-1]), value=1.0)

    @torch.no_grad()
    def _start_linear(self) -> None:
        index, _ = self.seen.sample(4096, 1, self.generator)
        batch = self.venv.completed(self.rows.at(index))
        for name in self.fitted:
            if name not in self.warm:
                x, current = self.venv.node_inputs(name, batch)
                self.venv.model(name).start_linear(x, current, batch[name], self._known(name, index, batch))
        self.effects.project_start(self.warm)

    def _known(self, name: str, index: Tensor, batch: dict[str, Tensor]) -> Tensor:
        """0 where an ordered dimension of a node's target is missing, (M, B, ordered)."""
        ordered, known = self.venv.model(name).layout.ordered, self.rows.weight(name, index)
        return torch.ones_like(batch[name][..., :ordered]) if known is None else known[..., :ordered]

    def _end(self, which: int) -> None:
        error = self.held_out_error()
        if which == 0:
            better = torch.ones(self.venv.members, dtype=torch.bool, device=self.venv.device)
        else:
            better = error < self._reference
            keep_where(self.venv, better, self._best)
        self._reference = torch.where(better, error, self._reference)
        self._best = copy.deepcopy({k: v.detach() for k, v in self.venv.named_parameters()})
        self.kept[self.stages[which].name] = better.tolist()
        self.log("held_out_error", self._reference.mean())
        if which == len(self.stages) - 1:
            self._refit_std()

    def other_half_error(self) -> Tensor:
        """The same on the rows of the half that a member does not learn from: (M,)."""
        per_half = self.venv.members // self.venv.halves
        halves = [all_of(self.rows, part, per_half) for part in reversed(self.rows.parts)]
        return self.judge.on(join_members(*halves))()

    def held_out_error(self) -> Tensor:
        """Each member's error on the rows that it left out, and what it is charged beside it: (M,)."""
        return self.judge()

    @torch.no_grad()
    def _refit_std(self) -> None:
        index, _ = self.unseen.sample(2048, 1, torch.Generator(self.venv.device).manual_seed(1))
        batch = self.venv.completed(self.rows.at(index))
        for name in self.fitted:
            x, current = self.venv.node_inputs(name, batch)
            self.venv.model(name).refit_std(x, current, batch[name], self._known(name, index, batch))

    # -- what is asked of every learner ----------------------------------------------------------

    def result(self) -> VirtualEnv:
        return self.venv.subset(self.best_members(self.problem.keep))

    def standing(self, metric: str, at_last: bool) -> Standing | None:
        which, done, updates = self.chunks[self.current_epoch]
        judged = done + updates == self.stages[which].updates  # at the end of each of its stages
        early = which == 0 and len(self.stages) > 1  # what one step says of rollouts is no reason to prune
        if (early or not judged) and not at_last:
            return None
        errors = self.held_out_error() if metric == "held_out_error" else self.other_half_error()
        spread = float(errors.std()) if len(errors) > 1 else 0.0
        return Standing(float(errors.mean()), spread / len(errors) ** 0.5)

    def notes(self) -> dict[str, Any]:
        return {"kept": {stage: sum(members) / len(members) for stage, members in self.kept.items()}}

    def best_members(self, keep: int) -> Tensor:
        """Indices of the `keep` members of each half with the lowest held-out error, sorted: (2 * keep,)."""
        per_half = self.venv.members // self.venv.halves
        ranks = self._reference.view(self.venv.halves, per_half).argsort(1)[:, :keep].sort(1).values
        return (ranks + torch.arange(self.venv.halves, device=ranks.device)[:, None] * per_half).flatten()

    # -- resuming ------------------------------------------------------------------------------

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["learner"] = {
            "generator": self.generator.get_state(),
            "reference": self._reference,
            "best": self._best,
            "sigma": self._sigma,
            "kept": self.kept,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        state = checkpoint["learner"]
        self.generator.set_state(state["generator"])
        self._reference, self._best = state["reference"], state["best"]
        self._sigma, self.kept = state["sigma"], state["kept"]


def _weighted(cost: Tensor, weight: Tensor | None) -> Tensor:
    """The members' mean costs, summed; cost (M, B, terms), weight the same or None."""
    if weight is None:
        return cost.mean((1, 2)).sum()
    return ((cost * weight).sum((1, 2)) / weight.sum((1, 2)).clamp_min(1.0)).sum()
