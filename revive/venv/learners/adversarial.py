"""Adversarial imitation: the cloned nodes are refined until matchers cannot tell their rollouts from the logs.

All learned nodes together are the generator of rollouts, decisions as well as transitions (Shi et al. 2019,
Virtual-Taobao, arXiv:1805.10000). Matched distributions of rollouts keep the error of a policy's value linear in its
horizon, where one-step likelihoods only keep it quadratic (Xu, Li and Yu 2020, arXiv:2010.11876). It begins with
behaviour cloning, is anchored to it, and a member keeps what was best by its rollouts on the rows that it left out,
so that it never ends worse by that measure than it began.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Unpack

import torch
from torch import Tensor

from revive.training import Standing, listed
from revive.venv.learners.base import VenvLearner
from revive.venv.learners.bc import BehaviourCloning
from revive.venv.learners.best import BestWeights
from revive.venv.learners.episodes import closed_loop
from revive.venv.learners.generators import PPO, Arena, Generator, Pathwise
from revive.venv.learners.matcher_training import MatcherArguments, MatcherTraining
from revive.venv.learners.members import best_of
from revive.venv.learners.td3 import TD3
from revive.venv.problem import VenvProblem
from revive.venv.virtual_env import VirtualEnv

GENERATORS: dict[str, type[Generator]] = {"pathwise": Pathwise, "ppo": PPO, "td3": TD3}


class Adversarial(VenvLearner):
    """Behaviour cloning, then a game between matchers and the cloned nodes.

    Args:
        problem: what is to be learned, from what.
        start: the learner of the clone.
        generator: how rollouts are made harder to tell: see `generators` and `td3`.
        pathwise, ppo, td3: arguments of that generator; those of the others are not read.
        iterations: rollouts that are made, each followed by updates of the matchers and of the generator.
        horizon, windows: steps and number of the rollouts of each member.
        lr: Adam's step size. generator_steps: updates for each rollout.
        pause_above: no generator's update where the matchers' loss is larger; `2 log 2 = 1.386` is a matcher that can
            tell nothing.
        mae_weight: share of a reward that is the distance from what was logged at that step.
        anchor: weight of the likelihood, at the start and at the end; it is taken of `batch` rows per member.
        history, history_every: how many earlier matchers judge too, and iterations from one to the next.
        judge_every: iterations from one comparison of members to the next. energy_weight: in it, of the energy distance
            between held-out rows and rollouts, beside the rollout error.
        clip: limit of each member's gradient norm. chunk: iterations per round of Lightning.
        matching: arguments of `MatcherTraining`.

    Raises UserError as `start` does, and for matchers of nodes that there are not.
    """

    def __init__(
        self,
        problem: VenvProblem,
        *,
        start: Callable[..., BehaviourCloning],
        generator: Literal["pathwise", "ppo", "td3"],
        pathwise: Mapping[str, Any],
        ppo: Mapping[str, Any],
        td3: Mapping[str, Any],
        iterations: int,
        horizon: int,
        windows: int,
        lr: float,
        generator_steps: int,
        pause_above: float,
        mae_weight: float,
        anchor: Sequence[float],
        history: int,
        history_every: int,
        judge_every: int,
        energy_weight: float,
        clip: float,
        chunk: int,
        **matching: Unpack[MatcherArguments],
    ) -> None:
        super().__init__()
        self.problem, self.rows = problem, problem.rows
        self.start = start(problem=problem)
        self.iterations, self.windows, self.chunk = iterations, windows, chunk
        self.horizon = min(horizon, int(problem.rows.lengths.max()))
        self.generator_steps, self.pause_above, self.anchor = generator_steps, pause_above, anchor
        self.history, self.history_every = history, history_every
        self.judge_every, self.energy_weight = judge_every, energy_weight
        self.matching = MatcherTraining(problem, **matching)
        self.arena = Arena(problem, self.start, self.matching.nets, mae_weight, clip, matching["batch"])
        arguments = {"pathwise": pathwise, "ppo": ppo, "td3": td3}[generator]
        self.generator_name = generator
        self.generator: Generator = GENERATORS[generator](self.arena, lr, **arguments)
        self.begun, self.done, self.stopped = False, 0, ""
        self.best: BestWeights | None = None
        self.figures: dict[str, list[float]] = {"matcher": [], "closeness": [], "paused": []}

    # -- what Lightning asks for ---------------------------------------------------------------

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        if not self.begun:
            return listed(self.start.configure_optimizers())
        return [self.matching.optimizer(), *self.generator.optimizers()]

    @property
    def rounds(self) -> int:
        return self.start.rounds + math.ceil(self.iterations / self.chunk)

    @property
    def finished(self) -> bool:
        return bool(self.stopped)

    def round(self, number: int) -> None:
        if not self.start.finished:
            self.start.lend(self, "clone", self.own_optimizers())
            self.start.round(number)
            if self.start.finished:
                self._begin()
            return
        matching, *others = self.own_optimizers()
        for _ in range(min(self.chunk, self.iterations - self.done)):
            if not self._iterate(matching, others):
                break
        if self.done >= self.iterations and not self.stopped:
            self.stopped = f"{self.done} adversarial iterations were made"
        if self.stopped:
            self._end()

    def _begin(self) -> None:
        """Take up the game where cloning ended."""
        self._prepare()
        self.best = BestWeights(self.venv, ())
        self.best.take(self.venv, self._closeness(), {})
        self.figures["closeness"].append(round(float(self.best.error.mean()), 4))
        self.renew_optimizers()

    def _prepare(self) -> None:
        self.begun = True
        self._hold(True)
        if self.start.objective.judged:
            self.start.objective.measure_sigma()
        self.generator.begin()

    def _hold(self, held: bool) -> None:
        for name in self.venv.graph.learned:
            self.venv.model(name).hold_std = held

    @property
    def venv(self) -> VirtualEnv:
        """What is trained."""
        return self.start.venv

    # -- one iteration -------------------------------------------------------------------------

    def _iterate(self, matching: Any, others: Sequence[Any]) -> bool:
        """One rollout and what is learned from it; whether to go on."""
        episodes = closed_loop(
            self.venv, self.rows, self.start.seen, self.horizon, self.windows, self.start.generator
        )
        for name, value in episodes.rolled.items():
            if not torch.isfinite(value).all():
                self.stopped = (
                    f"'{name}' was no longer finite in iteration {self.done + 1}; the best weights were kept"
                )
                return False
        first, last = self.anchor
        self.arena.anchor = first + (last - first) * self.done / max(1, self.iterations - 1)
        apart = self.matching.update(episodes, matching, self.start.generator)
        self.arena.paused = apart > self.pause_above
        loss = torch.zeros((), device=self.venv.device)
        for _ in range(self.generator_steps):
            loss = self.generator.update(episodes, others)
        self.done += 1
        if self.history and self.done % self.history_every == 0:
            self.arena.past = [*self.arena.past, self.matching.nets.snapshot()][-self.history :]
        if self.done % self.judge_every == 0 or self.done == self.iterations:
            self._judge()
        self.figures["matcher"].append(round(float(apart.mean()), 4))
        self.figures["paused"].append(round(float(self.arena.paused.float().mean()), 3))
        self.note("matcher_loss", apart.mean())
        self.note("generator_loss", loss / self.venv.members)
        return True

    # -- which weights are kept ----------------------------------------------------------------

    @torch.no_grad()
    def _closeness(self) -> Tensor:
        """What members are compared by: rollout error and energy distance on the rows that they left out, (M,)."""
        rng = torch.Generator(self.venv.device).manual_seed(5)
        episodes = closed_loop(self.venv, self.rows, self.start.unseen, self.horizon, self.windows, rng)
        return self.start.judge() + self.energy_weight * self.matching.energy(episodes)

    def _judge(self) -> None:
        assert self.best is not None
        self.best.keep_better(self.venv, self._closeness(), {})
        self.figures["closeness"].append(round(float(self.best.error.mean()), 4))
        self.note("closeness", self.best.error.mean())

    def _end(self) -> None:
        assert self.best is not None
        self.start._take(self.best.venv(lambda hidden: self.start._make(hidden)[0]))
        self._hold(False)
        self.start.objective.refit_std(self.start.unseen)

    # -- what is asked of every learner ----------------------------------------------------------

    def _kept(self) -> Tensor:
        error = self.start.best.error if self.best is None else self.best.error
        return best_of(error, self.problem.keep)

    def result(self) -> VirtualEnv:
        return self.venv.subset(self._kept())

    def kept_error(self) -> Tensor:
        return self.start.held_out_error()[self._kept()]

    def standing(self, metric: str, at_last: bool) -> Standing | None:
        if not at_last and (not self.begun or self.done % self.judge_every):
            return None
        return self.start.standing(metric, True)

    def notes(self) -> dict[str, Any]:
        clone = self.start.notes()
        game = {"generator": self.generator_name, "iterations": self.done, **self.figures}
        reasons = "; ".join(part for part in (clone["stopped"], self.stopped) if part)
        return {**clone, "updates": clone["updates"] + self.done, "stopped": reasons, "adversarial": game}

    # -- resuming ------------------------------------------------------------------------------

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        clone: dict[str, Any] = {}
        self.start.on_save_checkpoint(clone)
        checkpoint["learner"] = {
            "clone": clone["learner"],
            "begun": self.begun,
            "done": self.done,
            "stopped": self.stopped,
            "best": None if self.best is None else self.best.state(),
            "replayed": self.matching.replayed,
            "past": self.arena.past,
            "generator": self.generator.state(),
            "figures": self.figures,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        state = checkpoint["learner"]
        self.start.on_load_checkpoint({"learner": state["clone"]})
        if state["begun"]:
            self._prepare()
            self.start.objective.sigma = state["clone"]["sigma"]
            self.best = BestWeights(self.venv, ())
            self.best.resume(state["best"])
        self.done, self.stopped, self.figures = state["done"], state["stopped"], state["figures"]
        self.matching.replayed, self.arena.past = state["replayed"], state["past"]
        self.generator.resume(state["generator"])
        if self.finished:
            self._hold(False)
