"""Stages whose hyper-parameters are searched: trials that fit a learner, and what comes of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from revive.config.instantiate import find_target
from revive.config.settings import Settings
from revive.data.split import Split
from revive.data.trajectories import Trajectories
from revive.deploy.bundle import read_venv, save_policy, save_venv
from revive.errors import Problem, UserError
from revive.pipeline.context import Bench, Context, use_threads
from revive.pipeline.given import Given, without_data
from revive.pipeline.stages import fit_policy, fit_venv
from revive.policy.learner import FirstOrderLearner
from revive.runs import write_json
from revive.search.cluster import check_address, ray_running
from revive.search.conductor import Conductor, Plan
from revive.search.record import Recorded
from revive.search.runner import run_here
from revive.search.samplers import Sampler
from revive.search.space import Section, Space, read_space, with_values
from revive.search.trials import CHECKPOINT, Objective, Order, Report, TrialBook
from revive.tracking.base import NullTracker, StageTracker
from revive.venv.learner import MultiStepLearner

OBJECTIVES = {"venv": Objective("held_out_error", "min"), "policy": Objective("pessimistic_score", "max")}


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
    """The bench of one trial: its checkpoint, and whom it tells how far it is."""

    order: Order
    tell: Callable[[Report], None]

    def checkpoint(self, stage: str) -> Path:
        return self.order.folder / CHECKPOINT

    def watch(self, learner: object, done: int, total: int) -> None:
        report = progress_of(learner, round(100 * done / total))
        if report is not None:
            self.tell(report)


def require_search(settings: Settings) -> None:
    """Raises UserError where a search is asked for that cannot be made; nothing is written before."""
    tuned = [name for name, mode in _modes(settings).items() if mode == "tune"]
    for name in tuned:
        read_space(settings, name)
    if not tuned:
        return
    if settings.search.sampler is None:
        remedy = "search=optuna, random or grid; or mode=once"
        raise UserError(Problem(f"{tuned[0]}.mode=tune needs a search", place="search", remedy=remedy))
    find_target(settings.search.sampler, "search.sampler")
    if _on_ray(settings):
        check_address(settings.ray.address, *_tracking(settings))


def search(context: Context, section: Section, records: StageTracker) -> Path:
    """Search the space of a stage; returns the folder of the trial that holds the model to take."""
    settings = context.settings
    chosen = settings.search
    folder = context.folder.path / "search" / section
    recorded = Recorded(records, context.terminal.note, OBJECTIVES[section])
    conductor = Conductor(
        TrialBook(folder, OBJECTIVES[section]),
        _sampler(settings, read_space(settings, section)),
        Plan(chosen.trials, chosen.concurrency or 4, chosen.time_budget, chosen.retrain, chosen.seeds),
        settings.seed,
        notify=recorded.ended,
        stopped=context.stop.is_set,
    )
    try:
        _run(context, conductor, _parcel(context, section), folder)
        best = conductor.choose()
    finally:
        recorded.send(conductor.book)
    recorded.choice(conductor.book)
    return conductor.book.order(best).folder


def _run(context: Context, conductor: Conductor, parcel: Parcel, folder: Path) -> None:
    settings, chosen = context.settings, context.settings.search
    if not _on_ray(settings):
        run_here(replace_concurrency(conductor, 1), work, parcel, settings.trainer.threads)
        return
    shared = context.folder.path
    ray = context.closing.enter_context(ray_running(settings.ray.address, shared, *_tracking(settings)))
    from revive.search.on_ray import run_on_ray

    fit_in = int(ray.cluster_resources().get("CPU", 1)) // chosen.cpus_per_trial
    run_on_ray(
        replace_concurrency(conductor, chosen.concurrency or max(1, min(4, fit_in))),
        work,
        parcel,
        scheduler=chosen.scheduler,
        grace=chosen.grace,
        reduction=chosen.reduction,
        cpus=chosen.cpus_per_trial,
        gpus=chosen.gpus_per_trial,
        scratch=folder / "ray",
    )


def replace_concurrency(conductor: Conductor, concurrency: int) -> Conductor:
    """The conductor, handing out so many trials at once."""
    conductor.plan = replace(conductor.plan, concurrency=concurrency)
    return conductor


def work(order: Order, payload: Parcel, tell: Callable[[Report], None], cpus: int) -> None:
    """Fit one trial and leave its model in its folder."""
    use_threads(cpus)
    settings = with_values(payload.settings, payload.section, order.params, order.seed)
    order.folder.mkdir(parents=True, exist_ok=True)
    bench = Trial(settings, payload.given(settings), order, tell)
    quiet = NullTracker(settings.log_dir, settings.experiment)
    provenance = {**payload.provenance, "trial": order.id, "params": order.params, "seed": order.seed}
    if payload.section == "venv":
        save_venv(fit_venv(bench, quiet), order.folder / "venv", provenance)
        return
    venv = read_venv(payload.venv, bench.given.code)
    learned = fit_policy(bench, venv, quiet)
    save_policy(learned.policy, order.folder / "policy", provenance)
    write_json(order.folder / "policy" / "chosen.json", learned.to_json())


def progress_of(learner: object, percent: int) -> Report | None:
    """What a learner is worth so far, on data that it does not learn from; None where that is not known yet."""
    if isinstance(learner, MultiStepLearner):
        which, done, updates = learner.chunks[learner.current_epoch]
        if done + updates < learner.stages[which].updates:
            return None  # judged at the end of each of its stages
        errors = learner.held_out_error()
        spread = float(errors.std()) if len(errors) > 1 else 0.0
        return Report(percent, float(errors.mean()), spread / len(errors) ** 0.5)
    if isinstance(learner, FirstOrderLearner):
        best = [
            max(
                (c for c in learner.candidates if c.copy == copy and not c.rejected),
                key=lambda c: c.score,
                default=None,
            )
            for copy in range(learner.policy.copies)
        ]
        found = [candidate for candidate in best if candidate is not None]
        if len(found) < len(best):
            return None
        members = learner.venv.members // learner.policy.copies
        variance = sum(((c.mean - c.score) / max(learner.caution, 1e-9)) ** 2 for c in found) / members
        return Report(percent, sum(c.score for c in found) / len(found), variance**0.5 / len(found))
    return None


def _parcel(context: Context, section: Section) -> Parcel:
    given, settings = context.given, context.settings
    finished = context.folder.path / "venv"
    venv = finished if context.folder.is_finished("venv") else settings.venv_path
    return Parcel(
        settings,
        section,
        given.logs,
        replace(given.parts, test=None),
        given.task.logged_reward if given.task else None,
        venv or finished,
        context.provenance,
    )


def _sampler(settings: Settings, space: Space) -> Sampler:
    make = find_target(settings.search.sampler, "search.sampler")
    return make(space, settings.seed, settings.search.trials)


def _modes(settings: Settings) -> dict[Section, str]:
    return {"venv": settings.venv.mode, "policy": settings.policy.mode}


def _on_ray(settings: Settings) -> bool:
    """One trial alone is not worth the start of Ray."""
    return settings.ray.enabled and settings.search.trials > 1


def _tracking(settings: Settings) -> tuple[str | None, bool]:
    target = str(settings.tracking.get("_target_", ""))
    return settings.tracking.get("uri"), not target.endswith("NullTracker")
