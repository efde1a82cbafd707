"""From a command to a served policy, with tiny limits: promoted by its run, asked over HTTP."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import revive
from revive.__main__ import main
from revive.runtime import load_policy
from revive.runtime.table import PolicyTable

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@contextmanager
def serving(model: str, uri: str, log: Path) -> Iterator[str]:
    """`mlflow models serve` on a free port; the address that is asked."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", model, "--env-manager", "local"]
    environment = {**os.environ, "MLFLOW_TRACKING_URI": uri, "MLFLOW_DISABLE_TELEMETRY": "true"}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    environment["PYTHONPATH"] = str(Path(revive.__file__).parents[1])
    with log.open("ab") as out:
        process = subprocess.Popen(
            [*command, "-h", "127.0.0.1", "-p", str(port)],
            env=environment,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        until = time.monotonic() + 600
        while not _is_up(port):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.5)
        yield f"http://127.0.0.1:{port}/invocations"
    finally:
        os.killpg(process.pid, 15)
        process.wait(60)


def _is_up(port: int) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=5).close()
    except OSError:
        return False
    return True


def ask(address: str, rows: list[dict[str, Any]]) -> tuple[int, Any]:
    body = json.dumps({"dataframe_records": rows}).encode()
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


@pytest.mark.parametrize("experiment", ["refrigerator", "lander_hover", "pipeline"])
def test_a_promoted_policy_answers_over_http_as_its_bundle_does(
    experiment: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [
        f"experiment={experiment}",
        "debug=fast",
        f"log_dir={tmp_path}",
        "run_id=run",
        "tracking.patience=600",
    ]
    assert main(arguments) == 0
    assert main(["promote", "run", f"log_dir={tmp_path}"]) == 0
    assert "is champion" in capsys.readouterr().out
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"

    table = PolicyTable(load_policy(tmp_path / "run" / "policy"))
    rng = np.random.default_rng(0)
    seen = pd.DataFrame({f.name: rng.normal(0.3, 0.1, 5) for f in table.inputs.fields if f.required})
    with serving(f"models:/{experiment}-policy@champion", uri, tmp_path / "policy.log") as address:
        status, answer = ask(address, seen.to_dict("records"))
        assert status == 200, answer
        served = pd.DataFrame(answer["predictions"])
        for name, value in table(seen).items():
            np.testing.assert_allclose(served[name], value, rtol=1e-12)
        if len(table.inputs.fields) > seen.shape[1]:  # it looks back: what was before may be told
            before = {f.name: rng.normal(0.3, 0.1, 5) for f in table.inputs.fields if not f.required}
            status, answer = ask(address, seen.assign(**before).to_dict("records"))
            expected = table(seen.assign(**before))
            for name, value in expected.items():
                np.testing.assert_allclose(pd.DataFrame(answer["predictions"])[name], value, rtol=1e-12)
        status, answer = ask(address, [{"misspelt": 1.0}])
        assert status == 400
        assert "missing inputs" in answer["message"]
        assert "stack_trace" not in answer or "revive" not in answer["stack_trace"]

    venv = revive.load_venv(tmp_path / "run" / "venv")
    decided = seen.assign(**table(seen))
    with serving(f"models:/{experiment}-venv@champion", uri, tmp_path / "venv.log") as address:
        extra = {} if experiment != "refrigerator" else {"door_open": [0.0] * 5}
        status, answer = ask(address, decided.assign(**extra).to_dict("records"))
        assert status == 200, answer
        served = pd.DataFrame(answer["predictions"])
        state = venv.graph.states[0]
        names = [f"next_{column.name}" for column in venv.graph.columns(state)]
        after = venv.step(decided.assign(**extra))  # a frame is answered by a frame
        np.testing.assert_allclose(served[names], after[names], rtol=1e-6)
