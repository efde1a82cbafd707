"""Stages whose hyper-parameters are searched: what is asked for, and what comes of its trials."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from revive.config.instantiate import find_target
from revive.config.settings import Settings
from revive.errors import Problem, UserError
from revive.pipeline.context import Context
from revive.pipeline.stages import venv_bundle
from revive.pipeline.trials import Parcel, objective, work
from revive.search.cluster import check_address, ray_running, room_for
from revive.search.conductor import Conductor, Course, Plan
from revive.search.population import Population, check_space
from revive.search.proposals import Proposals
from revive.search.record import Recorded
from revive.search.runner import run_here
from revive.search.samplers import Sampler
from revive.search.space import Section, read_space
from revive.search.trials import TrialBook
from revive.tracking.base import StageTracker


def require_search(settings: Settings) -> None:
    """Raises UserError where a search is asked for that cannot be made; nothing is written before."""
    tuned = [name for name, mode in _modes(settings).items() if mode == "tune"]
    for name in tuned:
        space = read_space(settings, name)
        if settings.search.scheduler == "pbt":
            check_space(space, name).raise_if_any()
    if not tuned:
        return
    if settings.search.sampler is None:
        remedy = "search=optuna, random or grid; or mode=once"
        raise UserError(Problem(f"{tuned[0]}.mode=tune needs a search", place="search", remedy=remedy))
    find_target(settings.search.sampler, "search.sampler")
    if any(_on_ray(settings, name) for name in tuned):
        check_address(settings.ray.address, *_tracking(settings))


def search(context: Context, section: Section, records: StageTracker) -> Path:
    """Search the space of a stage; returns the folder of the trial that holds the model to take."""
    settings = context.settings
    chosen = settings.search
    folder = context.folder.path / "search" / section
    goal = objective(settings, section)
    trials, book = chosen.trials_of(section), TrialBook(folder, goal)
    recorded = Recorded(records, context.terminal.note, book)
    conductor = Conductor(
        book,
        _course(settings, section, book, trials),
        Plan(trials, chosen.concurrency or 4, chosen.time_budget, chosen.retrain, chosen.seeds),
        settings.seed,
        observer=recorded,
        stopped=context.stop.is_set,
    )
    _run(context, conductor, _parcel(context, section), folder)
    best = conductor.choose()
    recorded.choice()
    return conductor.book.order(best).folder


def _run(context: Context, conductor: Conductor, parcel: Parcel, folder: Path) -> None:
    settings, chosen = context.settings, context.settings.search
    if not _on_ray(settings, parcel.section):
        run_here(_with_concurrency(conductor, 1), work, parcel, settings.trainer.threads)
        return
    ray = context.closing.enter_context(
        ray_running(settings.ray.address, _read_by_trials(context), *_tracking(settings))
    )
    from revive.search.on_ray import run_on_ray

    at_once = room_for(
        [n["Resources"] for n in ray.nodes() if n["Alive"]], chosen.cpus_per_trial, chosen.gpus_per_trial
    )
    run_on_ray(
        _with_concurrency(conductor, chosen.concurrency or min(4, at_once)),
        work,
        parcel,
        scheduler="asha" if chosen.scheduler == "asha" else "fifo",
        grace=chosen.grace,
        reduction=chosen.reduction,
        cpus=chosen.cpus_per_trial,
        gpus=chosen.gpus_per_trial,
        scratch=folder / "ray",
    )


def _read_by_trials(context: Context) -> list[Path]:
    """The run folder, and the files that trials read for themselves, wherever they run."""
    settings, given = context.settings, context.given
    description = settings.dataset.description
    named = (settings.reward, settings.venv.user_module, settings.venv.rules, settings.venv_path)
    code = (given.folder / name for name in given.graph.code_files)
    files = [description if isinstance(description, Path) else None, *named, *code]
    return [context.folder.path, *(path for path in files if path is not None)]


def _with_concurrency(conductor: Conductor, concurrency: int) -> Conductor:
    """The conductor, handing out so many trials at once."""
    conductor.plan = replace(conductor.plan, concurrency=concurrency)
    return conductor


def _parcel(context: Context, section: Section) -> Parcel:
    given, settings = context.given, context.settings
    return Parcel(
        settings,
        section,
        given.logs,
        replace(given.parts, test=None),
        given.task.logged_reward if given.task else None,
        venv_bundle(context),
        context.provenance,
    )


def _course(settings: Settings, section: Section, book: TrialBook, trials: int) -> Course:
    chosen, space = settings.search, read_space(settings, section)
    sampler: Sampler = find_target(chosen.sampler, "search.sampler")(space, settings.seed, trials)
    if chosen.scheduler != "pbt":
        return Proposals(book, sampler, trials, settings.seed)
    return Population(
        book, space, sampler, trials, settings.seed, interval=chosen.interval, quantile=chosen.quantile
    )


def _modes(settings: Settings) -> dict[Section, str]:
    return {"venv": settings.venv.mode, "policy": settings.policy.mode}


def _on_ray(settings: Settings, section: Section) -> bool:
    """One trial alone is not worth the start of Ray."""
    return settings.ray.enabled and settings.search.trials_of(section) > 1


def _tracking(settings: Settings) -> tuple[str | None, bool]:
    target = str(settings.tracking.get("_target_", ""))
    return settings.tracking.get("uri"), not target.endswith("NullTracker")
