"""What a policy is to do: the reward, the node that it decides, and what it may see."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from torch import Tensor

from revive.config.settings import Settings
from revive.data.joint import joint_arrays
from revive.data.trajectories import Trajectories
from revive.errors import Problem, Problems, UserError, suggestion
from revive.graph.decision_graph import DecisionGraph
from revive.graph.joint import decided_by, deciding, seen_by
from revive.policy.constraints import Constraints
from revive.policy.gradient import leads_to_action
from revive.policy.reward import Reward
from revive.venv.functions import UserCode


@dataclass(frozen=True)
class Task:
    """What is to be achieved: the reward, that of the logs, and the graph with what a policy may see.

    decides: the node that a policy decides, a joint decision where it decides several; None in a graph that has no
        decision, only parameters to tune.
    has_gradient: whether autograd leads from the reward to what a policy decides.
    constraints: limits that a policy has to keep; None without any.
    """

    decides: str | None
    graph: DecisionGraph
    reward: Reward
    logged_reward: Tensor
    has_gradient: bool = False
    constraints: Constraints | None = None

    @property
    def target(self) -> str:
        """The node that the policy decides; asked for only where a policy is learned or judged."""
        assert self.decides is not None
        return self.decides

    @property
    def targets(self) -> tuple[str, ...]:
        """The nodes of the venv that the policy decides; none in a graph without a decision."""
        return () if self.decides is None else decided_by(self.graph, self.decides)


def task_of(settings: Settings, graph: DecisionGraph, logs: Trajectories, code: UserCode) -> Task | None:
    """What the policy is to do; None where none is to be learned and no reward is named."""
    learns, tunes = settings.policy.mode != "none", settings.tuning.mode != "none"
    if settings.reward is None:
        if learns or tunes:
            remedy = "name a Python file: reward=FILE, or learn no policy: policy.mode=none"
            raise UserError(Problem("no reward is given", place="reward", remedy=remedy))
        return None
    if not (learns or tunes or graph.decisions):
        return None
    target, seen = decision(settings, graph)
    reward = Reward.load(settings.reward, columns=columns_of(graph))
    logged = reward.of_logs(logs)
    if learns and target is not None:
        _require_choice(logs, seen, target, logged, settings.reward)
    return task_told(settings, target, seen, reward, logged, logs, code)


def task_told(
    settings: Settings,
    target: str | None,
    seen: DecisionGraph,
    reward: Reward,
    logged: Tensor,
    logs: Trajectories,
    code: UserCode,
) -> Task:
    arrays = joint_arrays(seen, logs.arrays) if any(n.parts for n in seen.all_nodes) else logs.arrays
    smooth = target is not None and leads_to_action(reward, seen, target, code.functions, arrays)
    wanted = settings.policy.constraints
    limits = Constraints.of(wanted.limits, seen, arrays, allowed=wanted.allowed, lr=wanted.lr)
    return Task(target, seen, reward.within(logs, logged), logged, smooth, limits)


def _require_choice(
    logs: Trajectories, graph: DecisionGraph, target: str, logged: Tensor, reward: Path
) -> None:
    """Raises UserError for logs from which no policy can be learned: one reward, or one action, in every row."""
    problems = Problems()
    if float(logged.min()) == float(logged.max()):
        what = f"get_reward is {float(logged[0]):g} for each of the {len(logged)} logged rows"
        remedy = "let it tell better rows from worse ones, or learn no policy: policy.mode=none"
        problems.add(what, file=reward, remedy=remedy)
    for node in decided_by(graph, target):
        action = logs.arrays.get(node)
        if action is None or not bool(np.all(action == action[0])):
            continue
        said = ", ".join(f"{c.name}={v:g}" for c, v in zip(graph.columns(node), action[0], strict=True))
        what = f"'{node}' never varies in the logs ({said}), so that nothing can be learned about its effect"
        remedy = "add logs in which it was moved, or learn no policy: policy.mode=none"
        problems.add(what, place=node, remedy=remedy)
    problems.raise_if_any()


def decision(settings: Settings, graph: DecisionGraph) -> tuple[str | None, DecisionGraph]:
    """The node that the policy decides and the graph with what it sees; None where there is nothing to decide.

    Raises UserError where a policy is to be learned all the same.
    """
    chosen = settings.policy
    if not graph.decisions and chosen.target is None and chosen.mode == "none":
        return None, graph
    targets = asked_targets(settings, graph) or (graph.default_target,)
    try:
        seen = seen_by(graph, targets, chosen.inputs, chosen.window)
    except UserError as error:
        raise UserError(*(replace(p, place="policy.inputs") for p in error.problems)) from error
    return deciding(seen, targets)


def asked_targets(settings: Settings, graph: DecisionGraph) -> tuple[str, ...]:
    """The nodes that a policy is asked to decide; none where nobody asked.

    Raises UserError with every one that is no decision, or is named twice.
    """
    asked = settings.policy.target
    names = [] if asked is None else [asked] if isinstance(asked, str) else asked
    problems, told = Problems(), f" among the targets {', '.join(names)}" if len(names) > 1 else ""
    for name in dict.fromkeys(names):
        if name not in graph.decisions:
            what, remedy = f"'{name}' is no decision node{told}", suggestion(name, graph.decisions)
            problems.add(what, place="policy.target", remedy=remedy)
        elif names.count(name) > 1:
            problems.add(f"'{name}' is named twice{told}", place="policy.target", remedy="name it once")
    problems.raise_if_any()
    return tuple(names)


def columns_of(graph: DecisionGraph) -> dict[str, list[str]]:
    """Node -> the names of its columns, of the nodes that a reward is mostly made of."""
    nodes = [name for name in graph.nodes if graph[name].history is None]
    return {name: [column.name for column in graph.columns(name)] for name in nodes}
