"""A plant whose right action depends on a value ten steps ago: recurrent policies against memoryless ones.

    python tests/acceptance/memory.py [--seeds 3] [--learners first_order ...] [--keep DIR]

The plant is tests/acceptance/echo; its simulator says what either policy can earn at best. For each seed the venv is
learned once, and each learner learns in it without a memory and with a GRU. Prints what the policies earn in the
simulator; exits with 1 where the mean margin between the two is not within 10 % of what theory gives.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))  # a plain script: the packages of this checkout

from tests.acceptance.learners import command

HERE = Path(__file__).parent
BACKBONES = ("mlp", "gru")
NEAR = 0.1


def theory() -> dict[str, float]:
    """Backbone -> the best mean reward per step of a policy that has it."""
    spec = importlib.util.spec_from_file_location("echo", HERE / "echo" / "simulator.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return dict(module.THEORY)


def measure(keep: Path, learner: str, seed: int) -> dict[str, float]:
    """Backbone -> what its policy earns per step in the simulator."""
    venv = command(keep, "echo", seed, f"echo-{seed}-venv", "policy.mode=none") / "venv"
    earned = {}
    for backbone in BACKBONES:
        more = [
            f"policy={learner}",
            "venv.mode=none",
            f"venv_path={venv}",
            f"policy.network.backbone={backbone}",
        ]
        folder = command(keep, "echo", seed, f"echo-{seed}-{learner}-{backbone}", *more)
        earned[backbone] = json.loads((folder / "summary.json").read_text())["policy"]["truth"]["mean"]
    return earned


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--learners", nargs="*", default=["first_order"])
    parser.add_argument("--keep", type=Path, default=None)
    chosen = parser.parse_args(arguments)
    keep = (chosen.keep or Path(tempfile.mkdtemp(prefix="revive-memory-"))).resolve()
    keep.mkdir(parents=True, exist_ok=True)
    os.environ["REVIVE_EXPERIMENTS"] = str(HERE)
    best, failed = theory(), False
    wanted = best["gru"] - best["mlp"]
    print("| learner | seed | memoryless | recurrent | margin | of theory |\n" + "|---" * 6 + "|")
    print(f"| best possible | | {best['mlp']:.4f} | {best['gru']:.4f} | {wanted:.4f} | |", flush=True)
    for learner in chosen.learners:
        margins = []
        for seed in range(chosen.seeds):
            earned = measure(keep, learner, seed)
            margins.append(earned["gru"] - earned["mlp"])
            cells = (
                f"{earned['mlp']:.4f} | {earned['gru']:.4f} | {margins[-1]:.4f} | {margins[-1] / wanted:.1%}"
            )
            print(f"| {learner} | {seed} | {cells} |", flush=True)
        share = float(np.mean(margins)) / wanted
        failed = failed or abs(share - 1.0) > NEAR
        print(f"| {learner} | mean | | | {np.mean(margins):.4f} | {share:.1%} |", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
