"""The refrigerator's acceptance figures, measured through the command line and the public Python side.

    python tests/acceptance/refrigerator.py [--seeds 5] [--jobs 1] [--data FILE ...] [--keep DIR]

Runs `experiment=refrigerator` for every seed, on the simulator's logs and on each FILE of real ones, with the
policy seeing the temperature alone and seeing the door too. Prints one Markdown row per run, then what missed
its bar; exits with 1 where anything did.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
REAL = ROOT.parent / "shared" / "data" / "refrigeration.npz"
TEMPERATURE_ALONE, WITH_DOOR = "temperature", "temperature,door_open"
POLICY_BAR = {TEMPERATURE_ALONE: -0.18, WITH_DOOR: -0.125}
MAE_BAR, COUNTERFACTUAL_BAR, PREDICTION_BAR, SECONDS_BAR, LEARNING_BAR = 0.095, 0.20, 0.05, 90.0, 60.0
MEMORY_BAR = 1.5e9


@dataclass
class Outcome:
    """The figures of one run, and the bars that it missed."""

    data: str
    inputs: str
    seed: int
    truth: float
    se: float
    predicted: float
    mae: float
    counterfactual: float
    sign: float
    seconds: float
    learning: float
    memory: float
    missed: list[str] = field(default_factory=list)

    def row(self) -> str:
        cells = (
            self.data,
            self.inputs,
            str(self.seed),
            f"{self.truth:.4f} ± {self.se:.4f}",
            f"{self.predicted:.4f}",
            f"{self.mae:.4f}",
            f"{self.counterfactual:.3f}",
            f"{100 * self.sign:.0f} %",
            f"{self.seconds:.0f}",
            f"{self.learning:.0f}",
            f"{self.memory / 1e9:.2f}",
        )
        return "| " + " | ".join(cells) + " |"


HEAD = (
    "| logs | policy sees | seed | reward in truth | predicted | MAE@100 | counterfactual MAE | sign right "
    "| seconds | of them learning | GB |\n|" + "---|" * 11
)


def counterfactual(bundle: Path) -> tuple[float, float]:
    """One-step MAE, and how often the action's effect has the right sign; T in [-4, 2], action in [0, 4]."""
    import revive

    sys.path.insert(0, str(ROOT / "experiments" / "refrigerator"))
    import simulator  # type: ignore[import-not-found]

    venv = revive.load_venv(bundle)
    axes = np.meshgrid(np.linspace(-4, 2, 25), np.linspace(0, 4, 41), [0.0, 1.0], indexing="ij")
    temperature, action, door = (axis.reshape(-1, 1) for axis in axes)
    step = venv.step({"temperature": temperature, "action": action, "door_open": door})
    cooled = temperature - action
    truth = cooled + np.where(door > 0.5, simulator.OPEN, simulator.SHUT) * (simulator.ROOM - cooled)
    predicted = step["next_temperature"]
    slope = np.diff(predicted.reshape(axes[0].shape), axis=1)
    return float(np.abs(predicted - truth).mean()), float((slope < 0).mean())


def measure(data: Path | None, inputs: str, seed: int, log_dir: Path) -> Outcome:
    """One run of the command, as a user starts it."""
    name = data.stem if data else "simulator"
    run_id = f"{name}-{'door' if inputs == WITH_DOOR else 'alone'}-{seed}"
    command = [
        sys.executable,
        "-m",
        "revive",
        "experiment=refrigerator",
        f"seed={seed}",
        f"log_dir={log_dir}",
    ]
    command += [f"run_id={run_id}", f"policy.inputs=[{inputs}]"]
    command += [f"dataset.path={data}"] if data else []
    started = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    memory = _peak_memory(process)
    seconds = time.perf_counter() - started
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with exit code {process.returncode}")
    summary = json.loads((log_dir / run_id / "summary.json").read_text())
    error, sign = counterfactual(log_dir / run_id / "venv")
    policy = summary["policy"]
    learning = summary["seconds"]["venv"] + summary["seconds"]["policy"]
    truth, predicted = policy["truth"]["mean"], policy["predicted"]["mean"]
    mae = summary["venv"]["rollout_mae"]["100"]
    outcome = Outcome(
        name,
        inputs,
        seed,
        truth,
        policy["truth"]["se"],
        predicted,
        mae,
        error,
        sign,
        seconds,
        learning,
        memory,
    )
    bars = {
        f"reward in truth below {POLICY_BAR[inputs]}": truth >= POLICY_BAR[inputs],
        f"MAE@100 above {MAE_BAR}": mae <= MAE_BAR,
        f"counterfactual MAE above {COUNTERFACTUAL_BAR}": error <= COUNTERFACTUAL_BAR,
        "wrong sign of the action's effect": sign == 1.0,
        f"prediction off by more than {PREDICTION_BAR}": abs(predicted - truth) <= PREDICTION_BAR,
        f"more than {SECONDS_BAR:g} s": seconds < SECONDS_BAR,
        f"more than {LEARNING_BAR:g} s of learning": learning < LEARNING_BAR,
        f"more than {MEMORY_BAR / 1e9:g} GB": memory < MEMORY_BAR,
    }
    outcome.missed = [f"{run_id}: {what}" for what, met in bars.items() if not met]
    return outcome


def _peak_memory(process: subprocess.Popen[bytes]) -> float:
    """Wait for the process; its peak resident memory in bytes (Linux; 0 elsewhere)."""
    status, peak = Path(f"/proc/{process.pid}/status"), 0.0
    while process.poll() is None:
        try:
            lines = status.read_text().splitlines()
        except OSError:
            lines = []
        peak = max([peak, *(float(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))])
        time.sleep(0.2)
    return peak


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--data", type=Path, nargs="*", default=[REAL] if REAL.is_file() else [])
    parser.add_argument("--keep", type=Path, default=None)
    chosen = parser.parse_args(arguments)
    log_dir = (chosen.keep or Path(tempfile.mkdtemp(prefix="revive-acceptance-"))).resolve()
    cases = [
        (data.resolve() if data else None, inputs, seed, log_dir)
        for data in (None, *chosen.data)
        for inputs in (TEMPERATURE_ALONE, WITH_DOOR)
        for seed in range(chosen.seeds)
    ]
    print(HEAD, flush=True)
    outcomes = []
    with ThreadPoolExecutor(chosen.jobs) as pool:
        for outcome in pool.map(lambda case: measure(*case), cases):
            outcomes.append(outcome)
            print(outcome.row(), flush=True)
    missed = [text for outcome in outcomes for text in outcome.missed]
    print("\nevery bar is met" if not missed else "\nmissed:\n  " + "\n  ".join(missed))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
