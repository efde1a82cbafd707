"""The file of jobs that outlives a command."""

from __future__ import annotations

from pathlib import Path

import pytest

from revive.tracking.outbox import Job, Outbox


def _job(text: str) -> Job:
    return {"do": "tags", "key": "venv", "tags": {"error": text}}


@pytest.mark.parametrize("cut", range(1, 9))
def test_a_line_that_a_kill_tore_costs_no_other_one(cut: int, tmp_path: Path) -> None:
    outbox, whole = Outbox(tmp_path), [_job("zu heiß \u2028 und mehr"), _job("ü" * 4)]
    for job in [*whole, _job("torn €")]:
        outbox.add(job)
    outbox.close()
    outbox.path.write_bytes(outbox.path.read_bytes()[:-cut])
    assert Outbox(tmp_path).load()[:2] == whole
    assert Outbox(tmp_path).load()[:2] == whole  # and the file was mended
