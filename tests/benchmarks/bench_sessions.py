"""Sampled rollouts of a session against a bare loop over the same networks: process CPU time, the two taking turns.

    python tests/benchmarks/bench_sessions.py [--branches 1000] [--steps 100] [--members 10] [--former FILE]

--former: another version of the module with VenvSession, to be timed beside them. --memory: one rollout, and the most
memory that the process took.
"""

from __future__ import annotations

import argparse
import importlib.util
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from revive.config.experiments import find_experiment
from revive.data.codec import Codec
from revive.deploy import VenvSession
from revive.graph.description import read_description
from revive.venv.node_model import NetworkSpec
from revive.venv.virtual_env import VirtualEnv


def plant(members: int) -> VirtualEnv:
    """The refrigerator with random networks of 64x64."""
    graph = read_description(find_experiment("refrigerator").folder / "description.yaml")
    codec = Codec.empty(graph)
    scales = {name: [1.0] * codec.layout(name).ordered for name in graph.learned}
    torch.manual_seed(0)
    return VirtualEnv(graph, codec, members, NetworkSpec((64, 64)), scales).requires_grad_(False)


@torch.no_grad()
def bare_loop(venv: VirtualEnv, start: np.ndarray, door: np.ndarray) -> np.ndarray:
    """The same rollout without a plan: one member for each branch, noise drawn step by step, all nodes kept."""
    steps = len(door)
    action, change = venv.model("action"), venv.model("next_temperature")
    x = torch.as_tensor(start, dtype=torch.float32).view(venv.members, -1, 1)
    doors = torch.as_tensor(door, dtype=torch.float32).view(steps, venv.members, -1, 1)
    record = []
    for t in range(steps):
        u = action.value(x, None, torch.randn_like(x)).clamp(0.0, 10.0)
        following = change.value(torch.cat([u, x, doors[t]], -1), x, torch.randn_like(x))
        record.append(torch.stack([x, u, doors[t], following]))
        x = following
    return torch.stack(record).double().numpy()


def seconds(run: Callable[[], Any]) -> float:
    started = time.process_time()
    run()
    return time.process_time() - started


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--branches", type=int, default=1000)
    asked.add_argument("--steps", type=int, default=100)
    asked.add_argument("--members", type=int, default=10)
    asked.add_argument("--repeats", type=int, default=7)
    asked.add_argument("--former", type=Path)
    asked.add_argument("--memory", choices=("now", "former", "bare"))
    asked.add_argument("--nodes", nargs="*")
    given = asked.parse_args()
    torch.set_num_threads(1)
    venv = plant(given.members)
    rng = np.random.default_rng(0)
    start = rng.normal(size=(given.branches, 1))
    door = rng.uniform(size=(given.steps, given.branches, 1))
    options = {"nodes": given.nodes} if given.nodes else {}

    def rolled(session: Any, **more: Any) -> Callable[[], Any]:
        return lambda: session.rollout(
            {"temperature": start}, {"door_open": door}, deterministic=False, seed=0, **more
        )

    arms = {"bare": lambda: bare_loop(venv, start, door), "now": rolled(VenvSession(venv), **options)}
    if given.former:
        spec = importlib.util.spec_from_file_location("former", given.former)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        arms["former"] = rolled(module.VenvSession(venv))
    if given.memory:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        took = seconds(arms[given.memory])
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(f"{given.memory}: {took:.2f} s, {most / 2**20:.2f} GB ({before / 2**20:.2f} before)")
        return
    times: dict[str, list[float]] = {name: [] for name in arms}
    for _ in range(given.repeats + 1):
        for name, run in arms.items():
            times[name].append(seconds(run))
    middle = {name: statistics.median(taken[1:]) for name, taken in times.items()}
    for name, taken in middle.items():
        print(f"{name:8} {1e3 * taken:9.1f} ms  {taken / middle['bare']:6.2f} times the bare loop")


if __name__ == "__main__":
    main()
