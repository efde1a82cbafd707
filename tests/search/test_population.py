"""Population based training on a learner that is a formula."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from revive.runs import Stopped
from revive.search.conductor import Conductor, Plan
from revive.search.domains import parse
from revive.search.population import Population, check_space
from revive.search.runner import Tell, run_here
from revive.search.samplers import RandomSampler
from revive.search.trials import CHECKPOINT, Objective, Order, Report, TrialBook, at, read_trials

SPACE = {"learner.lr": parse("loguniform(1e-3, 1)", "lr")}
SIZE = 8


def descend(order: Order, payload: Any, tell: Tell, cpus: int) -> None:
    """Gradient descent on x^2 from x = 1, ten steps per hundred percent; unstable above a step size of 1/4."""
    order.folder.mkdir(parents=True, exist_ok=True)
    checkpoint = order.folder / CHECKPOINT
    before = checkpoint if checkpoint.exists() else order.start
    x, done = json.loads(before.read_text()) if before else (1.0 + 1e-3 * order.seed, 0)
    for leg in order.legs:
        for step in range(done, leg.until):
            x *= 1.0 - 8.0 * leg.params["learner.lr"] * 0.1
            if (step + 1) % 5 == 0:
                tell(Report(step + 1, abs(x)))
            checkpoint.write_text(json.dumps([x, step + 1]))
        done = max(done, leg.until)
    if order.until < 100:
        checkpoint.replace(order.folder / at(order.until))
    payload.append((order.id, order.until))


def population(folder: Path, **plan: Any) -> Conductor:
    book = TrialBook(folder, Objective("error", "min"))
    sampler = RandomSampler(SPACE, 0, SIZE)
    course = Population(book, SPACE, sampler, SIZE, 0, interval=25, quantile=0.25)
    return Conductor(book, course, Plan(**plan), seed=0)


def test_the_worst_go_on_from_the_best(tmp_path: Path) -> None:
    run, done = population(tmp_path, retrain=0), []
    run_here(run, descend, done)
    trials = run.book.originals()
    assert [trial.state for trial in trials] == ["finished"] * SIZE
    assert sorted(done) == sorted((i, level) for i in range(SIZE) for level in (25, 50, 75, 100))
    inherited = [trial for trial in trials if trial.parent is not None]
    assert inherited
    first = [json.dumps(trial.schedule[0][1]) for trial in trials if trial.schedule]
    assert len(set(first)) < SIZE  # schedules that begin alike: one took over from the other
    for trial in inherited:
        assert trial.schedule is not None
        assert trial.schedule[-1][1] == trial.params
    assert not list(tmp_path.rglob("*.ckpt"))


def test_it_beats_the_same_settings_kept_to_the_end(tmp_path: Path) -> None:
    run = population(tmp_path, retrain=0)
    run_here(run, descend, [])
    sampler = RandomSampler(SPACE, 0, SIZE)
    begun = [sampler.ask()[1]["learner.lr"] for _ in range(SIZE)]
    mean = sum(trial.metric or 0.0 for trial in run.book.originals()) / SIZE
    kept = sum(abs((1.0 - 0.8 * lr) ** 100) for lr in begun) / SIZE
    assert mean < 0.5 * kept


def test_a_fresh_seed_repeats_the_whole_schedule(tmp_path: Path) -> None:
    run = population(tmp_path, retrain=1, seeds=1)
    run_here(run, descend, [])
    again = run.book.trials[-1]
    assert again.of is not None
    origin = run.book.trials[again.of]
    assert (again.seed, again.schedule) == (1, origin.schedule)
    assert again.metric == pytest.approx(1.001 * (origin.metric or 0.0))
    assert run.choose() is again


@pytest.mark.parametrize("reports", [1, 5, 21, 30, 47, 70])
def test_a_killed_population_goes_on_as_if_it_had_not_been(reports: int, tmp_path: Path) -> None:
    whole = population(tmp_path / "whole")
    run_here(whole, descend, [])
    for left in (reports, 13):
        killed = population(tmp_path / "killed")
        heard: list[int] = []
        killed.stopped = lambda heard=heard, left=left: heard.append(1) or len(heard) > left  # type: ignore[misc]
        with pytest.raises(Stopped):
            run_here(killed, descend, [])
    run_here(population(tmp_path / "killed"), descend, [])
    first, second = (read_trials(tmp_path / name)["trials"] for name in ("whole", "killed"))
    for one, other in zip(first, second, strict=True):
        assert _outcome(one) == _outcome(other)


def _outcome(trial: dict[str, Any]) -> dict[str, Any]:
    """All but what depends on the moment of the death: time, and a report that was not heard."""
    return {key: value for key, value in trial.items() if key not in ("seconds", "curve")}


def test_a_failed_trial_leaves_the_population(tmp_path: Path) -> None:
    def fails(order: Order, payload: Any, tell: Tell, cpus: int) -> None:
        if order.id == 2 and order.until == 50:
            raise ValueError("no luck")
        descend(order, payload, tell, cpus)

    run = population(tmp_path, retrain=0)
    run_here(run, fails, [])
    assert [t.state for t in run.book.trials].count("failed") == 1
    assert run.choose().state == "finished"


@pytest.mark.parametrize(
    "key", ["network.hidden", "learner.chunk", "members", "noise", "learner.learners.first_order.iterations"]
)
def test_what_a_checkpoint_cannot_change_is_refused(key: str) -> None:
    (problem,) = check_space({**SPACE, key: parse("choice(1, 2)", key)}, "venv")
    assert problem.place == f"venv.space.{key}"
