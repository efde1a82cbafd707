"""A generator that learns off-policy, from rollouts that are remembered: twin delayed critics."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from revive.errors import Problem, UserError
from revive.nn.ensemble import LinearSkipNet
from revive.venv.learners.episodes import Episodes
from revive.venv.learners.generators import Arena, Generator
from revive.venv.virtual_env import VirtualEnv

Remembered = dict[str, Tensor]  # node -> (T, M, B, d); "earned" -> (T, M, B, 1)


class TD3(Generator):
    """All learned nodes are one deterministic policy on the leaves; their likeliest values go up what critics say.

    `y = r + gamma min_i Qbar_i(s', x' + e)`, e the nodes' own noise made `target_noise` times as large and cut at `cut`
    of a standard deviation; the actor moves with every `actor_every`-th critic update, the slow copies follow by `rate`
    (Fujimoto, van Hoof and Meger 2018, arXiv:1802.09477). Rewards are those of the matchers as they are when a
    transition is drawn.

    Args:
        kept: rollouts that are remembered.
        updates: of the critics, for every rollout.
        draws: transitions per member of an update.

    Raises UserError for a graph in which a history follows from something within the step.
    """

    def __init__(
        self,
        arena: Arena,
        lr: float,
        *,
        gamma: float,
        kept: int,
        updates: int,
        draws: int,
        rate: float,
        target_noise: float,
        cut: float,
        actor_every: int,
        value_lr: float,
        hidden: Sequence[int],
    ) -> None:
        super().__init__(arena, lr)
        self.gamma, self.kept, self.updates, self.draws, self.rate = gamma, kept, updates, draws, rate
        self.target_noise, self.cut, self.actor_every, self.value_lr = (
            target_noise,
            cut,
            actor_every,
            value_lr,
        )
        venv = arena.venv
        if inner := [name for name in venv.graph.histories if not venv.graph[name].is_leaf]:
            remedy = "venv.learner.generator=pathwise or ppo"
            what = (
                f"td3 sees single rows, and the history '{inner[0]}' follows from something within the step"
            )
            raise UserError(Problem(what, place="venv.learner.generator", remedy=remedy))
        self.leaves = [*venv.start_nodes, *venv.replayed_nodes, *venv.graph.histories]
        width = sum(venv.codec.width(name) for name in (*self.leaves, *arena.moved))
        nets = [LinearSkipNet(venv.members, width, 1, hidden) for _ in range(2)]
        self.critics = torch.nn.ModuleList(nets).to(arena.problem.device)
        self.slow_critics = copy.deepcopy(self.critics).requires_grad_(False)
        self.memory: list[Remembered] = []
        self.done = 0

    def begin(self) -> None:
        self.slow = copy.deepcopy(self.arena.venv).requires_grad_(False)

    def optimizers(self) -> list[torch.optim.Optimizer]:
        return [
            *super().optimizers(),
            torch.optim.Adam(self.critics.parameters(), lr=self.value_lr, fused=True),
        ]

    def update(self, episodes: Episodes, optimizers: Sequence[Any]) -> Tensor:
        arena = self.arena
        missed = arena.earned(episodes.rolled, episodes.data, arena.known(episodes)).nan_to_num()
        self.memory = [*self.memory, {**episodes.rolled, "earned": missed.detach().unsqueeze(-1)}][
            -self.kept :
        ]
        loss = torch.zeros((), device=missed.device)
        for _ in range(self.updates):
            now, then = self._drawn()
            self._learn_critics(now, then, optimizers[1])
            self.done += 1
            if self.done % self.actor_every == 0:
                loss = self._learn_actor(now, optimizers[0])
        return loss.detach()

    def _drawn(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Transitions of each member: all nodes at a step, and the leaves of the next, (M, N, d) each."""
        rng = self.arena.rng
        steps, members, branches = self.memory[0]["earned"].shape[:3]
        shape = (members, self.draws)
        which = torch.randint(len(self.memory), (self.draws,), generator=rng, device=rng.device)
        t = torch.randint(max(1, steps - 1), shape, generator=rng, device=rng.device)
        b = torch.randint(branches, shape, generator=rng, device=rng.device)
        m = torch.arange(members, device=rng.device).unsqueeze(1)
        now: dict[str, Tensor] = {}
        then: dict[str, Tensor] = {}
        for name in self.memory[0]:
            kept = torch.stack([entry[name] for entry in self.memory])  # (kept, T, M, B, d)
            now[name] = kept[which.expand(shape), t, m, b]
            if name in self.leaves:
                then[name] = kept[which.expand(shape), (t + 1).clamp_max(steps - 1), m, b]
        return now, then

    def _acted(
        self, venv: VirtualEnv, leaves: Mapping[str, Tensor], eps: Mapping[str, Tensor] | None = None
    ) -> Tensor:
        """The leaves and what the learned nodes make of them, side by side: (M, N, width)."""
        start = {name: leaves[name] for name in venv.start_nodes}
        given = {name: leaves[name].unsqueeze(0) for name in self.leaves if name not in start}
        rolled = venv.rollout(start, given, 1, noise=eps)
        return torch.cat(
            [*(leaves[n] for n in self.leaves), *(rolled[n][0] for n in self.arena.moved)], dim=-1
        )

    def _learn_critics(self, now: Mapping[str, Tensor], then: Mapping[str, Tensor], optimizer: Any) -> None:
        with torch.no_grad():
            noise = self.arena.venv.noise(1, self.draws, self.arena.rng)
            eps = {name: (self.target_noise * e).clamp(-self.cut, self.cut) for name, e in noise.items()}
            ahead = self._acted(self.slow, then, eps)
            worth = torch.stack([net(ahead) for net in self.slow_critics]).amin(0)
            wanted = now["earned"] + self.gamma * worth
        seen = torch.cat([*(now[n] for n in self.leaves), *(now[n] for n in self.arena.moved)], dim=-1)
        loss = sum((net(seen) - wanted).square().mean((1, 2)).sum() for net in self.critics)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[union-attr]
        optimizer.step()

    def _learn_actor(self, now: Mapping[str, Tensor], optimizer: Any) -> Tensor:
        arena = self.arena
        said = self.critics[0](self._acted(arena.venv, now))
        size = said.detach().abs().mean((1, 2), keepdim=True).clamp_min(1e-3)
        loss = -(said / size).mean((1, 2)).sum() + arena.anchored()
        arena.step(optimizer, loss, arena.parameters())
        with torch.no_grad():
            for slow, fast in ((self.slow, arena.venv), (self.slow_critics, self.critics)):
                for old, new in zip(slow.parameters(), fast.parameters(), strict=True):
                    old.lerp_(new, self.rate)
        return loss

    def state(self) -> Any:
        return {"memory": self.memory, "done": self.done}

    def resume(self, state: Any) -> None:
        self.memory, self.done = state["memory"], state["done"]
