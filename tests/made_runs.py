"""Bundles of shipped experiments, learned with tiny limits, once in a test process."""

from __future__ import annotations

import atexit
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from revive.config.compose import load_settings
from revive.deploy import save_policy, save_venv
from revive.pipeline.context import TrainingContext
from revive.pipeline.inputs import gather
from revive.pipeline.scenario import scenario_of
from revive.pipeline.stages import train, venv_learner
from revive.policy.policy import Policy, action_range
from revive.tracking.base import NullTracker
from revive.training import Learner
from revive.venv.node_model import NetworkSpec

EXPERIMENTS = ("refrigerator", "lander_hover", "pipeline")  # numbers; category actions and ends; histories


@dataclass
class Alone(TrainingContext):
    """Fits a learner, and tells nobody."""

    folder: Path

    def checkpoint(self, stage: str) -> Path:
        return self.folder / f"{stage}.ckpt"

    def watch(self, learner: Learner, done: int, total: int) -> None:
        pass


@lru_cache
def _home() -> tempfile.TemporaryDirectory[str]:
    home = tempfile.TemporaryDirectory(prefix="revive-bundles-")
    atexit.register(home.cleanup)
    return home


@lru_cache
def made_run(name: str) -> Path:
    """A folder with the bundles `venv`, which has learned a little, and `policy`, which has not."""
    folder = Path(_home().name) / name
    folder.mkdir()
    settings = load_settings([f"experiment={name}", "debug=fast"])
    context = Alone(settings, gather(settings), folder)
    learner = venv_learner(context)
    train(context, "venv", learner, NullTracker(folder, name))
    venv = learner.result()
    save_venv(venv, folder / "venv", {"run_id": name}, scenario=scenario_of(context, venv))
    task = context.task
    codec = venv.codec.for_graph(task.graph)
    logged = context.rows(codec, task.graph).values[task.target]
    low, high = action_range(venv.graph, codec, task.target, logged.amin(0), logged.amax(0))
    policy = Policy(task.graph, codec, task.target, NetworkSpec((8,)), 1, low, high)
    save_policy(policy, folder / "policy", {"run_id": name})
    return folder
