"""Running the trials of a search with Ray Tune: in parallel, pruned, and tried again when a worker dies."""

from __future__ import annotations

import math
import os
import shutil
import socket
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, cast

import ray
from ray import tune
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from revive.errors import RunFailed
from revive.runs import disk_trouble
from revive.search.conductor import DONE, Conductor
from revive.search.runner import Work, error_text
from revive.search.samplers import Outcome
from revive.search.trials import Order, Report, TrialBook

_DEATHS = 3  # how often a trial is begun again after its worker died


def run_on_ray(
    conductor: Conductor,
    work: Work,
    payload: Any,
    *,
    scheduler: Literal["asha", "fifo"],
    grace: int,
    reduction: int,
    cpus: float,
    gpus: float,
    scratch: Path,
) -> None:
    """Run all trials of the conductor; Ray must be connected.

    scheduler: `asha` stops the worse of those that have come equally far, first after `grace` percent of the
    training, keeping one in `reduction`. cpus, gpus: of each trial. scratch: for Tune's own files.

    A disk that is full or broken ends the search as OSError, see `run_here`. Raises RunFailed where Tune gives up.
    """
    searcher = _ConductedSearch(conductor)
    # Otherwise Tune brings up one worker after the other.
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(conductor.plan.concurrency)
    tuner = tune.Tuner(
        tune.with_resources(
            tune.with_parameters(_trainable, work=work, payload=payload, cpus=cpus),
            {"cpu": cpus, "gpu": gpus},
        ),
        tune_config=tune.TuneConfig(
            search_alg=searcher,
            scheduler=_scheduler(scheduler, grace, reduction, conductor.book),
            num_samples=conductor.most + 1,  # the conductor ends it
            trial_dirname_creator=lambda trial: trial.trial_id,
            reuse_actors=True,
            metric="score",
            mode="max",
        ),
        run_config=tune.RunConfig(
            name="tune",
            storage_path=str(scratch),
            failure_config=tune.FailureConfig(max_failures=_DEATHS),
            callbacks=[_Deaths(searcher)],
            verbose=0,
            log_to_file=False,
        ),
    )
    try:
        tuner.fit()
    except Exception as error:
        if trouble := searcher.trouble or disk_trouble(error):
            raise trouble from error
        raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)  # Tune keeps pickles there, which nobody reads
    if searcher.trouble:
        raise searcher.trouble
    if not searcher.done:
        raise RunFailed("Ray Tune ended before the search was through; the same command goes on with it")


def _scheduler(kind: Literal["asha", "fifo"], grace: int, reduction: int, book: TrialBook) -> TrialScheduler:
    if kind == "fifo":
        return FIFOScheduler()
    # Above 100 percent, so that those which are through end by themselves.
    return _RememberingASHA(
        book, time_attr="percent", max_t=101, grace_period=grace, reduction_factor=reduction
    )


class _RememberingASHA(ASHAScheduler):
    """Compares trials also with those of an earlier command, by what the book says of them."""

    def __init__(self, book: TrialBook, **options: Any) -> None:
        super().__init__(**options)
        self._earlier = [
            (trial.id, [(percent, book.objective.score(metric)) for percent, metric in trial.curve])
            for trial in book.trials
            if trial.of is None
        ]

    def set_search_properties(self, metric: str | None, mode: str | None, **spec: Any) -> bool:
        done, no_controller = bool(super().set_search_properties(metric, mode, **spec)), cast(Any, None)
        for number, curve in self._earlier:
            earlier: Any = SimpleNamespace(trial_id=f"earlier-{number}")
            self.on_trial_add(no_controller, earlier)
            for percent, score in curve:
                self.on_trial_result(no_controller, earlier, {"percent": percent, "score": score})
            self.on_trial_remove(no_controller, earlier)
        self._earlier.clear()
        return done


def _trainable(config: dict[str, Any], *, work: Work, payload: Any, cpus: float) -> None:
    """One trial in a worker. Its own errors are a result; only the death of a worker is a failure to Tune."""
    order: Order = config["order"]
    started, last = time.perf_counter(), Report(0, math.nan, where=_place())

    def since() -> dict[str, float]:
        return {"seconds": time.perf_counter() - started}

    def tell(report: Report) -> None:
        nonlocal last
        last = replace(report, where=last.where)
        if not config["whole"] and report.percent < order.until:
            tune.report({**_as_result(config["score"](last.metric), last), **since()})

    try:
        work(order, payload, tell, max(1, int(cpus)))
    except Exception as error:
        if trouble := disk_trouble(error):
            told = [trouble.errno, trouble.strerror, str(trouble.filename or order.folder)]
            tune.report({**_as_result(math.nan, last), "disk": told, "ended": True, **since()})
            return
        tune.report({**_as_result(math.nan, last), "error": error_text(error), "ended": True, **since()})
    else:
        tune.report({**_as_result(config["score"](last.metric), last), "ended": True, **since()})


def _place() -> str:
    """The machine and the Ray node that this process runs on."""
    return f"{socket.gethostname()} {ray.get_runtime_context().get_node_id()[:8]}"


def _as_result(score: float, report: Report) -> dict[str, Any]:
    return {
        "score": score,
        "percent": report.percent,
        "metric": report.metric,
        "se": report.se,
        "where": report.where,
        "error": None,
        "ended": False,
    }


class _Deaths(tune.Callback):
    """Tells the conductor of workers that died."""

    def __init__(self, searcher: _ConductedSearch) -> None:
        self.searcher = searcher

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self.searcher.conductor.died(self.searcher.numbers[trial.trial_id])


class _ConductedSearch(Searcher):
    """Tune's view of the conductor."""

    def __init__(self, conductor: Conductor) -> None:
        super().__init__(metric="score", mode="max")
        self.conductor = conductor
        self.numbers: dict[str, int] = {}
        self.done = False
        self.trouble: OSError | None = None  # with the disk, of a trial

    def set_search_properties(
        self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any
    ) -> bool:
        return True

    def suggest(self, trial_id: str) -> Any:
        if self.trouble:
            raise self.trouble
        order = self.conductor.next()
        if order == DONE:
            self.done = True
            return Searcher.FINISHED
        if order is None:
            return None
        assert isinstance(order, Order)
        self.numbers[trial_id] = order.id
        return {"order": order, "score": self.conductor.book.objective.score, "whole": order.whole}

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        self._hear(trial_id, result)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        number = self.numbers[trial_id]
        if result and result.get("disk"):
            self.trouble = OSError(*result["disk"])  # Tune would take it for the trial's, and try that again
            return
        if error or result is None:
            self.conductor.ended(number, "failed", f"its worker died {_DEATHS + 1} times")
            return
        self._hear(trial_id, result)
        if result.get("error"):
            self.conductor.ended(number, "failed", result["error"], result["seconds"])
        else:
            outcome: Outcome = "finished" if result.get("ended") else "pruned"
            self.conductor.ended(number, outcome, seconds=result.get("seconds"))

    def _hear(self, trial_id: str, result: dict[str, Any]) -> None:
        if "percent" in result and not result.get("error"):
            report = Report(result["percent"], result["metric"], result["se"], result["where"])
            self.conductor.heard(self.numbers[trial_id], report)

    def save(self, checkpoint_path: str) -> None:
        """The book of trials is what is kept."""
        Path(checkpoint_path).touch()

    def restore(self, checkpoint_path: str) -> None:
        """Never asked for."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Tune keeps a copy for resuming, which is done from the book of trials instead."""
        return Searcher, ("score", "max")

    def __deepcopy__(self, memo: dict[int, Any]) -> _ConductedSearch:
        return self
