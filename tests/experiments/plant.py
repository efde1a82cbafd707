"""What the tests of several plants share: running an experiment's simulator and reward outside of a run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import torch

from revive.__main__ import main
from revive.user_code import load_module
from tests.conftest import figures_not_rendered

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
Nodes = dict[str, np.ndarray]
Controller = Callable[[Nodes], np.ndarray]


def simulator(name: str) -> ModuleType:
    """The module simulator.py of the experiment."""
    return load_module(EXPERIMENTS / name / "simulator.py")


def rewards(name: str, data: Nodes) -> np.ndarray:
    """data: node -> (N, d); what the experiment's reward.py gives for each row, (N,)."""
    module = load_module(EXPERIMENTS / name / "reward.py")
    return module.get_reward({k: torch.as_tensor(v) for k, v in data.items()}).numpy()[:, 0]


def logged_returns(name: str, logs: Nodes) -> np.ndarray:
    """The summed reward of every logged trajectory."""
    earned = rewards(name, {k: v for k, v in logs.items() if k != "index"})
    return np.add.reduceat(earned, np.r_[0, logs["index"][:-1]])


def returns(name: str, plant: object, decides: str, control: Controller, steps: int) -> np.ndarray:
    """Let `control` run the plant; the summed reward of every branch until it is done, (B,)."""
    total, going = np.zeros(1), np.ones(1)
    for _ in range(steps):
        seen = plant.observe()  # type: ignore[attr-defined]
        action = {decides: control(seen)}
        after = plant.step(action)  # type: ignore[attr-defined]
        total = total + going * rewards(name, {**seen, **action, **after})
        if "done" in after:
            going = going * (1 - after["done"][:, 0])
    return total


def assert_same_logs(first: Nodes, second: Nodes) -> None:
    """The two are equal in every node and bit."""
    assert first.keys() == second.keys()
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name])


def assert_runs(name: str, *options: str) -> None:
    """`check` finds no error, and a run with tiny limits ends well; writes into the working directory."""
    with figures_not_rendered():  # the run renders the same
        assert main(["check", f"experiment={name}", *options]) == 0
    assert main([f"experiment={name}", "debug=fast", "tracking=none", "run_id=r", *options]) == 0
    summary = json.loads((Path("runs") / "r" / "summary.json").read_text())
    assert all(np.isfinite(value) for value in summary["venv"]["rollout_mae"].values())
