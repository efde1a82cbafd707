"""What a trial of a search does, in whatever process: fit a learner leg by leg, report, leave a model."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from revive.config.settings import Settings
from revive.data.split import Split
from revive.data.trajectories import Trajectories
from revive.deploy.bundle import read_venv, save_policy, save_venv
from revive.pipeline.context import Bench, use_threads
from revive.pipeline.given import Given, without_data
from revive.pipeline.stages import Fitting, Learned, policy_fitting, venv_fitting
from revive.policy.learner import Candidate, FirstOrderLearner
from revive.runs import alone_in, write_json
from revive.search.space import Section, with_values
from revive.search.trials import ALL, CHECKPOINT, Leg, Objective, Order, Report, at
from revive.tracking.base import NullTracker
from revive.training import draft_of
from revive.venv.learner import MultiStepLearner
from revive.venv.virtual_env import VirtualEnv

Tell = Callable[[Report], None]
REPORT = "report.json"  # the last one, in the folder of a trial


def objective(settings: Settings, section: Section) -> Objective:
    """What the trials of a stage are compared by."""
    return Objective(settings.search.metric_of(section), "min" if section == "venv" else "max")


@dataclass(frozen=True)
class Parcel:
    """What every trial of a stage needs, once for all of them; the user's code is read again where it runs."""

    settings: Settings
    section: Section
    logs: Trajectories
    parts: Split
    logged_reward: Tensor | None
    venv: Path
    provenance: dict[str, Any]

    def given(self, settings: Settings) -> Given:
        return without_data(settings, self.logs, self.parts, self.logged_reward)


@dataclass
class Trial(Bench):
    """The bench of one leg of a trial: its checkpoint, and whom it tells how far it is."""

    order: Order
    tell: Tell
    until: int = 0  # chunks

    def checkpoint(self, stage: str) -> Path:
        return self.order.folder / CHECKPOINT

    def watch(self, learner: object, done: int, total: int) -> None:
        metric = self.settings.search.metric_of("venv" if isinstance(learner, MultiStepLearner) else "policy")
        report = progress_of(learner, round(ALL * done / total), metric, at_last=done == self.until)
        if report is not None:
            self.tell(report)


def work(order: Order, payload: Parcel, tell: Tell, cpus: int) -> None:
    """Train one trial as far as it is to go; leave its checkpoint for the next leg, or its model.

    Safe to be done again at any moment: it goes on from what it finds. A worker whose command was killed lives on for
    a moment, and is waited for.
    """
    use_threads(cpus)
    with alone_in(order.folder):
        _work(order, payload, tell)


def _work(order: Order, payload: Parcel, tell: Tell) -> None:
    checkpoint, last, left = (order.folder / name for name in (CHECKPOINT, REPORT, at(order.until)))
    legs = () if left.is_file() else order.legs
    if legs and order.start is not None and not checkpoint.exists():
        shutil.copyfile(order.start, draft := draft_of(checkpoint))
        draft.replace(checkpoint)
    told: list[Report] = []

    def tell_too(report: Report) -> None:
        told.append(report)
        write_json(last, {"until": order.until, **vars(report)})
        tell(report)

    for leg in legs:
        _train(order, leg, payload, tell_too)
    if not told and last.is_file():  # nothing was left to do: who was told before may have died since
        stored = json.loads(last.read_text(encoding="utf-8"))
        if stored.pop("until") == order.until:
            tell(Report(**stored))
    if legs and order.until < ALL:
        checkpoint.replace(order.folder / at(order.until))


def _train(order: Order, leg: Leg, payload: Parcel, tell: Tell) -> None:
    settings = with_values(payload.settings, payload.section, leg.params, order.seed)
    bench = Trial(settings, payload.given(settings), order, tell)
    quiet = NullTracker(settings.log_dir, settings.experiment)
    fitting: Fitting[Any]
    if payload.section == "venv":
        fitting = venv_fitting(bench)
    else:
        fitting = policy_fitting(bench, read_venv(payload.venv, bench.given.code), quiet)
    part = math.ceil(fitting.chunks * leg.until / ALL)
    bench.until = part if leg.until == ALL else min(part, fitting.chunks - 1)
    if fitting.train(bench, quiet, bench.until):
        provenance = {**payload.provenance, "trial": order.id, "params": leg.params, "seed": order.seed}
        _save(fitting.result(), order.folder, provenance)


def _save(model: VirtualEnv | Learned, folder: Path, provenance: dict[str, Any]) -> None:
    if isinstance(model, VirtualEnv):
        save_venv(model, folder / "venv", provenance)
        return
    save_policy(model.policy, folder / "policy", provenance)
    write_json(folder / "policy" / "chosen.json", model.to_json())


def progress_of(learner: object, percent: int, metric: str, at_last: bool = False) -> Report | None:
    """What a learner is worth so far, on data that it does not learn from; None where that is not known yet.

    at_last: it is to be known all the same.
    """
    if isinstance(learner, MultiStepLearner):
        which, done, updates = learner.chunks[learner.current_epoch]
        judged = done + updates == learner.stages[which].updates  # at the end of each of its stages
        early = which == 0 and len(learner.stages) > 1  # what one step says of rollouts is no reason to prune
        if (early or not judged) and not at_last:
            return None
        errors = learner.held_out_error() if metric == "held_out_error" else learner.other_half_error()
        spread = float(errors.std()) if len(errors) > 1 else 0.0
        return Report(percent, float(errors.mean()), spread / len(errors) ** 0.5)
    if isinstance(learner, FirstOrderLearner):
        return _policy_report(learner, percent, metric)
    return None


def _policy_report(learner: FirstOrderLearner, percent: int, metric: str) -> Report | None:
    """The best candidate of each copy so far, averaged over copies; the error is that over members."""

    def worth(candidate: Candidate) -> float:
        of = {"pessimistic_score": "score", "pessimistic_gain": "gain", "mean_reward": "mean"}
        return float(getattr(candidate, of[metric]))

    copies = range(learner.policy.copies)
    admissible = [[c for c in learner.candidates if c.copy == copy and not c.rejected] for copy in copies]
    if not all(admissible):
        return None
    found = [max(candidates, key=worth) for candidates in admissible]
    members = learner.venv.members // learner.policy.copies
    variance = sum(((c.mean - c.score) / max(learner.caution, 1e-9)) ** 2 for c in found) / members
    values = torch.tensor([worth(c) for c in found])
    return Report(percent, float(values.mean()), variance**0.5 / len(found))
