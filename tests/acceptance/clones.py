"""What clones of a gymnasium experiment's logs can reach: `python tests/acceptance/clones.py [hopper]`.

Eight clones of each kind learn side by side, each from a half of the trajectories that was drawn anew or from all of
them, and act without noise in 12 episodes. Prints the return of every clone, sorted, and how many reach the mean of the
best third of the logs. It reads who made which trajectory (`of the best controller`), which no learner of revive knows.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))  # a plain script: the packages of this checkout

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import huber_loss

from revive.nn.backbones import make_net
from revive.policy.policy import soft_clip
from revive.user_code import load_module

EXPERIMENTS = Path(__file__).resolve().parents[2] / "experiments"
CLONES, EPISODES, STEPS, BATCH, FINEST = 8, 12, 1000, 256, 10


@dataclass(frozen=True)
class Kind:
    """A way to clone. of: 'half' or 'all' trajectories, or 'best': those of the best controller. tilt: weight of
    trajectories by return. censored: actions at a bound are taken for 'at least that much' (Tobit). noise: on the
    states, in standard deviations. averaged: how many networks make one clone by their mean."""

    name: str
    of: str = "half"
    tilt: float = 2.0
    censored: bool = False
    hidden: tuple[int, ...] = (64, 64)
    updates: int = 2000
    decay: float = 1e-3
    noise: float = 0.0
    averaged: int = 1


KINDS = (
    Kind("weighted, of a half"),
    Kind("weighted, of all", of="all"),
    Kind("unweighted, of a half", tilt=0.0),
    Kind("weighted twice as much, of a half", tilt=4.0),
    Kind("censored, of a half", censored=True),
    Kind("censored, of all", of="all", censored=True),
    Kind("500 updates, of a half", updates=500),
    Kind("8000 updates, of a half", updates=8000),
    Kind("strong decay, of a half", decay=1.0),
    Kind("256 x 256, of a half", hidden=(256, 256)),
    Kind("noise on the states, of a half", noise=0.05),
    Kind("mean of five, of a half", averaged=5),
    Kind("of the best controller, by its label", of="best", tilt=0.0),
    Kind("of the best controller, censored", of="best", tilt=0.0, censored=True),
)


class Logs:
    """The experiment's logs, standardised; `returns` by trajectory, `labels` of the controllers that made them."""

    def __init__(self, experiment: str) -> None:
        self.plant = load_module(EXPERIMENTS / experiment / "simulator.py")
        self.reward = load_module(EXPERIMENTS / experiment / "reward.py").get_reward
        logs = self.plant.make_data()
        self.ends, seen = logs.pop("index"), logs["obs"]
        self.starts = np.concatenate([[0], self.ends[:-1]])
        earned = self.earned(logs)
        self.returns = np.array([earned[a:b].sum() for a, b in zip(self.starts, self.ends, strict=True)])
        self.center, self.spread = seen.mean(0), seen.std(0)
        self.x = self.standardised(seen)
        self.action = torch.as_tensor(logs["action"], dtype=torch.float32)
        sources = np.repeat(np.arange(len(self.plant.CONTROLLERS)), list(self.plant.CONTROLLERS.values()))
        self.labels = sources[np.random.default_rng(0).permutation(len(sources))]  # as make_logs mixes them

    def standardised(self, seen: np.ndarray) -> Tensor:
        return torch.as_tensor((seen - self.center) / self.spread, dtype=torch.float32)

    def earned(self, nodes: dict[str, np.ndarray]) -> np.ndarray:
        reward = self.reward({name: torch.as_tensor(value) for name, value in nodes.items()})
        return np.asarray(reward).ravel()

    @property
    def best_third(self) -> float:
        return float(np.sort(self.returns)[-len(self.returns) // 3 :].mean())

    def rows(self, kind: Kind, clone: int) -> Tensor:
        """The rows that a clone draws from, trajectories repeated by their weight."""
        ids = np.arange(len(self.ends))
        if kind.of == "best":
            means = [self.returns[self.labels == label].mean() for label in range(self.labels.max() + 1)]
            ids = ids[self.labels == int(np.argmax(means))]
        elif kind.of == "half":
            ids = np.random.default_rng(clone).permutation(ids)[: len(ids) // 2]
        z = (self.returns[ids] - self.returns[ids].mean()) / self.returns[ids].std()
        repeats = np.round(FINEST * np.exp(kind.tilt * (z - z.max()))).astype(int)
        pieces = [
            np.arange(self.starts[i], self.ends[i])
            for i, n in zip(ids, repeats, strict=True)
            for _ in range(n)
        ]
        return torch.as_tensor(np.concatenate(pieces))


class Clones(torch.nn.Module):
    """Networks side by side; the mean of `averaged` of them is one clone, cut to [-1, 1]."""

    def __init__(self, logs: Logs, kind: Kind) -> None:
        super().__init__()
        count = CLONES * kind.averaged
        width, actions = logs.x.shape[1], logs.action.shape[1]
        self.kind = kind
        self.net = make_net(
            "mlp", count, width, actions, hidden=kind.hidden, activation="tanh", norm=False, frames=()
        )
        self.log_std = torch.nn.Parameter(torch.full((count, 1, actions), -1.0))

    def loss(self, x: Tensor, action: Tensor) -> Tensor:
        """Huber of what is cut softly, or the likelihood of a Gaussian that is cut at the bounds (Tobin 1958)."""
        mean, one = self.net(x), torch.ones(())
        if not self.kind.censored:
            return (
                huber_loss(soft_clip(mean, -one, one, 0.15), action, reduction="none").sum(-1).mean(1).sum()
            )
        std = self.log_std.exp().clamp_min(0.02)
        inside = 0.5 * ((action - mean) / std).square() + std.log()
        above = -torch.special.log_ndtr((mean - 1.0) / std)
        below = -torch.special.log_ndtr((-1.0 - mean) / std)
        found = torch.where(action >= 1.0, above, torch.where(action <= -1.0, below, inside))
        return found.sum(-1).mean(1).sum()

    @torch.no_grad()
    def act(self, x: Tensor) -> Tensor:
        """(CLONES, B, inputs) -> (CLONES, B, actions)."""
        each = self.net(x.repeat_interleave(self.kind.averaged, 0)).clamp(-1.0, 1.0)
        return each.unflatten(0, (CLONES, -1)).mean(1)


def trained(logs: Logs, kind: Kind) -> Clones:
    torch.manual_seed(0)
    clones = Clones(logs, kind)
    pools = [logs.rows(kind, clone) for clone in range(CLONES) for _ in range(kind.averaged)]
    optimizer = torch.optim.AdamW(clones.parameters(), lr=3e-3, weight_decay=kind.decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, kind.updates)
    for _ in range(kind.updates):
        index = torch.stack([pool[torch.randint(len(pool), (BATCH,))] for pool in pools])
        x = logs.x[index]
        loss = clones.loss(x + kind.noise * torch.randn_like(x), logs.action[index])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return clones


def returns(logs: Logs, clones: Clones) -> np.ndarray:
    """The mean return of every clone in the simulator, (CLONES,)."""
    batch = logs.plant.Simulator(CLONES * EPISODES, 12345)
    total = np.zeros(CLONES * EPISODES)
    for _ in range(STEPS):
        going, seen = ~batch.done, batch.observe()
        if not going.any():
            break
        x = logs.standardised(seen["obs"]).unflatten(0, (CLONES, EPISODES))
        action = {"action": clones.act(x).flatten(0, 1).numpy().astype(float)}
        nodes: dict[str, Any] = {**seen, **action, **batch.step(action)}
        total += logs.earned(nodes) * going
    return total.reshape(CLONES, EPISODES).mean(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("experiment", nargs="?", default="hopper", choices=("hopper", "half_cheetah"))
    logs = Logs(parser.parse_args().experiment)
    bar = logs.best_third
    print(f"best third of the logs: {bar:.0f}\n\n| clones | returns | mean | reach it |\n|---|---|---|---|")
    for kind in KINDS:
        found = np.sort(returns(logs, trained(logs, kind)))
        told = ", ".join(f"{value:.0f}" for value in found)
        print(
            f"| {kind.name} | {told} | {found.mean():.0f} | {int((found >= bar).sum())} of {CLONES} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
