"""What the simulators of the gymnasium experiments share: a batch of environments, and logs made with them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import gymnasium
import mujoco
import numpy as np

from revive.user_code import load_module

Controller = load_module(Path(__file__).parent / "controller.py").Controller

Arrays = dict[str, np.ndarray]

DECIMALS = 8  # of a logged action: processors round differently, and a robot makes much of the last digit


class Batch:
    """`batch` independent environments of one gymnasium task, stepped one after the other.

    Nodes: `obs` (B, d), gymnasium's observation; `action` (B, a) in [-1, 1]; `next_obs`; and `done` (B, 1)
    where `ends`. A branch that has ended stands still. `rewards` (B,) holds gymnasium's own reward of the
    last step, 0 for branches that ended before.
    """

    task: str  # gymnasium's id
    ends: bool  # whether the task has a terminal state

    def __init__(self, batch: int, seed: int) -> None:
        with quiet_mujoco():
            self.plants = [gymnasium.make(self.task).unwrapped for _ in range(batch)]
        seeds = np.random.SeedSequence(seed).generate_state(batch)
        starts = [plant.reset(seed=int(own))[0] for plant, own in zip(self.plants, seeds, strict=True)]
        self.seen = np.stack(starts)  # (B, d)
        self.done = np.zeros(batch, dtype=bool)
        self.rewards = np.zeros(batch)

    def observe(self) -> Arrays:
        """What the controller reads before it acts."""
        return {"obs": self.seen.copy()}

    def step(self, action: Arrays) -> Arrays:
        """Apply `action`, cut to [-1, 1], for one control period."""
        torques = np.clip(action["action"], -1.0, 1.0)
        self.rewards = np.zeros(len(self.plants))
        for branch, plant in enumerate(self.plants):
            if not self.done[branch]:
                self.seen[branch], self.rewards[branch], self.done[branch], *_ = plant.step(torques[branch])
        followed = {"next_obs": self.seen.copy()}
        return {**followed, "done": self.done[:, None].astype(float)} if self.ends else followed


@contextmanager
def quiet_mujoco() -> Iterator[None]:
    """MuJoCo tells of outdated attributes in gymnasium's models on stderr and in a file in the working directory."""
    before = mujoco.get_mju_user_warning()
    mujoco.set_mju_user_warning(lambda message: None)
    try:
        yield
    finally:
        mujoco.set_mju_user_warning(before)


@dataclass(frozen=True)
class Source:
    """`trajectories` of the logs come from the controller in `file`."""

    file: Path
    trajectories: int


def make_logs(
    plant: type[Batch], sources: Sequence[Source], steps: int, seed: int
) -> tuple[Arrays, np.ndarray]:
    """Trajectories of at most `steps` steps under the controllers with their exploration noise.

    Returns the logs (node -> (N, d), float64, and `index`), and gymnasium's own return of each trajectory. The
    trajectories of the sources are mixed, so that each part of a split sees every controller. Actions are
    rounded, so that the logs are the same on processors whose sums of products end in other digits.
    """
    found: list[tuple[Arrays, float]] = []
    for number, source in enumerate(sources):
        found += _roll_out(plant, source, steps, [seed, number])
    order = np.random.default_rng(seed).permutation(len(found))
    logs = {name: np.concatenate([found[i][0][name] for i in order]) for name in found[0][0]}
    ends = np.cumsum([len(found[i][0]["action"]) for i in order])
    return {**logs, "index": ends}, np.array([found[i][1] for i in order])


def _roll_out(plant: type[Batch], source: Source, steps: int, seed: list[int]) -> list[tuple[Arrays, float]]:
    controller, random = Controller.load(source.file), np.random.default_rng(seed)
    batch = plant(source.trajectories, int(random.integers(2**31)))
    record: list[Arrays] = []
    lasted, earned = np.zeros(source.trajectories, dtype=int), np.zeros(source.trajectories)
    for _ in range(steps):
        seen, going = batch.observe(), ~batch.done
        noise = random.normal(size=(source.trajectories, len(controller.weights["log_std"])))
        action = {"action": np.round(controller.act(seen["obs"], noise), DECIMALS)}
        record.append({**seen, **action, **batch.step(action)})
        lasted += going
        earned += batch.rewards
        if batch.done.all():
            break
    series = {name: np.stack([row[name] for row in record], axis=1) for name in record[0]}  # (B, T, d)
    return [
        ({name: value[i, : lasted[i]] for name, value in series.items()}, float(earned[i]))
        for i in range(source.trajectories)
    ]
