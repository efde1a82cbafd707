"""A command that is killed, and repeated: what its records look like then."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OVERRIDES = (
    "experiment=refrigerator",
    "debug=fast",
    "venv.mode=tune",
    "policy.mode=tune",
    "ray.enabled=false",
)
TRIALS = {*(f"trial_{number:03d}" for number in range(4))}  # three, and one again on a fresh seed


def _command(log_dir: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            sys.executable,
            "-u",
            "-m",
            "revive",
            *OVERRIDES,
            "search.trials=3",
            "run_id=r",
            f"log_dir={log_dir}",
        ],
        cwd=log_dir.parent,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_killed_command_is_gone_on_with_in_its_records(tmp_path: Path) -> None:
    log_dir = tmp_path / "runs"
    for line, wait in (("  trial 1 ", 0.0), ("venv ", 0.5), ("policy ", 1.0)):
        process = _command(log_dir)
        assert process.stdout
        assert any(text.startswith(line) for text in process.stdout)
        time.sleep(wait)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    process = _command(log_dir)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    assert "MLflow (" not in output  # no trouble
    assert not (log_dir / "r" / "unsent.jsonl").exists()
    with closing(sqlite3.connect(log_dir / "mlflow.db")) as database:
        runs = database.execute(
            "select child.name, child.status, coalesce(parent.name, ''), child.run_uuid from runs child"
            " left join tags t on t.run_uuid = child.run_uuid and t.key = 'mlflow.parentRunId'"
            " left join runs parent on parent.run_uuid = t.value"
        ).fetchall()
        metrics = database.execute(
            "select run_uuid, key, step, count(*) from metrics group by 1, 2, 3"
        ).fetchall()
    wanted = [("r", ""), *((stage, "r") for stage in ("venv", "policy", "evaluation"))]
    wanted += [(trial, stage) for trial in TRIALS for stage in ("venv", "policy")]
    assert sorted((name, parent) for name, _, parent, _ in runs) == sorted(wanted)
    assert {status for _, status, _, _ in runs} == {"FINISHED"}
    compared = {"venv": "held_out_error", "policy": "pessimistic_score"}
    for name, _, stage, run in runs:
        if name in TRIALS:
            assert compared[stage] in {key for owner, key, _, _ in metrics if owner == run}
    assert {count for _, _, step, count in metrics if step > 0} == {1}
