"""Every venv learner on every plant, and heads and backbones: how far rollouts are from logs they did not learn from.

    python tests/acceptance/venv_learners.py [--plants NAME ...] [--learners NAME ...] [--seeds 5] [--keep DIR]

Plants are the folders of experiments/ that have a simulator, learners those of conf/venv and the variants in
`VARIANTS`. Errors are means over the first 10 and 100 steps of open-loop rollouts, in units of what "nothing changes"
errs; first on the validation half, by the members that learned from the training half, then the reverse. Seconds are
those of one core that the whole command took, evaluation included. Each row is a JSON file in the folder of --keep as
soon as it is there, so that the same command goes on where it was stopped. Prints one row at a time, then tables
learner x plant, and the refrigerator's bars; exits with 1 where one was missed.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))  # a plain script: the packages of this checkout

import numpy as np

from tests.acceptance.learners import ROOT, asks, chosen_by, command, kept

LOOKS_BACK = ("venv.history=8",)
VARIANTS: dict[str, tuple[str, ...]] = {
    "adm": ("venv=adm", *LOOKS_BACK),
    "adversarial pathwise": ("venv=adversarial", "venv.learner.generator=pathwise"),
    "adversarial ppo": ("venv=adversarial", "venv.learner.generator=ppo"),
    "adversarial td3": ("venv=adversarial", "venv.learner.generator=td3"),
    "bc conditioned": ("venv=bc", "venv.network.std=conditioned"),
    "bc student_t": ("venv=bc", "venv.network.head=student_t"),
    "bc mixture": ("venv=bc", "venv.network.head=mixture"),
    "bc absolute": ("venv=bc", "venv.network.transition=absolute"),
    "bc residual": ("venv=bc", "venv.network.backbone=residual"),
    "bc normalised": ("venv=bc", "venv.network.norm=layer"),
    "bc transformer": ("venv=bc", "venv.network.backbone=transformer"),
    "bc history": ("venv=bc", *LOOKS_BACK),
    "bc gru": ("venv=bc", "venv.network.backbone=gru", *LOOKS_BACK),
    "bc lstm": ("venv=bc", "venv.network.backbone=lstm", *LOOKS_BACK),
    "bc transformer history": ("venv=bc", "venv.network.backbone=transformer", *LOOKS_BACK),
}
"""Name -> what is written on the command line."""
REPLACED = ("adversarial", "adm")  # learners of conf/venv that stand in `VARIANTS` with what they need
BARS = {"bc": 0.13, "adm": 0.13} | {f"adversarial {g}": 0.14 for g in ("pathwise", "ppo", "td3")}
"""Of the refrigerator's mean absolute error over 100 steps, mean over the seeds."""
STEPS = ("10", "100")


@dataclass(frozen=True)
class Row:
    """One venv. error, unchanged: [validation half, training half], each {steps: mean absolute error}."""

    plant: str
    learner: str
    seed: int
    error: list[dict[str, float]]
    unchanged: list[dict[str, float]]
    seconds: float

    def ratio(self, steps: str, half: int) -> float:
        return self.error[half][steps] / self.unchanged[half][steps]

    def told(self) -> str:
        shares = [f"{self.ratio(steps, half):.3g}" for half in (0, 1) for steps in STEPS]
        longest = [f"{self.error[half][STEPS[-1]]:.4g}" for half in (0, 1)]
        return (
            "| "
            + " | ".join([self.plant, self.learner, str(self.seed), *shares, *longest, f"{self.seconds:.0f}"])
            + " |"
        )


HEAD = (
    "| plant | learner | seed | 10 steps | 100 steps | 10, other half | 100, other half | MAE@100 | other half "
    "| seconds |\n" + "|---" * 10 + "|"
)  # fmt: skip


def learners() -> list[str]:
    own = {file.stem for file in (ROOT / "conf" / "venv").glob("*.yaml")} - set(REPLACED)
    return sorted([*own, *VARIANTS])


def measure(plant: str, learner: str, seed: int, keep: Path) -> Row:
    """One venv; taken from `keep` where it is there."""
    name = f"{plant}-{seed}-{learner.replace(' ', '-')}"

    def made() -> Row:
        before = _spent()
        asked = VARIANTS.get(learner, (f"venv={learner}",))
        folder = command(keep, plant, seed, name, "policy.mode=none", *asked)
        return row_of(
            json.loads((folder / "summary.json").read_text()), plant, learner, seed, _spent() - before
        )

    return kept(keep / f"{name}.json", Row, made)


def _spent() -> float:
    """Seconds of processor time of the commands so far: what else the machine does counts little."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def row_of(summary: dict[str, Any], plant: str, learner: str, seed: int, seconds: float) -> Row:
    halves = [summary["venv"], summary["venv"]["other_half"]]
    error, unchanged = ([half[key] for half in halves] for key in ("rollout_mae", "persistence_mae"))
    return Row(plant, learner, seed, error, unchanged, seconds)


def table(rows: Sequence[Row], steps: str) -> str:
    """Learner x plant: mean and standard deviation over seeds and halves of the error / nothing changes; seconds."""
    there = sorted({row.plant for row in rows})
    lines = [f"| {steps} steps | " + " | ".join(there) + " |", "|---" * (len(there) + 1) + "|"]
    for learner in sorted({row.learner for row in rows}):
        cells = []
        for plant in there:
            found = [row for row in rows if (row.plant, row.learner) == (plant, learner)]
            shares = [row.ratio(steps, half) for row in found for half in (0, 1)]
            seconds = np.mean([row.seconds for row in found]) if found else 0.0
            cells.append(f"{np.mean(shares):.3g} ± {np.std(shares):.1g}, {seconds:.0f} s" if found else "")
        lines.append(f"| {learner} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def missed(rows: Sequence[Row]) -> list[str]:
    """The refrigerator's bars that were not met, in words."""
    found = []
    for learner, bar in BARS.items():
        errors = [r.error[0]["100"] for r in rows if (r.plant, r.learner) == ("refrigerator", learner)]
        if errors and np.mean(errors) > bar:
            found.append(f"{learner}: MAE@100 {np.mean(errors):.3f} on the refrigerator, the bar is {bar}")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    chosen, keep = chosen_by(asks(__doc__, learners()), arguments)
    print(f"--keep {keep}\n\n{HEAD}", flush=True)
    rows = []
    for plant in chosen.plants:
        for learner in chosen.learners:
            for seed in range(chosen.seeds):
                rows.append(measure(plant, learner, seed, keep))
                print(rows[-1].told(), flush=True)
    for steps in STEPS:
        print(f"\n{table(rows, steps)}")
    late = missed(rows)
    print("\n" + ("missed:\n  " + "\n  ".join(late) if late else "no bar was missed"))
    return int(bool(late))


if __name__ == "__main__":
    sys.exit(main())
