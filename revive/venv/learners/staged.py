"""What takes a venv's members through the stages of a course, and keeps of each stage what it did for a member.

After a stage the members are judged on the rows that they left out (see `judging`); each keeps the weights with the
lowest error that it had. `course` decides from that what comes next.
"""

from __future__ import annotations

import math
import time
from abc import abstractmethod
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from revive.training import Standing
from revive.venv.learners.course import Course, Stage
from revive.venv.learners.members import MemberLearner
from revive.venv.learners.noise import observe_noisy
from revive.venv.observer import observable
from revive.venv.problem import VenvProblem

FARTHER = 0.05  # share of the rollouts' error that filters have to take away
SETTLED = 0.02  # nats, or share of the entropy of a category: a decision node whose cost falls by less is left alone


class StagedLearner(MemberLearner):
    """Works through a course.

    Args:
        problem: what is to be learned, from what.
        course: the stages that may come.
        chunk: updates per round of Lightning.
        max_seconds: of training; the stage that it ends in is judged and is the last one. None for no limit.
        shared: as of `MemberLearner`.
    """

    def __init__(
        self, problem: VenvProblem, course: Course, *, chunk: int, max_seconds: float | None, **shared: Any
    ) -> None:
        super().__init__(problem, course.hidden, **shared)
        self.course, self.chunk, self.max_seconds = course, chunk, max_seconds
        self.live = list(self.alone)  # those of them that still learn
        self.kept: dict[str, list[bool]] = {}
        self.unfiltered: dict[str, Any] = {}  # the best weights of the rounds, and two errors, see `_observe`
        self._done, self._seconds = 0, 0.0  # updates of the stage under way; of training
        # errors of the weights in training, of rollouts and of one step
        self._now = torch.zeros(2, self.venv.members, device=problem.device)

    @abstractmethod
    def _update(self, stage: Stage, updates: int) -> Tensor:
        """Make some updates of a stage. Returns the last loss."""

    # -- what Lightning asks for ---------------------------------------------------------------

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
        self.unfiltered = self.best.state()
        self.observed = found
        self._take(venv)
        self.best.take(venv, self.judge.of_filter(), self.best.costs)
        # of rollouts from estimated states: before filters learn, and of what is kept of them
        self.unfiltered["before"] = self.unfiltered["since"] = self.judge()
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
        farther = not stage.filtered or self._sees_farther(better)
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
            farther=farther,
        )
        self.kept[self._name(stage)] = (better & stays).tolist()
        self._now = judged
        if stays:
            self._keep(judged[0], costs, stage)
        if not farther:
            self._give_up_filters()
        if late:
            self.course.end(f"the limit of {self.max_seconds:g} seconds was reached")
        self._prepare(self.course.stage)
        # behind a filter it is an error of one step, no longer one of rollouts
        self.note("filter_error" if self.observed else "held_out_error", self.best.error.mean())
        self.note("hidden_width", float(max(self.best.hidden, default=0)))

    def _sees_farther(self, better: Tensor) -> bool:
        """Whether the median member rolls out better by `FARTHER` than before the filters learned.

        A slope that noise had drawn to the mean shows in rollouts as soon as it is put right. Where they do not get
        better there was nothing to put right, and what predicts the next reading better is the gain alone.

        better: (M,), the members that keep what the stage did; of the others what they had counts.
        """
        self.unfiltered["since"] = torch.where(better, self.judge(), self.unfiltered["since"])
        share = self.unfiltered["since"] / self.unfiltered["before"].clamp_min(1e-6)
        return float(share.quantile(0.5)) < 1.0 - FARTHER

    def _give_up_filters(self) -> None:
        """Go back to the weights of the rounds. No rollouts follow: what noise does to filters it does to them."""
        self.observed = ()
        self.best.resume(self.unfiltered)
        self.kept |= {name: [False] * self.venv.members for name in self.kept if name.startswith("filtered")}

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
            "unfiltered": self.unfiltered,
            "live": self.live,
            "kept": self.kept,
            "now": self._now,
            "done": self._done,
            "seconds": self._seconds,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        state = checkpoint["learner"]
        self.course.resume(state["course"])
        self.observed, self.unfiltered = tuple(state["observed"]), state["unfiltered"]
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
