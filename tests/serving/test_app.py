"""The HTTP face, where Starlette and prometheus-client are installed; and the command that serves it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("prometheus_client")
pytest.importorskip("httpx")

from starlette.testclient import TestClient

from revive.__main__ import main
from revive.errors import UserError
from revive.serving import Service
from revive.serving.app import LARGEST, app
from revive.serving.command import bound

ROOT = Path(__file__).parents[2]
REQUEST = {"inputs": {"level": 5.0, "flow": 5.5}}
Make = Callable[..., Service]


def metrics(client: TestClient) -> dict[str, float]:
    lines = [line for line in client.get("/metrics").text.splitlines() if not line.startswith("#")]
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}


def test_it_acts_and_counts(service: Make) -> None:
    client = TestClient(app(service()))
    answer = client.post("/act", json=REQUEST)
    assert answer.status_code == 200
    assert 0.0 <= answer.json()["action"]["valve"] <= 10.0
    assert client.get("/health").json()["run_id"] == "r7"
    schema = client.get("/schema").json()
    assert [column["name"] for column in schema["inputs"]] == ["level", "flow"]
    assert client.post("/act", json=schema["example"]).status_code == 200
    client.post("/act", json={"inputs": {"level": 1e6, "flow": 5.0}})
    said = metrics(client)
    assert said["revive_requests_answered_total"] == 3
    assert said['revive_outside_range_total{column="level",side="above"}'] == 1
    assert said["revive_act_seconds_count"] == 3
    assert said["revive_in_range"] == 1


def test_shadow_mode_shows_in_the_metrics(service: Make, tmp_path: Path) -> None:
    client = TestClient(app(service(shadow=tmp_path / "s.csv")))
    for _ in range(8):
        client.post("/act", json={"inputs": {"level": 1e6, "flow": 5.0}, "operator": {"valve": 1.0}})
    said = metrics(client)
    assert said["revive_shadow_records_total"] == 8
    assert said['revive_shadow_difference_total{column="valve"}'] >= 0
    assert said["revive_in_range"] == 0
    assert said["revive_plants_out_of_range"] == 1
    assert client.get("/health").json()["status"] == "out of range"


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"", 400, "no JSON"),
        (b"{", 400, "no JSON"),
        (b'{"inputs": {"level": NaN, "flow": 1}}', 400, "NaN is no number of JSON"),
        (b'{"inputs": {"level": 1, "level": 2, "flow": 1}}', 400, "stands in it twice"),
        (b"[" * 100_000, 400, "no JSON"),
        (b'"\xff"', 400, "no JSON"),
        (b"[]", 422, "no JSON object"),
        (b'{"inputs": {"levle": 1, "flow": 1}}', 422, "did you mean 'level'?"),
        (b" " * (LARGEST + 1), 413, "larger than"),
    ],
)
def test_bodies_that_are_refused(service: Make, body: bytes, status: int, said: str) -> None:
    client = TestClient(app(service()))
    answer = client.post("/act", content=body)
    assert answer.status_code == status
    assert said in json.dumps(answer.json()["problems"])
    assert sum(value for name, value in metrics(client).items() if "refused_total" in name) == 1


def test_paths_and_methods_that_are_none(service: Make) -> None:
    client = TestClient(app(service()))
    assert client.get("/helth").status_code == 404
    assert "did you mean '/health'?" in client.get("/helth").text
    assert client.get("/act").status_code == 405
    assert client.post("/reset", json={"plants": "a"}).status_code == 422
    assert client.post("/reset", json={}).json() == {"forgotten": []}


def test_a_page_of_another_name_cannot_ask(service: Make) -> None:
    client = TestClient(app(service()))
    assert client.post("/act", json=REQUEST, headers={"host": "evil.example"}).status_code == 400


def test_a_port_in_use_is_one_message(
    bundle: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", str(bundle("plain")), "--port", str(port)]) == 2
    said = capsys.readouterr().err
    assert f"port {port} of 127.0.0.1 is in use" in said
    assert "--port N" in said
    with pytest.raises(UserError, match="there is no host"):
        bound("no such host", 0)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "BUNDLE is missing"),
        (["BUNDLE", "--prot", "5"], "did you mean '--port'?"),
        (["BUNDLE", "--port", "x"], "invalid int value"),
        (["BUNDLE", "--port", "70000"], "a port is 0 to 65535"),
        (["BUNDLE", "--outside", "take"], "invalid choice: 'take'"),
        (["no/where"], "no policy bundle is here"),
        (["nowhere"], "there is no bundle and no run 'nowhere'"),
        (["BUNDLE", "--shadow", "log.txt"], "ends in .csv or .jsonl"),
    ],
)
def test_a_wrong_call(
    bundle: Callable[..., Path], capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    folder = bundle("plain")
    assert main(["serve", *(str(folder) if word == "BUNDLE" else word for word in arguments)]) == 2
    assert said in capsys.readouterr().err


def test_as_a_program(bundle: Callable[..., Path], tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "revive",
        "serve",
        str(bundle("plain")),
        "--port",
        "0",
        "--shadow",
        "s.jsonl",
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
    ) as served:
        assert served.stdout is not None
        found = re.search(r"on (http://127\.0\.0\.1:\d+)", served.stdout.readline())
        assert found is not None
        body = json.dumps({**REQUEST, "operator": {"valve": 2.0}}).encode()
        answer: Any = urllib.request.urlopen(urllib.request.Request(f"{found[1]}/act", body), timeout=20)
        assert "proposal" in json.load(answer)
        loaded = Path(f"/proc/{served.pid}/maps")
        assert not loaded.exists() or "libtorch" not in loaded.read_text()
        served.send_signal(signal.SIGTERM)
        assert served.wait(20) == 0
        assert "stopped after 1 requests" in served.stdout.read()
    assert len((tmp_path / "s.jsonl").read_text().splitlines()) == 1
