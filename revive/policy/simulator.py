"""Ground truth, for experiments that have one: `simulator.py` beside the experiment.

It defines `make_data() -> dict of arrays` (the logs) and a class `Simulator(batch, seed)` with
`observe() -> {node: (B, d)}` and `step({target: (B, d)}) -> {node: (B, d)}`, in physical units; a new simulator starts
as the logs' trajectories start. Where the graph has a `done` node, `step` returns it too, (B, 1); what follows for a
branch that has ended may be anything finite, its rewards no longer count. A plant whose runs are of one length says so
in the module constant `EPISODE`, in steps. Only the scoring of a finished policy runs it; no learner ever sees it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from numpy.typing import NDArray

from revive.errors import Problem, UserError
from revive.graph.decision_graph import DecisionGraph
from revive.policy.memory import controller
from revive.policy.policy import Policy
from revive.policy.reward import Reward
from revive.user_code import load_module, raised_in, require_function

Array = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Truth:
    """What a policy earned in the simulator, episode by episode.

    reward: (T, n) of every step, 0 after the end of an episode. lengths: (n,) steps until the end. ended: (n,) whether
    it ended in `done`. series: node -> (steps, d) of the first episode, physical units, to its end.
    """

    reward: Array
    lengths: IntArray
    ended: NDArray[np.bool_]
    series: dict[str, Array]

    @property
    def rewards(self) -> Array:
        """(n,) mean per step; the steps after an end count as 0."""
        return self.reward.mean(0)

    @property
    def mean(self) -> float:
        return float(self.rewards.mean())

    @property
    def standard_error(self) -> float:
        return float(self.rewards.std(ddof=1) / np.sqrt(len(self.rewards)))

    @property
    def returns(self) -> Array:
        """(n,) the sum of the rewards."""
        return self.reward.sum(0)  # type: ignore[no-any-return]

    def to_json(self) -> dict[str, float]:
        """Means over the episodes, and the standard error of the return."""
        return {
            "return": float(self.returns.mean()),
            "se": float(self.returns.std(ddof=1) / np.sqrt(len(self.returns))),
            "length": float(self.lengths.mean()),
            "ended": float(self.ended.mean()),
        }

    def first(self, steps: int) -> Truth:
        """The same, had the episodes been cut after so many steps."""
        lengths = np.minimum(self.lengths, steps)
        ended = self.ended & (self.lengths <= steps)
        return Truth(self.reward[:steps], lengths, ended, {k: v[:steps] for k, v in self.series.items()})


class GroundTruth:
    """The user's simulator file."""

    def __init__(self, module: ModuleType, path: Path) -> None:
        self.module, self.path = module, path
        self.episode: int | None = getattr(module, "EPISODE", None)
        if self.episode is not None and (not isinstance(self.episode, int) or self.episode < 1):
            what = f"EPISODE is {self.episode!r}, not a number of steps"
            raise UserError(
                Problem(what, path, remedy="a whole number from 1 on, or none for a plant that runs on")
            )

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
            what = f"make_data returns {type(data).__name__}, no dict of arrays"
            raise UserError(Problem(what, self.path, remedy="return node -> (N, d), and 'index'"))
        return {name: np.asarray(value) for name, value in data.items()}

    @torch.no_grad()
    def score(self, policy: Policy, reward: Reward, *, episodes: int, steps: int, seed: int) -> Truth:
        """Let the policy control `episodes` independent plants: for an episode each, or for `steps` steps.

        Raises UserError where the simulator's code does, or returns what cannot be an end of an episode.
        """
        act, steps, done = controller(policy), self.episode or steps, policy.graph.done
        going = np.ones(episodes, dtype=bool)
        took_place: list[NDArray[np.bool_]] = []
        record: list[dict[str, Array]] = []
        try:
            plant = self.module.Simulator(episodes, seed)
            while len(record) < steps and going.any():
                seen = plant.observe()
                action = act(seen)
                record.append({**seen, **action, **plant.step(action)})
                took_place.append(going)
                going = going & ~self._ends(record[-1], done, episodes)
        except UserError:
            raise
        except Exception as error:
            raise UserError(raised_in(self.path, error)) from error
        series = {name: np.stack([row[name] for row in record]) for name in record[0]}  # (T, B, d)
        told = {**series, **histories_of(policy.graph, series)}  # a reward may look back
        data = {name: torch.as_tensor(value, dtype=torch.float32) for name, value in told.items()}
        alive = np.stack(took_place)  # (T, B)
        earned: Array = np.zeros((steps, episodes))
        earned[: len(record)] = np.where(alive, reward(data).double().numpy(), 0.0)
        lengths = alive.sum(0)
        first = {name: value[: lengths[0], 0] for name, value in series.items()}
        return Truth(earned, lengths, ~going, first)

    def _ends(self, row: Mapping[str, Array], done: str | None, episodes: int) -> NDArray[np.bool_]:
        """Which branches end with this step, (B,)."""
        if done is None or done not in row:
            return np.zeros(episodes, dtype=bool)
        said = np.asarray(row[done])
        if said.shape != (episodes, 1):
            what = f"step returned '{done}' of shape {said.shape}, not ({episodes}, 1)"
            raise UserError(Problem(what, self.path, remedy="return one value for each branch"))
        return said[:, 0] > 0.5


def histories_of(graph: DecisionGraph, series: Mapping[str, Array]) -> dict[str, Array]:
    """The histories that the plant does not give, (T, B, length * d); the first value stands for those before it."""
    found = {}
    for name in graph.nodes:
        spec = graph[name].history
        if spec is None or name in series or spec.source not in series:
            continue
        steps = np.arange(len(series[spec.source]))
        ages = range(spec.lookback, spec.lookback - spec.length, -1)
        found[name] = np.concatenate(
            [series[spec.source][np.maximum(steps - age, 0)] for age in ages], axis=-1
        )
    return found
