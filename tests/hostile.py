"""What the tests with hostile input share: a seed drawn anew each time, and a judge with a clock and a scale."""

from __future__ import annotations

import os
import random
import resource
import signal
import sys
import time
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
    """Leaves with TooLong where the block takes longer."""

    def ring(*_: object) -> None:
        raise TooLong

    former = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)


def judged(call: Callable[[], Any]) -> tuple[str, Any]:
    """("right", what `call` returned), ("refused", its message), or ("wrong", what happened instead)."""
    began, held = time.perf_counter(), peak()
    try:
        with at_most(SECONDS):
            outcome: tuple[str, Any] = ("right", call())
    except UserError as error:
        outcome = _message(str(error))
    except TooLong:
        return "wrong", f"more than {SECONDS:.0f} s"
    except BaseException as error:
        return "wrong", f"{type(error).__name__}: {str(error)[:300]}"
    if peak() - held > BYTES:
        return "wrong", f"took {(peak() - held) >> 20} MiB"
    taken = time.perf_counter() - began
    return outcome if taken < SECONDS else ("wrong", f"{taken:.0f} s")


def _message(text: str) -> tuple[str, str]:
    if not text.strip() or len(text) > 8000 or "Traceback" in text:
        return "wrong", f"a message of {len(text)} characters: {text[:300]}"
    return "refused", text


def peak() -> int:
    """The most memory that this process ever held, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << (0 if sys.platform == "darwin" else 10)
