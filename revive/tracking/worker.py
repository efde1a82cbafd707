"""The process that talks to MLflow, and how the sender talks to it: a line of JSON per job, a line per reply.

It is a process of its own because MLflow changes the one it lives in (import hooks, logging, warnings), is told only
by environment variables how long to try, and may hang; and so that importing it holds up no training.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from revive.tracking.outbox import Job
from revive.tracking.sender import Reply, State

if TYPE_CHECKING:
    from revive.tracking.store import Store

# What the user has set counts. By default MLflow tries for minutes; the sender tries again, and keeps the order.
_ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ALLOW_FILE_STORE": "true",  # who names a folder as tracking.uri wants one
    "MLFLOW_UV_AUTO_DETECT": "false",  # what a model needs is told, whatever project lies in the working directory
}
_NICE = 5  # training goes first


class WorkerProcess:
    """Starts the process at the first job, and again should it die.

    where: what `Store` is made with.
    """

    def __init__(self, where: dict[str, Any]) -> None:
        self._where = where
        self._process: subprocess.Popen[str] | None = None
        self._dismissed = False
        self._lock = threading.Lock()

    def ask(self, job: Job, folder: Path | None) -> Reply:
        """Do a job in the process."""
        try:
            process = self._running()
        except OSError as error:
            return Reply("dead", f"{type(error).__name__}: {error}")
        if process is None:
            return Reply("dead", "it did not answer in time")
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps({"folder": str(folder) if folder else None, "job": job}) + "\n")
            process.stdin.flush()
            state, error_text, result = json.loads(process.stdout.readline())
        except (OSError, ValueError):
            code = process.wait()
            self._process = None
            return Reply("doubtful", f"the process that talks to MLflow ended with code {code}")
        return Reply(state, error_text, result)

    def dismiss(self, *, now: bool) -> None:
        """End the process."""
        with self._lock:
            self._dismissed = True
            process = self._process
        if process is None:
            return
        if not now:
            assert process.stdin is not None
            process.stdin.close()  # tells it to go
        try:
            process.wait(0 if now else 5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None and not now:
            process.stdout.close()

    def _running(self) -> subprocess.Popen[str] | None:
        with self._lock:
            if self._dismissed or self._process is not None:
                return None if self._dismissed else self._process
            code = "from revive.tracking.worker import main; main()"
            paths = os.pathsep.join(path for path in sys.path if path)
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", code],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                encoding="utf-8",
                env={**_ENVIRONMENT, **os.environ, "PYTHONPATH": paths},
                start_new_session=True,  # Ctrl-C is for the run, which ends this process itself
            )
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps(self._where) + "\n")
            return self._process


def main() -> None:
    """Do the jobs that come in, until none can come any more."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # MLflow prints
    os.nice(_NICE)
    lines = _lines(sys.stdin)
    where = json.loads(next(lines))
    store: Store | None = None
    for line in lines:
        asked = json.loads(line)
        try:
            from revive.tracking.store import Store

            store = store or Store(Path(where["log_dir"]), where["uri"], where["experiment"])
            result = store.do(asked["job"], Path(asked["folder"]) if asked["folder"] else None)
        except Exception as error:
            reply = [state_of(error), text_of(error), None]
        else:
            reply = ["done", "", result]
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


def _lines(stream: IO[str]) -> Iterator[str]:
    """Lines as they come. Once the other end is gone, this process is too, also in the middle of a job."""
    waiting: queue.SimpleQueue[str] = queue.SimpleQueue()

    def read() -> None:
        for line in stream:
            waiting.put(line)
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    while True:
        yield waiting.get()


def state_of(error: BaseException) -> State:
    """Whether what MLflow raised will pass. Classes of what MLflow brings along are known by their names."""
    chain = list(_chain(error))
    for cause in chain:
        names = {kind.__name__ for kind in type(cause).__mro__}
        if "OperationalError" in names:  # of SQLAlchemy or SQLite
            return "gone" if _database_comes_back(f"{type(cause).__module__} {cause}") else "refused"
        if "RequestException" in names and not isinstance(cause, ValueError):
            answer = getattr(cause, "response", None)
            told = next((c for c in _TRANSIENT if f"too many {c} error" in str(cause)), 500)
            if answer is None and "RetryError" not in names:
                return "gone"
            return _of_status(answer.status_code if answer is not None else told)
    if hasattr(error, "get_http_status_code"):
        return _of_status(error.get_http_status_code())
    passing = isinstance(error, OSError) and not isinstance(error, FileNotFoundError | PermissionError)
    return "doubtful" if passing else "refused"


def text_of(error: BaseException) -> str:
    """An error in words; of one that passes its root, because MLflow quotes whole requests around it."""
    shown = list(_chain(error))[-1] if state_of(error) == "gone" else error
    return f"{type(shown).__name__}: {shown}"


_TRANSIENT = (408, 429, 502, 503, 504)


def _of_status(status: int) -> State:
    if status in _TRANSIENT:
        return "gone"
    return "doubtful" if status >= 500 else "refused"


def _database_comes_back(text: str) -> bool:
    """A database server may; a SQLite file is locked for a while, or its disk is full."""
    if "sqlite3" not in text:
        return True
    return any(word in text for word in ("locked", "busy", "full", "disk I/O"))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen = 0
    while error is not None and seen < 20:
        yield error
        error, seen = error.__cause__ or error.__context__, seen + 1
