"""Ground truth of experiment `half_cheetah`: gymnasium's HalfCheetah-v5; the logs come from half-trained controllers.

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
    message = "experiment 'half_cheetah' needs gymnasium with MuJoCo: pip install 'revive-logs[plants]'"
    raise ImportError(message) from error

HERE = Path(__file__).resolve().parent
tasks = load_module(HERE.parent / "gymnasium_tasks" / "plant.py")

EPISODE = 1000
CONTROLLERS = {"seed1_301k": 6, "seed0_401k": 7, "seed1_401k": 7}  # file -> trajectories in the logs
BETTER = "seed0_901k"  # what is reachable; no log is made with it


class Simulator(tasks.Batch):
    """A batch of half cheetahs: `obs` (B, 17), `action` (B, 6), `next_obs`."""

    task = "HalfCheetah-v5"
    ends = False


def make_logs() -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The logs, and gymnasium's own return of each trajectory."""
    sources = [
        tasks.Source(HERE / "controllers" / f"{name}.safetensors", n) for name, n in CONTROLLERS.items()
    ]
    return tasks.make_logs(Simulator, sources, EPISODE, seed=0)


def make_data() -> dict[str, np.ndarray]:
    """The logs: node -> (N, d), and `index`."""
    return make_logs()[0]
