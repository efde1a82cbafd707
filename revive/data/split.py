"""Parts to learn from, to validate on, and to test on once at the end."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from revive.data.trajectories import Trajectories
from revive.errors import Problem, Problems, UserError

_log = logging.getLogger("revive")

SplitMode = Literal["auto", "outside_traj", "inside_traj"]

_MIN_ROWS: Final = 2  # of one part of a trajectory that is cut
_TOO_SHORT: Final = (
    "a smaller dataset.split.gap, longer logs, or with several trajectories dataset.split.mode=outside_traj"
)
_UNEVEN: Final = (
    0.5  # of the rows that its share would be, from which a part of whole trajectories is too small
)


@dataclass(frozen=True)
class Split:
    """The parts of a data set; `test` is None where none was asked for."""

    train: Trajectories
    validation: Trajectories
    test: Trajectories | None = None


def split(
    trajectories: Trajectories,
    *,
    validation: float = 0.5,
    test: float = 0.0,
    mode: SplitMode = "auto",
    gap: int = 0,
    seed: int = 0,
) -> Split:
    """Splits by whole trajectories drawn with `seed`, or cuts each trajectory in time.

    validation, test: shares of the trajectories, or of the rows where trajectories are cut
    mode: `outside_traj` whole trajectories, which are cut after all (and that is said) where there are too few of
        them; `inside_traj` cuts each one into training, validation, test, in this order; `auto` cuts only where
        there are fewer trajectories than parts, or where they are so uneven that a part would have less than half
        of its rows; then it leaves those that are too short to be cut whole, in the training part
    gap: rows dropped between two parts of a trajectory, so that no window sees both
    Raises UserError for impossible shares and for too little data.
    """
    shares = {"validation": validation, "test": test} if test else {"validation": validation}
    _check(shares, mode, gap)
    enough = trajectories.count >= _fewest(trajectories.count, shares)
    if mode == "outside_traj" and not enough:
        _log.warning(
            "%d trajectories are too few for training, %s: each of them is cut in time instead",
            trajectories.count,
            " and ".join(shares),
        )
    if mode == "inside_traj" or not enough:
        return _by_time(trajectories, shares, gap)
    drawn = _by_trajectory(trajectories, shares, seed)
    if mode == "outside_traj" or not _is_uneven(drawn, shares):
        return drawn
    return _by_time(trajectories, shares, gap, spare_short=True)


def _fewest(count: int, shares: Mapping[str, float]) -> int:
    """How many trajectories it takes to give every part its share of `count` of them, at least one each."""
    return 1 + sum(_sizes(count, shares).values())


def _sizes(count: int, shares: Mapping[str, float]) -> dict[str, int]:
    """Trajectories of each part but the training part."""
    return {name: max(1, _floor(count * share)) for name, share in shares.items()}


def _is_uneven(parts: Split, shares: Mapping[str, float]) -> bool:
    rows = {name: part.rows for name in ("train", *shares) if (part := getattr(parts, name)) is not None}
    wanted = {"train": 1 - sum(shares.values()), **shares}
    return any(count < _UNEVEN * wanted[name] * sum(rows.values()) for name, count in rows.items())


def _check(shares: Mapping[str, float], mode: str, gap: int) -> None:
    problems = Problems()
    for name, share in shares.items():
        if not 0 < share < 1:
            problems.add(
                f"the {name} share is {share:g}", place=name, remedy="between 0 and 1, both excluded"
            )
    if sum(shares.values()) >= 1:
        problems.add(
            f"{' and '.join(shares)} take {sum(shares.values()):g} of the data, nothing is left to train on",
            remedy="smaller shares, whose sum is below 1",
        )
    if gap < 0:
        problems.add(f"the gap is {gap} rows", place="gap", remedy="0 or more")
    if mode not in ("auto", "outside_traj", "inside_traj"):
        problems.add(f"unknown split mode '{mode}'", remedy="possible: auto, outside_traj, inside_traj")
    problems.raise_if_any()


def _by_trajectory(trajectories: Trajectories, shares: Mapping[str, float], seed: int) -> Split:
    shuffled = np.random.default_rng(seed).permutation(trajectories.count)
    chosen: dict[str, Trajectories] = {}
    for name, size in _sizes(trajectories.count, shares).items():
        ids, shuffled = shuffled[:size], shuffled[size:]
        chosen[name] = trajectories.select(np.sort(ids))
    return Split(trajectories.select(np.sort(shuffled)), chosen["validation"], chosen.get("test"))


def _by_time(
    trajectories: Trajectories, shares: Mapping[str, float], gap: int, spare_short: bool = False
) -> Split:
    """Each trajectory cut in time; `spare_short` leaves those that are too short for it to the training part."""
    pieces: dict[str, list[tuple[int, int]]] = {name: [] for name in ("train", *shares)}
    for number, (start, length) in enumerate(zip(trajectories.starts, trajectories.lengths, strict=True)):
        usable = int(length) - gap * len(shares)
        sizes = {name: _floor(usable * share) for name, share in shares.items()}
        sizes = {"train": usable - sum(sizes.values()), **sizes}
        if min(sizes.values()) < _MIN_ROWS and spare_short:
            pieces["train"].append((int(start), int(start + length)))
            continue
        if min(sizes.values()) < _MIN_ROWS:
            what = (
                f"trajectory {number} has {length} rows, too few to be cut into {', '.join(sizes)} "
                f"with {gap} rows between them; each part needs {_MIN_ROWS} rows"
            )
            raise UserError(Problem(what, place="dataset.split", remedy=_TOO_SHORT))
        first = int(start)
        for name, size in sizes.items():
            pieces[name].append((first, first + size))
            first += size + gap
    if not all(pieces.values()):
        what = f"no trajectory is long enough to be cut into {', '.join(pieces)}"
        raise UserError(Problem(what, place="dataset.split", remedy=_TOO_SHORT))
    cut = {name: trajectories.cut(rows) for name, rows in pieces.items()}
    return Split(cut["train"], cut["validation"], cut.get("test"))


def _floor(size: float) -> int:
    return math.floor(size + 1e-9)
