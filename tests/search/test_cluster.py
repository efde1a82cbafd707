"""Addresses that cannot work are refused at once."""

from __future__ import annotations

import socket
import time

import pytest

from revive.errors import UserError
from revive.search.cluster import check_address, check_tracking


@pytest.mark.parametrize("address", ["127.0.0.1:1", "no-such-machine.invalid:6379", "nonsense"])
def test_unknown_address_is_refused_soon(address: str) -> None:
    started = time.monotonic()
    with pytest.raises(UserError, match=r"ray\.address"):
        check_address(address, None, True)
    assert time.monotonic() - started < 15


def test_own_machine_needs_no_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as answering:
        check_address(f"127.0.0.1:{answering.getsockname()[1]}", None, True)


@pytest.mark.parametrize("uri", [None, "sqlite:///x.db"])
def test_a_cluster_needs_a_tracking_server(uri: str | None) -> None:
    with pytest.raises(UserError, match="MLflow server"):
        check_tracking(uri, True)
    check_tracking("http://tracker:5000", True)
    check_tracking(uri, False)
