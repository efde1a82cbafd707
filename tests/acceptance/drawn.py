"""The default on plants that are drawn at random: what it promises, what it says, what is true.

    python tests/acceptance/drawn.py [--first SEED] [--plants 16] [--kinds NAME ...] [--keep DIR]

The kinds (all, or those named) come in turn, a file each in drawn_kinds/; the numbers of plant n are drawn from the
seed --first + n, or anew without --first. Each becomes an experiment folder in --keep, whose simulator only scores
the finished policy, and `python -m revive` is run on it with its defaults and that seed. Finished runs are kept and
not run again. Prints one row per plant, then how often a policy was worse than its logs, and how often the interval
missed the truth and nothing warned.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))  # a plain script: the packages of this checkout

from revive.user_code import load_module
from tests.acceptance.plants import HEAD, Outcome, outcome_of
from tests.acceptance.refrigerator import _peak_memory

ROOT = Path(__file__).parents[2]
FOLDER = Path(__file__).with_name("drawn_kinds")
EXPERIMENT = """# @package _global_
dataset:
  description: description.yaml
reward: reward.py
simulator: simulator.py
"""
FIRST = ("exchanger", "insulin", "spring", "economy", "switch", "coupled", "harvest", "promotion")
SECOND = (
    "battery",
    "inventory",
    "titration",
    "balance",
    "drum",
    "stiction",
    "greenhouse",
    "turbine",
    "tracking",
)
THIRD = (
    "fermenter",
    "callcentre",
    "zone",
    "column",
    "dosing",
    "irrigation",
    "sluice",
    "recipe",
    "drying",
    "germs",
)
KINDS = (*FIRST, *SECOND, *THIRD)


def write_experiment(kind: str, seed: int, folder: Path) -> None:
    """The experiment of one plant; its numbers follow from kind and seed alone."""
    told = load_module(FOLDER / f"{kind}.py").drawn(np.random.default_rng(seed))
    folder.mkdir(parents=True)
    parameters = {"kind": kind, "seed": seed, **told["parameters"]}
    (folder / "parameters.json").write_text(json.dumps(parameters, indent=2) + "\n")
    description = {"columns": told["columns"], "graph": told["graph"], "nodes": told.get("nodes", {})}
    (folder / "description.yaml").write_text(json.dumps({"metadata": description}, indent=2) + "\n")
    (folder / "experiment.yaml").write_text(EXPERIMENT)
    (folder / "reward.py").write_text(
        f"import torch\n\n\ndef get_reward(data):\n    return {told['reward']}\n"
    )
    shutil.copy(FOLDER / "base.py", folder)
    shutil.copy(FOLDER / f"{kind}.py", folder / "simulator.py")


def measure(kind: str, seed: int, keep: Path) -> Outcome:
    """One plant, as a user would run it; taken from `keep` where it is there."""
    name = f"{kind}-{seed}"
    stored, folder = keep / f"{name}.json", keep / "experiments" / name
    if stored.is_file():
        return Outcome(**json.loads(stored.read_text()))
    if not folder.exists():
        write_experiment(kind, seed, folder)
    command = [
        sys.executable,
        "-m",
        "revive",
        f"experiment={name}",
        f"seed={seed}",
        f"log_dir={keep / 'runs'}",
    ]
    started = time.perf_counter()
    with (keep / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, f"run_id={name}", "resume=fresh"], cwd=keep, stdout=log, stderr=subprocess.STDOUT
        )
        memory = _peak_memory(process)
    if process.returncode not in (0, 3):  # 3: done, but the gate fails
        raise SystemExit(f"{' '.join(command)} ended with exit code {process.returncode}: see {name}.log")
    summary = json.loads((keep / "runs" / name / "summary.json").read_text())
    outcome = outcome_of(summary, kind, None, seed, time.perf_counter() - started, memory)
    stored.write_text(json.dumps(asdict(outcome), indent=2) + "\n")
    return outcome


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--first", type=int, default=None)
    parser.add_argument("--plants", type=int, default=16)
    parser.add_argument("--kinds", nargs="*", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--keep", type=Path, default=None)
    chosen = parser.parse_args(arguments)
    keep = (chosen.keep or Path(tempfile.mkdtemp(prefix="revive-drawn-"))).resolve()
    keep.mkdir(parents=True, exist_ok=True)
    first = int(time.time()) % 1_000_000 if chosen.first is None else chosen.first
    print(f"--first {first}\n\n{HEAD}", flush=True)
    outcomes = []
    for n in range(chosen.plants):
        outcomes.append(measure(chosen.kinds[n % len(chosen.kinds)], first + n, keep))
        print(outcomes[-1].row(), flush=True)
    worse = [o for o in outcomes if o.worse]
    silent = [o for o in outcomes if not o.covered and not o.warned]
    for what, found in (("worse than the logs", worse), ("outside the interval without a warning", silent)):
        print(f"\n{what}: {len(found)} of {len(outcomes)}", *(f"{o.plant}-{o.seed}" for o in found))
    return 1 if worse or silent else 0


if __name__ == "__main__":
    sys.exit(main())
