"""Whether bands of whole paths hold: generated linear plants, 2000 fresh paths each.

    PYTHONPATH=. python tests/acceptance/bands.py [--plants 20] [--refrigerator FOLDER]

Every row is a kind of logs, `--plants` plants of it, drawn from seeds 0, 1, ... None is picked. For each a venv is
learned, bands are calibrated on the windows of the other half, and counted is how many of 2000 fresh paths stay
within the band of 90 % throughout, in all columns. The band is itself a draw: of n independent paths that it was
calibrated on, its coverage is Beta(.9 (n + 1), .1 (n + 1)), so that with few of them not every single plant can lie
between 85 and 95 %; the column `expected inside` says how many should. With FOLDER, a finished run of the
refrigerator: its per-step bands on fresh logs of the simulator. Exits with 1 where a row misses its bar.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.stats import beta

from revive.venv.bands import Bands, bands_of
from revive.venv.unseen import Unseen, roll_unseen
from tests.venv.linear_plants import LinearPlant

ROOT = Path(__file__).parents[2]
LOW, HIGH = 0.85, 0.95
PER_STEP = (0.87, 0.93)
AHEAD = (1, 10, 25, 50)


@dataclass(frozen=True)
class Kind:
    """Logs of `count` trajectories of `steps` rows; bands of whole paths of `path` steps."""

    name: str
    count: int
    steps: int
    path: int
    sensor: float = 0.0


KINDS = (
    Kind("40 trajectories of 120 steps, paths of 25", 40, 120, 25),
    Kind("the same, with sensor noise", 40, 120, 25, 0.2),
    Kind("80 trajectories of 120 steps, paths of 50", 80, 120, 50),
    Kind("40 trajectories of 50 steps, the path is the trajectory", 40, 50, 50),
)


def coverage(bands: Bands, fresh: Unseen, steps: int) -> float:
    """The share of fresh windows inside the band of whole paths at all steps and in all columns."""
    inside = [(np.abs(c.error[:steps]) <= bands.path_width(c, steps)).all(0) for c in fresh.columns]
    return float(np.logical_and.reduce(inside).mean())


def measured(kind: Kind, seed: int) -> tuple[float, float]:
    """Coverage of 2000 fresh paths, and the independent windows that the band was calibrated on."""
    plant = LinearPlant(seed, states=1 + seed % 3, sensor=kind.sensor)
    with tempfile.TemporaryDirectory() as folder:
        venv, rows = plant.learned(plant.logs(kind.count, kind.steps, 1000 + seed), Path(folder))
    bands = bands_of(roll_unseen(venv, rows, kind.path))
    fresh = roll_unseen(
        venv, plant.fresh(venv, 2000, kind.path + 20, 2000 + seed), kind.path, windows=1000, seed=1
    )
    return coverage(bands, fresh, kind.path), bands.paths["next_x"][kind.path].blocks


def expected_inside(blocks: float) -> float:
    """The share of bands whose coverage lies between the bars, where they are calibrated on so many paths."""
    k = 0.9 * (blocks + 1.0)
    return float(np.diff(beta.cdf([LOW, HIGH], k, blocks + 1.0 - k))[0])


def row(kind: Kind, plants: int) -> bool:
    """Print one row; whether the mean is between the bars and no fewer plants than chance allows for."""
    began = time.perf_counter()
    found = [measured(kind, seed) for seed in range(plants)]
    share = np.array([c for c, _ in found])
    inside = int(((share >= LOW) & (share <= HIGH)).sum())
    expected = float(np.mean([expected_inside(b) for _, b in found]))
    allowed = plants * expected - 2.0 * (plants * expected * (1.0 - expected)) ** 0.5
    good = LOW <= share.mean() <= HIGH and inside >= allowed
    cells = (
        kind.name,
        f"{share.mean():.1%}",
        f"{share.min():.1%} to {share.max():.1%}",
        f"{inside} of {plants}",
        f"{expected:.0%}",
        f"{np.mean([b for _, b in found]):.0f}",
        f"{time.perf_counter() - began:.0f}",
        "" if good else "**missed**",
    )
    print("| " + " | ".join(cells) + " |", flush=True)
    return good


def refrigerator(run: Path) -> bool:
    """Per-step bands of a finished run on fresh logs of the simulator; whether all are between their bars."""
    sys.path.insert(0, str(ROOT / "experiments" / "refrigerator"))
    import simulator  # type: ignore[import-not-found]

    from revive.config.settings import Settings
    from revive.data.readers import from_arrays
    from revive.data.windows import Rows
    from revive.deploy.bundle import read_venv

    del Settings
    venv = read_venv(run / "venv")
    own = from_arrays(dict(np.load(run / "data.npz")), venv.graph, "data.npz")
    half = own.rows // 2
    rows = Rows.of(venv.codec, venv.graph, own.cut([(0, half)]), own.cut([(half, own.rows)]))
    bands = bands_of(roll_unseen(venv, rows))
    shares: dict[int, list[float]] = {k: [] for k in AHEAD}
    for seed in range(1, 11):
        logs = from_arrays(simulator.make_data(seed=seed), venv.graph, "fresh")
        half = logs.rows // 2
        parts = logs.cut([(0, half)]), logs.cut([(half, logs.rows)])
        fresh = roll_unseen(venv, Rows.of(venv.codec, venv.graph, *parts), seed=seed)
        for column in fresh.columns:
            inside = np.abs(column.error) <= bands.step_width(column)
            for k in AHEAD:
                shares[k].append(float(inside[k - 1].mean()))
    good = True
    for k, found in shares.items():
        mean = float(np.mean(found))
        fine = PER_STEP[0] <= mean <= PER_STEP[1]
        good &= fine
        print(
            f"| refrigerator, step {k} | {mean:.1%} | {min(found):.1%} to {max(found):.1%} | "
            f"{'' if fine else '**missed**'} |"
        )
    return good


def main() -> int:
    """Print the table; 1 where a row misses its bar."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--plants", type=int, default=20)
    parser.add_argument("--refrigerator", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(
        "| logs | mean coverage | of single plants | 85 to 95 % | expected inside | independent paths | seconds | |"
    )
    print("|" + "---|" * 8)
    good = [row(kind, given.plants) for kind in KINDS]
    if given.refrigerator:
        print("\n| per-step bands | mean coverage | of ten fresh logs | |\n|---|---|---|---|")
        good.append(refrigerator(given.refrigerator))
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
