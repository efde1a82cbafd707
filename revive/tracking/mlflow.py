"""The tracker that writes to MLflow, from a background thread."""

from __future__ import annotations

import logging
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from revive.tracking.base import Status, status_of
from revive.tracking.store import Metric, Store, now
from revive.tracking.worker import Worker

_FLUSH_SECONDS = 5.0
_FLUSH_COUNT = 1000

log = logging.getLogger(__name__)


class MlflowRun:
    """One MLflow run; every call queues a job for the worker and returns at once."""

    def __init__(self, store: Store, worker: Worker) -> None:
        self._store = store
        self._worker = worker
        self._buffer: list[Metric] = []
        self._flushed = time.monotonic()
        self.run_id = ""  # known to the worker once it has opened the run

    def open(self, name: str, tags: Mapping[str, Any], parent: MlflowRun | None = None) -> None:
        """Open the run, below `parent` where given."""

        def job() -> None:
            self.run_id = self._store.create_run(name, tags, parent.run_id if parent else None)

        self._worker.submit(job, vital=True)

    def params(self, values: Mapping[str, Any]) -> None:
        """Record settings; nested mappings become dotted names."""
        kept = dict(values)
        self._worker.submit(lambda: self._store.log_params(self.run_id, kept))

    def tags(self, values: Mapping[str, Any]) -> None:
        """Record what the run is to be found by."""
        kept = dict(values)
        self._worker.submit(lambda: self._store.log_tags(self.run_id, kept))

    def artifact(self, path: Path, folder: str | None = None) -> None:
        """Keep a copy of a file or folder; it must stay as it is until `finish`."""
        self._worker.submit(lambda: self._store.log_artifact(self.run_id, path, folder))

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Record numbers at a step; they are sent now and then, many at once."""
        when = now()
        self._buffer.extend((key, float(value), when, step) for key, value in values.items())
        if len(self._buffer) >= _FLUSH_COUNT or time.monotonic() - self._flushed > _FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Send what is buffered."""
        kept, self._buffer = self._buffer, []
        self._flushed = time.monotonic()
        if kept:
            self._worker.submit(lambda: self._store.log_metrics(self.run_id, kept))

    def trial(
        self,
        name: str,
        status: Status,
        params: Mapping[str, Any],
        tags: Mapping[str, Any],
        curves: Mapping[str, Sequence[tuple[int, float]]],
    ) -> None:
        """Record a finished trial as a child run."""
        child = MlflowRun(self._store, self._worker)
        child.open(name, tags, parent=self)
        child.params(params)
        when = now()
        child._buffer = [(key, value, when, step) for key, curve in curves.items() for step, value in curve]
        child.close(status)

    def close(self, status: Status) -> None:
        """Send what is buffered and end the run."""
        self.flush()
        self._worker.submit(lambda: self._store.end_run(self.run_id, status))


class MlflowTracker(MlflowRun):
    """A parent run for the command and a child run for each stage.

    Args:
        log_dir: the folder of the runs; the database and the artifacts go beside them.
        name: the experiment's name.
        uri: an MLflow tracking server or database, instead of the database beside the runs.
        experiment: the MLflow experiment, if not of the same name.
    """

    def __init__(
        self, log_dir: Path, name: str, uri: str | None = None, experiment: str | None = None
    ) -> None:
        super().__init__(Store(log_dir, uri, experiment or name), Worker("revive-tracking"))

    def warm_up(self) -> None:
        """Import MLflow and make the database in the background.

        Call it once torch and Lightning are imported: two threads that import the same packages at the
        same time may see halves of them.
        """
        self._worker.submit(self._store.connect, vital=True)

    def start(self, run_name: str, tags: Mapping[str, Any], params: Mapping[str, Any]) -> None:
        """Open the run of this command."""
        self.open(run_name, tags)
        self.params(params)

    @contextmanager
    def stage(self, name: str) -> Iterator[MlflowRun]:
        """A child run for a stage; it ends as the stage does."""
        child = MlflowRun(self._store, self._worker)
        child.open(name, {"stage": name}, parent=self)
        error: BaseException | None = None
        try:
            yield child
        except BaseException as raised:
            error = raised
            raise
        finally:
            child.close(status_of(error))

    def finish(self, status: Status = "FINISHED") -> None:
        """End the run, wait until all is written, and say in one line if something was not."""
        self.close(status)
        self._worker.join()
        if self.trouble:
            log.warning("not everything could be recorded in MLflow (%s): %s", self._store.uri, self.trouble)

    @property
    def trouble(self) -> str | None:
        return self._worker.trouble

    def ui_command(self) -> str:
        """The command that shows the runs in a browser."""
        return f"mlflow ui --backend-store-uri {shlex.quote(self._store.uri)}"
