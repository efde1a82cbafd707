"""One background thread that has jobs done in order, however long their receiver is away."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from revive.tracking.outbox import Job, Outbox

_GATHER = 3.0  # seconds between two sendings of metrics; each costs as much as a thousand points
_POINTS = 1000  # MLflow's limit for one request
_PAUSES = (0.5, 5.0)  # seconds before a job is tried again: at first, and at most
_SLOW = 10.0  # seconds after which it is said that the end of a run waits for a store that is slow
_LONGEST = 10.0  # times patience, that it waits for one that goes on
_TOO_SLOW = "the store is too slow (tracking.patience)"
_DOUBTS = 5  # how often a job is tried that fails for no reason that passes by itself

_log = logging.getLogger("revive")
State = Literal["done", "gone", "doubtful", "refused", "dead"]


@dataclass(frozen=True)
class Reply:
    """What came of a job.

    state: `done`; `gone`: the receiver is away or busy, later it will work; `doubtful`: it may work later;
    `refused`: this job will never work; `dead`: there is nobody to do any.
    result: what `Store.do` returned, plain values.
    """

    state: State
    error: str = ""
    result: Any = None


class Worker(Protocol):
    """Does jobs."""

    def ask(self, job: Job, folder: Path | None) -> Reply:
        """Do a job for the run in `folder` and say what came of it; never raises."""

    def dismiss(self, *, now: bool) -> None:
        """End it; `now`: also in the middle of a job."""


class Sender:
    """Queues jobs and has the worker do them.

    patience: how many seconds `finish` waits without anything being done. While a slow store does one record after the
    other, it waits on, for `_LONGEST` times as long in all.
    """

    def __init__(self, worker: Worker, patience: float) -> None:
        self._worker, self._patience = worker, patience
        self._change = threading.Condition()
        self._queue: list[Job] = []
        self._outbox: Outbox | None = None
        self._thread: threading.Thread | None = None
        self._closing = self._given_up = self._closed = self._dead = False
        self._errors: list[str] = []
        self._away = ""  # why nothing can be sent at the moment
        self._left = 0
        self._sent_metrics = self._done_last = float("-inf")

    def begin(self) -> None:
        """Start the thread, which makes the worker ready."""
        if self._thread is None and not self._closed:
            self._thread = threading.Thread(target=self._work, name="revive-tracking", daemon=True)
            self._thread.start()

    def use(self, folder: Path) -> None:
        """Keep the jobs of this run folder in it; those that are left from before come first."""
        with self._change:
            self._outbox = Outbox(folder)
            try:
                self._queue[:0] = self._outbox.load()
            except OSError as error:
                self._errors.append(f"{self._outbox.path}: {error}")
            self._change.notify()

    def submit(self, job: Job) -> None:
        """Queue a job; after `finish` it is dropped."""
        if self._closed:
            return
        self.begin()
        with self._change:
            self._queue.append(job)
            if self._outbox is not None:
                try:
                    self._outbox.add(job)
                except OSError as error:  # a full disk: training has other ways to find out
                    self._errors.append(f"{self._outbox.path}: {error}")
            self._change.notify()

    def finish(self) -> None:
        """Wait until all is done or patience is over; what is left then stays in the run folder."""
        self._closed = True
        with self._change:
            self._closing = True
            self._change.notify()
        try:
            if self._thread is not None:
                self._wait_for(self._thread)
        finally:
            with self._change:
                self._given_up = True
                self._change.notify()
            self._worker.dismiss(now=bool(self._queue))
            if self._thread is not None:
                self._thread.join(10)
            self._settle()

    def _wait_for(self, thread: threading.Thread) -> None:
        """Until the thread has ended, or nothing was done for as long as patience lasts."""
        started = time.monotonic()
        said = started + _SLOW
        while thread.is_alive():
            now = time.monotonic()
            left = max(started, self._done_last) + self._patience - now
            left = min(left, started + _LONGEST * self._patience - now)
            if left <= 0:
                return
            thread.join(min(left, 1.0))
            with self._change:
                waiting, away = len(self._queue), self._away
            if waiting and not away and time.monotonic() >= said:
                said = float("inf")
                what = "MLflow is slow, %d records are still to be written; what it does not get done in time is kept"
                _log.warning(what, waiting)

    @property
    def away(self) -> str:
        """Why nothing can be sent at the moment; empty where nothing is known against it."""
        with self._change:
            return "" if self._dead else _one_line(self._away)

    @property
    def trouble(self) -> str | None:
        """In one line: what was refused, and what is left."""
        with self._change:
            found = []
            if self._errors:
                more = f" (and {len(self._errors) - 1} more)" if len(self._errors) > 1 else ""
                found.append(f"not everything could be recorded: {_one_line(self._errors[0])}{more}")
            if self._left:
                kept = f"; {self._outbox.path} keeps them" if self._outbox else ""
                found.append(
                    f"{self._left} records could not be sent: {_one_line(self._away) or _TOO_SLOW}{kept}, and the next"
                    " command with this run_id sends them"
                )
        return "; ".join(found) or None

    def _settle(self) -> None:
        with self._change:
            self._left = len(self._queue)
            if self._outbox is None:
                return
            try:
                self._outbox.keep(self._queue)
            except OSError as error:
                self._errors.append(f"{self._outbox.path}: {error}")

    def _work(self) -> None:
        if not self._deliver({"do": "connect"}):
            return
        while batch := self._next():
            if not self._deliver(_merged(batch)):
                return
            done = {id(job) for job in batch}
            with self._change:
                self._queue = [job for job in self._queue if id(job) not in done]
                if not self._queue and self._outbox is not None:
                    with contextlib.suppress(OSError):
                        self._outbox.clear()

    def _next(self) -> list[Job]:
        """The jobs to do next, as one; empty when there are none and there will be none."""
        with self._change:
            while not self._given_up:
                wait = self._sent_metrics + _GATHER - time.monotonic()
                if self._queue and (self._closing or wait <= 0 or not _only_metrics(self._queue)):
                    batch = _batch(self._queue)
                    if batch[0]["do"] == "metrics":
                        self._sent_metrics = time.monotonic()
                    return batch
                if self._closing and not self._queue:
                    return []
                self._change.wait(wait if self._queue else None)
            return []

    def _deliver(self, job: Job) -> bool:
        """Have a job done, or dropped because it never can be; False where nothing more can be done at all."""
        pause, doubts = _PAUSES[0], 0
        while not self._given_up:
            reply = self._worker.ask(job, self._outbox.path.parent if self._outbox else None)
            doubts += reply.state == "doubtful"
            with self._change:
                if reply.state == "done":
                    self._away, self._done_last = "", time.monotonic()
                    return True
                hopeless = reply.state == "refused" or doubts >= _DOUBTS
                if hopeless and job["do"] != "connect":
                    self._errors.append(reply.error)
                    return True
                if not self._given_up:
                    self._away = reply.error
                if hopeless or reply.state == "dead":
                    self._dead = True
                    return False
                self._change.wait_for(lambda: self._given_up, pause)
            pause = min(2 * pause, _PAUSES[1])
        return False


def _only_metrics(queue: list[Job]) -> bool:
    return all(job["do"] == "metrics" for job in queue)


def _batch(queue: list[Job]) -> list[Job]:
    """The first job; of metrics also those for the same record that come before anything else."""
    first, taken, count = queue[0], [queue[0]], len(queue[0].get("points", ()))
    if first["do"] != "metrics":
        return taken
    for job in queue[1:]:
        if job["do"] != "metrics" or count + len(job["points"]) > _POINTS:
            break
        if job["key"] == first["key"]:
            taken.append(job)
            count += len(job["points"])
    return taken


def _merged(batch: list[Job]) -> Job:
    if len(batch) == 1:
        return batch[0]
    return {**batch[0], "points": [point for job in batch for point in job["points"]]}


def _one_line(text: str) -> str:
    return " ".join(text.split())[:300]
