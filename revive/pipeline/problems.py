"""From a run's settings and inputs to the problems that learners are given."""

from __future__ import annotations

import torch

from revive.data.codec import Codec
from revive.data.computed import known_values
from revive.data.windows import Rows, observed_range
from revive.deploy.bundle import read_venv
from revive.errors import Problem, UserError
from revive.pipeline.context import TrainingContext
from revive.policy.clone import clone_behaviour
from revive.policy.evaluation import EvaluationEnvironment
from revive.policy.horizon import Horizon, response, trusted_steps
from revive.policy.policy import Policy, action_range
from revive.policy.problem import PolicyProblem, reward_of_rows
from revive.policy.starts import Starts
from revive.venv.node_model import NetworkSpec
from revive.venv.problem import VenvProblem, change_scales
from revive.venv.validation import rollout_error
from revive.venv.virtual_env import VirtualEnv


def earlier_venv(context: TrainingContext, same_graph: bool = True) -> VirtualEnv | None:
    path = context.settings.venv_path
    if path is None:
        return None
    venv = read_venv(path, context.inputs.code)
    if same_graph and venv.graph != context.inputs.graph:
        raise UserError(Problem("this venv was learned for another decision flow graph", path))
    return venv


def venv_problem(context: TrainingContext) -> VenvProblem:
    """What the venv is to be learned from."""
    chosen, inputs = context.settings.venv, context.inputs
    earlier = earlier_venv(context, same_graph=False)
    codec = Codec.fit(inputs.graph, known_values(inputs.parts.train))
    if earlier is not None:
        codec.adopt(earlier.codec)
    device = context.device
    codec = codec.to(device)
    rows = context.rows(codec, inputs.graph)
    return VenvProblem(
        graph=inputs.graph,
        codec=codec,
        rows=rows,
        scales=change_scales(rows, codec, inputs.graph),
        losses=inputs.losses,
        rule=inputs.rule,
        code=inputs.code,
        earlier=earlier,
        members=chosen.members,
        keep=chosen.keep,
        network=NetworkSpec.from_json(chosen.network.model_dump()),
        budget=chosen.budget,
        seed=context.settings.seed,
        device=device,
    )


def policy_problem(context: TrainingContext, venv: VirtualEnv) -> PolicyProblem:
    """What a policy is to be learned in."""
    chosen, task, seed = context.settings.policy, context.task, context.settings.seed
    device = context.device
    venv = venv.to(device).requires_grad_(False)
    codec = venv.codec.for_graph(task.graph)
    rows = context.rows(codec, task.graph)
    ranges = observed_range(rows.values, (*venv.graph.states, task.target))
    low, high = action_range(venv.graph, codec, task.target, *ranges[task.target])
    torch.manual_seed(seed)
    spec = NetworkSpec.from_json({**chosen.network.model_dump(), "std": "constant"})
    clone = Policy(task.graph, codec, task.target, spec, venv.halves, low, high).to(device)
    starts = Starts(venv, rows, ranges, chosen.starts.wide, chosen.starts.shuffled)
    clone_behaviour(clone, venv, starts, **chosen.clone.model_dump(), seed=seed)
    errors = rollout_error(venv, context.rows(venv.codec, venv.graph))
    trusted = trusted_steps(errors)
    evaluation = evaluation_environment(context, venv, rows)
    evaluation.require_finite()
    evaluation = evaluation.with_error(errors.in_model_space(venv), seed)
    shown = response(venv, rows, task.target, task.reward, trusted)
    return PolicyProblem(
        graph=task.graph,
        target=task.target,
        venv=venv,
        rows=rows,
        reward=task.reward,
        row_reward=reward_of_rows(rows, venv, task.graph, task.reward),
        starts=starts,
        evaluation=evaluation,
        clone=clone.requires_grad_(False),
        horizon=Horizon.of(shown, trusted, int(rows.lengths.max()), chosen.horizon),
        has_gradient=task.has_gradient,
        budget=chosen.budget,
        seed=seed,
        device=device,
        cards=context.inputs.cards,
    )


def evaluation_environment(context: TrainingContext, venv: VirtualEnv, rows: Rows) -> EvaluationEnvironment:
    """Where policies are compared: fixed starts and noise in both halves."""
    chosen, reward = context.settings.policy.evaluation, context.task.reward
    horizon = (
        min(chosen.horizon, int(rows.lengths.max())) if len(rows.lengths) > venv.halves else chosen.horizon
    )
    return EvaluationEnvironment.make(venv, rows, reward, starts=chosen.starts, horizon=horizon, seed=1)
