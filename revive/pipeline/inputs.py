"""What an experiment gives: graph, logs, parts, reward, ground truth. Everything wrong with it ends here,
before a run folder exists."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from revive.config.experiments import find_experiment
from revive.config.settings import Settings
from revive.data.codec import Codec
from revive.data.computed import Function, known_values, with_functions
from revive.data.derive import with_derived
from revive.data.proposal import Proposal
from revive.data.readers import ReadOptions, from_arrays, read_trajectories
from revive.data.readers.checksum import require_sha256
from revive.data.split import Split, split
from revive.data.trajectories import Trajectories
from revive.data.windows import Rows
from revive.errors import Problem, Problems, UserError, suggestion
from revive.graph.amend import amended
from revive.graph.decision_graph import DecisionGraph
from revive.graph.description import parse_description, read_description
from revive.graph.found import Amendment, StandIn
from revive.graph.target import led_by
from revive.pipeline.applied import to_apply
from revive.policy.constraints import Constraints
from revive.policy.gradient import leads_to_action
from revive.policy.reward import Reward
from revive.policy.simulator import GroundTruth
from revive.trust.card import Cards
from revive.venv.functions import ExpertFunction, UserCode, check_batches
from revive.venv.losses import NodeLoss, load_losses
from revive.venv.rules import Rule, try_rule


@dataclass(frozen=True)
class Task:
    """What is to be achieved: the reward, that of the logs, and the graph with what a policy may see.

    decides: the node that a policy decides; None in a graph that has no decision, only parameters to tune.
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


@dataclass(frozen=True)
class Inputs:
    """The checked inputs of a run; `task` None where nothing is to be learned, judged or tuned by a reward.

    folder: what the user's functions lie in. applied: what was found in the logs and written into the graph.
    cards: what the logs say about cause and effect, once that was asked. prescribed: stand-ins for hidden causes that
    the venv which is taken from elsewhere was learned with, not yet in the graph.
    """

    graph: DecisionGraph
    logs: Trajectories
    parts: Split
    task: Task | None
    truth: GroundTruth | None
    made: dict[str, np.ndarray] | None
    code: UserCode
    losses: dict[str, NodeLoss]
    rule: Rule | None
    folder: Path
    applied: tuple[Proposal, ...] = ()
    cards: Cards | None = None
    prescribed: tuple[StandIn, ...] = ()

    def save_made_data(self, folder: Path) -> None:
        """Keep the logs that the simulator made beside the run, so that it holds all it was learned from."""
        if self.made is not None:
            np.savez_compressed(folder / "data.npz", **self.made)  # type: ignore[arg-type]


def gather(settings: Settings) -> Inputs:
    """Read and check everything. Raises UserError with all the problems of the first file that has any."""
    graph, folder = describe(settings)
    truth = GroundTruth.load(settings.simulator) if settings.simulator else None
    code = UserCode.load(graph, folder)
    raw, made = _logs(settings, graph, truth)
    logs = _derived(settings, raw, graph, code.functions)
    other = _validation_logs(settings, graph, code.functions)
    applied = to_apply(settings, graph, logs, other)
    prescribed = tuple(change for change in applied.changes if isinstance(change, StandIn))
    graph = amended(graph, [change for change in applied.changes if not isinstance(change, StandIn)])
    logs, other = with_derived(logs, graph), None if other is None else with_derived(other, graph)
    parts = Split(logs, other) if other is not None else _parts(settings, logs)
    losses = load_losses(graph, settings.venv.user_module)
    rule = _rule(settings, graph)
    if rule is not None and settings.venv.mode != "none":  # now, or every trial of a search would fail of it
        codec = Codec.fit(graph, known_values(parts.train))
        try_rule(rule, graph, codec, Rows.of(codec, graph, parts.train, parts.validation), code)
    task = _task(settings, graph, logs, code)
    told = applied.proposals
    return Inputs(
        graph, logs, parts, task, truth, made, code, losses, rule, folder, told, prescribed=prescribed
    )


def _task(settings: Settings, graph: DecisionGraph, logs: Trajectories, code: UserCode) -> Task | None:
    """What the policy is to do; None where none is to be learned and no reward is named."""
    learns, tunes = settings.policy.mode != "none", settings.tuning.mode != "none"
    if settings.reward is None:
        if learns or tunes:
            remedy = "name a Python file: reward=FILE, or learn no policy: policy.mode=none"
            raise UserError(Problem("no reward is given", place="reward", remedy=remedy))
        return None
    if not (learns or tunes or graph.decisions):
        return None
    target, seen = _decision(settings, graph)
    reward = Reward.load(settings.reward, columns=_columns(graph))
    logged = reward.of_logs(logs)
    if learns and target is not None:
        _require_choice(logs, graph, target, logged, settings.reward)
    return _told(settings, target, seen, reward, logged, logs, code)


def _told(
    settings: Settings,
    target: str | None,
    seen: DecisionGraph,
    reward: Reward,
    logged: Tensor,
    logs: Trajectories,
    code: UserCode,
) -> Task:
    smooth = target is not None and leads_to_action(reward, seen, target, code.functions, logs.arrays)
    wanted = settings.policy.constraints
    limits = Constraints.of(wanted.limits, seen, logs.arrays, allowed=wanted.allowed, lr=wanted.lr)
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
    action = logs.arrays.get(target)
    if action is not None and bool(np.all(action == action[0])):
        said = ", ".join(f"{c.name}={v:g}" for c, v in zip(graph.columns(target), action[0], strict=True))
        what = (
            f"'{target}' never varies in the logs ({said}), so that nothing can be learned about its effect"
        )
        remedy = "add logs in which it was moved, or learn no policy: policy.mode=none"
        problems.add(what, place=target, remedy=remedy)
    problems.raise_if_any()


def _decision(settings: Settings, graph: DecisionGraph) -> tuple[str | None, DecisionGraph]:
    """The node that the policy decides and the graph with what it sees; None where there is nothing to decide.

    Raises UserError where a policy is to be learned all the same.
    """
    chosen = settings.policy
    if not graph.decisions and chosen.target is None and chosen.mode == "none":
        return None, graph
    target = _one_target(settings, graph) or graph.default_target
    return target, _seen_by_policy(settings, graph, target)


def rewritten(
    inputs: Inputs, wanted: Sequence[Amendment], filled: Callable[[Trajectories], Trajectories]
) -> Inputs:
    """The inputs with more written into the graph, once the logs were read; `filled` adds what the new nodes hold."""
    parts, task = inputs.parts, inputs.task
    test = None if parts.test is None else filled(parts.test)
    return replace(
        inputs,
        graph=amended(inputs.graph, wanted),
        logs=filled(inputs.logs),
        parts=Split(filled(parts.train), filled(parts.validation), test),
        task=None if task is None else replace(task, graph=amended(task.graph, wanted)),
    )


def without_data(
    settings: Settings,
    logs: Trajectories,
    parts: Split,
    logged: Tensor | None,
    found: Sequence[Amendment] = (),
    cards: Cards | None = None,
) -> Inputs:
    """What `gather` gives, around data that was read and checked before; the user's code is loaded anew.

    found: what `gather` wrote into the graph. cards: what the logs say about cause and effect.
    """
    graph, folder = describe(settings)
    graph = amended(graph, found)
    code, task = UserCode.load(graph, folder), None
    if settings.reward is not None and logged is not None:
        target, seen = _decision(settings, graph)
        reward = Reward.load(settings.reward, columns=_columns(graph))
        task = _told(settings, target, seen, reward, logged, logs, code)
    losses, rule = load_losses(graph, settings.venv.user_module), _rule(settings, graph)
    return Inputs(graph, logs, parts, task, None, None, code, losses, rule, folder, cards=cards)


def _columns(graph: DecisionGraph) -> dict[str, list[str]]:
    """Node -> the names of its columns, of the nodes that a reward is mostly made of."""
    nodes = [name for name in graph.nodes if graph[name].history is None]
    return {name: [column.name for column in graph.columns(name)] for name in nodes}


def _rule(settings: Settings, graph: DecisionGraph) -> Rule | None:
    return None if settings.venv.rules is None else Rule.load(settings.venv.rules, graph)


def _derived(
    settings: Settings, logs: Trajectories, graph: DecisionGraph, functions: Mapping[str, ExpertFunction]
) -> Trajectories:
    """The logs with what follows from them; the user's functions are tried on them first."""
    data = {name: torch.as_tensor(value, dtype=torch.float64) for name, value in logs.arrays.items()}
    check_batches(functions, graph, data)

    def on_arrays(function: ExpertFunction) -> Function:
        return lambda inputs: function({k: torch.as_tensor(v) for k, v in inputs.items()}).numpy()

    called = {name: on_arrays(function) for name, function in functions.items()}
    return with_functions(logs, graph, called, settings.dataset.ignore_check)


def _one_target(settings: Settings, graph: DecisionGraph) -> str | None:
    """The node that a policy is asked for. Raises UserError for several of them."""
    asked = settings.policy.target
    if not isinstance(asked, list):
        return asked
    if len(asked) == 1:
        return asked[0]
    problems = Problems()
    for name in asked:
        if name not in graph.decisions:
            what, remedy = f"'{name}' is no decision node", suggestion(name, graph.decisions)
            problems.add(what, place="policy.target", remedy=remedy)
    if not problems:
        what = f"a policy decides one node, and these are {len(asked)}: {', '.join(asked)}"
        remedy = (
            "give their columns one 'dim' in the description; columns of one node may be of several types"
        )
        problems.add(what, place="policy.target", remedy=remedy)
    raise UserError(*problems)


def _seen_by_policy(settings: Settings, graph: DecisionGraph, target: str) -> DecisionGraph:
    if target not in graph.decisions:
        what = f"'{target}' is no decision node"
        raise UserError(Problem(what, place="policy.target", remedy=suggestion(target, graph.decisions)))
    try:
        seen = settings.policy.inputs or graph[target].inputs
        return graph.with_inputs(target, seen, settings.policy.window)
    except UserError as error:
        raise UserError(*(replace(p, place="policy.inputs") for p in error.problems)) from error


def describe(settings: Settings) -> tuple[DecisionGraph, Path]:
    """The decision flow graph as the policy's target meets it, and the folder that the user's functions lie in."""
    graph, folder = _described(settings)
    return led_by(graph, _one_target(settings, graph)), folder


def _described(settings: Settings) -> tuple[DecisionGraph, Path]:
    description = settings.dataset.description
    if description is None:
        raise UserError(
            Problem("no description is given", place="dataset.description", remedy="name the YAML")
        )
    if isinstance(description, Path):
        return read_description(description), description.parent
    experiment = find_experiment(settings.experiment)
    return parse_description(description, str(experiment.file), experiment.folder), experiment.folder


def read_options(settings: Settings) -> ReadOptions:
    """How the data file is to be read."""
    chosen = settings.dataset
    return ReadOptions(
        index=chosen.index,
        table=chosen.table,
        trajectory=chosen.trajectory,
        done=chosen.done,
        resets=chosen.resets,
        where=chosen.where,
        time=chosen.time,
        gap=chosen.gap,
        missing=chosen.missing,
        missing_values=chosen.missing_values,
        resample=chosen.resample,
        resample_how=chosen.resample_how,  # type: ignore[arg-type]
        ignore_check=chosen.ignore_check,
    )


def _logs(
    settings: Settings, graph: DecisionGraph, truth: GroundTruth | None
) -> tuple[Trajectories, dict[str, np.ndarray] | None]:
    if settings.dataset.path is not None:
        if settings.dataset.sha256 is not None:
            require_sha256(settings.dataset.path, settings.dataset.sha256)
        return read_trajectories(settings.dataset.path, graph, read_options(settings)), None
    if truth is None:
        raise UserError(Problem("no data is given", place="dataset.path", remedy="name the file of the logs"))
    made = truth.make_data()
    return from_arrays(made, graph, f"{truth.path} (make_data)"), made


def _validation_logs(
    settings: Settings, graph: DecisionGraph, functions: Mapping[str, ExpertFunction]
) -> Trajectories | None:
    if settings.dataset.validation_path is None:
        return None
    other = read_trajectories(settings.dataset.validation_path, graph, read_options(settings))
    return _derived(settings, other, graph, functions)


def row_numbers(settings: Settings, inputs: Inputs) -> Trajectories:
    """Where the rows of both halves, one after the other, stand in the logs: (N, 2) arrays `place`, row and trajectory.

    With a file of its own for validation its rows are counted from 0 again.
    """
    logs = inputs.logs
    place = np.stack([np.arange(logs.rows), np.repeat(np.arange(logs.count), logs.lengths)], axis=1)
    numbered = Trajectories({"place": place.astype(np.float64)}, logs.ends)
    if settings.dataset.validation_path is None:
        parts = _parts(settings, numbered)
        return _joined(parts.train, parts.validation)
    other = inputs.parts.validation
    place = np.stack([np.arange(other.rows), np.repeat(np.arange(other.count), other.lengths)], axis=1)
    return _joined(numbered, Trajectories({"place": place.astype(np.float64)}, other.ends))


def _joined(one: Trajectories, other: Trajectories) -> Trajectories:
    place = np.concatenate([one.arrays["place"], other.arrays["place"]])
    return Trajectories({"place": place}, np.concatenate([one.ends, one.rows + other.ends]))


def _parts(settings: Settings, logs: Trajectories) -> Split:
    chosen = settings.dataset.split
    parts = split(
        logs,
        validation=chosen.validation,
        test=chosen.test or 0.0,
        mode=chosen.mode,
        gap=chosen.gap,
        seed=settings.seed,
    )
    problems = Problems()
    for name, part in (("training", parts.train), ("validation", parts.validation)):
        if part.rows < 20:
            problems.add(
                f"the {name} part has {part.rows} rows, at least 20 are needed", place="dataset.split"
            )
    problems.raise_if_any()
    return parts
