"""Ground truth, for experiments that have one: `simulator.py` beside the experiment.

It defines `make_data() -> dict of arrays` (the logs) and a class `Simulator(batch, seed)` with
`observe() -> {node: (B, d)}` and `step({target: (B, d)}) -> {node: (B, d)}`, in physical units. Only the
scoring of a finished policy runs it; no learner ever sees it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from revive.errors import Problem, UserError
from revive.policy.memory import controller
from revive.policy.policy import Policy
from revive.policy.reward import Reward
from revive.user_code import load_module, raised_in, require_function

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Truth:
    """rewards: (episodes,) mean per step; series: node -> (T, d) of the first episode, physical units."""

    rewards: Array
    series: dict[str, Array]

    @property
    def mean(self) -> float:
        return float(self.rewards.mean())

    @property
    def standard_error(self) -> float:
        return float(self.rewards.std(ddof=1) / np.sqrt(len(self.rewards)))


class GroundTruth:
    """The user's simulator file."""

    def __init__(self, module: ModuleType, path: Path) -> None:
        self.module, self.path = module, path

    @classmethod
    def load(cls, path: Path) -> GroundTruth:
        """Raises UserError where the file cannot be run or lacks a part."""
        module = load_module(path)
        require_function(module, "make_data", path)
        require_function(module, "Simulator", path)
        return cls(module, path)

    def make_data(self) -> dict[str, Array]:
        """The logs. Raises UserError where the user's code does."""
        try:
            data = self.module.make_data()
        except Exception as error:
            raise UserError(raised_in(self.path, error)) from error
        if not isinstance(data, Mapping):
            raise UserError(Problem("make_data returns no dict of arrays", self.path))
        return {name: np.asarray(value) for name, value in data.items()}

    @torch.no_grad()
    def score(self, policy: Policy, reward: Reward, *, episodes: int, steps: int, seed: int) -> Truth:
        """Let the policy control `episodes` independent plants for `steps` steps."""
        act = controller(policy)
        try:
            plant = self.module.Simulator(episodes, seed)
            record: list[dict[str, Array]] = []
            for _ in range(steps):
                seen = plant.observe()
                action = act(seen)
                record.append({**seen, **action, **plant.step(action)})
        except UserError:
            raise
        except Exception as error:
            raise UserError(raised_in(self.path, error)) from error
        series = {name: np.stack([row[name] for row in record]) for name in record[0]}  # (T, B, d)
        data = {name: torch.as_tensor(value, dtype=torch.float32) for name, value in series.items()}
        rewards: Tensor = reward(data).mean(0)
        return Truth(rewards.double().numpy(), {name: value[:, 0] for name, value in series.items()})
