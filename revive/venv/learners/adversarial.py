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
from typing import Any, Literal

import torch
from torch import Tensor

from revive.training import Standing, listed
from revive.venv.learners.base import VenvLearner
from revive.venv.learners.bc import BehaviourCloning
from revive.venv.learners.best import BestWeights
from revive.venv.learners.episodes import Episodes, closed_loop
from revive.venv.learners.generators import PPO, Arena, Generator, Pathwise
from revive.venv.learners.matching import Matchers, energy, flat, groups_of, known_rows
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
        matchers: nodes that each matcher sees, a list of lists; null for one that sees all of them.
        hidden: layers of matchers.
        lr, matcher_lr: Adam's step sizes.
        generator_steps, matcher_steps: updates for each rollout.
        batch: rows per member of a matcher's update, and of the anchor.
        penalty: c of the gradient penalty. smoothing: share of logged rows that count as false.
        replay: earlier rollouts of which half of the matchers' false rows are taken.
        pause_below: no matcher's update where its loss is smaller. pause_above: no generator's update where it is
            larger; `2 log 2 = 1.386` is a matcher that can tell nothing.
        mae_weight: share of a reward that is the distance from what was logged at that step.
        anchor: weight of the likelihood, at the start and at the end.
        history, history_every: how many earlier matchers judge too, and iterations from one to the next.
        judge_every: iterations from one comparison of members to the next. energy_weight: in it, of the energy distance
            between held-out rows and rollouts, beside the rollout error.
        clip: limit of each member's gradient norm. chunk: iterations per round of Lightning.

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
        matchers: Sequence[Sequence[str]] | None,
        hidden: Sequence[int],
        lr: float,
        matcher_lr: float,
        generator_steps: int,
        matcher_steps: int,
        batch: int,
        penalty: float,
        smoothing: float,
        replay: int,
        pause_below: float,
        pause_above: float,
        mae_weight: float,
        anchor: Sequence[float],
        history: int,
        history_every: int,
        judge_every: int,
        energy_weight: float,
        clip: float,
        chunk: int,
    ) -> None:
        super().__init__()
        self.problem, self.rows = problem, problem.rows
        self.start = start(problem=problem)
        self.iterations, self.windows = iterations, windows
        self.horizon = min(horizon, int(problem.rows.lengths.max()))
        self.generator_steps, self.matcher_steps, self.batch = generator_steps, matcher_steps, batch
        self.penalty, self.smoothing, self.replay, self.matcher_lr = penalty, smoothing, replay, matcher_lr
        self.pause_below, self.pause_above, self.anchor = pause_below, pause_above, anchor
        self.history, self.history_every = history, history_every
        self.judge_every, self.energy_weight, self.chunk = judge_every, energy_weight, chunk
        torch.manual_seed(problem.seed + 1)
        self.matchers = Matchers(problem, groups_of(problem, matchers), hidden)
        self.arena = Arena(problem, self.start, self.matchers, mae_weight, clip, batch)
        arguments = {"pathwise": pathwise, "ppo": ppo, "td3": td3}[generator]
        self.generator_name = generator
        self.generator: Generator = GENERATORS[generator](self.arena, lr, **arguments)
        self.begun, self.done, self.stopped = False, 0, ""
        self.best: BestWeights | None = None
        self.replayed: list[list[Tensor]] = []
        self.figures: dict[str, list[float]] = {"matcher": [], "closeness": [], "paused": []}

    # -- what Lightning asks for ---------------------------------------------------------------

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        if not self.begun:
            return listed(self.start.configure_optimizers())
        matching = torch.optim.Adam(
            self.matchers.parameters(), lr=self.matcher_lr, betas=(0.5, 0.9), fused=True
        )
        return [matching, *self.generator.optimizers()]

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
        apart = self._match(episodes, matching)
        self.arena.paused = apart > self.pause_above
        loss = torch.zeros((), device=self.venv.device)
        for _ in range(self.generator_steps):
            loss = self.generator.update(episodes, others)
        self.done += 1
        if self.history and self.done % self.history_every == 0:
            self.arena.past = [*self.arena.past, self.matchers.snapshot()][-self.history :]
        if self.done % self.judge_every == 0 or self.done == self.iterations:
            self._judge()
        self.figures["matcher"].append(round(float(apart.mean()), 4))
        self.figures["paused"].append(round(float(self.arena.paused.float().mean()), 3))
        self.note("matcher_loss", apart.mean())
        self.note("generator_loss", loss / self.venv.members)
        return True

    def _match(self, episodes: Episodes, optimizer: Any) -> Tensor:
        """Teach the matchers; how well they told rollouts from logs before, (M,)."""
        rng = self.start.generator
        real, fake = (self.matchers.features(flat(part)) for part in (episodes.data, episodes.rolled))
        weight = [
            known_rows(self.problem, group, episodes.index, episodes.valid) for group in self.matchers.groups
        ]
        count, told = real[0].shape[1], None
        for _ in range(self.matcher_steps):
            drawn, other = (
                torch.randint(count, (self.batch,), generator=rng, device=rng.device) for _ in range(2)
            )
            made = [self._with_earlier(number, part[:, other]) for number, part in enumerate(fake)]
            loss, apart = self.matchers.loss(
                [part[:, drawn] for part in real],
                made,
                [part[:, drawn] for part in weight],
                penalty=self.penalty,
                smoothing=self.smoothing,
                generator=rng,
            )
            told = apart if told is None else told
            optimizer.zero_grad(set_to_none=True)  # also what a generator's loss left behind
            (loss * (apart >= self.pause_below)).sum().backward()
            optimizer.step()
        if self.replay:
            part = torch.randint(count, (self.batch,), generator=rng, device=rng.device)
            self.replayed = [*self.replayed, [one[:, part].detach() for one in fake]][-self.replay :]
        assert told is not None
        return told

    def _with_earlier(self, number: int, made: Tensor) -> Tensor:
        """Half of the rows of earlier rollouts, where there are some: (M, N, F)."""
        if not self.replayed:
            return made
        half = made.shape[1] // 2
        earlier = torch.cat([one[number] for one in self.replayed], dim=1)
        rng = self.start.generator
        part = torch.randint(earlier.shape[1], (half,), generator=rng, device=rng.device)
        return torch.cat([made[:, half:], earlier[:, part]], dim=1)

    # -- which weights are kept ----------------------------------------------------------------

    @torch.no_grad()
    def _closeness(self) -> Tensor:
        """What members are compared by: rollout error and energy distance on the rows that they left out, (M,)."""
        rng = torch.Generator(self.venv.device).manual_seed(5)
        episodes = closed_loop(self.venv, self.rows, self.start.unseen, self.horizon, self.windows, rng)
        real, fake = (self.matchers.features(flat(part)) for part in (episodes.data, episodes.rolled))
        weight = [
            known_rows(self.problem, group, episodes.index, episodes.valid) for group in self.matchers.groups
        ]
        return self.start.judge() + self.energy_weight * energy(real, fake, weight).nan_to_num(10.0).clamp(
            0.0, 10.0
        )

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

    def result(self) -> VirtualEnv:
        error = self.start.best.error if self.best is None else self.best.error
        ranks = error.view(self.venv.halves, -1).argsort(1)[:, : self.problem.keep].sort(1).values
        members = (
            ranks + torch.arange(self.venv.halves, device=ranks.device)[:, None] * self.problem.members
        ).flatten()
        return self.venv.subset(members)

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
            "replayed": self.replayed,
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
        self.replayed, self.arena.past = state["replayed"], state["past"]
        self.generator.resume(state["generator"])
        if self.finished:
            self._hold(False)
