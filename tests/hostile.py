"""What the tests with hostile input share: a seed drawn anew each time, and a judge with a clock and a scale."""

from __future__ import annotations

import os
import random
import resource
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from revive.errors import UserError

SECONDS = 10.0
BYTES = 1 << 30


def drawn_seed() -> int:
    """A new seed; printed, so that a failure can be repeated with HOSTILE_SEED."""
    seed = int(os.environ.get("HOSTILE_SEED") or random.SystemRandom().randrange(1 << 32))
    sys.stdout.write(f"HOSTILE_SEED={seed}\n")
    return seed


class TooLong(BaseException):
    """Not an Exception, so that nothing swallows it."""


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Leaves with TooLong where the block takes more of the processor's time, or waits for six times as long."""

    def ring(*_: object) -> None:
        raise TooLong

    kinds = ((signal.SIGPROF, signal.ITIMER_PROF, seconds), (signal.SIGALRM, signal.ITIMER_REAL, 6 * seconds))
    former = [signal.signal(number, ring) for number, _, _ in kinds]
    for _, timer, limit in kinds:
        signal.setitimer(timer, limit)
    try:
        yield
    finally:
        for (number, timer, _), handler in zip(kinds, former, strict=True):
            signal.setitimer(timer, 0)
            signal.signal(number, handler)


def judged(call: Callable[[], Any]) -> tuple[str, Any]:
    """("right", what `call` returned), ("refused", its message), or ("wrong", what happened instead)."""
    held = peak()
    try:
        with at_most(SECONDS):
            outcome: tuple[str, Any] = ("right", call())
    except UserError as error:
        outcome = _message(str(error))
    except TooLong:
        return "wrong", f"more than {SECONDS:.0f} s"
    except BaseException as error:
        return "wrong", f"{type(error).__name__}: {str(error)[:300]}"
    return outcome if peak() - held <= BYTES else ("wrong", f"took {(peak() - held) >> 20} MiB")


def _message(text: str) -> tuple[str, str]:
    if not text.strip() or len(text) > 8000 or "Traceback" in text:
        return "wrong", f"a message of {len(text)} characters: {text[:300]}"
    return "refused", text


def peak() -> int:
    """The most memory that this process ever held, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << (0 if sys.platform == "darwin" else 10)
