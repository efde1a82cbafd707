"""What learners from logged transitions alone share: critics, an actor, and the course of their training.

Critics first learn the discounted returns of the logs (Jelley et al. 2024, arXiv:2406.13376), from which temporal
differences have a short way to go; then each learner's own losses take over. Step sizes fall to zero with a cosine.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any, TypedDict, Unpack

import torch
from torch import Tensor

from revive.policy.action_value import ActionValue
from revive.policy.candidate import Snapshots
from revive.policy.learners.base import SnapshotLearner
from revive.policy.problem import PolicyProblem
from revive.policy.transitions import Transitions, not_logged
from revive.policy.updates import cosine, follow, set_step_size, step

SMALLEST = 1e-3  # unit of a value, in spreads of the reward
LARGEST_WEIGHT = 100.0  # of a row


class Course(TypedDict):
    """Arguments of every offline learner.

    hidden: of the critics.
    updates: of the critics. warm_up: those before the actor's first.
    actor_every: critic updates for each one of the actor.
    batch: rows per update and copy.
    lr: Adam of the actor, cosine to zero. critic_lr: of the critics, likewise.
    gamma: discount. target_rate: how fast the slow copies follow.
    clip: limit of each copy's gradient norm.
    snapshots: moments after the warm-up at which the policies are handed in.
    chunk: critic updates per round.
    """

    hidden: list[int]
    updates: int
    warm_up: int
    actor_every: int
    batch: int
    lr: float
    critic_lr: float
    gamma: float
    target_rate: float
    clip: float
    snapshots: int
    chunk: int


class OfflineLearner(SnapshotLearner):
    """All variants of both halves learn side by side, each from the rows of its own half.

    Args:
        problem: what is to be learned.
        name: of the learner. variants: what each of them is called.
        critics: how many action values each copy has.
        course: see `Course`.
    """

    simulates = False

    def __init__(
        self,
        problem: PolicyProblem,
        name: str,
        variants: list[str],
        critics: int = 2,
        **course: Unpack[Course],
    ) -> None:
        super().__init__()
        self.problem, self.course, self.gamma = problem, course, course["gamma"]
        self.updates, self.warm_up, self.chunk = course["updates"], course["warm_up"], course["chunk"]
        self.every = max(1, (self.updates - self.warm_up) // course["snapshots"])
        self.rows = Transitions.of(problem, self.gamma)
        self.policy = problem.started(len(variants)).requires_grad_(True)
        torch.manual_seed(problem.seed)  # the weights that are drawn now
        self.critic, self.slow_critic = self._value(critics), self._value(critics).requires_grad_(False)
        self.slow_critic.load_state_dict(self.critic.state_dict())
        self.generator = problem.generator()
        self.variants = variants
        self.taken = Snapshots(self.policy, name, variants)

    def _value(self, critics: int, *, of_states: bool = False) -> ActionValue:
        """Critics of every copy, (critics, P, n); of_states: they are not told the action."""
        width = 0 if of_states else self.policy.layout.width
        made = ActionValue(self.policy.copies, self.rows.x.shape[1], width, self.course["hidden"], critics)
        return made.to(self.problem.device)

    def _per_copy(self, of_variant: list[float]) -> Tensor:
        """A figure of each variant as one of each copy, (P,)."""
        return torch.tensor(of_variant * self.problem.venv.halves, device=self.problem.device)

    @classmethod
    def unsuited(cls, problem: PolicyProblem) -> str | None:
        return not_logged(problem)

    @property
    def rounds(self) -> int:
        return math.ceil(self.updates / self.chunk)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """The actor's, the critics', and further ones of critics."""
        return [
            torch.optim.Adam(self.policy.net.parameters(), lr=self.course["lr"], fused=True),
            torch.optim.Adam(self.critic.parameters(), lr=self.course["critic_lr"], fused=True),
        ]

    def round(self, number: int) -> None:
        course = self.course
        actor_optimizer, critic_optimizer, *others = self.own_optimizers()
        for update in range(number * self.chunk, min((number + 1) * self.chunk, self.updates)):
            set_step_size(actor_optimizer, cosine(course["lr"], update, self.updates))
            for optimizer in (critic_optimizer, *others):
                set_step_size(optimizer, cosine(course["critic_lr"], update, self.updates))
            rows = self.rows.drawn(self.policy.copies, course["batch"], self.generator)
            of_logs = update < self.warm_up
            critic_loss = self._returns_loss(rows) if of_logs else self.critic_loss(rows)
            step(critic_optimizer, critic_loss, self.critic.parameters(), 10 * course["clip"])
            follow(self.slow_critic, self.critic, course["target_rate"])
            self.learn_more(rows, others)
            done = update - self.warm_up
            if done >= 0 and done % course["actor_every"] == 0:
                self.act_better(rows, actor_optimizer, others)
            if done >= 0 and (done + 1) % self.every == 0:
                self.taken.take(update + 1)
        self.watch(critic_loss, update + 1)
        self.note("critic_loss", critic_loss.detach() / self.policy.copies)

    def _returns_loss(self, rows: Transitions) -> Tensor:
        """Squared error of all critics about what the logs' own actions earned, summed over the copies."""
        return (self.critic(rows.x, rows.action) - rows.earned).square().mean(-1).sum()

    @abstractmethod
    def critic_loss(self, rows: Transitions) -> Tensor:
        """Of all critics, summed over the copies."""

    @abstractmethod
    def actor_loss(self, rows: Transitions) -> Tensor:
        """Summed over the copies."""

    def act_better(self, rows: Transitions, optimizer: Any, others: list[Any]) -> None:
        """One update of the actor."""
        step(optimizer, self.actor_loss(rows), self.policy.net.parameters(), self.course["clip"])

    def learn_more(self, rows: Transitions, others: list[Any]) -> None:
        """What else learns with every update of the critics, the warm-up included."""

    def seen(self, rows: Transitions) -> Tensor:
        """What the policy sees of the rows, (P, n, d)."""
        return rows.x[..., : rows.seen]

    def valued(self, rows: Transitions, action: Tensor) -> Tensor:
        """What the critics say of actions, (critics, P, n); a gradient reaches the action and no critic."""
        self.critic.requires_grad_(False)
        value: Tensor = self.critic(rows.x, action)
        self.critic.requires_grad_(True)
        return value

    def notes(self) -> dict[str, Any]:
        return self.told({"updates": self.updates, "variants": list(self.variants)})


def advantage_weights(advantage: Tensor, sharpness: float | Tensor) -> Tensor:
    """`min(exp(sharpness A / D), 100)`, D each copy's mean absolute advantage: (P, n) -> (P, n), mean one.

    The mean is divided out, so that the sharpness does not change the step size.
    """
    unit = advantage.abs().mean(1, keepdim=True).clamp_min(SMALLEST)
    weight = (sharpness * advantage / unit).clamp_max(math.log(LARGEST_WEIGHT)).exp()
    return weight / weight.mean(1, keepdim=True)
