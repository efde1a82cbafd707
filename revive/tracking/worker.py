"""One background thread that does jobs in order and remembers what went wrong instead of raising it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor


class Worker:
    """Runs jobs one after the other, beside the caller.

    A job that fails in a way that dooms the later ones is submitted with `vital`: they are skipped then.
    """

    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._lock = threading.Lock()
        self._errors: list[Exception] = []
        self._doomed = False
        self._closed = False

    def submit(self, job: Callable[[], object], *, vital: bool = False) -> None:
        """Queue a job; after `join` it is dropped."""
        if not self._closed:
            self._pool.submit(self._run, job, vital)

    def join(self) -> None:
        """Wait for all jobs and end the thread."""
        self._closed = True
        self._pool.shutdown(wait=True)

    @property
    def trouble(self) -> str | None:
        """The first error and how many there were, in one line."""
        with self._lock:
            if not self._errors:
                return None
            first = self._errors[0]
            more = f" (and {len(self._errors) - 1} more)" if len(self._errors) > 1 else ""
        text = " ".join(str(first).split())
        return f"{type(first).__name__}: {text[:300]}{more}"

    def _run(self, job: Callable[[], object], vital: bool) -> None:
        if self._doomed:
            return
        try:
            job()
        except Exception as error:
            with self._lock:
                self._errors.append(error)
            self._doomed = self._doomed or vital
