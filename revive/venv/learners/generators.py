"""Who makes rollouts that matchers take for logs: what the learned nodes are changed by.

All of them leave the spread of a node to its likelihood, and are held by an anchor, `L + w NLL`, to what was cloned.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from revive.nn import heads
from revive.nn.ensemble import LinearSkipNet, clip_gradient_by_member, keep_where
from revive.venv.learners.bc import BehaviourCloning
from revive.venv.learners.episodes import Episodes, before, cut, misses, pieces
from revive.venv.learners.matching import Matchers, flat, reward
from revive.venv.problem import VenvProblem
from revive.venv.virtual_env import VirtualEnv


class Arena:
    """What generators share.

    Args:
        problem, start: the task, and who cloned the venv that is trained.
        matchers: who judges.
        mae_weight: w of `(1 - w) reward - w |error| / sigma`.
        clip: limit of each member's gradient norm.
        batch: rows per member of the anchor.

    past: weights of earlier matchers. anchor: weight of the likelihood now. paused: members that are not to move, (M,).
    """

    def __init__(
        self,
        problem: VenvProblem,
        start: BehaviourCloning,
        matchers: Matchers,
        mae_weight: float,
        clip: float,
        batch: int,
    ) -> None:
        self.problem, self.start, self.matchers = problem, start, matchers
        self.mae_weight, self.clip, self.batch = mae_weight, clip, batch
        self.past: list[dict[str, Tensor]] = []
        self.anchor = 1.0
        self.paused = torch.zeros(2 * problem.members, dtype=torch.bool, device=problem.device)
        done = problem.graph.done
        self.ends = done is not None and done in problem.graph.order

    @property
    def venv(self) -> VirtualEnv:
        """What is trained."""
        return self.start.venv

    @property
    def rng(self) -> torch.Generator:
        return self.start.generator

    @property
    def moved(self) -> list[str]:
        """The learned nodes that may change."""
        return [name for name in self.venv.graph.learned if not self.venv.graph[name].freeze]

    def parameters(self) -> list[nn.Parameter]:
        return [p for name in self.moved for p in self.venv.model(name).parameters()]

    def known(self, episodes: Episodes) -> dict[str, Tensor]:
        """1 where a judged transition was logged, node -> (T, M, B, d)."""
        found = {}
        for name in self.start.objective.judged:
            weight, inside = (
                self.problem.rows.weight(name, episodes.index),
                episodes.valid.unsqueeze(-1).float(),
            )
            spread = self.venv.codec[name].term_of_dimension
            found[name] = (inside if weight is None else inside * weight[..., spread]).expand_as(
                episodes.data[name]
            )
        return found

    def earned(
        self,
        values: Mapping[str, Tensor],
        data: Mapping[str, Tensor],
        known: Mapping[str, Tensor],
        earlier: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        """The reward of every step of rollouts, node -> (T, M, B, d): (T, M, B). earlier: as of `Matchers.seen`."""
        first = next(iter(data.values()))
        steps, members, branches = first.shape[:3]
        logits = self.matchers.logits(self.matchers.seen(values, earlier), self.past)
        said = reward(logits, self.ends).view(members, steps, branches).transpose(0, 1)
        missed = misses(values, data, known, self.start.objective.sigma)
        return (1.0 - self.mae_weight) * said - self.mae_weight * missed

    def anchored(self) -> Tensor:
        """The likelihood of logged rows with its weight, and the charges of declared effects and rules."""
        drawn, _ = self.start.seen.sample(self.batch, 1, self.rng)
        objective = self.start.objective
        likelihood = objective.one_step(self.problem.rows.at(drawn), drawn, objective.fitted)
        return self.anchor * likelihood + self.start.charges.loss(self.rng)

    def step(self, optimizer: Any, loss: Tensor, parameters: Sequence[nn.Parameter]) -> None:
        """One update of the members that are not paused."""
        before = {n: p.detach().clone() for n, p in self.venv.named_parameters()} if self.paused.any() else {}
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        clip_gradient_by_member(parameters, self.clip)
        optimizer.step()
        if before:
            keep_where(self.venv, ~self.paused, before)


class Generator(nn.Module, ABC):
    """lr: Adam's step size for the venv."""

    def __init__(self, arena: Arena, lr: float) -> None:
        super().__init__()
        object.__setattr__(self, "arena", arena)  # no child of this module
        self.lr = lr

    arena: Arena

    def begin(self) -> None:
        """Make what depends on the venv as it was cloned; also before a checkpoint is filled in."""

    def optimizers(self) -> list[torch.optim.Optimizer]:
        return [torch.optim.Adam(self.arena.parameters(), lr=self.lr, betas=(0.5, 0.9), fused=True)]

    @abstractmethod
    def update(self, episodes: Episodes, optimizers: Sequence[Any]) -> Tensor:
        """Change the venv by rollouts that it made; returns the loss of all members, added up."""

    def state(self) -> Any:
        """What a checkpoint must hold beside parameters; tensors and plain values."""
        return None

    def resume(self, state: Any) -> None:
        """Go on from that."""


class Pathwise(Generator):
    """The reward is differentiated through samples, matchers and `truncate` steps of the rollout.

    `L = -sum_t reward(D(x_t))`, the rollout cut into pieces of that length (Baram et al. 2017, End-to-end
    differentiable adversarial imitation learning, ICML).
    """

    def __init__(self, arena: Arena, lr: float, *, truncate: int) -> None:
        super().__init__(arena, lr)
        self.truncate = truncate

    def update(self, episodes: Episodes, optimizers: Sequence[Any]) -> Tensor:
        arena, venv = self.arena, self.arena.venv
        rolled, begins = pieces(venv, episodes, self.truncate)
        length = min(self.truncate, episodes.steps)
        data = {name: cut(value, begins, length) for name, value in episodes.data.items()}
        known = {name: cut(value, begins, length) for name, value in arena.known(episodes).items()}
        steps = arena.matchers.window - 1
        earlier = {n: before(value, begins, steps) for n, value in episodes.rolled.items()} if steps else None
        earned = arena.earned(rolled, data, known, earlier)
        loss = -earned.nan_to_num().mean((0, 2)).sum() + arena.anchored()
        arena.step(optimizers[0], loss, arena.parameters())
        return loss.detach()


class PPO(Generator):
    """All learned nodes together are one stochastic policy: `ratio = prod_n p_n(x_n) / p_n,old(x_n)`, clipped.

    Schulman et al. 2017 (arXiv:1707.06347); advantages by GAE (Schulman et al. 2016, arXiv:1506.02438) with one
    value of all leaves. What nodes drew counts before it is kept within bounds. With more than three nodes
    each ratio is clipped by itself.
    """

    def __init__(
        self,
        arena: Arena,
        lr: float,
        *,
        gamma: float,
        gae_lambda: float,
        clip_ratio: float,
        epochs: int,
        minibatches: int,
        value_lr: float,
        hidden: Sequence[int],
    ) -> None:
        super().__init__(arena, lr)
        self.gamma, self.gae_lambda, self.clip_ratio = gamma, gae_lambda, clip_ratio
        self.epochs, self.minibatches, self.value_lr = epochs, minibatches, value_lr
        venv = arena.venv
        self.leaves = [*venv.start_nodes, *venv.replayed_nodes]
        width = sum(venv.codec.width(name) for name in self.leaves)
        self.value = LinearSkipNet(venv.members, width, 1, hidden).to(arena.problem.device)

    def optimizers(self) -> list[torch.optim.Optimizer]:
        return [
            *super().optimizers(),
            torch.optim.Adam(self.value.parameters(), lr=self.value_lr, fused=True),
        ]

    def update(self, episodes: Episodes, optimizers: Sequence[Any]) -> Tensor:
        arena = self.arena
        members, steps, branches = (
            arena.venv.members,
            episodes.steps,
            episodes.rolled[self.leaves[0]].shape[2],
        )
        values = flat(episodes.rolled)
        leaves = torch.cat([values[name] for name in self.leaves], dim=-1)
        with torch.no_grad():
            earned = arena.earned(episodes.rolled, episodes.data, arena.known(episodes)).nan_to_num()
            worth = self.value(leaves).view(members, steps, branches).transpose(0, 1)
            gain = advantages(earned[:-1], worth, self.gamma, self.gae_lambda)  # (T - 1, M, B)
            drawn = {name: self._drawn(name, values, episodes) for name in arena.moved}
            old = {name: self._log_prob(name, values, drawn[name]) for name in arena.moved}
        target = (gain + worth[:-1]).transpose(0, 1).flatten(1)
        gain = gain.transpose(0, 1).flatten(1)
        gain = (gain - gain.mean(1, keepdim=True)) / gain.std(1, keepdim=True).clamp_min(1e-6)
        loss = torch.zeros((), device=gain.device)
        for _ in range(self.epochs):
            order = torch.randperm(gain.shape[1], generator=arena.rng, device=gain.device)
            for part in order.chunk(self.minibatches):
                new = {
                    name: self._log_prob(name, _at(values, part), drawn[name][:, part])
                    for name in arena.moved
                }
                ratios = [(new[name] - old[name][:, part]).exp() for name in arena.moved]
                surrogate = clipped(ratios, gain[:, part], self.clip_ratio)
                loss = -surrogate.mean(1).sum() + arena.anchored()
                arena.step(optimizers[0], loss, arena.parameters())
                wrong = (self.value(leaves[:, part]).squeeze(-1) - target[:, part]).square().mean(1).sum()
                optimizers[1].zero_grad(set_to_none=True)
                wrong.backward()
                optimizers[1].step()
        return loss.detach()

    def _drawn(self, name: str, values: Mapping[str, Tensor], episodes: Episodes) -> Tensor:
        """What a node drew, before bounds and copies: (M, N, width)."""
        venv = self.arena.venv
        model = venv.model(name)
        eps = episodes.noise[name].transpose(0, 1).flatten(1, 2)
        return model.drawn(model(*venv.node_inputs(name, values)), eps)

    def _log_prob(self, name: str, values: Mapping[str, Tensor], drawn: Tensor) -> Tensor:
        """Of what a node drew, (M, N); the gradient leaves its spread alone."""
        venv = self.arena.venv
        model = venv.model(name)
        out = model(*venv.node_inputs(name, values))
        return -heads.terms(out._replace(log_std=out.log_std.detach()), model.layout, drawn).sum(-1)


def advantages(earned: Tensor, worth: Tensor, gamma: float, gae_lambda: float) -> Tensor:
    """`A_t = sum_k (gamma lambda)^k (r_{t+k} + gamma V_{t+k+1} - V_{t+k})`: earned (T, ...), worth (T + 1, ...)."""
    wrong = earned + gamma * worth[1:] - worth[:-1]
    found, ahead = [], torch.zeros_like(earned[0])
    for step in reversed(range(len(earned))):
        ahead = wrong[step] + gamma * gae_lambda * ahead
        found.append(ahead)
    return torch.stack(found[::-1])


def clipped(ratios: Sequence[Tensor], gain: Tensor, clip: float) -> Tensor:
    """PPO's surrogate of nodes that act together; of more than three the mean of their own: all (M, N)."""
    if len(ratios) > 3:
        return torch.stack([_surrogate(ratio, gain, clip) for ratio in ratios]).mean(0)
    return _surrogate(torch.stack(list(ratios)).prod(0), gain, clip)


def _surrogate(ratio: Tensor, gain: Tensor, clip: float) -> Tensor:
    return torch.minimum(ratio * gain, ratio.clamp(1.0 - clip, 1.0 + clip) * gain)


def _at(values: Mapping[str, Tensor], part: Tensor) -> dict[str, Tensor]:
    return {name: value[:, part] for name, value in values.items()}
