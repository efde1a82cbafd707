"""The Ray that trials run on: one of our own, or an existing one by its address."""

from __future__ import annotations

import logging
import os
import re
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from revive.errors import Problem, UserError

_PATIENCE = 5.0  # seconds to wait for an answer from an address
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_MAX_PENDING_TRIALS_PG": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",  # a worker that died is told in our own words
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C leaves as KeyboardInterrupt, as everywhere else
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "TUNE_RESULT_BUFFER_LENGTH": "0",
}


def check_address(address: str | None, tracking_uri: str | None, tracked: bool) -> None:
    """Whether a Ray answers there, and whether other machines could work with what is set.

    Raises UserError within a few seconds, before anything is written.
    """
    if address is None or address == "auto":
        return
    host, port = _host_and_port(address)
    try:
        socket.create_connection((host, port), timeout=_PATIENCE).close()
    except OSError as error:
        what = f"no Ray answers at {address}: {error.strerror or error}"
        remedy = "start one there with `ray start --head`, or set ray.address=null for one of its own"
        raise UserError(Problem(what, place="ray.address", remedy=remedy)) from error
    if not _is_here(host):
        check_tracking(tracking_uri, tracked)


def check_tracking(uri: str | None, tracked: bool) -> None:
    """Raises UserError where the records would go to a database that other machines cannot share."""
    if tracked and (uri is None or uri.startswith("sqlite:")):
        raise UserError(
            Problem(
                "a cluster needs an MLflow server: a sqlite file cannot be shared by machines",
                place="tracking.uri",
                remedy="tracking.uri=http://HOST:5000, or tracking=none",
            )
        )


@contextmanager
def ray_running(address: str | None, shared: Path, tracking_uri: str | None, tracked: bool) -> Iterator[Any]:
    """Ray, connected: one that runs in this process already is used and left alone, ours is ended.

    Raises UserError where there is none at the address, or its machines do not see the folder `shared`.
    """
    before = {key: os.environ.get(key) for key in _QUIET}
    os.environ.update(_QUIET)
    import ray

    mine = not ray.is_initialized()
    try:
        if mine:
            with _own_sigterm():
                _connect(ray, address)
        _check_nodes(ray, shared, tracking_uri, tracked)
        yield ray
    finally:
        if mine:
            ray.shutdown()
        for key, value in before.items():
            if value is None:
                os.environ.pop(key, None)
            else:
                os.environ[key] = value


@contextmanager
def _own_sigterm() -> Iterator[None]:
    """Ray takes SIGTERM for itself as it starts; the command has its own answer to it."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if before is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


def _connect(ray: Any, address: str | None) -> None:
    own = {"include_dashboard": False} if address is None else {}
    try:
        ray.init(
            address="local" if address is None else address,
            log_to_driver=False,
            logging_level=logging.ERROR,
            configure_logging=True,
            **own,
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        if address is None:
            raise
        what = f"no Ray answers at {address}: {str(error).splitlines()[0]}"
        remedy = "start one with `ray start --head`, or set ray.address=null for one of its own"
        raise UserError(Problem(what, place="ray.address", remedy=remedy)) from error


def _check_nodes(ray: Any, shared: Path, tracking_uri: str | None, tracked: bool) -> None:
    """All machines of the cluster must see the run folder, and none of them this machine's sqlite."""
    here = ray.get_runtime_context().get_node_id()
    others = [node for node in ray.nodes() if node["Alive"] and node["NodeID"] != here]
    if not others:
        return
    own = next((n["NodeManagerAddress"] for n in ray.nodes() if n["NodeID"] == here), None)
    if any(node["NodeManagerAddress"] != own for node in others):
        check_tracking(tracking_uri, tracked)
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    probe = shared / ".seen"
    probe.touch()
    look = ray.remote(num_cpus=0)(os.path.exists)
    try:
        seen = {
            node["NodeManagerHostname"]: look.options(
                scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            ).remote(str(probe))
            for node in others
        }
        blind = [host for host, answer in seen.items() if not ray.get(answer, timeout=60)]
    finally:
        probe.unlink(missing_ok=True)
    if blind:
        what = f"{', '.join(blind)} cannot see it, but every machine of a cluster must"
        raise UserError(Problem(what, shared, remedy="choose a log_dir on shared storage"))


def _host_and_port(address: str) -> tuple[str, int]:
    found = re.fullmatch(r"(?:ray://)?\[?([^\]\s/]+?)\]?:(\d+)", address)
    if found is None:
        remedy = "write HOST:PORT (as `ray start --head` prints it), auto, or null"
        raise UserError(Problem(f"'{address}' is no address", place="ray.address", remedy=remedy))
    return found[1], int(found[2])


def _is_here(host: str) -> bool:
    """Whether a name means this machine: only then can a socket be bound to it."""
    try:
        family, kind, proto, _, where = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, proto) as probe:
            probe.bind(where)
    except OSError:
        return False
    return True
