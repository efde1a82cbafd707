"""Stages whose hyper-parameters are searched: what is asked for, and what comes of its trials."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from revive.config.instantiate import find_target
from revive.config.settings import Settings
from revive.errors import Problem, UserError
from revive.pipeline.context import Context
from revive.pipeline.stages import venv_bundle
from revive.pipeline.trials import WorkItem, objective, work
from revive.search.address import check_address
from revive.search.cluster import ray_running, room_for
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
    find_target(settings.search.sampler, "search.sampler", settings.trust.targets)
    if any(_on_ray(settings, name) for name in tuned):
        check_address(settings.ray.address, *_tracking(settings))


def search(context: Context, section: Section, records: StageTracker) -> Path:
    """Search the space of a stage; returns the folder of the trial that holds the model to take."""
    settings, chosen = context.settings, context.settings.search
    folder = context.folder.path / "search" / section
    book = TrialBook(folder, objective(settings, section))
    recorded = Recorded(records, context.terminal.note, book)
    on_ray = _on_ray(settings, section)
    conductor = Conductor(
        book,
        _course(settings, section, book),
        Plan(_at_once(context) if on_ray else 1, chosen.time_budget, chosen.retrain, chosen.seeds),
        settings.seed,
        observer=recorded,
        stopped=context.stop.is_set,
    )
    work_item = _work_item(context, section)
    if on_ray:
        _run_on_ray(settings, conductor, work_item, folder / "ray")
    else:
        run_here(conductor, work, work_item, settings.trainer.threads)
    best = conductor.choose()
    recorded.choice()
    return book.order(best).folder


def _at_once(context: Context) -> int:
    """Connect to Ray, for the rest of the run; how many trials run on it at once."""
    settings, chosen = context.settings, context.settings.search
    ray = context.closing.enter_context(
        ray_running(settings.ray.address, _read_by_trials(context), *_tracking(settings))
    )
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    room = room_for(nodes, chosen.cpus_per_trial, chosen.gpus_per_trial)
    return chosen.concurrency or min(4, room)


def _run_on_ray(settings: Settings, conductor: Conductor, work_item: WorkItem, scratch: Path) -> None:
    from revive.search.on_ray import run_on_ray

    chosen = settings.search
    run_on_ray(
        conductor,
        work,
        work_item,
        scheduler="asha" if chosen.scheduler == "asha" else "fifo",
        grace=chosen.grace,
        reduction=chosen.reduction,
        cpus=chosen.cpus_per_trial,
        gpus=chosen.gpus_per_trial,
        scratch=scratch,
    )


def _read_by_trials(context: Context) -> list[Path]:
    """The run folder, and the files that trials read for themselves, wherever they run."""
    settings, inputs = context.settings, context.inputs
    description = settings.dataset.description
    named = (settings.reward, settings.venv.user_module, settings.venv.rules, settings.venv_path)
    code = (inputs.folder / name for name in inputs.graph.code_files)
    files = [description if isinstance(description, Path) else None, *named, *code]
    return [context.folder.path, *(path for path in files if path is not None)]


def _work_item(context: Context, section: Section) -> WorkItem:
    inputs, settings = context.inputs, context.settings
    return WorkItem(
        settings,
        section,
        inputs.logs,
        replace(inputs.parts, test=None),
        inputs.task.logged_reward if inputs.task else None,
        inputs.graph.found,
        venv_bundle(context),
        context.provenance,
        inputs.cards,
    )


def _course(settings: Settings, section: Section, book: TrialBook) -> Course:
    chosen, space, trials = settings.search, read_space(settings, section), settings.search.trials_of(section)
    make = find_target(chosen.sampler, "search.sampler", settings.trust.targets)
    sampler: Sampler = make(space, settings.seed, trials)
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
