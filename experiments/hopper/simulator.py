"""Ground truth of experiment `hopper`: gymnasium's Hopper-v5; the logs come from half-trained controllers.

Nothing in `revive` knows this plant. Controllers: `train_controllers.py`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from revive.user_code import load_module

try:
    import gymnasium  # noqa: F401
    import mujoco  # noqa: F401
except ImportError as error:
    message = "experiment 'hopper' needs gymnasium with MuJoCo: pip install 'revive-logs[plants]'"
    raise ImportError(message) from error

HERE = Path(__file__).resolve().parent
tasks = load_module(HERE.parent / "gymnasium_tasks" / "plant.py")

EPISODE = 1000
CONTROLLERS = {"seed0_450k": 16, "seed1_200k": 16, "seed0_600k": 16}  # file -> trajectories in the logs
BETTER = "seed1_550k"  # what is reachable; no log is made with it


class Simulator(tasks.Batch):
    """A batch of hoppers: `obs` (B, 11), `action` (B, 3), `next_obs`, `done` (B, 1)."""

    task = "Hopper-v5"
    ends = True


def make_logs() -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The logs, and gymnasium's own return of each trajectory."""
    sources = [
        tasks.Source(HERE / "controllers" / f"{name}.safetensors", n) for name, n in CONTROLLERS.items()
    ]
    return tasks.make_logs(Simulator, sources, EPISODE, seed=0)


def make_data() -> dict[str, np.ndarray]:
    """The logs: node -> (N, d), and `index`."""
    return make_logs()[0]
