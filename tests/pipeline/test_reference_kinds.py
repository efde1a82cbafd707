"""Kinds of projects as users of the REVIVE SDK write them, through tiny runs: nothing may end in a traceback."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from revive.__main__ import main

NUMPY_PLANT = """\
import numpy as np

def after(data: dict[str, np.ndarray]) -> np.ndarray:
    return 0.8 * data['stock'] + data['order']
"""
STOCK = """\
metadata:
  columns:
    - stock: {dim: stock, type: continuous}
    - order: {dim: order, type: continuous}
  graph:
    order: [stock]
    next_stock: [stock, order]
  expert_functions:
    next_stock: {node_function: plant.after}
"""
WINDOW = """\
metadata:
  columns:
    - x0: {dim: obs, type: continuous}
    - x1: {dim: obs, type: continuous}
    - x0: {dim: newest, type: continuous}
    - u: {dim: action, type: continuous}
  graph:
    action: [obs]
    newest: [obs, action]
    next_obs: [obs, newest]
  expert_functions:
    next_obs: {node_function: plant.shift}
"""
SHIFT = """\
import torch

def shift(data: dict[str, torch.Tensor]) -> torch.Tensor:
    return torch.cat([data['newest'], data['obs'][..., :1]], -1)
"""


FLOW = """\
metadata:
  columns:
    - level: {dim: level, type: continuous}
    - valve: {dim: valve, type: continuous}
    - flow: {dim: flow, type: continuous}
  graph:
    valve: [level]
    flow: [valve]
    next_level: [level, flow]
"""


def flow_logs(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """level' = 0.8 level + flow, flow = valve / 2, give or take a bit."""
    valve = rng.normal(size=240)
    flow = 0.5 * valve + 0.05 * rng.normal(size=240)
    level = np.zeros(241)
    for t in range(240):
        level[t + 1] = 0.8 * level[t] + flow[t]
    return {name: value[:240, None] for name, value in (("level", level), ("valve", valve), ("flow", flow))}


def stock_logs(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """stock' = 0.8 stock + order, which the function says."""
    order = rng.normal(size=240)
    stock = np.zeros(240)
    for t in range(239):
        stock[t + 1] = 0.8 * stock[t] + order[t]
    return {"stock": stock[:, None], "order": order[:, None]}


def window_logs(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """obs holds the last two values of x' = 0.5 x + 0.2 x_before + u, give or take a bit."""
    x, u = np.zeros(242), rng.normal(size=240)
    for t in range(240):
        x[t + 2] = 0.5 * x[t + 1] + 0.2 * x[t] + u[t] + 0.05 * rng.normal()
    return {"obs": np.stack([x[1:241], x[:240]], 1), "newest": x[2:, None], "action": u[:, None]}


def run(folder: Path, description: str, plant: str, reward: str, logs: dict[str, Any]) -> dict[str, Any]:
    """The summary of a run of these files."""
    (folder / "description.yaml").write_text(description)
    (folder / "plant.py").write_text(plant)
    (folder / "reward.py").write_text(f"import torch\ndef get_reward(data):\n    return {reward}\n")
    np.savez(folder / "logs.npz", index=np.array([120, 240]), **logs)
    files = ["-df", "logs.npz", "-cf", "description.yaml", "-rf", "reward.py"]
    assert main(["server", *files, "-vm", "once", "-pm", "once", "--debug", "--tracking", "none"]) == 0
    found: dict[str, Any] = json.loads(next(Path("runs").glob("*/summary.json")).read_text())
    return found


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_plant_that_is_a_function_of_numpy_and_a_reward_of_the_present_state(folder: Path) -> None:
    logs = stock_logs(np.random.default_rng(0))
    summary = run(folder, STOCK, NUMPY_PLANT, "-data['stock'].abs()", logs)
    assert np.isfinite(summary["policy"]["predicted"]["mean"])
    assert summary["venv"]["rollout_mae"]["1"] == pytest.approx(0.0, abs=1e-4)


def test_a_learned_node_that_a_function_shifts_is_judged(folder: Path) -> None:
    logs = window_logs(np.random.default_rng(0))
    summary = run(folder, WINDOW, SHIFT, "-data['next_obs'][..., 0].abs()", logs)
    assert (
        summary["venv"]["rollout_mae"]["1"] > 0.005
    )  # of half its columns; replayed from the logs it would be none
    assert np.isfinite(summary["policy"]["predicted"]["mean"])


def test_a_measured_flow_between_the_valve_and_the_level_is_predicted(folder: Path) -> None:
    summary = run(folder, FLOW, "", "-data['next_level'].abs()", flow_logs(np.random.default_rng(0)))
    assert (
        summary["policy"]["horizon"]["dead_time"] == 1
    )  # replayed from the logs the flow would hide the valve
