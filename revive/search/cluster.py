"""The Ray that trials run on: one of our own, or an existing one by its address."""

from __future__ import annotations

import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from revive.errors import Problem, Problems, UserError

_PATIENCE = 5.0  # seconds to wait for an answer from an address
_SETTINGS_FRAME = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"  # empty; its fourth byte is the kind
_HTTP2_OPENING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _SETTINGS_FRAME
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
_JOINING = {"RAY_NUM_REDIS_GET_RETRIES": "3"}  # tries, one a second: that something answers is known by then
_AUTH_MODE = "RAY_AUTH_MODE"
_REFUSAL = "AuthenticationError"


def check_address(address: str | None, tracking_uri: str | None, tracked: bool) -> None:
    """Whether a Ray answers there, and whether other machines could work with what is set.

    Raises UserError within a few seconds, before anything is written.
    """
    if address is None:
        return
    if address == "auto":
        address = _running_here()
    host, port = _host_and_port(address)
    try:
        with socket.create_connection((host, port), timeout=_PATIENCE) as connection:
            if not _speaks_grpc(connection):
                raise _no_ray(address, "what listens there is something else")
    except OSError as error:
        raise _no_ray(address, str(error.strerror or error)) from error
    if not _is_here(host):
        check_tracking(tracking_uri, tracked)


def _running_here() -> str:
    """The address that `auto` means: what RAY_ADDRESS says, or the Ray that was started on this machine last."""
    noted = Path(os.environ.get("RAY_TMPDIR", "/tmp")) / "ray" / "ray_current_cluster"
    try:
        address = os.environ.get("RAY_ADDRESS") or noted.read_text(encoding="utf-8").strip()
    except OSError:
        address = ""
    if not address:
        raise _no_ray("auto", "none runs on this machine, and RAY_ADDRESS names none")
    return address


def _speaks_grpc(connection: socket.socket) -> bool:
    """Whether the other side answers the opening of HTTP/2 in kind, as the head of a Ray does.

    Ray itself tries for two minutes where another server listens, or ends the process.
    """
    connection.settimeout(_PATIENCE)
    connection.sendall(_HTTP2_OPENING)
    return connection.recv(len(_SETTINGS_FRAME))[3:4] == _SETTINGS_FRAME[3:4]


def _no_ray(address: str, why: str) -> UserError:
    what = f"no Ray answers at {address}: {why}"
    remedy = "start one there with `ray start --head`, or set ray.address=null for one of its own"
    return UserError(Problem(what, place="ray.address", remedy=remedy))


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
def ray_running(
    address: str | None, shared: Sequence[Path], tracking_uri: str | None, tracked: bool
) -> Iterator[Any]:
    """Ray, connected: one that runs in this process already is used and left alone, ours is ended.

    shared: what every machine must see, a folder first that can be written.
    Raises UserError where there is none at the address, or one of its machines does not see what it must.
    """
    before = {key: os.environ.get(key) for key in (*_QUIET, *_JOINING, _AUTH_MODE)}
    os.environ.update(_QUIET if address is None else _QUIET | _JOINING | _agreed_mode(address))
    import ray  # it reads all of these as it is imported

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


def _agreed_mode(address: str) -> dict[str, str]:
    """Whether to show a token, where nothing says so: as that Ray of this machine was started.

    Ray itself shows none to an explicit address, and one to `auto` even where the head knows of none, whose
    workers then die. To other machines none is shown without being told.
    """
    if os.environ.get(_AUTH_MODE) or not _has_token():
        return {}
    here = address == "auto" or _is_here(_host_and_port(address)[0])
    return {_AUTH_MODE: "token" if _asks_for_token(address) else "disabled"} if here else {}


def _has_token() -> bool:
    kept = os.environ.get("RAY_AUTH_TOKEN_PATH") or Path("~/.ray/auth_token").expanduser()
    return bool(os.environ.get("RAY_AUTH_TOKEN")) or Path(kept).is_file()


def _asks_for_token(address: str) -> bool:
    """Whether a Ray turns away who shows none; tried in a process of its own, since Ray notes the mode for good."""
    plain = {**os.environ, **_JOINING, _AUTH_MODE: "disabled"}
    code = "import ray, sys; ray.init(address=sys.argv[1], log_to_driver=False, logging_level='ERROR')"
    try:
        tried = subprocess.run(
            [sys.executable, "-c", code, address],
            env=plain,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return _REFUSAL in tried.stderr


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
    except (ConnectionError, RuntimeError, ValueError, ray.exceptions.AuthenticationError) as error:
        if address is None:
            raise
        if _REFUSAL in f"{type(error)} {error.__cause__}":
            raise _no_entry(address) from error
        raise _no_ray(address, str(error).splitlines()[0]) from error


def _no_entry(address: str) -> UserError:
    if os.environ.get(_AUTH_MODE, "").lower() == "token":
        what, first = "the token of this machine is missing or another", ""
    else:
        what, first = (
            "it asks for a token, and none was shown",
            f"set {_AUTH_MODE}=token before the start, and ",
        )
    remedy = (
        f"{first}put what `ray get-auth-token` prints on its head into ~/.ray/auth_token of every machine"
    )
    return UserError(
        Problem(f"the Ray at {address} lets nobody in: {what}", place="ray.address", remedy=remedy)
    )


def _check_nodes(ray: Any, shared: Sequence[Path], tracking_uri: str | None, tracked: bool) -> None:
    """All machines of the cluster must see the run folder, and none of them this machine's sqlite."""
    here = ray.get_runtime_context().get_node_id()
    others = [node for node in ray.nodes() if node["Alive"] and node["NodeID"] != here]
    if not others:
        return
    own = next((n["NodeManagerAddress"] for n in ray.nodes() if n["NodeID"] == here), None)
    if any(node["NodeManagerAddress"] != own for node in others):
        check_tracking(tracking_uri, tracked)
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    probe = shared[0] / ".seen"
    probe.touch()
    wanted = {str(probe): shared[0], **{str(path): path for path in shared[1:]}}
    look = ray.remote(num_cpus=0)(_unseen)
    try:
        asked = [
            look.options(
                scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            ).remote(list(wanted))
            for node in others
        ]
        unseen = [ray.get(answer, timeout=60) for answer in asked]
    finally:
        probe.unlink(missing_ok=True)
    problems = Problems()
    for node, missing in zip(others, unseen, strict=True):
        for path in missing:
            what = f"{node['NodeManagerHostname']} cannot see it, but every machine of a cluster must"
            remedy = "choose a log_dir on shared storage" if wanted[path] == shared[0] else "keep it there"
            problems.add(what, file=wanted[path], remedy=remedy)
    problems.raise_if_any()


def _unseen(paths: list[str]) -> list[str]:
    """Those of the paths that do not exist where this runs."""
    return [path for path in paths if not Path(path).exists()]


def room_for(nodes: Sequence[Mapping[str, float]], cpus: int, gpus: float) -> int:
    """How many trials of that size run at once on nodes with these resources; a trial has one node.

    Raises UserError where not even one fits: it would be waited for without end.
    """
    asked = {"CPU": float(cpus), "GPU": gpus}
    wanted = {kind: size for kind, size in asked.items() if size}
    room = sum(min(int(node.get(kind, 0.0) / size) for kind, size in wanted.items()) for node in nodes)
    if room:
        return room
    problems = Problems()
    for kind, size in wanted.items():
        most = max((node.get(kind, 0.0) for node in nodes), default=0.0)
        what = f"a trial asks for {size:g} {kind}s, but no node of Ray has more than {most:g}"
        if size > most:
            problems.add(what, place=f"search.{kind.lower()}s_per_trial", remedy=f"at most {most:g}")
    problems.raise_if_any()
    raise UserError(
        Problem("no node of Ray has both the CPUs and the GPUs of a trial", place="search.gpus_per_trial")
    )


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
