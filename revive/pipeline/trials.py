"""What a trial of a search does, in whatever process: fit a learner leg by leg, report, leave a model."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from revive.config.settings import Settings
from revive.data.split import Split
from revive.data.trajectories import Trajectories
from revive.deploy.bundle import read_venv, save_policy, save_venv
from revive.graph.found import Amendment
from revive.pipeline.context import TrainingContext, use_threads
from revive.pipeline.inputs import Inputs, without_data
from revive.pipeline.shortlist import keep_shortlist
from revive.pipeline.stages import chosen_policy, policy_learner, train, venv_learner
from revive.policy.learners.base import PolicyLearner
from revive.runs import alone_in, write_json
from revive.search.space import Section, with_values
from revive.search.trials import ALL, CHECKPOINT, Leg, Objective, Order, Report, at
from revive.tracking.base import NullTracker
from revive.training import Learner, draft_of
from revive.trust.card import Cards

Tell = Callable[[Report], None]
REPORT = "report.json"  # the last one, in the folder of a trial


def objective(settings: Settings, section: Section) -> Objective:
    """What the trials of a stage are compared by."""
    return Objective(settings.search.metric_of(section), "min" if section == "venv" else "max")


@dataclass(frozen=True)
class WorkItem:
    """What every trial of a stage needs, once for all of them; the user's code is read again where it runs.

    found: what the data added to the described graph. cards: what the logs say about cause and effect.
    """

    settings: Settings
    section: Section
    logs: Trajectories
    parts: Split
    logged_reward: Tensor | None
    found: tuple[Amendment, ...]
    venv: Path
    provenance: dict[str, Any]
    cards: Cards | None = None

    def inputs(self, settings: Settings) -> Inputs:
        return without_data(settings, self.logs, self.parts, self.logged_reward, self.found, self.cards)


@dataclass
class Trial(TrainingContext):
    """The training context of one leg of a trial: its checkpoint, and whom it tells how far it is."""

    order: Order
    tell: Tell
    section: Section
    percent: int
    until: int = 0  # rounds

    def checkpoint(self, stage: str) -> Path:
        return self.order.folder / CHECKPOINT

    def watch(self, learner: Learner, done: int, total: int) -> None:
        metric = self.settings.search.metric_of(self.section)
        standing = learner.standing(metric, at_last=done >= self.until)
        if standing is not None:
            percent = min(round(ALL * done / total), self.percent)  # it may be done before its time
            self.tell(Report(percent, standing.value, standing.error))


def work(order: Order, payload: WorkItem, tell: Tell, cpus: int) -> None:
    """Train one trial as far as it is to go; leave its checkpoint for the next leg, or its model.

    Safe to be done again at any moment: it goes on from what it finds. A worker whose command was killed lives on for
    a moment, and is waited for.
    """
    use_threads(cpus)
    with alone_in(order.folder):
        _work(order, payload, tell)


def _work(order: Order, payload: WorkItem, tell: Tell) -> None:
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


def _train(order: Order, leg: Leg, payload: WorkItem, tell: Tell) -> None:
    settings = with_values(payload.settings, payload.section, leg.params, order.seed)

    def made() -> dict[str, Any]:
        return {**payload.provenance, "trial": order.id, "params": leg.params, "seed": order.seed}

    context = Trial(settings, payload.inputs(settings), order, tell, payload.section, percent=leg.until)
    if payload.section == "venv":
        learner = venv_learner(context)
        _train_leg(context, learner, leg, lambda: save_venv(learner.result(), order.folder / "venv", made()))
    else:
        chooser = policy_learner(context, read_venv(payload.venv, context.inputs.code))
        _train_leg(context, chooser, leg, lambda: _save_policy(chooser, order.folder / "policy", made()))


def _train_leg(context: Trial, learner: Learner, leg: Leg, save: Callable[[], None]) -> None:
    part = math.ceil(learner.rounds * leg.until / ALL)
    context.until = part if leg.until == ALL else min(part, learner.rounds - 1)
    quiet = NullTracker(context.settings.log_dir, context.settings.experiment)
    if train(context, context.section, learner, quiet, context.until):
        save()


def _save_policy(learner: PolicyLearner, folder: Path, provenance: dict[str, Any]) -> None:
    learned = chosen_policy(learner)
    save_policy(learned.policy, folder, provenance)
    keep_shortlist(folder.parent, learned.shortlist, provenance)
    write_json(folder / "chosen.json", learned.to_json())
