"""Addresses that cannot work are refused at once."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from revive.errors import UserError
from revive.search import address as address_module
from revive.search.address import check_address, check_tracking
from revive.search.cluster import room_for


@pytest.mark.parametrize("address", ["127.0.0.1:1", "no-such-machine.invalid:6379", "nonsense"])
def test_unknown_address_is_refused_soon(address: str) -> None:
    started = time.monotonic()
    with pytest.raises(UserError, match=r"ray\.address"):
        check_address(address, None, True)
    assert time.monotonic() - started < 15


def _listening(answer: bytes) -> tuple[socket.socket, str]:
    """A server that gives whoever connects the same answer, and hangs up."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = server.accept()
                connection.recv(64)
                connection.sendall(answer)
                connection.close()

    threading.Thread(target=serve, daemon=True).start()
    return server, f"127.0.0.1:{server.getsockname()[1]}"


OPENING = b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x03\x7f\xff\xff\xff"


def test_own_machine_needs_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address_module, "_knock", lambda address, mode: "")
    server, address = _listening(OPENING)
    with server:
        check_address(address, None, True)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("Traceback\nConnectionError: Failed to connect\n", "no Ray answers at .*: Failed to connect"),
        ("Traceback\nConnectionError: ... AuthenticationError: InvalidAuthToken\n", "lets nobody in"),
    ],
)
def test_a_ray_that_cannot_be_joined_is_refused_before_anything_is_written(
    answer: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(address_module, "_knock", lambda address, mode: answer)
    server, address = _listening(OPENING)
    with server, pytest.raises(UserError, match=told):
        check_address(address, None, True)


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b""])
def test_another_server_at_the_address_is_no_ray(answer: bytes) -> None:
    server, address = _listening(answer)
    with server, pytest.raises(UserError, match="something else"):
        check_address(address, None, True)


def test_a_server_that_says_nothing_is_no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address_module, "_PATIENCE", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(UserError, match="timed out"):
        check_address(f"127.0.0.1:{silent.getsockname()[1]}", None, True)


def test_trials_that_can_never_run_are_refused() -> None:
    assert room_for([{"CPU": 5.0}], 2, 0.0) == 2
    assert room_for([{"CPU": 16.0, "GPU": 1.0}, {"CPU": 2.0}], 2, 0.25) == 4
    with pytest.raises(UserError) as caught:
        room_for([{"CPU": 2.0}, {"CPU": 3.0}], 4, 0.5)
    told = str(caught.value)
    assert "search.cpus_per_trial: a trial asks for 4 CPUs, but no node of Ray has more than 3" in told
    assert "search.gpus_per_trial" in told
    with pytest.raises(UserError, match="both"):
        room_for([{"CPU": 4.0}, {"CPU": 1.0, "GPU": 1.0}], 4, 1.0)


def test_auto_without_any_ray_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    with pytest.raises(UserError, match="none runs on this machine"):
        check_address("auto", None, True)
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(UserError, match=r"no Ray answers at 127\.0\.0\.1:1"):
        check_address("auto", None, True)


@pytest.mark.parametrize("uri", [None, "sqlite:///x.db"])
def test_a_cluster_needs_a_tracking_server(uri: str | None) -> None:
    with pytest.raises(UserError, match="MLflow server"):
        check_tracking(uri, True)
    check_tracking("http://tracker:5000", True)
    check_tracking(uri, False)


@pytest.mark.slow
def test_a_ray_of_our_own_leaves_nothing_in_the_home(tmp_path: Path) -> None:
    code = (
        "import pathlib\nfrom revive.search.cluster import ray_running\n"
        "for _ in range(2):\n"
        "    with ray_running(None, [pathlib.Path()], None, False) as ray:\n"
        "        print(ray.get(ray.remote(lambda: 3).remote()))"
    )
    bare = {k: v for k, v in os.environ.items() if not k.startswith("RAY_AUTH")} | {"HOME": str(tmp_path)}
    ran = subprocess.run([sys.executable, "-c", code], env=bare, capture_output=True, text=True, check=False)
    assert ran.stdout.split() == ["3", "3"], ran.stderr
    assert not (tmp_path / ".ray").exists()
