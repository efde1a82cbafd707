"""Trains the controllers of the gymnasium experiments with PPO (Schulman et al. 2017, arXiv 1707.06347).

Needs stable-baselines3 besides gymnasium with MuJoCo. Only the commands `train_controllers.py` use it:
the weights that were chosen are part of the experiments, so no run trains them again.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import gymnasium
import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecNormalize

from revive.user_code import load_module

tasks = load_module(Path(__file__).parent / "plant.py")
Controller = tasks.Controller

ENVIRONMENTS = 8
EPISODES = 10


def extract(model: PPO) -> Controller:
    """The acting half of the model, with the statistics that normalise its observations."""
    statistics = model.get_vec_normalize_env().obs_rms
    actor = model.policy
    hidden = [layer for layer in actor.mlp_extractor.policy_net if isinstance(layer, torch.nn.Linear)]
    weights = {"mean": statistics.mean, "scale": np.sqrt(statistics.var + 1e-8)}
    weights["log_std"] = actor.log_std.detach().numpy().copy()
    for place, layer in enumerate([*hidden, actor.action_net]):
        weights[f"weight_{place}"] = layer.weight.detach().numpy().copy()
        weights[f"bias_{place}"] = layer.bias.detach().numpy().copy()
    return Controller(weights)


def returns(controller: Controller, task: str, episodes: int, *, noisy: bool) -> np.ndarray:
    """gymnasium's own return of each episode, (episodes,)."""
    with tasks.quiet_mujoco():
        plant, random = gymnasium.make(task), np.random.default_rng(0)
    found = np.zeros(episodes)
    for episode in range(episodes):
        observation, _ = plant.reset(seed=episode)
        over = False
        while not over:
            noise = random.normal(size=(1, plant.action_space.shape[0])) * noisy
            observation, reward, ended, cut, _ = plant.step(controller.act(observation[None], noise)[0])
            found[episode] += reward
            over = ended or cut
    return found


class Checkpoints(BaseCallback):
    """Saves the controller every `every` steps, and prints what it earns with and without its noise."""

    def __init__(self, folder: Path, name: str, task: str, every: int) -> None:
        super().__init__()
        self.folder, self.name, self.task, self.every = folder, name, task, every
        self.began = time.monotonic()

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        done = self.num_timesteps
        if done // self.every == (done - ENVIRONMENTS * self.model.n_steps) // self.every or not done:
            return
        controller = extract(self.model)
        controller.save(self.folder / f"{self.name}_{done // 1000}k.safetensors")
        noisy, quiet = (returns(controller, self.task, EPISODES, noisy=noise) for noise in (True, False))
        took = time.monotonic() - self.began
        spread = float(self.model.policy.log_std.detach().exp().mean())
        print(  # noqa: T201, a command
            f"{self.name} {done:8d} steps {took:5.0f} s  with noise {noisy.mean():6.0f} ± {noisy.std():4.0f}"
            f"  without {quiet.mean():6.0f} ± {quiet.std():4.0f}  std {spread:.2f}",
            flush=True,
        )


def train(task: str, folder: Path, *, steps: int, every: int, gamma: float) -> None:
    """Train one controller per seed on the command line and leave its checkpoints in the folder named there."""
    parser = argparse.ArgumentParser(description=f"Train controllers for {task}.")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--steps", type=int, default=steps)
    parser.add_argument("--out", type=Path, default=folder, help="default: %(default)s")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    for seed in options.seeds:
        with tasks.quiet_mujoco():
            plants = VecNormalize(make_vec_env(task, ENVIRONMENTS, seed=seed), gamma=gamma)
        model = PPO(
            "MlpPolicy",
            plants,
            n_steps=2048 // ENVIRONMENTS,
            batch_size=256,
            n_epochs=10,
            learning_rate=lambda left: 3e-4 * (0.2 + 0.8 * left),
            gamma=gamma,
            gae_lambda=0.95,
            policy_kwargs={"log_std_init": -0.5},
            seed=seed,
            device="cpu",
        )
        model.learn(options.steps, callback=Checkpoints(options.out, f"seed{seed}", task, every))
        plants.close()
