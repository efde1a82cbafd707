"""From a run's settings and inputs to the problems that learners are given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from revive.config.networks import OwnNetwork
from revive.data.codec import Codec
from revive.data.computed import known_values
from revive.data.declared import is_signed
from revive.data.windows import Rows, observed_range
from revive.deploy.bundle import read_venv
from revive.errors import Problem, Problems, UserError, suggestion
from revive.graph.columns import Column
from revive.graph.compared import differences
from revive.graph.decision_graph import DecisionGraph
from revive.pipeline.context import TrainingContext
from revive.pipeline.task import Task
from revive.policy.clone import clone_behaviour
from revive.policy.contest import contest
from revive.policy.evaluation import EvaluationEnvironment
from revive.policy.horizon import Horizon, response, trusted_steps
from revive.policy.policy import Policy, action_range
from revive.policy.problem import PolicyProblem, reward_of_rows
from revive.policy.starts import Starts
from revive.venv.closing import closing_of
from revive.venv.forms import without_memory
from revive.venv.joint import decided_together
from revive.venv.node_model import NetworkSpec
from revive.venv.problem import VenvProblem, change_scales
from revive.venv.row_weights import row_weights
from revive.venv.validation import rollout_error
from revive.venv.virtual_env import VirtualEnv


def earlier_venv(context: TrainingContext, same_graph: bool = True) -> VirtualEnv | None:
    path = context.settings.venv_path
    if path is None:
        return None
    venv = read_venv(path, context.inputs.code)
    task = context.inputs.task
    differ = differences(venv.graph, context.inputs.graph, () if task is None else task.targets)
    if same_graph and differ:
        what = f"this venv was learned for another decision flow graph: {', '.join(differ)}"
        remedy = "only what the policy's own node sees may differ; learn the venv again for anything else"
        raise UserError(Problem(what, path, remedy=remedy))
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
    weights = row_weights(inputs.graph, chosen.weights, (inputs.parts.train, inputs.parts.validation))
    shared = chosen.network.model_dump()
    shared["transition"] = shared["transition"] or "residual"
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
        network=NetworkSpec.from_json(shared),
        budget=chosen.budget,
        seed=context.settings.seed,
        device=device,
        nodes=own_networks(inputs.graph, shared, _with_forms(context)),
        row_weights={name: weight.to(device) for name, weight in weights.items()},
    )


def _with_forms(context: TrainingContext) -> dict[str, OwnNetwork]:
    """`venv.nodes`, and the transitions that forget their state, where nobody says how they are to be learned."""
    chosen, inputs = context.settings.venv, context.inputs
    nodes = dict(chosen.nodes)
    if chosen.network.transition is None:
        for name in without_memory(inputs.parts.train, inputs.graph):
            own = nodes.get(name, OwnNetwork())
            nodes[name] = own.model_copy(update={"transition": own.transition or "absolute"})
    return nodes


def own_networks(
    graph: DecisionGraph, shared: Mapping[str, Any], nodes: Mapping[str, OwnNetwork]
) -> dict[str, NetworkSpec]:
    """The shapes of the networks that nodes have for themselves, what they leave open as in `shared`.

    Raises UserError with every node that is not learned, and every head that does not fit its columns.
    """
    problems, found = Problems(_of_all(graph, shared)), {}
    for name, own in nodes.items():
        if name not in graph.learned:
            what = f"'{name}' is no node that is learned"
            problems.add(what, place=f"venv.nodes.{name}", remedy=suggestion(name, graph.learned))
            continue
        found[name] = NetworkSpec.from_json({**shared, **own.model_dump(exclude_none=True)})
        problems.extend(_of_one(graph, name, own, found[name]))
    problems.extend(_not_monotone(graph, {name: found.get(name, shared) for name in graph.learned}))
    problems.raise_if_any()
    return found


def _of_all(graph: DecisionGraph, shared: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with the network that nodes share."""
    if shared["head"] == "zero_inflated":
        remedy = "venv.nodes.NODE.head=zero_inflated"
        yield Problem("'zero_inflated' is a head for single nodes", place="venv.network.head", remedy=remedy)
    kind, place = shared["backbone"], "venv.network.backbone"
    if kind in RUNS and not any(_has_history(graph, name) for name in graph.learned):
        yield Problem(f"no node has a history for the backbone '{kind}'", place=place, remedy=_GIVE_HISTORY)
    if kind == "monotone" and not any(is_signed(graph, name) for name in graph.learned):
        yield Problem("no node has an effect whose direction is declared", place=place, remedy=_DECLARE)


def _of_one(graph: DecisionGraph, name: str, own: OwnNetwork, network: NetworkSpec) -> Iterator[Problem]:
    """What is wrong with the network that a node has for itself."""
    place, columns = f"venv.nodes.{name}", graph.columns(name)
    if own.backbone in RUNS and not _has_history(graph, name):
        what = f"'{name}' has no history for the backbone '{own.backbone}'"
        yield Problem(what, place=f"{place}.backbone", remedy=_GIVE_HISTORY)
    if own.backbone == "monotone" and not is_signed(graph, name):
        what = f"no direction of an effect on '{name}' is declared, so it has nothing to be monotone in"
        yield Problem(what, place=f"{place}.backbone", remedy=_DECLARE)
    if own.norm is not None and network.backbone not in NORMALISED:
        what = f"'norm' is for layers of an mlp; a backbone '{network.backbone}' has no norm to choose"
        yield Problem(what, place=f"{place}.norm", remedy=f"take {place}.norm away")
    if own.head not in (None, "normal") and all(c.type != "continuous" for c in columns):
        types = ", ".join(f"{c.name} is {c.type}" for c in columns)
        what = f"a head '{own.head}' is for continuous columns: {types}"
        yield Problem(what, place=f"{place}.head", remedy=f"take {place}.head away")
    if network.head == "zero_inflated" and (name in graph.transitions or _never_zero(columns)):
        what = "a head 'zero_inflated' is for nodes that are no transitions, and for columns that can be 0"
        yield Problem(what, place=f"{place}.head", remedy=f"{place}.head=normal")


def _not_monotone(
    graph: DecisionGraph, networks: Mapping[str, NetworkSpec | Mapping[str, Any]]
) -> Iterator[Problem]:
    """The nodes whose head takes a value that does not rise with the network's mean."""
    for name, said in networks.items():
        network = said if isinstance(said, NetworkSpec) else NetworkSpec.from_json(dict(said))
        odd = network.backbone == "monotone" and network.head in ("mixture", "zero_inflated")
        if odd and is_signed(graph, name):
            what = f"the likeliest value of a head '{network.head}' is not monotone in the mean of '{name}'"
            remedy = f"venv.nodes.{name}.head=normal or student_t, or another backbone"
            yield Problem(what, place=f"venv.nodes.{name}.head", remedy=remedy)


NORMALISED = ("mlp", "residual", "transformer")  # the last two always
RUNS = ("gru", "lstm", "any_step")  # over the frames of histories
_GIVE_HISTORY = "write nodes: {NODE: {history: 10}} in the description, or, for transitions, venv.history=10"
_DECLARE = "write nodes: {NODE: {effects: {INPUT: increasing}}} in the description"


def _has_history(graph: DecisionGraph, node: str) -> bool:
    columns = (
        (graph.columns(source), graph.columns(graph.source_of(source))) for source in graph[node].inputs
    )
    return any(len(stack) > len(one) for stack, one in columns)


def _never_zero(columns: Sequence[Column]) -> bool:
    return any((c.min is not None and c.min > 0) or (c.max is not None and c.max < 0) for c in columns)


def policy_venv(context: TrainingContext, venv: VirtualEnv) -> VirtualEnv:
    """The venv as the policy meets it: what it decides is one node."""
    task = context.inputs.task
    return venv if task is None else decided_together(venv, task.targets)


def policy_problem(context: TrainingContext, venv: VirtualEnv) -> PolicyProblem:
    """What a policy is to be learned in."""
    chosen, task, seed = context.settings.policy, context.task, context.settings.seed
    device = context.device
    venv = policy_venv(context, venv.to(device).requires_grad_(False))
    codec = venv.codec.for_graph(task.graph)
    rows = context.rows(codec, task.graph)
    ranges = observed_range(rows.values, (*venv.graph.states, task.target))
    low, high = action_range(venv.graph, codec, task.target, *ranges[task.target])
    if task.constraints is not None:
        task.constraints.narrow(codec, task.target, low, high)
    torch.manual_seed(seed)
    spec = NetworkSpec.from_json({**chosen.network.model_dump(), "std": "constant"})
    clone = Policy(task.graph, codec, task.target, spec, venv.halves, low, high).to(device)
    starts = Starts(venv, rows, ranges, chosen.starts.wide, chosen.starts.shuffled)
    clone_behaviour(clone, venv, starts, **chosen.clone.model_dump(), seed=seed)
    errors = rollout_error(venv, context.rows(venv.codec, venv.graph))
    trusted = trusted_steps(errors)
    row_reward = rewards_to_the_end(task, venv, rows)
    evaluation = evaluation_environment(context, venv, rows)
    evaluation.require_finite()
    shown = response(venv, rows, task.target, task.reward, trusted)
    return PolicyProblem(
        graph=task.graph,
        target=task.target,
        venv=venv,
        rows=rows,
        reward=task.reward,
        row_reward=row_reward,
        starts=starts,
        evaluation=evaluation,
        contest=contest(
            venv,
            rows,
            task.reward,
            errors,
            starts=chosen.evaluation.starts,
            horizon=evaluation.horizon,
            episode=chosen.evaluation.episode,
            seed=1,
        ),
        clone=clone.requires_grad_(False),
        horizon=Horizon.of(shown, trusted, int(rows.lengths.max()), chosen.horizon),
        has_gradient=task.has_gradient,
        budget=chosen.budget,
        seed=seed,
        device=device,
        cards=context.inputs.cards,
        constraints=task.constraints,
        repeat=chosen.action_repeat,
        step_seconds=context.inputs.logs.step_seconds,
    )


def rewards_to_the_end(task: Task, venv: VirtualEnv, rows: Rows) -> Tensor:
    """The reward of every logged row, (N,). The venv is told what closes batches, where these rewards show it."""
    rewards = reward_of_rows(rows, venv, task.graph, task.reward)
    venv.closing = closing_of(venv.graph, venv.codec, rows, rewards)
    return rewards


def evaluation_environment(context: TrainingContext, venv: VirtualEnv, rows: Rows) -> EvaluationEnvironment:
    """Where policies are compared: fixed starts and noise in both halves."""
    chosen, reward = context.settings.policy.evaluation, context.task.reward
    horizon = (
        min(chosen.horizon, int(rows.lengths.max())) if len(rows.lengths) > venv.halves else chosen.horizon
    )
    return EvaluationEnvironment.make(venv, rows, reward, starts=chosen.starts, horizon=horizon, seed=1)
