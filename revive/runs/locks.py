"""Folders that one process at a time works in. A lock ends with the process that holds it, however that ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from revive.errors import Problem, UserError


def hold(path: Path) -> IO[str]:
    """Lock a run folder for as long as the returned file stays open."""
    lock = (path / ".lock").open("a+", encoding="utf-8")
    try:
        _lock(lock)
    except BlockingIOError as error:
        lock.seek(0)
        holder = lock.read().strip()
        lock.close()
        what = f"is in use by another command{f' (process {holder})' if holder else ''}"
        raise UserError(Problem(what, path, remedy="wait for it, or choose another run_id")) from error
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


def _lock(lock: IO[str]) -> None:
    """Raises BlockingIOError where another command holds it; whoever only looks, holds it for less than a blink."""
    for again in (True, False):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if not again:
                raise
            time.sleep(0.05)


def is_held(path: Path) -> bool:
    """Whether a command is at work in a run folder."""
    try:
        with (path / ".lock").open(encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


@contextlib.contextmanager
def alone_in(folder: Path, patience: float = 60.0) -> Iterator[None]:
    """Work in a folder while no other process does, which is waited for; the lock ends with its process.

    Raises TimeoutError after `patience` seconds.
    """
    folder.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + patience
    with (folder / ".lock").open("a") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise TimeoutError(f"{folder} is in use by another process") from None
                time.sleep(0.1)
        yield
