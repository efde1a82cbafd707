"""The address of a Ray that runs: what it means, whether a Ray answers there, and whether it lets us in."""

from __future__ import annotations

import functools
import os
import re
import secrets
import socket
import subprocess
import sys
from pathlib import Path

from revive.errors import Problem, UserError

_PATIENCE = 5.0  # seconds to wait for an answer from an address
_LONGEST = 12  # seconds after which joining is left to the real attempt
_SETTINGS_FRAME = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"  # empty; its fourth byte is the kind
_HTTP2_OPENING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _SETTINGS_FRAME
JOINING = {"RAY_NUM_REDIS_GET_RETRIES": "3"}  # tries, one a second: that something answers is known by then
AUTH_MODE, AUTH_TOKEN = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN"
_OWN_TOKEN = secrets.token_hex(32)  # one for each process: Ray notes the first that it sees
REFUSAL = "AuthenticationError"


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
                raise no_ray(address, "what listens there is something else")
    except OSError as error:
        raise no_ray(address, str(error.strerror or error)) from error
    if not _is_here(host):
        check_tracking(tracking_uri, tracked)
    agreed_mode(address)


def _running_here() -> str:
    """The address that `auto` means: what RAY_ADDRESS says, or the Ray that was started on this machine last."""
    noted = Path(os.environ.get("RAY_TMPDIR", "/tmp")) / "ray" / "ray_current_cluster"
    try:
        address = os.environ.get("RAY_ADDRESS") or noted.read_text(encoding="utf-8").strip()
    except OSError:
        address = ""
    if not address:
        raise no_ray("auto", "none runs on this machine, and RAY_ADDRESS names none")
    return address


def _speaks_grpc(connection: socket.socket) -> bool:
    """Whether the other side answers the opening of HTTP/2 in kind, as the head of a Ray does.

    Ray itself tries for two minutes where another server listens, or ends the process.
    """
    connection.settimeout(_PATIENCE)
    connection.sendall(_HTTP2_OPENING)
    return connection.recv(len(_SETTINGS_FRAME))[3:4] == _SETTINGS_FRAME[3:4]


def no_ray(address: str, why: str) -> UserError:
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


def own_token() -> dict[str, str]:
    """A token for a Ray of our own, where the user has none: Ray would write one into their home."""
    return {} if _has_token() else {AUTH_TOKEN: _OWN_TOKEN}


def _has_token() -> bool:
    kept = os.environ.get("RAY_AUTH_TOKEN_PATH") or Path("~/.ray/auth_token").expanduser()
    return bool(os.environ.get(AUTH_TOKEN)) or Path(kept).is_file()


def agreed_mode(address: str) -> dict[str, str]:
    """With or without a token, as the Ray at an address was started: what to set before this process connects.

    Ray itself shows none to an explicit address, and one to `auto` even where the head knows of none, whose
    workers then die. To other machines none is shown without being told. Raises UserError where nobody gets in.
    """
    told = os.environ.get(AUTH_MODE, "")
    offered = [told] if told else ["disabled"]
    if not told and _has_token() and (address == "auto" or _is_here(_host_and_port(address)[0])):
        offered.append("token")
    return {AUTH_MODE: _mode_that_opens(address, tuple(offered))}


@functools.lru_cache(maxsize=1)  # asked before anything is written, and again on connecting
def _mode_that_opens(address: str, offered: tuple[str, ...]) -> str:
    """The first of the modes with which a Ray is joined; tried in other processes: Ray notes the mode for good."""
    answer = ""
    for mode in offered:
        answer = _knock(address, mode)
        if REFUSAL not in answer:
            break
    if not answer:
        return mode
    raise no_entry(address, mode) if REFUSAL in answer else no_ray(address, _last_line(answer))


def _knock(address: str, mode: str) -> str:
    """What goes wrong at once on joining a Ray; empty where nothing does."""
    code = "import ray, sys; ray.init(address=sys.argv[1], log_to_driver=False, logging_level='ERROR')"
    try:
        tried = subprocess.run(
            [sys.executable, "-c", code, address],
            env={**os.environ, **JOINING, AUTH_MODE: mode},
            capture_output=True,
            text=True,
            timeout=_LONGEST,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return ""  # an overloaded machine, perhaps
    return tried.stderr if tried.returncode else ""


def _last_line(text: str) -> str:
    """The message of a traceback."""
    return text.rstrip().rpartition("\n")[2].partition(": ")[2] or text.rstrip()[-200:]


def no_entry(address: str, mode: str) -> UserError:
    what, first = "it asks for a token, and none was shown", f"set {AUTH_MODE}=token before the start, and "
    if mode.lower() == "token":
        what, first = "the token of this machine is missing or another", ""
    remedy = (
        f"{first}put what `ray get-auth-token` prints on its head into ~/.ray/auth_token of every machine"
    )
    what = f"the Ray at {address} lets nobody in: {what}"
    return UserError(Problem(what, place="ray.address", remedy=remedy))


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
