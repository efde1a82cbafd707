"""How well policies are chosen without the truth: rank correlation and regret on plants that are drawn at random.

    python tests/acceptance/choice.py [--first SEED] [--plants 8] [--kinds NAME ...] [--most 16] [--keep DIR]

Plants are those of drawn.py. On each of them the default learns a venv and its pool of candidates; at most --most of
them, spread over learners, variants and moments, are then scored in the simulator. Compared with that truth: the gain
that decides (revive/policy/choice.py), the mean prediction of the other half, and fitted Q evaluation:

    spearman   rank correlation with the truth over the candidates
    regret     what the best candidate earns more than the one that the score puts first, over the spread between the
               best and the worst: 0 is a perfect choice, 1 the worst

Each plant is a JSON file in the folder of --keep as soon as it is done, so that the same command goes on where it was
stopped. Prints one row per plant and the means.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))  # a plain script: the packages of this checkout

import numpy as np
import torch
from scipy.stats import spearmanr

from revive.config.compose import load_settings
from revive.deploy.bundle import read_venv
from revive.pipeline.context import TrainingContext
from revive.pipeline.inputs import gather
from revive.pipeline.problems import policy_problem
from revive.pipeline.stages import policy_learner, train
from revive.policy.candidate import Candidate
from revive.policy.choice import Court
from revive.policy.fqe import Logs, fitted_q
from revive.policy.problem import PolicyProblem
from revive.tracking.base import NullTracker
from revive.training import Learner
from tests.acceptance.drawn import KINDS
from tests.acceptance.drawn import measure as run_default

SCORES = ("gain", "prediction", "fqe")
EPISODES, STEPS, GAMMA, UPDATES = 20, 1000, 0.98, 1000


@dataclass
class Quiet(TrainingContext):
    """Training that shows nothing. home: where its checkpoint lies."""

    home: Path

    def checkpoint(self, stage: str) -> Path:
        return self.home / f"{stage}.ckpt"

    def watch(self, learner: Learner, done: int, total: int) -> None:
        return None


def spearman(score: Sequence[float], truth: Sequence[float]) -> float:
    """nan where either says the same of all."""
    if len(set(score)) < 2 or len(set(truth)) < 2:
        return math.nan
    return float(spearmanr(score, truth).statistic)


def regret(score: Sequence[float], truth: Sequence[float]) -> float:
    """0: the best one is chosen; 1: the worst."""
    spread = max(truth) - min(truth)
    return 0.0 if spread == 0 else (max(truth) - truth[int(np.argmax(score))]) / spread


def some(candidates: Sequence[Candidate], most: int) -> list[Candidate]:
    """At most so many, the first and the last one among them."""
    if len(candidates) <= most:
        return list(candidates)
    return [candidates[i] for i in np.linspace(0, len(candidates) - 1, most).round().astype(int)]


def by_the_logs(problem: PolicyProblem, candidate: Candidate) -> float:
    """The gain that fitted Q evaluation finds on the half that the candidate did not learn from; nan without one."""
    logs = Logs(problem.venv, problem.rows, candidate.policy, problem.target, problem.row_reward)
    starts = [torch.linspace(p.start, p.stop - 1, 64).long() for p in problem.rows.parts]
    found = fitted_q(logs, starts, gamma=GAMMA, updates=UPDATES, seed=0)
    return math.nan if isinstance(found, str) else found[1 - candidate.half].gain


def measure(kind: str, seed: int, most: int, keep: Path) -> dict[str, Any]:
    """One plant; taken from `keep` where it is there."""
    name = f"{kind}-{seed}"
    stored = keep / f"choice-{name}.json"
    if stored.is_file():
        found: dict[str, Any] = json.loads(stored.read_text())
        return found
    run_default(kind, seed, keep)  # its venv is what candidates learn in
    os.chdir(keep)  # where experiments/ lies
    settings = load_settings([f"experiment={name}", f"seed={seed}", f"log_dir={keep / 'runs'}"])
    context = Quiet(settings, gather(settings), keep / "runs" / name)
    venv = read_venv(keep / "runs" / name / "venv", context.inputs.code)
    learner = policy_learner(context, venv)
    train(context, "policy", learner, NullTracker(keep, "choice"))
    problem, truth = policy_problem(context, venv), context.inputs.truth
    assert truth is not None
    candidates = some(learner.candidates(), most)
    scores = Court(problem).scores(candidates)
    rows = [
        {
            "name": score.candidate.key,
            "gain": score.gain if score.rejected is None else -math.inf,
            "prediction": score.mean,
            "fqe": by_the_logs(problem, score.candidate),
            "truth": truth.score(
                score.candidate.policy, context.task.reward, episodes=EPISODES, steps=STEPS, seed=seed + 1000
            ).mean,
        }
        for score in scores
    ]
    found = {"plant": name, "rows": rows}
    draft = stored.with_suffix(".tmp")
    draft.write_text(json.dumps(found, indent=2) + "\n")
    draft.replace(stored)
    return found


def figures(found: Mapping[str, Any]) -> dict[str, float]:
    """Rank correlation and regret of every score on one plant."""
    truth = [row["truth"] for row in found["rows"]]
    told = {}
    for score in SCORES:
        value = [row[score] for row in found["rows"]]
        usable = all(not math.isnan(v) for v in value)
        told[f"{score} spearman"] = spearman(value, truth) if usable else math.nan
        told[f"{score} regret"] = regret(value, truth) if usable else math.nan
    return told


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--plants", type=int, default=8)
    parser.add_argument("--kinds", nargs="*", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--most", type=int, default=16)
    parser.add_argument("--keep", type=Path, default=None)
    chosen = parser.parse_args(arguments)
    keep = (chosen.keep or Path(tempfile.mkdtemp(prefix="revive-choice-"))).resolve()
    keep.mkdir(parents=True, exist_ok=True)
    names = [f"{score} {what}" for score in SCORES for what in ("spearman", "regret")]
    print(
        f"--keep {keep}\n\n| plant | candidates | {' | '.join(names)} |\n{'|---' * (len(names) + 2)}|",
        flush=True,
    )
    all_of = []
    for n in range(chosen.plants):
        found = measure(chosen.kinds[n % len(chosen.kinds)], chosen.first + n, chosen.most, keep)
        told = figures(found)
        all_of.append(told)
        cells = " | ".join(f"{told[name]:.2f}" for name in names)
        print(f"| {found['plant']} | {len(found['rows'])} | {cells} |", flush=True)
    means = " | ".join(f"{np.nanmean([told[name] for told in all_of]):.2f}" for name in names)
    print(f"| mean | | {means} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
