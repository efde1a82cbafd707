"""What an experiment gives: graph, logs, parts, reward, ground truth. Everything wrong with it ends here,
before a run folder exists."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from revive.config.experiments import find_experiment
from revive.config.settings import Settings
from revive.data.codec import Codec
from revive.data.computed import known_values
from revive.data.derive import with_derived
from revive.data.proposal import Proposal
from revive.data.split import Split
from revive.data.trajectories import Trajectories
from revive.data.windows import Rows
from revive.errors import Problem, UserError
from revive.graph.amend import amended
from revive.graph.decision_graph import DecisionGraph
from revive.graph.description import parse_description, read_description
from revive.graph.found import Amendment, StandIn
from revive.graph.target import led_by
from revive.pipeline.applied import to_apply
from revive.pipeline.holdable import require_holdable
from revive.pipeline.logs import derived, logs_of, parts_of, validation_logs
from revive.pipeline.task import Task, asked_targets, columns_of, decision, task_of, task_told
from revive.policy.reward import Reward
from revive.policy.simulator import GroundTruth
from revive.trust.card import Cards
from revive.venv.first_principles import try_principles
from revive.venv.functions import UserCode
from revive.venv.losses import NodeLoss, load_losses
from revive.venv.rules import Rule, try_rule


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
    described = settings.dataset.description
    require_holdable(graph, described if isinstance(described, Path) else settings.experiment)
    truth = GroundTruth.load(settings.simulator) if settings.simulator else None
    code = UserCode.load(graph, folder)
    raw, made = logs_of(settings, graph, truth)
    logs = derived(settings, raw, graph, code.functions)
    other = validation_logs(settings, graph, code.functions)
    applied = to_apply(settings, graph, logs, other)
    prescribed = tuple(change for change in applied.changes if isinstance(change, StandIn))
    graph = amended(graph, [change for change in applied.changes if not isinstance(change, StandIn)])
    logs, other = with_derived(logs, graph), None if other is None else with_derived(other, graph)
    arrays = {name: torch.as_tensor(value, dtype=torch.float64) for name, value in logs.arrays.items()}
    try_principles(code, graph, arrays)
    parts = Split(logs, other) if other is not None else parts_of(settings, logs)
    losses = load_losses(graph, settings.venv.user_module)
    rule = _rule(settings, graph)
    if rule is not None and settings.venv.mode != "none":  # now, or every trial of a search would fail of it
        codec = Codec.fit(graph, known_values(parts.train))
        try_rule(rule, graph, codec, Rows.of(codec, graph, parts.train, parts.validation), code)
    task = task_of(settings, graph, logs, code)
    told = applied.proposals
    return Inputs(
        graph, logs, parts, task, truth, made, code, losses, rule, folder, told, prescribed=prescribed
    )


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
        target, seen = decision(settings, graph)
        reward = Reward.load(settings.reward, columns=columns_of(graph))
        task = task_told(settings, target, seen, reward, logged, logs, code)
    losses, rule = load_losses(graph, settings.venv.user_module), _rule(settings, graph)
    return Inputs(graph, logs, parts, task, None, None, code, losses, rule, folder, cards=cards)


def _rule(settings: Settings, graph: DecisionGraph) -> Rule | None:
    return None if settings.venv.rules is None else Rule.load(settings.venv.rules, graph)


def describe(settings: Settings) -> tuple[DecisionGraph, Path]:
    """The decision flow graph as the policy's target meets it, and the folder that the user's functions lie in."""
    graph, folder = _described(settings)
    return led_by(graph, asked_targets(settings, graph)), folder


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


def row_numbers(settings: Settings, inputs: Inputs) -> Trajectories:
    """Where the rows of both halves, one after the other, stand in the logs: (N, 2) arrays `place`, row and trajectory.

    With a file of its own for validation its rows are counted from 0 again.
    """
    logs = inputs.logs
    place = np.stack([np.arange(logs.rows), np.repeat(np.arange(logs.count), logs.lengths)], axis=1)
    numbered = Trajectories({"place": place.astype(np.float64)}, logs.ends)
    if settings.dataset.validation_path is None:
        parts = parts_of(settings, numbered)
        return _joined(parts.train, parts.validation)
    other = inputs.parts.validation
    place = np.stack([np.arange(other.rows), np.repeat(np.arange(other.count), other.lengths)], axis=1)
    return _joined(numbered, Trajectories({"place": place.astype(np.float64)}, other.ends))


def _joined(one: Trajectories, other: Trajectories) -> Trajectories:
    place = np.concatenate([one.arrays["place"], other.arrays["place"]])
    return Trajectories({"place": place}, np.concatenate([one.ends, one.rows + other.ends]))
