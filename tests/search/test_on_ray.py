"""The same on a real Ray."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from revive.search.cluster import ray_running
from revive.search.conductor import Conductor, Plan
from revive.search.domains import parse
from revive.search.proposals import Proposals
from revive.search.runner import Tell
from revive.search.samplers import GridSampler
from revive.search.trials import Objective, Order, Report, TrialBook


def _work(marker: str) -> Any:
    def work(order: Order, payload: Any, tell: Tell, cpus: int) -> None:
        x = order.params["x"]
        if x == "raises":
            raise ValueError("no luck")
        died = Path(marker) / "died"
        if x == "dies" and not died.exists():
            died.touch()
            os._exit(1)
        for percent in (30, 60, 100):
            time.sleep(0.05)
            tell(Report(percent, {"good": 0.0, "dies": 1.0}.get(x, 5.0 + len(payload) * 0)))

    return work


def _on_ray(run: Conductor, payload: list[int], tmp_path: Path) -> None:
    from revive.search.on_ray import run_on_ray

    with ray_running(None, [tmp_path], None, True):
        run_on_ray(
            run,
            _work(str(tmp_path)),
            payload,
            scheduler="asha",
            grace=30,
            reduction=3,
            cpus=1,
            gpus=0,
            scratch=tmp_path / "scratch",
        )


@pytest.mark.slow
def test_search_on_ray(tmp_path: Path) -> None:
    space = {"x": parse("choice(good, raises, dies, poor)", "x")}
    book = TrialBook(tmp_path / "book", Objective("error", "min"))
    course = Proposals(book, GridSampler(space, 0, 4), 4, 0)
    run = Conductor(book, course, Plan(concurrency=1, retrain=2, seeds=1), seed=0)
    before = dict(os.environ)
    _on_ray(run, list(range(1000)), tmp_path)
    assert {k: v for k, v in os.environ.items() if k.startswith("TUNE")} == {
        k: v for k, v in before.items() if k.startswith("TUNE")
    }
    four, fresh = book.trials[:4], book.trials[4:]
    assert [trial.state for trial in four] == ["finished", "failed", "pruned", "pruned"]
    assert [(trial.params["x"], trial.state) for trial in fresh] == [
        ("good", "finished"),
        ("dies", "finished"),
    ]
    assert "ValueError: no luck" in (book.trials[1].error or "")
    assert (tmp_path / "died").exists()
    assert run.choose().params["x"] == "good"
    assert not (tmp_path / "scratch").exists()


@pytest.mark.slow
def test_asha_goes_on_with_what_an_earlier_command_saw(tmp_path: Path) -> None:
    book = TrialBook(tmp_path / "book", Objective("error", "min"))
    for x in ("good", "dies"):
        earlier = book.add({"x": x}, 0)
        earlier.state, earlier.metric, earlier.curve = "finished", 0.0, [[30, 0.0], [60, 0.0], [100, 0.0]]
    book.save()
    space = {"x": parse("choice(good, dies, poor)", "x")}
    course = Proposals(book, GridSampler(space, 0, 3), 3, 0)
    run = Conductor(book, course, Plan(concurrency=1, retrain=0, seeds=0), seed=0)
    _on_ray(run, [], tmp_path)
    assert [(trial.params["x"], trial.state) for trial in book.trials[2:]] == [("poor", "pruned")]
