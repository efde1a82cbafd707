"""What a policy is worth in the virtual environments: rollouts from logged states, member by member."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from revive.data.windows import Rows
from revive.errors import Problem, UserError
from revive.policy.reward import Reward
from revive.policy.starts import Start
from revive.venv.virtual_env import Actor, VirtualEnv


@dataclass(frozen=True)
class EvaluationEnvironment:
    """Fixed starts and noise, so that all that is compared meets the same luck (common random numbers).

    Every half's members start from, and replay the exogenous values of, that half's own rows: `first` (M, B).
    error: transition -> draws of the venv's rollout error (T, M, B, d), see `with_error`; empty where it is left out.
    """

    venv: VirtualEnv
    rows: Rows
    reward: Reward
    first: Tensor
    start: Start
    noise: dict[str, Tensor]
    horizon: int
    error: dict[str, Tensor] = field(default_factory=dict)

    @classmethod
    def make(
        cls, venv: VirtualEnv, rows: Rows, reward: Reward, *, starts: int, horizon: int, seed: int
    ) -> EvaluationEnvironment:
        """`starts` branches per half, spread evenly over its rows; each is run through every member of it."""
        return cls.at(venv, rows, reward, [spread_over(part, starts) for part in rows.parts], horizon, seed)

    @classmethod
    def at(
        cls, venv: VirtualEnv, rows: Rows, reward: Reward, begin: Sequence[Tensor], horizon: int, seed: int
    ) -> EvaluationEnvironment:
        """Branches from given rows of each half, equally many: (B,) each."""
        generator = torch.Generator(venv.device).manual_seed(seed)
        per_half, starts = venv.members // venv.halves, len(begin[0])
        first = torch.cat([half.to(venv.device).expand(per_half, -1) for half in begin])  # (M, B)
        given = rows.at(rows.reflected(first, horizon), venv.replayed_nodes)
        start = Start(rows.at(first, venv.start_nodes), given, rows.past(first))
        noise = {
            name: torch.randn(
                horizon, 1, starts, venv.codec.width(name), generator=generator, device=venv.device
            ).expand(-1, venv.members, -1, -1)
            for name in venv.graph.learned
        }
        return cls(venv, rows, reward, first, start, noise, horizon)

    def repeated(self, variants: int) -> EvaluationEnvironment:
        """The same starts and noise, once for each of so many variants of a policy: branches `v * B ..`."""

        def again(table: Mapping[str, Tensor], axis: int) -> dict[str, Tensor]:
            return {name: torch.cat([value] * variants, axis) for name, value in table.items()}

        start = Start(again(self.start.state, 1), again(self.start.given, 2), again(self.start.past, 1))
        first = torch.cat([self.first] * variants, 1)
        noise, error = again(self.noise, 2), again(self.error, 2)
        return replace(self, first=first, start=start, noise=noise, error=error)

    def with_error(self, spread: Mapping[str, Tensor], seed: int) -> EvaluationEnvironment:
        """The same, in which the reward is also asked at states that are off by the venv's error.

        spread: transition -> (d,), the standard deviation of that error in model space. A policy that keeps a
        hair's breadth away from a limit must not be worth more than the venv can tell (`mistaken`).
        """
        generator = torch.Generator(self.venv.device).manual_seed(seed)
        drawn = {}
        for name, std in spread.items():
            shape = (self.horizon, 1, self.first.shape[1], len(std))
            eps = torch.randn(shape, generator=generator, device=generator.device)
            drawn[name] = (eps * std).expand(-1, self.venv.members, -1, -1)
        return replace(self, error=drawn)

    def mistaken(self, rolled: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A rollout with its states moved by draws of the venv's error."""
        return {name: v + self.error[name] if name in self.error else v for name, v in rolled.items()}

    @torch.no_grad()
    def roll(self, actor: Actor | None) -> dict[str, Tensor]:
        """Every node's values, (T, M, B, d) in model space; without an actor the behaviour policy acts."""
        noise = {name: eps for name, eps in self.noise.items() if actor is None or name != actor.node}
        begin = self.start
        return self.venv.rollout(
            begin.state, begin.given, self.horizon, past=begin.past, actor=actor, noise=noise
        )

    def require_finite(self) -> None:
        """Raises UserError where the reward of the logs' controller is not finite although all it reads is."""
        values = self.venv.codec.decode(self.roll(None))
        bad = ~torch.isfinite(self.reward(values))
        for value in values.values():
            bad &= torch.isfinite(value).all(-1)
        if bad.any():
            where = tuple(bad.nonzero()[0].tolist())
            row = ", ".join(
                f"{column.name}={float(value[(*where, i)]):.4g}"
                for name, value in values.items()
                for i, column in enumerate(self.venv.graph.columns(name)[: value.shape[-1]])
            )
            raise UserError(
                Problem(
                    f"get_reward is finite on the logs, but not at {int(bad.sum())} of {bad.numel()} steps of "
                    f"rollouts in the venv, as at {row}",
                    self.reward.path,
                    remedy="make it finite for every value: clamp what is divided by, exponentiated or under a root",
                )
            )

    @torch.no_grad()
    def rewards(self, actor: Actor | None) -> Tensor:
        """Mean reward per step of every branch, (M, B); steps after its end count as zero."""
        return mean_reward(self.venv, self.reward, self.roll(actor), actor)


def mean_reward(
    venv: VirtualEnv,
    reward: Reward,
    rolled: dict[str, Tensor],
    actor: Actor | None,
    asked: dict[str, Tensor] | None = None,
) -> Tensor:
    """rolled: node -> (T, M, B, d) in model space -> (M, B). asked: what the reward sees, where that differs."""
    codec = (actor.codec if actor else None) or venv.codec
    rewards, alive = reward(codec.decode(asked or rolled)), venv.alive(rolled)
    return (rewards if alive is None else rewards * alive[:-1]).mean(0)


def spread_over(part: range, count: int) -> Tensor:
    """So many rows of a half, evenly spread."""
    return torch.linspace(part.start, part.stop - 1, count + 1)[:-1].long()
