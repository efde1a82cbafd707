"""The Ray that trials run on: one of our own, or an existing one by its address."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from revive.errors import Problem, Problems, UserError
from revive.search.address import (
    AUTH_MODE,
    AUTH_TOKEN,
    JOINING,
    REFUSAL,
    agreed_mode,
    check_tracking,
    no_entry,
    no_ray,
    own_token,
)

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


@contextmanager
def ray_running(
    address: str | None, shared: Sequence[Path], tracking_uri: str | None, tracked: bool
) -> Iterator[Any]:
    """Ray, connected: one that runs in this process already is used and left alone, ours is ended.

    shared: what every machine must see, a folder first that can be written.
    Raises UserError where there is none at the address, or one of its machines does not see what it must.
    """
    before = {key: os.environ.get(key) for key in (*_QUIET, *JOINING, AUTH_MODE, AUTH_TOKEN)}
    os.environ.update(_QUIET | (own_token() if address is None else JOINING | agreed_mode(address)))
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
        if REFUSAL in f"{type(error)} {error.__cause__}":
            raise no_entry(address, os.environ.get(AUTH_MODE, "")) from error
        raise no_ray(address, str(error).splitlines()[0]) from error


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
    what = "no node of Ray has both the CPUs and the GPUs of a trial"
    remedy = "a smaller share, or fewer search.cpus_per_trial"
    raise UserError(Problem(what, place="search.gpus_per_trial", remedy=remedy))
