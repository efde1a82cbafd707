"""Ways in which a run is ended before it is done."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class RunInterrupted(KeyboardInterrupt):
    """A run that was stopped by its user; `run_id` continues it, with `overrides` where it is one of several runs."""

    def __init__(self, run_id: str) -> None:
        super().__init__(f"run {run_id} was interrupted")
        self.run_id = run_id
        self.overrides: list[str] | None = None


class Stopped(BaseException):
    """Raised within a run that was asked to stop. Not KeyboardInterrupt: Lightning touches signals for that one."""


def is_interrupt(error: BaseException | None) -> bool:
    """Whether an exception means Ctrl-C or a stop; Lightning turns the former into SystemExit."""
    if isinstance(error, SystemExit):
        return isinstance(error.__context__, KeyboardInterrupt)
    return isinstance(error, KeyboardInterrupt | Stopped)


@contextmanager
def sigterm_interrupts() -> Iterator[list[int]]:
    """Within, SIGTERM leaves as Ctrl-C does: a batch system sends it before it kills.

    Gives a list that holds the signal once it came. Outside the main thread signals stay as they are.
    """
    came: list[int] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        came.append(number)
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield came
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield came
    finally:
        signal.signal(signal.SIGTERM, before if before is not None else signal.SIG_DFL)
