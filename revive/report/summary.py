"""The figures of a run, as `summary.json` holds them.

venv.rollout_mae, venv.persistence_mae   {"1", "10", "50", "100"}: mean absolute error over the first so many
    steps of open-loop rollouts on the validation half, by the members that learned from the training half,
    and by "nothing changes"; physical units, mean over all state columns. venv.other_half: the reverse.
venv.columns     column -> the same over the longest horizon, one by one
venv.test        {rollout_mae: of either half's members, persistence_mae}, where a test part was kept aside
policy.logged    mean reward per step of the logs
policy.predicted {mean, low, high}: of the learned policy in the venv of the half it did not learn in; low and
    high hold 90 % of all rollouts, over members and starts
policy.halves    the same in each half's venv; policy.behaviour: of the logs' controller as learned
policy.truth     {mean, se, episodes} in the simulator, for experiments that have one
tuning           empty where nothing was tuned; else what `tuning.yaml` holds:
    mode, values {node: {column: value}}, columns {node: {column: {value, standard_error, as_good}}}: the
    standard error of the best value, null at an edge of the range, and other discrete values that do as well;
    reward {mean, low, high, members}: per step on fresh starts, its 95 % interval, every member's mean;
    logged: the same with the values that the logs held most; gain {mean, low, high}: of the paired difference;
    flat: directions in which the reward hardly changes, in words; judged: points; horizon: steps
search           stage -> how its hyper-parameters were searched, empty where they were not: metric, trials {state:
    count}, chosen (see `search/STAGE/trials.json`), training_seconds: of all trials, wall_seconds: of the stage;
    where a test part was kept aside also validation, test, optimism: of the venv the mean absolute rollout error of
    both halves' members over `steps` steps, of the policy the gain over the logs' controller per step
seconds          by stage
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from torch import Tensor


@dataclass(frozen=True)
class Estimate:
    """A reward per step, and what holds 90 % of its spread."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, rewards: Tensor) -> Estimate:
        """rewards: any shape, one per rollout."""
        low, high = np.quantile(rewards.double().numpy(), [0.05, 0.95])
        return cls(float(rewards.double().mean()), float(low), float(high))

    def to_json(self) -> dict[str, float]:
        return asdict(self)


@dataclass(frozen=True)
class Summary:
    """See the module's docstring for every field."""

    experiment: str
    run_id: str
    seed: int
    data: dict[str, Any]
    venv: dict[str, Any]
    policy: dict[str, Any]
    seconds: dict[str, float]
    tuning: dict[str, Any] = field(default_factory=dict)
    search: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def metrics(self) -> dict[str, float]:
        """The figures that runs are compared by, flat."""
        flat = {f"venv.rollout_mae.{h}": value for h, value in self.venv["rollout_mae"].items()}
        if "logged" in self.policy:
            flat["policy.logged"] = self.policy["logged"]
        if "predicted" in self.policy:
            flat["policy.predicted"] = self.policy["predicted"]["mean"]
        if "truth" in self.policy:
            flat["policy.truth"] = self.policy["truth"]["mean"]
        for stage, searched in self.search.items():
            if "optimism" in searched:
                flat[f"{stage}.optimism"] = searched["optimism"]
        if self.tuning:
            flat["tuning.reward"] = self.tuning["reward"]["mean"]
        return flat
