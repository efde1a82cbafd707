"""A search on a learner that is a formula, without Ray."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from revive.runs import Stopped
from revive.search.conductor import Conductor, Plan, SearchFailed
from revive.search.domains import parse
from revive.search.proposals import Proposals
from revive.search.runner import Tell, run_here
from revive.search.samplers import GridSampler, OptunaSampler, RandomSampler, Sampler
from revive.search.trials import Objective, Order, Report, TrialBook, read_trials

SPACE = {"x": parse("uniform(-1, 1)", "x"), "kind": parse("choice(good, bad)", "kind")}
BEST = 0.3


def bowl(order: Order, payload: Any, tell: Tell, cpus: int) -> None:
    """An error that is smallest at x = BEST and kind = good; `payload` adds luck of the seed."""
    off = 0.0 if order.params["kind"] == "good" else 1.0
    luck = payload * ((order.seed * 7919) % 11 - 5)
    for percent in (50, 100):
        tell(Report(percent, (order.params["x"] - BEST) ** 2 + off + luck, 0.01))


def conductor(folder: Path, sampler: Sampler, trials: int, **plan: int) -> Conductor:
    book = TrialBook(folder, Objective("error", "min"))
    return Conductor(book, Proposals(book, sampler, trials, 0), Plan(**plan), seed=0)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("make", "trials", "close"),
    [(RandomSampler, 60, 0.15), (GridSampler, 6, 0.31), (OptunaSampler, 40, 0.15)],
)
def test_planted_best_is_found(make: Any, trials: int, close: float, tmp_path: Path) -> None:
    run = conductor(tmp_path, make(SPACE, 0, trials), trials)
    run_here(run, bowl, 0.0)
    chosen = run.choose()
    assert chosen.params["kind"] == "good"
    assert abs(chosen.params["x"] - BEST) < close
    states = [trial.state for trial in run.book.trials]
    assert states == ["finished"] * (trials + 4)


def test_luck_of_a_seed_is_told_as_optimism(tmp_path: Path) -> None:
    run = conductor(tmp_path, RandomSampler(SPACE, 0, 8), 8, retrain=2, seeds=3)
    run_here(run, bowl, 0.01)
    run.choose()
    chosen = read_trials(tmp_path)["chosen"]
    repeats = [t for t in run.book.trials if t.of == chosen["of"]]
    assert len({t.seed for t in repeats} | {0}) == 4
    mean = sum(t.metric or 0.0 for t in repeats) / 3
    assert chosen["mean"] == pytest.approx(mean)
    origin = run.book.trials[chosen["of"]].metric
    assert origin is not None
    assert chosen["optimism"] == pytest.approx(mean - origin)


def test_fresh_seeds_are_tried_side_by_side(tmp_path: Path) -> None:
    run = conductor(tmp_path, RandomSampler(SPACE, 0, 2), 2, retrain=2, seeds=2, concurrency=2)
    together: list[list[int]] = []
    while True:
        orders = []
        while isinstance(order := run.next(), Order):
            orders.append(order)
        if not orders:
            break
        together.append([order.id for order in orders])
        for order in orders:
            run.heard(order.id, Report(100, 1.0))
            run.ended(order.id, "finished")
    assert order == "done"
    assert together == [[0, 1], [2, 3], [4, 5]]


def test_pruned_settings_get_fresh_seeds_too_where_few_were_finished(tmp_path: Path) -> None:
    run = conductor(tmp_path, RandomSampler(SPACE, 0, 4), 4, retrain=2, seeds=1)
    while isinstance(order := run.next(), Order):
        run.heard(order.id, Report(50, {0: 1.0, 1: 3.0, 2: 2.0, 3: 4.0}.get(order.id, 0.5)))
        if order.id == 0 or order.whole:
            run.heard(order.id, Report(100, 5.0 if order.id == 4 else 0.9))
        run.ended(order.id, "finished" if order.id == 0 or order.whole else "pruned")
    repeated = [trial.of for trial in run.book.trials if trial.of is not None]
    assert repeated == [0, 2]
    run.choose()
    assert read_trials(tmp_path)["chosen"]["of"] == 2


def test_a_failing_trial_does_not_stop_the_others(tmp_path: Path) -> None:
    def fails_sometimes(order: Order, payload: Any, tell: Tell, cpus: int) -> None:
        if order.id == 1:
            raise ValueError("no luck")
        bowl(order, payload, tell, cpus)

    run = conductor(tmp_path, RandomSampler(SPACE, 0, 4), 4, retrain=0)
    run_here(run, fails_sometimes, 0.0)
    assert [trial.state for trial in run.book.trials] == ["finished", "failed", "finished", "finished"]
    assert "ValueError: no luck" in (read_trials(tmp_path)["trials"][1]["error"])
    assert run.choose().state == "finished"


def test_all_failing_raises_the_first_error_in_full(tmp_path: Path) -> None:
    def fails(order: Order, payload: Any, tell: Tell, cpus: int) -> None:
        raise ValueError(f"bad {order.id}")

    run = conductor(tmp_path, OptunaSampler(SPACE, 0, 3), 3)
    run_here(run, fails, None)
    with pytest.raises(SearchFailed, match=r"(?s)all 3 trials failed.*Traceback.*ValueError: bad 0"):
        run.choose()


def test_a_metric_that_is_not_finite_is_a_failure(tmp_path: Path) -> None:
    run = conductor(tmp_path, RandomSampler(SPACE, 0, 1), 1)
    run_here(run, lambda order, payload, tell, cpus: tell(Report(100, float("nan"))), None)
    assert run.book.trials[0].state == "failed"


@pytest.mark.parametrize("make", [RandomSampler, OptunaSampler])
def test_a_stopped_search_goes_on_and_repeats_nothing(make: Any, tmp_path: Path) -> None:
    done: list[int] = []

    def work(order: Order, payload: Any, tell: Tell, cpus: int) -> None:
        bowl(order, payload, tell, cpus)
        done.append(order.id)

    first = conductor(tmp_path, make(SPACE, 0, 6), 6)
    first.stopped = lambda: len(done) == 3
    with pytest.raises(Stopped):
        run_here(first, work, 0.0)
    second = conductor(tmp_path, make(SPACE, 0, 6), 6)
    run_here(second, work, 0.0)
    assert done == list(range(10))
    if make is RandomSampler:
        whole = conductor(tmp_path / "whole", make(SPACE, 0, 6), 6)
        run_here(whole, bowl, 0.0)
        assert [t.params for t in whole.book.trials] == [t.params for t in second.book.trials]


@pytest.mark.parametrize("make", [RandomSampler, OptunaSampler])
def test_a_trial_that_was_running_is_handed_out_again(make: Any, tmp_path: Path) -> None:
    order = conductor(tmp_path, make(SPACE, 0, 4), 4).next()
    assert isinstance(order, Order)
    second = conductor(tmp_path, make(SPACE, 0, 4), 4)
    again = second.next()
    assert again == order
    second.ended(order.id, "failed", "died")
    run_here(second, bowl, 0.0)
    tried = [str(trial.params) for trial in second.book.trials if trial.of is None]
    assert len(set(tried)) == 4


def test_no_new_setting_after_the_budget(tmp_path: Path) -> None:
    book = TrialBook(tmp_path, Objective("error", "min"))
    course = Proposals(book, RandomSampler(SPACE, 0, 50), 50, 0)
    run = Conductor(book, course, Plan(budget=1e-9, retrain=0), seed=0)
    run_here(run, bowl, 0.0)
    assert len(book.trials) == 1
