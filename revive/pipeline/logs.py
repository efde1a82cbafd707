"""The logs of an experiment: read or made, with what follows from them, and cut into parts."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from revive.config.settings import Settings
from revive.data.computed import Function, with_functions
from revive.data.readers import ReadOptions, from_arrays, read_trajectories
from revive.data.readers.checksum import require_sha256
from revive.data.split import Split, split
from revive.data.trajectories import Trajectories
from revive.errors import Problem, Problems, UserError
from revive.graph.decision_graph import DecisionGraph
from revive.policy.simulator import GroundTruth
from revive.venv.functions import ExpertFunction, check_batches


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


def logs_of(
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


def validation_logs(
    settings: Settings, graph: DecisionGraph, functions: Mapping[str, ExpertFunction]
) -> Trajectories | None:
    if settings.dataset.validation_path is None:
        return None
    _require_another(settings)
    other = read_trajectories(settings.dataset.validation_path, graph, read_options(settings))
    return derived(settings, other, graph, functions)


def _require_another(settings: Settings) -> None:
    """Raises UserError where the logs to validate with are the file that is learned from."""
    path, other = settings.dataset.path, settings.dataset.validation_path
    if path is not None and other is not None and path.exists() and other.exists() and other.samefile(path):
        what = "is the file that is learned from, so it cannot tell how well that went"
        remedy = "name a file of other logs, or leave dataset.validation_path out: half of the logs is held out then"
        raise UserError(Problem(what, other, "dataset.validation_path", remedy))


def derived(
    settings: Settings, logs: Trajectories, graph: DecisionGraph, functions: Mapping[str, ExpertFunction]
) -> Trajectories:
    """The logs with what follows from them; the user's functions are tried on them first."""
    data = {name: torch.as_tensor(value, dtype=torch.float64) for name, value in logs.arrays.items()}
    check_batches(functions, graph, data)

    def on_arrays(function: ExpertFunction) -> Function:
        return lambda inputs: function({k: torch.as_tensor(v) for k, v in inputs.items()}).numpy()

    called = {name: on_arrays(function) for name, function in functions.items()}
    return with_functions(logs, graph, called, settings.dataset.ignore_check)


def parts_of(settings: Settings, logs: Trajectories) -> Split:
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
            what = f"the {name} part has {part.rows} rows, at least 20 are needed"
            remedy = "log more, or give it a larger share: dataset.split.validation, dataset.split.test"
            problems.add(what, place="dataset.split", remedy=remedy)
    problems.raise_if_any()
    return parts
