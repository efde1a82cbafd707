"""The default on plants that are drawn at random: what it promises, what it says, what is true.

    python tests/acceptance/drawn.py [--first SEED] [--plants 16] [--kinds NAME ...] [--keep DIR]

Plant number n has the kind n modulo eight (drawn_plants.py) and numbers drawn from --first + n; without --first
they are drawn anew. Each becomes an experiment folder in --keep, whose simulator only scores the finished policy,
and `python -m revive` is run on it with its defaults and that seed. Finished runs are kept and not run again. Prints
one row per plant, then how often a policy was worse than its logs, and how often the interval missed the truth and
nothing warned.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))  # a plain script: the packages of this checkout

from tests.acceptance.plants import HEAD, Outcome, outcome_of
from tests.acceptance.refrigerator import _peak_memory

ROOT = Path(__file__).parents[2]
EXPERIMENT = """# @package _global_
dataset:
  description: description.yaml
reward: reward.py
simulator: simulator.py
"""


def _one(dim: str, name: str | None = None, **more: Any) -> dict[str, Any]:
    return {name or dim: {"dim": dim, "type": "continuous", **more}}


def exchanger(draw: np.random.Generator) -> dict[str, Any]:
    gain = draw.uniform(3, 6)
    numbers = {
        "dead_time": int(draw.integers(0, 7)),
        "gain": gain,
        "power": draw.uniform(0.7, 1.0),
        "slow": draw.uniform(4, 20),
        "plant_noise": draw.uniform(0.02, 0.15),
        "sensor": draw.uniform(0.02, 0.4),
        "inlet_sd": draw.uniform(1, 3),
        "memory": draw.uniform(0.97, 0.995),
        "setpoint": 40 + gain * 4,
        "kp": draw.uniform(0.02, 0.12),
        "ki": draw.uniform(0.001, 0.01),
        "bounds": [[0, 10]],
        "dither": draw.uniform(0.2, 0.8),
        "runs": int(draw.choice([1, 4])),
        "steps": int(draw.choice([800, 1500])),
    }
    return {
        "parameters": numbers,
        "columns": [
            _one("outlet", units="degC"),
            _one("inlet", units="degC"),
            _one("action", "steam", min=0, max=10),
        ],
        "graph": {"action": ["outlet", "inlet"], "next_outlet": ["outlet", "inlet", "action"]},
        "reward": f'-abs(data["next_outlet"] - {numbers["setpoint"]:.2f})',
    }


def insulin(draw: np.random.Generator) -> dict[str, Any]:
    numbers = {
        "basal": draw.uniform(0.8, 1.5),
        "depot": draw.uniform(2, 4),
        "onset": draw.uniform(2, 5),
        "gut": draw.uniform(4, 8),
        "carb": draw.uniform(2.5, 4),
        "sensitivity": draw.uniform(5, 10),
        "meals": draw.uniform(0.03, 0.06),
        "plant_noise": draw.uniform(0.5, 2),
        "sensor": draw.uniform(1, 6),
        "bolus": draw.uniform(0.02, 0.06),
        "kp": draw.uniform(0.002, 0.01),
        "bounds": [[0, 10]],
        "dither": draw.uniform(0.2, 0.6),
        "runs": 20,
        "steps": 144,
        "episode": 144,
    }
    return {
        "parameters": numbers,
        "columns": [
            _one("glucose", units="mg/dL"),
            _one("meal", units="g"),
            _one("action", "insulin", min=0, max=10),
        ],
        "graph": {
            "action": ["ts_glucose", "ts_meal", "ts_action"],
            "next_glucose": ["ts_glucose", "ts_meal", "ts_action", "action"],
        },
        "nodes": {"glucose": {"ts": 6}, "meal": {"ts": 6}, "action": {"ts": 8}},
        "reward": '-((data["next_glucose"] - 110) / 50) ** 2 * (1 + 4 * (data["next_glucose"] < 80).float())',
    }


def spring(draw: np.random.Generator) -> dict[str, Any]:
    numbers = {
        "gain": draw.uniform(0.6, 2),
        "soft": draw.uniform(0, 1),
        "stiff": draw.uniform(0, 0.8),
        "damping": draw.uniform(0.05, 0.4),
        "dt": draw.uniform(0.05, 0.15),
        "plant_noise": draw.uniform(0.0, 0.02),
        "sensor": draw.uniform(0.0, 0.02),
        "goal": draw.uniform(-0.5, 0.8),
        "kp": draw.uniform(0.2, 0.6),
        "kd": draw.uniform(0.0, 0.3),
        "bounds": [[-2, 2]],
        "dither": draw.uniform(0.2, 0.7),
        "runs": 40,
        "steps": 100,
        "episode": 100,
    }
    goal = f"{numbers['goal']:.3f}"
    reward = f'torch.exp(-4 * (data["next_x"] - {goal}) ** 2) - 0.05 * data["action"] ** 2'
    return {
        "parameters": numbers,
        "columns": [_one("x", units="m"), _one("v", units="m/s"), _one("action", "force", min=-2, max=2)],
        "graph": {"action": ["x", "v"], "next_x": ["x", "v", "action"], "next_v": ["x", "v", "action"]},
        "reward": reward,
    }


def economy(draw: np.random.Generator) -> dict[str, Any]:
    wear = draw.uniform(0.01, 0.04)
    numbers = {
        "best": draw.uniform(0.4, 0.7),
        "width": draw.uniform(0.3, 0.5),
        "slow": draw.uniform(2, 8),
        "wear": wear,
        "cleaning": draw.uniform(0.02, 0.05),
        "period": float(draw.choice([24, 48, 96])),
        "plant_noise": draw.uniform(0.02, 0.15),
        "sensor": draw.uniform(0.02, 0.1),
        "base": draw.uniform(0.35, 0.6),
        "kp": draw.uniform(-0.02, 0.08),
        "bounds": [[0, 1]],
        "dither": draw.uniform(0.08, 0.2),
        "runs": 6,
        "steps": 400,
    }
    return {
        "parameters": numbers,
        "columns": [
            _one("heat", units="MW"),
            _one("fouling"),
            _one("price"),
            _one("action", "firing", min=0, max=1),
        ],
        "graph": {
            "action": ["heat", "fouling", "price"],
            "next_heat": ["heat", "fouling", "action"],
            "next_fouling": ["fouling", "action"],
        },
        "reward": 'data["price"] * data["next_heat"] - 4 * data["action"]',
    }


def switch(draw: np.random.Generator) -> dict[str, Any]:
    numbers = {
        "gain": draw.uniform(0.6, 1.2),
        "loss": draw.uniform(0.04, 0.08),
        "plant_noise": draw.uniform(0.02, 0.1),
        "sensor": draw.uniform(0.0, 0.15),
        "low": draw.uniform(17, 19),
        "high": draw.uniform(20, 22),
        "mistakes": draw.uniform(0.05, 0.3),
        "bounds": [[0, 2]],
        "dither": 0.0,
        "runs": 8,
        "steps": 300,
    }
    return {
        "parameters": numbers,
        "columns": [
            _one("room", units="degC"),
            _one("outside", units="degC"),
            {"stage": {"dim": "action", "type": "category", "values": [0, 1, 2]}},
        ],
        "graph": {"action": ["room", "outside"], "next_room": ["room", "outside", "action"]},
        "reward": 'torch.where((data["next_room"] - 21).abs() < 0.7, 1.0, -0.2) - 0.1 * data["action"]',
    }


def coupled(draw: np.random.Generator) -> dict[str, Any]:
    numbers = {
        "mix": [[1.0, draw.uniform(0.2, 0.7)], [draw.uniform(-0.4, 0.5), 1.0]],
        "outflow": draw.uniform(0.8, 1.2),
        "slow": draw.uniform(4, 12),
        "plant_noise": draw.uniform(0.003, 0.02),
        "sensor": draw.uniform(0.003, 0.03),
        "base": draw.uniform(0.4, 0.7),
        "kp": draw.uniform(0.2, 0.8),
        "bounds": [[0, 2], [0, 2]],
        "dither": draw.uniform(0.05, 0.3),
        "runs": 10,
        "steps": 200,
    }
    levels = [_one("levels", name, units="m") for name in ("left", "right")]
    valves = [_one("action", name, min=0, max=2) for name in ("valve_left", "valve_right")]
    return {
        "parameters": numbers,
        "columns": [*levels, *valves],
        "graph": {"action": ["levels"], "next_levels": ["levels", "action"]},
        "reward": '-((data["next_levels"] - torch.tensor([1.3, 0.9])) ** 2).sum(-1, keepdim=True)',
    }


def harvest(draw: np.random.Generator) -> dict[str, Any]:
    numbers = {
        "growth": draw.uniform(0.1, 0.2),
        "half": draw.uniform(1, 4),
        "feed": draw.uniform(0.3, 0.7),
        "yield": draw.uniform(0.6, 1.0),
        "rate": draw.uniform(0.2, 0.4),
        "dead": 0.3,
        "plant_noise": draw.uniform(0.005, 0.03),
        "sensor": draw.uniform(0.0, 0.05),
        "base": draw.uniform(0.2, 0.4),
        "kp": draw.uniform(0.0, 0.1),
        "bounds": [[0, 1]],
        "dither": draw.uniform(0.1, 0.25),
        "runs": 30,
        "steps": 120,
        "episode": 120,
    }
    return {
        "parameters": numbers,
        "columns": [
            _one("biomass", units="g/L"),
            _one("food", units="g/L"),
            _one("action", "harvest", min=0, max=1),
            {"done": {"dim": "done", "type": "category", "values": [0, 1]}},
        ],
        "graph": {
            "action": ["biomass", "food"],
            "next_biomass": ["biomass", "food", "action"],
            "next_food": ["biomass", "food", "action"],
            "done": ["next_biomass"],
        },
        "reward": f'{numbers["rate"]:.3f} * data["action"] * data["biomass"]',
    }


def promotion(draw: np.random.Generator) -> dict[str, Any]:
    numbers = {
        "lift": draw.uniform(0.8, 2.0),
        "half": draw.uniform(0.1, 0.3),
        "wait": draw.uniform(0.2, 1.2),
        "memory": draw.uniform(0.85, 0.97),
        "plant_noise": draw.uniform(0.2, 0.8),
        "sensor": 0.0,
        "base": draw.uniform(0.1, 0.3),
        "kp": draw.uniform(0.0, 0.04),
        "bounds": [[0, 0.5]],
        "dither": draw.uniform(0.05, 0.12),
        "runs": 40,
        "steps": 60,
        "episode": 60,
    }
    return {
        "parameters": numbers,
        "columns": [_one("demand"), _one("patience"), _one("action", "discount", min=0, max=0.5)],
        "graph": {
            "action": ["demand", "patience"],
            "next_demand": ["demand", "patience", "action"],
            "next_patience": ["patience", "action"],
        },
        "reward": 'data["next_demand"] * (0.6 - data["action"])',
    }


KINDS: dict[str, Callable[[np.random.Generator], dict[str, Any]]] = {
    kind.__name__: kind for kind in (exchanger, insulin, spring, economy, switch, coupled, harvest, promotion)
}


def write_experiment(kind: str, seed: int, folder: Path) -> None:
    """The experiment of one plant; its numbers follow from kind and seed alone."""
    told = KINDS[kind](np.random.default_rng(seed))
    folder.mkdir(parents=True)
    parameters = {"kind": kind, "seed": seed, **told["parameters"]}
    (folder / "parameters.json").write_text(json.dumps(parameters, indent=2) + "\n")
    description = {"columns": told["columns"], "graph": told["graph"], "nodes": told.get("nodes", {})}
    (folder / "description.yaml").write_text(json.dumps({"metadata": description}, indent=2) + "\n")
    (folder / "experiment.yaml").write_text(EXPERIMENT)
    (folder / "reward.py").write_text(
        f"import torch\n\n\ndef get_reward(data):\n    return {told['reward']}\n"
    )
    shutil.copy(Path(__file__).with_name("drawn_plants.py"), folder / "simulator.py")


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
