"""`serve`: a bundle behind HTTP on this machine, until it is interrupted."""

from __future__ import annotations

import argparse
import contextlib
import errno
import importlib.util
import logging
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from revive.config.arguments import BundleParser
from revive.errors import Problem, UserError
from revive.serving.service import Service

_NEEDED: Final = ("starlette", "uvicorn", "prometheus_client")
_HOST: Final = "an address of this machine: 127.0.0.1 for itself alone, 0.0.0.0 for all that it has"
_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


def read(arguments: Sequence[str]) -> argparse.Namespace:
    """What was typed. Raises UserError where that cannot be, or the libraries are missing."""
    parser = BundleParser("serve")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--shadow", type=Path, metavar="LOG")
    parser.add_argument("--outside", choices=["refuse", "clip"], default="refuse")
    parser.add_argument("--plants", type=int, default=10_000)
    parser.add_argument("--accept-failed-gate", action="store_true")
    given = parser.read(arguments)
    if not 0 <= given.port <= 65535 or given.plants < 1:
        what = f"--port {given.port} or --plants {given.plants} cannot be"
        raise UserError(Problem(what, remedy="a port is 0 to 65535"))
    _require_libraries()
    return given


def service_of(given: argparse.Namespace, bundle: Path, called: str | None = None) -> Service:
    """The service that was asked for, of the bundle in a folder. called: what /health says that it is."""
    return Service.of_bundle(
        bundle,
        accept_failed_gate=given.accept_failed_gate,
        called=called,
        shadow=given.shadow,
        outside=given.outside,
        plants=given.plants,
    )


def listening(service: Service, host: str, port: int) -> None:
    """Answer requests until SIGINT or SIGTERM. Raises UserError where nobody can listen there."""
    try:
        with bound(host, port) as socket_:
            _run(service, host, socket_)
    finally:
        service.close()


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens there; port 0 takes a free one. Raises UserError where that cannot be."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        made = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise UserError(Problem(f"there is no host '{host}': {error}", None, "--host", _HOST)) from None
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen(128)
    except OSError as error:
        made.close()
        if error.errno == errno.EADDRINUSE:
            what = f"port {port} of {host} is in use by another program"
            raise UserError(
                Problem(
                    what, place="--port", remedy="stop it, or choose another: --port N; 0 takes a free one"
                )
            ) from None
        what = f"{host}:{port} cannot be listened on: {error.strerror}"
        raise UserError(Problem(what, None, "--host", _HOST)) from None
    return made


def _run(service: Service, host: str, listening: socket.socket) -> None:
    import uvicorn

    from revive.serving.app import app

    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(message)s", level=logging.WARNING)
    port = listening.getsockname()[1]
    shown = f"[{host}]" if ":" in host else host
    lines = [f"serving {service.policy!r} on http://{shown}:{port}"]
    if service.log is not None:
        lines.append(f"shadow mode: proposals go to {service.log.file}; nothing else is written")
    if service.policy.envelope is None:
        lines.append("this bundle does not know what was logged: it cannot say when it is out of its range")
    if host not in _LOOPBACK:
        lines.append("anybody who reaches this address can ask: there is neither a password nor encryption")
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()
    hosts = [*_LOOPBACK, host] if host in _LOOPBACK else ["*"]
    config = uvicorn.Config(
        app(service, hosts), log_level="warning", access_log=False, lifespan="off", ws="none"
    )
    with contextlib.suppress(KeyboardInterrupt):  # the way to end it
        uvicorn.Server(config).run(sockets=[listening])
    sys.stdout.write(
        f"stopped after {service.counts.answered} requests, {service.counts.steps} steps of plants\n"
    )


def _require_libraries() -> None:
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(
            Problem(
                f"this needs {', '.join(missing)}",
                remedy="requirements/install serve, or pip install 'revive-logs[serve]'",
            )
        )
