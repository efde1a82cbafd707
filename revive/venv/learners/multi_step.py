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

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Unpack

import torch
from torch import Tensor

from revive.nn.ensemble import clip_gradient_by_member, decay_by_member
from revive.training import Standing
from revive.venv.learners.course import Stage, planned
from revive.venv.learners.members import MemberLearner, RoundArguments, hidden_layers
from revive.venv.learners.noise import observe_noisy
from revive.venv.learners.objective import LossKind
from revive.venv.observer import observable
from revive.venv.problem import VenvProblem

GAIN_PACE = 20.0  # step size of the observers' gains over that of the networks
SETTLED = 0.02  # nats, or share of the entropy of a category: a decision node whose cost falls by less is left alone


class MultiStepLearner(MemberLearner):
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
        super().__init__(problem, course.hidden, window_batch=window_batch, loss=loss, **shared)
        self.course, self.likelihood_weight = course, likelihood_weight
        self.batch_size, self.clip, self.chunk = rounds["batch_size"], rounds["clip"], rounds["chunk"]
        self.max_seconds = rounds["max_seconds"]
        self.live = list(self.alone)  # those of them that still learn
        self.kept: dict[str, list[bool]] = {}
        self._done, self._seconds = 0, 0.0  # updates of the stage under way; of training
        self._now = torch.zeros(
            2, self.venv.members, device=problem.device
        )  # errors of the weights in training

    # -- what Lightning asks for ---------------------------------------------------------------

    def configure_optimizers(self) -> torch.optim.Optimizer:
        names = [name for name in self.venv.graph.learned if not self.venv.graph[name].freeze]
        groups = [{"params": [p for name in names for p in self.venv.model(name).parameters()], "pace": 1.0}]
        if self.venv.observed:
            groups.append({"params": list(self.venv.observers.parameters()), "pace": GAIN_PACE})
        return torch.optim.Adam(groups, lr=1e-3, fused=True)

    @property
    def rounds(self) -> int:
        return sum(math.ceil(updates / self.chunk) for updates in self.course.most_updates())

    @property
    def finished(self) -> bool:
        return self.course.stage is None

    def round(self, number: int) -> None:
        began, stage = time.perf_counter(), self.course.stage
        assert stage is not None
        if self._done == 0:
            self._begin(stage)
        updates = min(self.chunk, stage.updates - self._done)
        loss = self._update(stage, updates)
        if not torch.isfinite(loss):
            self._diverged(stage, updates)
            return
        self._done += updates
        self.note("loss", loss.detach() / self.venv.members)
        self._seconds += time.perf_counter() - began
        late = self.max_seconds is not None and self._seconds > self.max_seconds
        if self._done == stage.updates or late:
            self._end(replace(stage, updates=self._done), late)

    def _update(self, stage: Stage, updates: int) -> Tensor:
        """Make some updates of a stage; their rows are drawn at once. Returns the last loss."""
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
            if (
                not loss.requires_grad
            ):  # nothing is learned any more in this stage, as where functions are the plant
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
        loss = self.objective.one_step(self.rows.at(index), index, names)
        if not stage.is_round:
            rolled = self.objective.filtered if stage.filtered else self.objective.multi_step
            loss = rolled(stage.horizon, self.generator) + self.likelihood_weight * loss
        return loss + self.charges.loss(self.generator)

    # -- stages and their gate -----------------------------------------------------------------

    def _begin(self, stage: Stage) -> None:
        if not self.course.tried:
            self.objective.start_linear(self.warm, self.generator)
            self.charges.project_start(self.warm)
            self._now = torch.stack(self.judge.over_steps())
            costs = self.objective.costs_on(self.unseen, self.alone)
            self.best.take(self.venv, self._now[0], costs)
            self.decay.start(self._now[0])
        if stage.horizon > 1:
            self.objective.measure_sigma()

    def _observe(self) -> None:
        """Give the states behind noisy readings an observer, where there are any."""
        venv = self._best_venv()
        nodes = observable(venv.graph, venv.codec, [n for n in self.objective.judged if n in venv.models])
        found = observe_noisy(venv, self.rows, self.unseen, nodes)
        if not found or self.course.filters is None:
            return
        self.observed = found
        self._take(venv)
        self.best.take(venv, self.judge.of_filter(), self.best.costs)
        self.course.filter()

    def _end(self, stage: Stage, late: bool) -> None:
        self._done = 0
        if stage.is_round and not stage.alone:
            self.objective.refit_principles()
        judged = self._judged(stage)
        if stage.filtered:  # what predicts the next reading well may still run away
            judged = judged.where(self.judge.stay_near(), torch.maximum(judged, self.best.error))
        before = self._now if stage.is_round else self.best.error.expand(2, -1)
        fall = _fall(before, judged if stage.is_round else torch.minimum(judged[0], before[0]).expand(2, -1))
        better = judged[0] < self.best.error
        costs = self.objective.costs_on(self.unseen, self.live)
        falls = self.best.falls(costs)
        self.live = [name for name in self.live if falls[name] >= SETTLED * self.usual[name]]
        stays = self.course.note(
            stage,
            error=float(judged[0].mean()),
            fall=fall,
            kept=float(better.float().mean()),
            widened=stage.hidden != self.best.hidden,
            alone=bool(self.live),
        )
        self.kept[self._name(stage)] = (better & stays).tolist()
        self._now = judged
        if stays:
            self._keep(judged[0], costs, stage)
        if late:
            self.course.end(f"the limit of {self.max_seconds:g} seconds was reached")
        self._prepare(self.course.stage)
        # behind a filter it is an error of one step, no longer one of rollouts
        self.note("filter_error" if self.observed else "held_out_error", self.best.error.mean())
        self.note("hidden_width", float(max(self.best.hidden, default=0)))

    def _diverged(self, stage: Stage, updates: int) -> None:
        """Go back to the last good weights, and end."""
        costs = self.objective.costs_on(self.seen, self.objective.fitted)
        wrong = [f"'{name}'" for name, cost in costs.items() if not torch.isfinite(cost).all()]
        at = f"updates {self.course.spent + self._done + 1} to {self.course.spent + self._done + updates}"
        kind = "one step" if stage.horizon == 1 else f"{stage.horizon} steps"
        what = " and ".join(wrong) or "rollouts"
        self.course.end(
            f"the loss of {what} over {kind} was no longer finite in {at}; the last good weights were kept "
            "(a smaller venv.learner.lr may help)"
        )
        self._done = 0
        self._prepare(None)

    def _judged(self, stage: Stage) -> Tensor:
        """Errors of rollouts and of one step, (2, M); of a filter twice. In closed loop rollouts on recorded actions
        are no measure of it: the actions answer to disturbances that the rollout does not have.
        """
        if stage.alone:
            return self._now
        if stage.filtered:
            return self.judge.of_filter().expand(2, -1)
        return torch.stack(self.judge.over_steps())

    def _prepare(self, following: Stage | None) -> None:
        """Have ready what is trained next: rounds go on from where they are, all else from the best weights."""
        if following is not None and following.horizon > 1 and self.course.tried[-1].horizon == 1:
            self._observe()
            following = self.course.stage
        if following is None or not following.is_round:
            self._take(self._best_venv())
            self.live = self.live if following is not None and following.alone else []
        elif following.hidden != self.venv.spec.hidden:
            self._take(self._widened(self.venv, following.hidden))
        if following is None:
            self.objective.refit_std(self.unseen)
        self.renew_optimizers()

    def _keep(self, error: Tensor, costs: dict[str, Tensor], stage: Stage) -> None:
        """Keep what got better, member by member."""
        if stage.hidden != self.best.hidden:
            self.best.widen(self._widened(self._best_venv(), stage.hidden))
        self.best.keep_better(self.venv, error, costs)
        if stage.is_round:
            self.decay.settle(error)

    def _name(self, stage: Stage) -> str:
        kind = "filtered" if stage.filtered else "multi_step"
        one_step = "alone" if stage.alone else "one_step"
        name = one_step if stage.horizon == 1 else f"{kind}_{stage.horizon}"
        same = sum(key.split("#")[0] == name for key in self.kept)
        return f"{name}#{same + 1}" if same else name

    # -- what is asked of every learner ----------------------------------------------------------

    def standing(self, metric: str, at_last: bool) -> Standing | None:
        tried, at_end = self.course.tried, self._done == 0
        early = not self.finished and all(entry.horizon == 1 for entry in tried) and self.course.curriculum
        if (early or not at_end) and not at_last:  # what one step says of rollouts is no reason to prune
            return None
        errors = self.held_out_error() if metric == "held_out_error" else self.other_half_error()
        spread = float(errors.std()) if len(errors) > 1 else 0.0
        return Standing(float(errors.mean()), spread / len(errors) ** 0.5)

    def notes(self) -> dict[str, Any]:
        gains = {
            name: [round(float(g), 3) for g in self.venv.observer(name).gain.detach().mean((0, 1))]
            for name in self.observed
        }
        return {**self.course.summary(), "weight_decay": self.decay.values, "reading_gains": gains}

    # -- resuming ------------------------------------------------------------------------------

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["learner"] = {
            "course": self.course.state(),
            "hidden": list(self.venv.spec.hidden or ()),
            "observed": list(self.observed),
            "best": self.best.state(),
            "decay": self.decay.state(),
            "generator": self.generator.get_state(),
            "sigma": self.objective.sigma,
            "live": self.live,
            "kept": self.kept,
            "now": self._now,
            "done": self._done,
            "seconds": self._seconds,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        state = checkpoint["learner"]
        self.course.resume(state["course"])
        self.observed = tuple(state["observed"])
        self._take(self._make(tuple(state["hidden"]))[0])  # for Lightning to fill
        self.best.resume(state["best"])
        self.decay.resume(state["decay"])
        self.generator.set_state(state["generator"])
        self.objective.sigma, self.live, self.kept = state["sigma"], state["live"], state["kept"]
        self._now, self._done, self._seconds = state["now"], state["done"], state["seconds"]


def _fall(before: Tensor, after: Tensor) -> float:
    """The larger of the shares by which errors (2, M), of rollouts and of one step, fell on average."""
    share = (before - after) / before.abs().clamp_min(1e-3)
    return float(share.clamp_min(-1.0).mean(1).max())
