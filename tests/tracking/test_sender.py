"""Jobs on their way: in order, again while the receiver is away, and on disk until they are done."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from revive.tracking import sender as module
from revive.tracking.outbox import FILE, Outbox
from revive.tracking.sender import Reply, Sender

DONE = Reply("done")


class Receiver:
    """Does jobs as `answer` says, and remembers what it did."""

    def __init__(self, answer: Callable[[dict[str, Any]], Reply] = lambda job: DONE) -> None:
        self.answer, self.done, self.asked = answer, [], 0
        self.stop = threading.Event()

    def ask(self, job: dict[str, Any], folder: Path | None) -> Reply:
        if job["do"] == "connect":
            return DONE
        self.asked += 1
        reply = self.answer(job)
        if reply == DONE:
            self.done.append(job)
        return reply

    def dismiss(self, *, now: bool) -> None:
        self.stop.set()


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAUSES", (0.01, 0.05))


def tag(number: int) -> dict[str, Any]:
    return {"do": "tags", "key": "venv", "values": {"n": str(number)}}


def points(key: str, *steps: int) -> dict[str, Any]:
    return {"do": "metrics", "key": key, "points": [["loss", 0.5, 1, step] for step in steps]}


def numbers(jobs: list[dict[str, Any]]) -> list[int]:
    return [int(job["values"]["n"]) for job in jobs]


def test_a_receiver_that_is_gone_for_a_while_gets_everything_in_order(tmp_path: Path) -> None:
    until = time.monotonic() + 0.5
    receiver = Receiver(lambda job: DONE if time.monotonic() > until else Reply("gone", "no route"))
    sender = Sender(receiver, patience=20)
    sender.use(tmp_path)
    for number in range(20):
        sender.submit(tag(number))
    assert len((tmp_path / FILE).read_text().splitlines()) == 20
    sender.finish()
    assert numbers(receiver.done) == list(range(20))
    assert receiver.asked > 22
    assert sender.trouble is None
    assert not (tmp_path / FILE).exists()


def test_one_that_never_comes_back_is_waited_for_no_longer_than_patience(tmp_path: Path) -> None:
    first = Sender(Receiver(lambda job: Reply("gone", "no\nroute")), patience=0.3)
    first.use(tmp_path)
    for number in range(3):
        first.submit(tag(number))
    time.sleep(0.1)
    assert first.away == "no route"
    first.finish()
    assert first.trouble
    assert "3 records could not be sent: no route" in first.trouble
    assert "next command with this run_id" in first.trouble
    first.submit(tag(99))  # too late

    receiver = Receiver()
    second = Sender(receiver, patience=20)
    second.use(tmp_path)
    second.submit(tag(3))
    second.finish()
    assert numbers(receiver.done) == [0, 1, 2, 3]
    assert not (tmp_path / FILE).exists()


def test_a_receiver_that_hangs_is_ended(tmp_path: Path) -> None:
    def hang(job: dict[str, Any]) -> Reply:
        receiver.stop.wait(60)
        return Reply("doubtful", "ended")

    receiver = Receiver(hang)
    sender = Sender(receiver, patience=0.2)
    sender.use(tmp_path)
    sender.submit(tag(0))
    sender.finish()
    assert receiver.stop.is_set()
    assert Outbox(tmp_path).load() == [tag(0)]


def test_a_refused_job_is_dropped_alone_and_told_once() -> None:
    receiver = Receiver(lambda job: Reply("refused", "bad\nvalue") if job["values"]["n"] in "13" else DONE)
    sender = Sender(receiver, patience=20)
    for number in range(5):
        sender.submit(tag(number))
    sender.finish()
    assert numbers(receiver.done) == [0, 2, 4]
    assert sender.trouble == "not everything could be recorded: bad value (and 1 more)"


def test_a_job_that_keeps_failing_does_not_hold_up_the_others() -> None:
    receiver = Receiver(
        lambda job: Reply("doubtful", "internal error") if job["values"]["n"] == "0" else DONE
    )
    sender = Sender(receiver, patience=20)
    sender.submit(tag(0))
    sender.submit(tag(1))
    sender.finish()
    assert numbers(receiver.done) == [1]
    assert sender.trouble == "not everything could be recorded: internal error"


def test_metrics_travel_together_and_stay_before_what_came_after_them() -> None:
    receiver = Receiver()
    sender = Sender(receiver, patience=20)
    sender._sent_metrics = time.monotonic()  # so that they gather
    for step in range(300):
        sender.submit(points("a", step))
        sender.submit(points("b", step))
    sender.submit({"do": "end", "key": "a"})
    sender.submit(points("b", 300))
    sender.finish()
    assert [(job["do"], job["key"]) for job in receiver.done] == [
        ("metrics", "a"),
        ("metrics", "b"),
        ("end", "a"),
        ("metrics", "b"),
    ]
    assert [point[3] for job in receiver.done if job.get("points") for point in job["points"]] == [
        *range(300),
        *range(301),
    ]


def test_a_slow_store_is_waited_for_while_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_SLOW", 0.1)

    def slowly(job: dict[str, Any]) -> Reply:
        time.sleep(0.2)
        return DONE

    receiver = Receiver(slowly)
    sender = Sender(receiver, patience=0.6)
    sender.use(tmp_path)
    for number in range(6):  # 1.2 s in all
        sender.submit(tag(number))
    with caplog.at_level("WARNING", "revive"):
        sender.finish()
    assert numbers(receiver.done) == [*range(6)]
    assert sender.trouble is None
    assert len([record for record in caplog.records if "MLflow is slow" in record.message]) == 1


def test_a_slow_store_is_not_waited_for_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LONGEST", 2.0)
    receiver = Receiver(lambda job: (time.sleep(0.2), DONE)[1])
    sender = Sender(receiver, patience=0.3)
    sender.use(tmp_path)
    for number in range(20):
        sender.submit(tag(number))
    sender.finish()
    assert 0 < len(receiver.done) < 20
    assert "too slow" in str(sender.trouble)


def test_a_killed_command_leaves_its_jobs_and_a_torn_line_is_none(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    outbox.add(tag(0))
    outbox.add({**points("a"), "points": [["loss", "nan", 1, 0]]})
    with (tmp_path / FILE).open("a") as file:
        file.write('{"do": "ta')
    again = Outbox(tmp_path)
    assert [job["do"] for job in again.load()] == ["tags", "metrics"]
    again.add(tag(1))
    assert [json.loads(line)["do"] for line in (tmp_path / FILE).read_text().splitlines()] == [
        "tags",
        "metrics",
        "tags",
    ]


def test_a_folder_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    receiver = Receiver()
    sender = Sender(receiver, patience=20)
    sender.use(tmp_path / "file")
    sender.submit(tag(0))
    sender.finish()
    assert numbers(receiver.done) == [0]
    assert sender.trouble
