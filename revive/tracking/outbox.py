"""The jobs that are not done yet, in a file: what a command leaves unsent, or is killed with, the next one sends.

A job is a JSON object, a line of the file. `do` says what is to happen, `key` to which record: `.` is the command,
`venv` a stage, `venv/trial_000` a trial. Every job may be done twice, so after a kill a few that were done are no harm.

    open      name, parent (a key or null), params, tags, points, time     begin a record, or go on with it
    keep      the same, and status                                         a whole record; nothing where it has ended
    params, tags     values                                                names -> texts
    metrics   points: [name, value, time, step] each                       time in milliseconds since the epoch
    artifact  path, folder                                                 copy a file or folder
    dataset   data: name, digest, source, columns, profile                 the data that a run learned from
    model     name, kind, digest, bundle, script, inputs, outputs, example, settings, requirements, metadata,
              params, tags, points, dataset, trial (a key or null)         a bundle as a model (`base.ModelRecord`)
    register  model_id, name, alias, description, note, tags               a version in the model registry
    end       status, time
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, Any

Job = dict[str, Any]
FILE = "unsent.jsonl"


class Outbox:
    """The file of one run folder. Call it from one thread at a time."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._file: IO[str] | None = None

    def load(self) -> list[Job]:
        """The jobs that an earlier command left behind; a line torn by a kill is none."""
        try:
            lines = self.path.read_text(encoding="utf-8", errors="replace").split("\n")
        except FileNotFoundError:
            return []
        jobs = [job for job in map(_parsed, lines) if job is not None]
        self.keep(jobs)  # so that nothing is appended to a torn line
        return jobs

    def add(self, job: Job) -> None:
        """Append a job; it outlives this process from here on."""
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("a", encoding="utf-8")
        self._file.write(_line(job))
        self._file.flush()

    def clear(self) -> None:
        """All jobs are done."""
        if self._file is not None:
            self._file.truncate(0)

    def keep(self, jobs: Iterable[Job]) -> None:
        """Make these the content; without any the file is removed."""
        self.close()
        text = "".join(map(_line, jobs))
        if not text:
            self.path.unlink(missing_ok=True)
            return
        draft = self.path.with_name(f".{FILE}.{os.getpid()}.tmp")
        draft.write_text(text, encoding="utf-8")
        draft.replace(self.path)

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None


def points(values: Sequence[tuple[str, float, int, int]]) -> list[list[Any]]:
    """Points as JSON knows them: numbers that are not finite as texts that `float` reads."""
    return [[n, v if math.isfinite(v) else str(v), time, step] for n, v, time, step in values]


def _line(job: Job) -> str:
    return json.dumps(job, ensure_ascii=False, allow_nan=False) + "\n"


def _parsed(line: str) -> Job | None:
    try:
        job = json.loads(line)
    except ValueError:
        return None
    return job if isinstance(job, dict) and isinstance(job.get("do"), str) else None
