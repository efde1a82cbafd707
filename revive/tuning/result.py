"""What tuning leaves: the values, what they earn, and how far each of them matters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from revive.tuning.objective import Direction
from revive.tuning.space import Array


@dataclass(frozen=True)
class Confirmed:
    """A reward per step on fresh starts and noise.

    low, high: 95 % interval of the mean over starts and noise, in these venvs; members: the mean of every member,
    whose spread says how far the venvs themselves disagree.
    """

    mean: float
    low: float
    high: float
    members: list[float]

    def to_json(self) -> dict[str, Any]:
        return {
            "mean": self.mean,
            "low": self.low,
            "high": self.high,
            "members": {"std": float(np.std(self.members)), "means": self.members},
        }


@dataclass(frozen=True)
class Scan:
    """The reward along one column through the optimum: physical values (n,), means (n,), (n, members)."""

    node: str
    column: str
    values: Array
    mean: Array
    members: Array
    best: float
    standard_error: float | None
    by_member: (
        tuple[float, float] | None
    )  # the smallest and largest value that a member by itself would choose
    others: list[float]  # values of a discrete column that do as well

    def to_json(self) -> dict[str, Any]:
        found: dict[str, Any] = {"value": self.best, "standard_error": self.standard_error}
        if self.by_member is not None:
            found["by_member"] = list(self.by_member)
        return {**found, "as_good": self.others} if self.others else found


@dataclass(frozen=True)
class Tuned:
    """The outcome of a search. `logged` is what the values that the logs held most earn, `gain` the difference.

    gain: with the 95 % interval of the paired difference, positive where tuning helps whatever the direction.
    flat: directions in which the reward hardly changes, in words.
    """

    direction: Direction
    values: dict[str, dict[str, float]]
    reward: Confirmed
    logged: Confirmed | None
    gain: tuple[float, float, float] | None
    scans: list[Scan]
    flat: list[str]
    judged: int
    horizon: int

    def to_json(self) -> dict[str, Any]:
        """Plain values, as `tuning.yaml` and `summary.json` hold them."""
        found: dict[str, Any] = {"mode": self.direction, "values": self.values, "columns": {}}
        for scan in self.scans:
            found["columns"].setdefault(scan.node, {})[scan.column] = scan.to_json()
        found["reward"] = self.reward.to_json()
        if self.logged is not None and self.gain is not None:
            found["logged"] = self.logged.to_json()
            found["gain"] = dict(zip(("mean", "low", "high"), self.gain, strict=True))
        return {**found, "flat": self.flat, "judged": self.judged, "horizon": self.horizon}
