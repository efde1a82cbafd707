"""Training under way: in a process of its own, or, to find mistakes, in this one.

A process of its own, because training sets what is global: the state of torch's and numpy's generators, the number of
threads, environment variables for Ray, log levels. It also leaves the interpreter's lock to whoever reads results
meanwhile.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import random
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from revive.config.settings import Settings
from revive.errors import Problem, UserError

_PACKAGE = Path(__file__).resolve().parents[2]
_LOOK = 0.05  # seconds between two looks at the process
_SHOWN = 4000  # characters of what a process that died without a word had printed


class TrainingFailed(RuntimeError):
    """A mistake of ours, or of the machine; the text is the whole traceback, or what the process printed last."""


class Training:
    """The process that trains with `settings`, from its start to its end; it goes on when nobody holds this object.

    names: the table of REVIVE's names that is to lie in the run folder.
    """

    _under_way: ClassVar[set[Training]] = set()

    def __init__(self, settings: Settings, names: str | None = None) -> None:
        self._output = tempfile.TemporaryFile()  # noqa: SIM115
        self._outcome = tempfile.TemporaryFile()  # noqa: SIM115
        self._last: bytes | None = None
        self._told = 0
        self.error: UserError | TrainingFailed | None = None
        self.stopped = False
        path = os.pathsep.join(filter(None, (str(_PACKAGE), os.environ.get("PYTHONPATH"))))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "revive.server.child", str(self._outcome.fileno())],
            stdin=subprocess.PIPE,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            pass_fds=(self._outcome.fileno(),),
            env={**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"},
            start_new_session=True,  # Ctrl-C in the caller's terminal is the caller's
        )
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it is dead already: its end says why
            order = {"settings": settings.as_dict(), "names": names}
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            self._process.stdin.flush()
        self._ended = False
        self._under_way.add(self)

    @property
    def is_running(self) -> bool:
        if self._process.poll() is not None and not self._ended:
            self._end()
        return not self._ended

    def stop(self) -> None:
        """Ask it to end; it keeps what it has reached."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()

    def wait(self, show: bool = False) -> None:
        """Return when it has ended. show: print what it prints meanwhile."""
        while self.is_running:
            time.sleep(_LOOK)
            if show:
                self._show()
        if show:
            self._show()

    def log(self) -> str:
        """What it has printed."""
        return self._printed().decode(errors="replace")

    def _printed(self) -> bytes:
        if self._last is not None:
            return self._last
        return os.pread(self._output.fileno(), os.fstat(self._output.fileno()).st_size, 0)

    def _show(self) -> None:
        new = self._printed()[self._told :]
        self._told += len(new)
        sys.stdout.write(new.decode(errors="replace"))
        sys.stdout.flush()

    def _end(self) -> None:
        self._ended = True
        self._under_way.discard(self)
        self.stop()
        self._last = self._printed()
        self._output.close()
        with self._outcome:
            self._outcome.seek(0)
            said = self._outcome.read()
        try:
            outcome: dict[str, Any] = json.loads(said)
        except ValueError:
            last = self.log()[-_SHOWN:]
            self.error = TrainingFailed(
                f"the training process ended with {_how(self._process)}\n{last}".rstrip()
            )
            return
        if outcome["ended"] == "wrong":
            self.error = UserError(*(Problem(**problem) for problem in outcome["problems"]))
        elif outcome["ended"] == "failed":
            self.error = TrainingFailed(outcome["error"])
        self.stopped = outcome["ended"] == "stopped"


def _how(process: subprocess.Popen[bytes]) -> str:
    code = process.returncode
    return f"signal {-code}" if code < 0 else f"exit code {code}"


@contextlib.contextmanager
def left_as_found() -> Iterator[None]:
    """What training sets in its process is afterwards as it was: generators, threads, environment, warnings, logs."""
    import torch

    generators = random.getstate(), np.random.get_state(), torch.get_rng_state()
    threads, environment = torch.get_num_threads(), dict(os.environ)
    names: list[str | None] = [None, *logging.root.manager.loggerDict]
    levels = {name: logging.getLogger(name).level for name in names}
    try:
        with warnings.catch_warnings():
            yield
    finally:
        random.setstate(generators[0])
        np.random.set_state(generators[1])
        torch.set_rng_state(generators[2])
        torch.set_num_threads(threads)
        os.environ.clear()
        os.environ.update(environment)
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
