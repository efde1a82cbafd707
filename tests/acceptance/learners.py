"""Every policy learner on every plant: what its policy is worth in the simulator, and whether `auto` keeps up.

    python tests/acceptance/learners.py [--plants NAME ...] [--learners NAME ...] [--seeds 5] [--keep DIR]
                                        [--runs DIR]

For each plant and seed the venv is learned once, with the defaults; every learner then learns in that one. Plants are
the folders of experiments/ that have a simulator, learners those of conf/policy. Each row is a JSON file in the folder
of --keep as soon as it is there, so that the same command goes on where it was stopped. --runs: the folder of --keep of
plants.py; its whole runs of the default are the rows of `auto` and of the learners in its pool, and the others learn
in their venvs. Prints one row at a time, then the table learner x plant, and how often `auto` is within 3 % of the best
of its pool; exits with 1 below 8 times in 10. Of what it is compared with only the mean over the seeds counts.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

ROOT = Path(__file__).parents[2]
Kept = TypeVar("Kept")
NEAR, OFTEN = 0.03, 0.8


@dataclass(frozen=True)
class Row:
    """One policy. truth, logged: per episode where the logs hold some, else per step. seconds: of the policy stage.
    pool: of `auto`, the learners that it could choose from on this plant."""

    plant: str
    learner: str
    seed: int
    logged: float
    predicted: float
    fqe: float | None
    truth: float
    se: float
    source: str
    fallback: bool
    seconds: float
    pool: Sequence[str] = ()

    def told(self) -> str:
        fqe = "" if self.fqe is None else f"{self.fqe:.4g}"
        source = f"clone ({self.source})" if self.fallback else self.source
        cells = (
            self.plant,
            self.learner,
            str(self.seed),
            f"{self.logged:.5g}",
            f"{self.predicted:.5g}",
            fqe,
            f"{self.truth:.5g} ± {self.se:.2g}",
            source,
            f"{self.seconds:.0f}",
        )
        return "| " + " | ".join(cells) + " |"


HEAD = (
    "| plant | learner | seed | logs | predicted | FQE gain | true | chosen | seconds |\n" + "|---" * 9 + "|"
)


def plants() -> list[str]:
    return sorted(file.parent.name for file in (ROOT / "experiments").glob("*/simulator.py"))


def learners() -> list[str]:
    return sorted(file.stem for file in (ROOT / "conf" / "policy").glob("*.yaml"))


def command(keep: Path, plant: str, seed: int, run_id: str, *more: str) -> Path:
    """A run of the command, unless it was finished before; returns its folder."""
    folder = keep / "runs" / run_id
    if (folder / "summary.json").is_file():
        return folder
    asked = [
        sys.executable,
        "-m",
        "revive",
        f"experiment={plant}",
        f"seed={seed}",
        f"log_dir={keep / 'runs'}",
    ]
    asked += [f"run_id={run_id}", "tracking=none", "report=false", *more]
    with (keep / f"{run_id}.log").open("wb") as log:
        code = subprocess.run(asked, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, check=False).returncode
    if code not in (0, 3):  # 3: done, but the gate fails
        raise SystemExit(f"{' '.join(asked)} ended with exit code {code}: see {run_id}.log")
    return folder


def kept(stored: Path, kind: Callable[..., Kept], make: Callable[[], Kept]) -> Kept:
    """The row of a file, or the one that `make` measures, which the file then holds."""
    if stored.is_file():
        return kind(**json.loads(stored.read_text()))
    row = make()
    draft = stored.with_suffix(".tmp")
    draft.write_text(json.dumps(vars(row), indent=2) + "\n")
    draft.replace(stored)
    return row


def measure(plant: str, learner: str, seed: int, keep: Path, runs: Path | None = None) -> Row:
    """One learner in the venv of that plant and seed; taken from `keep` where it is there."""
    name = f"{plant}-{seed}-{learner}"
    whole = runs / "runs" / f"{plant}-{seed}" if runs else None
    if whole and not (whole / "summary.json").is_file():
        whole = None

    def made() -> Row:
        if whole:
            summary = json.loads((whole / "summary.json").read_text())
            if learner == "auto":
                return row_of(summary, plant, learner, seed, math.nan)
            if part := row_of_part(summary, plant, learner, seed):
                return part
        learned = whole or command(keep, plant, seed, f"{plant}-{seed}-venv", "policy.mode=none")
        venv = learned / "venv"
        started = time.perf_counter()
        folder = command(keep, plant, seed, name, f"policy={learner}", "venv.mode=none", f"venv_path={venv}")
        seconds = time.perf_counter() - started
        return row_of(json.loads((folder / "summary.json").read_text()), plant, learner, seed, seconds)

    return kept(keep / f"{name}.json", Row, made)


def row_of(summary: dict, plant: str, learner: str, seed: int, seconds: float) -> Row:  # type: ignore[type-arg]
    policy = summary["policy"]
    fqe, half = policy.get("fqe", {}), policy.get("fqe", {}).get("half")
    gain = fqe["halves"][half]["policy"] - fqe["halves"][half]["logs"] if "halves" in fqe else None
    if "truth" in policy.get("episodes", {}):
        told = policy["episodes"]
        logged, predicted = told["logs"]["return"], told["predicted"]["mean"]
        truth, se = told["truth"]["return"], told["truth"]["se"]
    else:
        logged, predicted = policy["logged"], policy["predicted"]["mean"]
        truth, se = policy["truth"]["mean"], policy["truth"]["se"]
    chosen = policy["chosen"]
    spent = summary["seconds"].get("policy", seconds)
    return Row(
        plant,
        learner,
        seed,
        logged,
        predicted,
        gain,
        truth,
        se,
        chosen["source"],
        bool(chosen["fallback"]),
        spent,
        pool_of(summary) if learner == "auto" else (),
    )


def pool_of(summary: dict) -> list[str]:  # type: ignore[type-arg]
    """The learners whose candidates a run chose from."""
    return [key.removeprefix("policy.") for key in summary["seconds"] if key.startswith("policy.")]


def row_of_part(summary: dict, plant: str, learner: str, seed: int) -> Row | None:  # type: ignore[type-arg]
    """A learner of the pool of a whole run: what it handed in that was taken, or would have been; None of others."""
    policy = summary["policy"]
    method = {"clones": "clone"}.get(learner, learner)
    lines = [line for line in policy.get("compared", []) if line["name"].split(",")[0] == method]
    lines = [line for line in lines if line.get("truth")]
    line = max(lines, key=lambda line: line["taken"], default=None)  # type: ignore[no-any-return]
    if line is None or learner not in pool_of(summary):
        return None
    per_episode = "truth" in policy.get("episodes", {})
    steps = policy["episodes"]["steps"] if per_episode else 1
    elsewhere = line["rewards"][1 - line["half"]]
    logged = policy["episodes"]["logs"]["return"] if per_episode else policy["logged"]
    return Row(
        plant,
        learner,
        seed,
        logged,
        steps * sum(elsewhere) / len(elsewhere),
        None,
        steps * line["truth"]["mean"],
        steps * line["truth"]["se"],
        line["name"],
        learner == "clones",
        summary["seconds"][f"policy.{learner}"],
    )


def table(rows: Sequence[Row]) -> str:
    """Learner x plant: the mean truth over the seeds, with its standard deviation and the mean time."""
    there = sorted({row.plant for row in rows})
    lines = ["| learner | " + " | ".join(there) + " |", "|---" * (len(there) + 1) + "|"]
    logged = [np.mean([row.logged for row in rows if row.plant == plant]) for plant in there]
    lines.append("| the logs | " + " | ".join(f"{value:.4g}" for value in logged) + " |")
    for learner in sorted({row.learner for row in rows}):
        cells = []
        for plant in there:
            found = [row for row in rows if (row.plant, row.learner) == (plant, learner)]
            truth = [row.truth for row in found]
            seconds = np.mean([row.seconds for row in found]) if found else 0.0
            cells.append(f"{np.mean(truth):.4g} ± {np.std(truth):.2g}, {seconds:.0f} s" if found else "")
        lines.append(f"| {learner} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def keeps_up(rows: Sequence[Row], plant: str) -> bool | None:
    """Whether `auto` is within 3 % of the best of its pool, of the scale of what is between it and the logs or of its
    own size, whichever is larger; None where rows are missing."""
    pool = {learner for row in rows if (row.plant, row.learner) == (plant, "auto") for learner in row.pool}
    means = {
        learner: float(np.mean(found))
        for learner in ("auto", *sorted(pool))
        if (found := [row.truth for row in rows if (row.plant, row.learner) == (plant, learner)])
    }
    if len(means) <= 1 or "auto" not in means:
        return None
    logged = float(np.mean([row.logged for row in rows if row.plant == plant]))
    best = max(value for learner, value in means.items() if learner != "auto")
    return means["auto"] >= best - NEAR * max(abs(best), abs(best - logged))


def asks(told: str | None, known: list[str]) -> argparse.ArgumentParser:
    """The command line. told: of --help; known: the learners."""
    parser = argparse.ArgumentParser(description=told, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plants", nargs="*", default=plants(), choices=plants())
    parser.add_argument("--learners", nargs="*", default=known, choices=known)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--keep", type=Path, default=None)
    return parser


def chosen_by(
    parser: argparse.ArgumentParser, arguments: Sequence[str] | None
) -> tuple[argparse.Namespace, Path]:
    """What the command line asks for, and the folder of --keep."""
    chosen = parser.parse_args(arguments)
    keep = (chosen.keep or Path(tempfile.mkdtemp(prefix="revive-learners-"))).resolve()
    keep.mkdir(parents=True, exist_ok=True)
    return chosen, keep


def main(arguments: Sequence[str] | None = None) -> int:
    parser = asks(__doc__, learners())
    parser.add_argument("--runs", type=Path, default=None)
    chosen, keep = chosen_by(parser, arguments)
    runs = chosen.runs.resolve() if chosen.runs else None
    print(f"--keep {keep}\n\n{HEAD}", flush=True)
    rows = []
    for plant in chosen.plants:
        for seed in range(chosen.seeds):
            for learner in chosen.learners:
                rows.append(measure(plant, learner, seed, keep, runs))
                print(rows[-1].told(), flush=True)
    print(f"\n{table(rows)}")
    judged = {plant: found for plant in chosen.plants if (found := keeps_up(rows, plant)) is not None}
    if not judged:
        return 0
    late = [plant for plant, found in judged.items() if not found]
    print(
        f"\nauto within {NEAR:.0%} of the best of its pool: {len(judged) - len(late)} of {len(judged)} plants"
    )
    print("not on:", ", ".join(late) or "none")
    return int(len(judged) - len(late) < OFTEN * len(judged))


if __name__ == "__main__":
    sys.exit(main())
