"""Problems of policy learners, made of toy plants, and the arguments of the learner that most tests train."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from revive.data.windows import Rows, observed_range
from revive.graph.decision_graph import DecisionGraph
from revive.policy.candidate import Candidate
from revive.policy.choice import Choice, Court
from revive.policy.clone import clone_behaviour
from revive.policy.evaluation import EvaluationEnvironment
from revive.policy.horizon import Horizon, Response
from revive.policy.learners.base import PolicyLearner
from revive.policy.learners.first_order import FirstOrderLearner
from revive.policy.policy import Policy, action_range
from revive.policy.problem import PolicyProblem, reward_of_rows
from revive.policy.reward import Reward
from revive.policy.starts import Starts
from revive.venv.node_model import NetworkSpec
from revive.venv.virtual_env import VirtualEnv
from tests.policy.conftest import BEHAVIOUR, Plant

FIRST_ORDER: dict[str, Any] = {
    "variants": [{"penalty": 0, "returns": "whole"}],
    "measure": "doubt",
    "noise": 0.3,
    "iterations": 80,
    "warm_up": 5,
    "branches": 32,
    "lr": 2e-2,
    "critic_lr": 3e-3,
    "gamma": 0.97,
    "done_gamma": 0.97,
    "td_lambda": 0.95,
    "critic_steps": 4,
    "critic_batch": 128,
    "imagined": 0.5,
    "target_rate": 0.2,
    "clip": 1.0,
    "check_every": 10,
    "judge_every": 20,
    "chunk": 10,
}


def near_zero(data: dict[str, Tensor]) -> Tensor:
    """A reward: x far from zero costs."""
    return -(data["next_x"] ** 2)


def horizon_of(steps: int) -> Horizon:
    return Horizon.of(Response(1, None), steps, 1000, steps)


def row_rewards(spread: float, limit: float = 0.0) -> Tensor:
    """Rewards of logs with that standard deviation, none above the limit."""
    return limit - spread * torch.tensor([2.0**0.5, 0.0])


def problem_in(venv: VirtualEnv, rows: Rows, reward: Reward, **changed: Any) -> PolicyProblem:
    """One in that venv; `starts` and `clone` have to be given, other fields are as `changed` says."""
    usual: dict[str, Any] = {
        "graph": venv.graph,
        "target": "u",
        "horizon": horizon_of(12),
        "has_gradient": True,
        "budget": 10**9,
        "seed": 0,
        "device": torch.device("cpu"),
    }
    found = {"venv": venv, "rows": rows, "reward": reward, **usual, **changed}
    if "row_reward" not in found:
        found["row_reward"] = reward_of_rows(rows, venv, found["graph"], reward)
    if "evaluation" not in found:
        found["evaluation"] = EvaluationEnvironment.make(venv, rows, reward, starts=16, horizon=40, seed=1)
    found.setdefault("contest", found["evaluation"])
    found["clone"].requires_grad_(False)
    return PolicyProblem(**found)


def problem_of(plant: Plant, **changed: Any) -> PolicyProblem:
    """The plant's, from a clone that does what left its logs; fields as `changed` says."""
    found = {"venv": plant.venv, "rows": plant.rows, "reward": plant.reward, **changed}
    if found["venv"] is plant.venv and found["reward"] is plant.reward:
        found.setdefault("evaluation", plant.bed)
    found.setdefault("starts", replace(plant.starts, venv=found["venv"], rows=found["rows"]))
    if "clone" not in found:
        found["clone"] = plant.linear_policy(BEHAVIOUR, BEHAVIOUR, venv=found["venv"])
    return problem_in(**found)


def cloned_problem(
    venv: VirtualEnv, rows: Rows, graph: DecisionGraph, network: NetworkSpec | None = None, **changed: Any
) -> PolicyProblem:
    """Of any venv: x is to come near zero, and learning starts from a clone; `graph` is what the policy sees."""
    codec, target = venv.codec.for_graph(graph), changed.get("target", "u")
    ranges = observed_range(rows.values, (*graph.states, target))
    starts = Starts(venv, rows, ranges, 0.3, 0.0)
    torch.manual_seed(0)
    low, high = action_range(graph, codec, target, *ranges[target])
    clone = Policy(graph, codec, target, network or NetworkSpec(hidden=(16,)), 2, low, high)
    clone_behaviour(clone, venv, starts, updates=40, batch=128, lr=1e-2, seed=0)
    usual: dict[str, Any] = {"starts": starts, "clone": clone, "horizon": horizon_of(10), "graph": graph}
    reward = changed.pop("reward", None) or Reward(near_zero, Path("reward.py"))
    return problem_in(venv, rows, reward, **{**usual, **changed})


def first_order(problem: PolicyProblem, **changed: Any) -> FirstOrderLearner:
    """The learner that most tests train, its arguments as `changed` says."""
    return FirstOrderLearner(problem, **{**FIRST_ORDER, **changed})


def chosen_of(learner: PolicyLearner) -> Choice:
    """What a run would take."""
    return Court(learner.problem).choose(learner.candidates())


def candidates_of(policy: Policy, name: str = "made up", iteration: int = 1) -> list[Candidate]:
    """Both copies of a policy as candidates of both halves."""
    return [Candidate(name, "", half, iteration, policy.single(half)) for half in range(policy.copies)]
