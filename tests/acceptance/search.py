"""The search's acceptance figures, measured through the command line.

    python tests/acceptance/search.py [--seeds 3] [--trials 8] [--at-once 2] [--search optuna] [--keep DIR]

Runs `experiment=refrigerator venv.mode=tune policy.mode=tune` for every seed, on an otherwise idle machine, and prints
one Markdown row per run: what the chosen policy earns in truth, how much too well the search thought of venv and
policy, and where the time went. `overhead` is the wall time of the command beyond what its trials' own training takes
when it is shared out evenly over the trials that run at once. Exits with 1 where a bar is missed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
POLICY_BAR = -0.18
FIXED_BAR, TRIAL_BAR = 40.0, 1.5  # seconds
HEAD = "| seed | in truth | venv optimism | policy optimism | trials | training s | wall s | overhead s | bar s |"


def run(seed: int, trials: int, at_once: int, search: str, folder: Path) -> tuple[str, list[str]]:
    """One run: its row, and the bars that it missed."""
    tuned = ["venv.mode=tune", "policy.mode=tune", f"search={search}", f"search.trials={trials}"]
    where = [f"search.concurrency={at_once}", f"log_dir={folder}", f"run_id=search-{seed}", f"seed={seed}"]
    command = [sys.executable, "-m", "revive", "experiment=refrigerator", *tuned, *where]
    started = time.perf_counter()
    with (folder / f"output-{seed}.txt").open("w") as output:
        subprocess.run(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, check=True)
    wall = time.perf_counter() - started
    summary: dict[str, Any] = json.loads((folder / f"search-{seed}" / "summary.json").read_text())
    searched = summary["search"]
    count = sum(sum(stage["trials"].values()) for stage in searched.values())
    training = sum(stage["training_seconds"] for stage in searched.values())
    overhead, bar = wall - training / at_once, FIXED_BAR + TRIAL_BAR * count
    truth = summary["policy"]["truth"]
    cells = [
        str(seed),
        f"{truth['mean']:.4f} ± {truth['se']:.4f}",
        f"{searched['venv']['optimism']:.4f}",
        f"{searched['policy']['optimism']:.4f}",
        str(count),
        *(f"{value:.0f}" for value in (training, wall, overhead, bar)),
    ]
    missed = [f"seed {seed}: policy in truth {truth['mean']:.4f}"] if truth["mean"] < POLICY_BAR else []
    missed += [f"seed {seed}: overhead {overhead:.0f} s"] if overhead > bar else []
    return f"| {' | '.join(cells)} |", missed


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--at-once", type=int, default=2)
    parser.add_argument("--search", default="optuna")
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()
    missed: list[str] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = (given.keep or Path(scratch)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        print(HEAD)
        print("|" + "---|" * HEAD.count(" | ") + "---|")
        for seed in range(given.seeds):
            row, wrong = run(seed, given.trials, given.at_once, given.search, folder)
            print(row, flush=True)
            missed += wrong
    print("\n".join(["", *(f"missed: {line}" for line in missed)]) if missed else "\nall bars met")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
