"""What a policy learner is given: everything about the task, nothing about who learns it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from revive.data.codec import Codec
from revive.data.windows import Rows
from revive.errors import Problem, UserError
from revive.graph.decision_graph import DecisionGraph
from revive.policy.constraints import Constraints
from revive.policy.evaluation import EvaluationEnvironment
from revive.policy.horizon import Horizon
from revive.policy.policy import Policy
from revive.policy.reward import Reward
from revive.policy.starts import Starts
from revive.trust.card import Cards
from revive.venv.virtual_env import VirtualEnv


@dataclass(frozen=True)
class PolicyProblem:
    """A venv of two halves, a reward, and the controller of the logs that is to be outdone.

    graph, target: with what the policy may see, and the node that it decides.
    venv: its weights are fixed. rows: both halves, with the histories of `graph`; model space.
    reward, row_reward: the user's function, and what it says of every row: (N,).
    starts: where training rollouts begin. evaluation: starts of each half for that half's venv, such as the logs'
    controller is replayed from. contest: what candidates are compared on (contest.py).
    clone: the logs' controller as each half's venv has learned it, two copies.
    noise: of exploration, in model space. horizon: of training rollouts.
    has_gradient: whether autograd leads from the reward to the action.
    budget: simulated steps that may be spent. device: where all of it is computed.
    cards: what the logs say about cause and effect; None where nobody asked.
    constraints: limits that the policy has to keep; None without any.
    repeat: steps that each decision of a policy holds; the logs' controller decides in each step.
    step_seconds: how long a step takes, for messages; None where the logs do not tell it.
    """

    graph: DecisionGraph
    target: str
    venv: VirtualEnv
    rows: Rows
    reward: Reward
    row_reward: Tensor
    starts: Starts
    evaluation: EvaluationEnvironment
    contest: EvaluationEnvironment
    clone: Policy
    horizon: Horizon
    has_gradient: bool
    budget: int
    seed: int
    device: torch.device
    cards: Cards | None = None
    constraints: Constraints | None = None
    repeat: int = 1
    step_seconds: float | None = None

    def generator(self) -> torch.Generator:
        """A fresh one on the device, from the seed."""
        return torch.Generator(self.device).manual_seed(self.seed)

    def started(self, variants: int) -> Policy:
        """What learning starts from: as many variants of each half's clone, with a policy's own pace."""
        return self.clone.widened(variants, self.repeat)

    def affordable(self, per_iteration: int) -> int:
        """Iterations of so many simulated steps that the budget pays. Raises UserError where it pays none."""
        if self.budget < per_iteration:
            what = f"{self.budget} simulated steps are too few for a single update"
            remedy = f"a learner needs {per_iteration} for each, and some hundred updates"
            raise UserError(Problem(what, place="policy.budget", remedy=remedy))
        return self.budget // per_iteration

    @property
    def reward_spread(self) -> float:
        """Standard deviation of the logged reward; learners divide by it."""
        return max(float(self.row_reward.std()), 1e-6)

    @property
    def pessimism(self) -> float:
        """By how much doubt counts more than usual: 1 where all effects are known, 2 where none is."""
        return 1.0 + (self.cards.doubtful if self.cards else 0.0)

    @property
    def reward_limit(self) -> float:
        """No mean reward per step above it is believed: the largest that was logged."""
        return float(self.row_reward.max())


@torch.no_grad()
def reward_of_rows(rows: Rows, venv: VirtualEnv, graph: DecisionGraph, reward: Reward) -> Tensor:
    """What the user's function says of every row, (N,); nodes without data are computed by the venv's graph."""
    codec, found = venv.codec.for_graph(graph), []
    for part in torch.arange(rows.count, device=rows.device).split(65536):
        batch = rows.at(part)
        found.append(reward(codec.decode(batch)))
    return torch.cat(found)


@torch.no_grad()
def mean_terms(reward: Reward, codec: Codec, rows: Rows) -> dict[str, float]:
    """The mean of every named term of the reward over all rows; empty for a reward of one part."""
    total: dict[str, float] = {}
    for part in torch.arange(rows.count, device=rows.device).split(65536):
        for name, term in reward.terms(codec.decode(rows.at(part))).items():
            total[name] = total.get(name, 0.0) + float(term.double().sum()) / rows.count
    return total
