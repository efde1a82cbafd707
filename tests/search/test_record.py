"""What is recorded of the trials of a search, and when."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from revive.search.conductor import Conductor, Plan
from revive.search.domains import parse
from revive.search.proposals import Proposals
from revive.search.record import Recorded
from revive.search.runner import Tell, run_here
from revive.search.samplers import RandomSampler
from revive.search.trials import Objective, Order, Report, TrialBook

SPACE = {"learner.lr": parse("uniform(0, 1)", "lr")}


class Records:
    """A stage's records that remember, and the records of all its trials."""

    def __init__(self) -> None:
        self.log: list[tuple[Any, ...]] = []
        self.name = ""

    def trial(self, name: str) -> Any:
        made = Records()
        made.log, made.name = self.log, name
        return made

    def open(self, params: Mapping[str, Any], tags: Mapping[str, Any], curves: Any) -> None:
        self.log.append(("open", self.name, dict(params), dict(tags), dict(curves)))

    def keep(self, status: str, params: Any, tags: Mapping[str, Any], curves: Any) -> None:
        self.log.append(("keep", self.name, status, dict(tags), dict(curves)))

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        self.log.append(("metrics", self.name, dict(values), step))

    def tags(self, values: Mapping[str, Any]) -> None:
        self.log.append(("tags", self.name, dict(values)))

    def close(self, status: str) -> None:
        self.log.append(("close", self.name, status))

    def of(self, what: str, *names: str) -> list[tuple[Any, ...]]:
        return [entry[1:] for entry in self.log if entry[0] == what and (not names or entry[1] in names)]


def search(folder: Path, trials: int) -> tuple[Conductor, Records, list[str]]:
    book, records, lines = TrialBook(folder, Objective("error", "min")), Records(), []
    recorded = Recorded(records, lines.append, book)  # type: ignore[arg-type]
    course = Proposals(book, RandomSampler(SPACE, 0, trials), trials, 5)
    run = Conductor(book, course, Plan(retrain=0), seed=5, observer=recorded)
    return run, records, lines


def test_a_trial_is_recorded_while_it_runs(tmp_path: Path) -> None:
    run, records, lines = search(tmp_path, 2)

    def work(order: Order, payload: Any, tell: Tell, cpus: int) -> None:
        tag = {"trial": order.id, "seed": 5}
        assert records.log[-1] == ("open", f"trial_{order.id:03d}", order.params, tag, {"error": []})
        tell(Report(50, 2.0))
        assert records.log[-1] == ("metrics", f"trial_{order.id:03d}", {"error": 2.0}, 50)
        tell(Report(100, 1.0))

    run_here(run, work, None)
    assert [trial.state for trial in run.book.trials] == ["finished", "finished"]
    assert records.of("close") == [("trial_000", "FINISHED"), ("trial_001", "FINISHED")]
    assert records.of("metrics", "trial_001") == [
        ("trial_001", {"error": 2.0}, 50),
        ("trial_001", {"error": 1.0}, 100),
    ]
    assert len(lines) == 2


def test_the_death_of_a_worker_is_told_and_changes_no_record(tmp_path: Path) -> None:
    run, records, lines = search(tmp_path, 1)
    order = run.next()
    assert isinstance(order, Order)
    before = list(records.log)
    run.died(order.id)
    assert lines == ["  trial 0   its worker died; another one goes on with it"]
    assert records.log == before
    assert run.book.trials[0].state == "running"


def test_failures_and_prunings_say_why(tmp_path: Path) -> None:
    run, records, _ = search(tmp_path, 2)
    for outcome, error in (("failed", "Traceback: no luck"), ("pruned", None)):
        order = run.next()
        assert isinstance(order, Order)
        run.heard(order.id, Report(20, 3.0))
        run.ended(order.id, outcome, error)  # type: ignore[arg-type]
    assert records.of("close") == [("trial_000", "FAILED"), ("trial_001", "KILLED")]
    failed, pruned = (tags for _, tags in records.of("tags"))
    assert failed == {"state": "failed", "error": "Traceback: no luck"}
    assert pruned["state"] == "pruned"
    assert "20 %" in pruned["why"]


def test_the_chosen_trial_is_tagged(tmp_path: Path) -> None:
    run, records, _ = search(tmp_path, 3)
    run_here(run, lambda order, payload, tell, cpus: tell(Report(100, abs(order.id - 1.0))), None)
    run.choose()
    run.observer.choice()  # type: ignore[attr-defined]
    assert ("trial_001", {"chosen": True}) in records.of("tags")


def test_a_second_command_opens_what_was_running_and_keeps_what_was_over(tmp_path: Path) -> None:
    run, _, _ = search(tmp_path, 2)
    for percent in (100, 50):
        order = run.next()
        assert isinstance(order, Order)
        run.heard(order.id, Report(percent, 2.0))
        if percent == 100:
            run.ended(order.id, "finished")
    again, records, _ = search(tmp_path, 2)
    assert records.of("keep") == [
        ("trial_000", "FINISHED", {"trial": 0, "seed": 5, "state": "finished"}, {"error": [(100, 2.0)]})
    ]
    run_here(again, lambda order, payload, tell, cpus: tell(Report(100, 1.0)), None)
    assert [(entry[0], entry[3]) for entry in records.of("open")] == [("trial_001", {"error": [(50, 2.0)]})]
    assert records.of("metrics") == [("trial_001", {"error": 1.0}, 100)]
    assert records.of("close") == [("trial_001", "FINISHED")]
