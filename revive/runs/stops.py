"""Ways in which a run is ended before it is done."""

from __future__ import annotations


class RunInterrupted(KeyboardInterrupt):
    """A run that was stopped by its user; `run_id` continues it."""

    def __init__(self, run_id: str) -> None:
        super().__init__(f"run {run_id} was interrupted")
        self.run_id = run_id


class Stopped(BaseException):
    """Raised within a run that was asked to stop. Not KeyboardInterrupt: Lightning touches signals for that one."""


def is_interrupt(error: BaseException | None) -> bool:
    """Whether an exception means Ctrl-C or a stop; Lightning turns the former into SystemExit."""
    if isinstance(error, SystemExit):
        return isinstance(error.__context__, KeyboardInterrupt)
    return isinstance(error, KeyboardInterrupt | Stopped)
