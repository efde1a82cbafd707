"""Whether causal cards and gates are right: generated logs whose hidden causes are known (trust_logs.py).

    python tests/acceptance/trust.py [--rows NAME ...] [--seeds 20] [--first 0] [--keep DIR] [--runs]

Computes the causal cards of every row of the table on --seeds data sets each; with --runs also whole runs, for the
rows that are about policies. Every finished data set is a JSON file in the folder of --keep, and is not computed again.
Prints one Markdown row per kind of logs, then what missed its bar; exits with 1 where anything did.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import yaml

sys.path.insert(0, str(Path(__file__).parents[2]))  # a plain script: the packages of this checkout

from tests.acceptance import trust_logs

ROOT = Path(__file__).parents[2]
Outcome = dict[str, Any]
VESSEL_REWARD = """import torch


def get_reward(data):
    return -torch.abs(data["next_tank"][..., :1] - 1.0) - 0.1 * data["valve"][..., :1] ** 2
"""
REWARD = """import torch


def get_reward(data):
    return -torch.abs(data["next_temperature"][..., :1] + 2.0)
"""


@dataclass(frozen=True)
class Bar:
    """what: in words. met: of one outcome. share: of the data sets on which it must be."""

    what: str
    met: Callable[[Outcome], bool]
    share: float


def _codes(outcome: Outcome) -> set[str]:
    return {remark["code"] for card in outcome["cards"] for remark in card["remarks"]}


def _grades(*allowed: str) -> Callable[[Outcome], bool]:
    return lambda o: o["grade"] in allowed


def _named(code: str) -> Callable[[Outcome], bool]:
    return lambda o: code in _codes(o)


QUIET = Bar("no hidden-driver alarm", lambda o: "hidden-driver" not in _codes(o), 0.95)
GOOD = Bar("grade A or B", _grades("A", "B"), 0.95)
POOR = Bar("grade C or D", _grades("C", "D"), 0.95)
ALARM = Bar("hidden-driver alarm", _named("hidden-driver"), 0.95)


def _dithered(outcome: Outcome) -> bool:
    return outcome["dither"]["needed"] and outcome["dither"]["grade"] in ("A", "B")


ENOUGH = Bar("A or B with the dither that design-experiment asks for", _dithered, 0.9)


def _late(outcome: Outcome) -> bool:
    return any(
        "dead-time" in {r["code"] for r in c["remarks"]} and c["dead_time"] in (20, 21)
        for c in outcome["cards"]
    )


ROWS: dict[str, tuple[Bar, ...]] = {
    "healthy": (GOOD, QUIET),
    "exploring": (GOOD, QUIET),
    "narrow .01": (POOR, QUIET, ENOUGH),
    "narrow .003": (POOR, QUIET, ENOUGH),
    "unlogged door": (ALARM,),
    "unlogged load": (ALARM,),
    "ignored disturbance": (Bar("named a disturbance", _named("disturbance"), 0.9), QUIET),
    "sensor noise": (Bar("named measurement noise", _named("measurement-noise"), 0.9), QUIET),
    "dead time 20": (Bar("named a dead time of 20 steps", _late, 0.9), QUIET),
    "tanks healthy": (GOOD, QUIET),
    "tanks hidden": (ALARM,),
    "arm healthy": (GOOD, QUIET),
    "arm hidden": (ALARM,),
}


def _tipped(outcome: Outcome) -> bool:
    told, true = outcome["told"], outcome["strength"]
    if told is None or true is None:
        return told is not None and told >= 0.5 and true is None
    return bool(0.5 <= told / true <= 2.0)


RUNS: dict[str, tuple[Bar, ...]] = {
    "unlogged door": (
        Bar("gate fails", lambda o: o["gate"] == "fail", 0.95),
        Bar("no policy but a clone", lambda o: bool(o["fallback"]), 0.95),
    ),
    "unlogged load": (
        Bar("gate fails", lambda o: o["gate"] == "fail", 0.95),
        Bar("no policy but a clone", lambda o: bool(o["fallback"]), 0.95),
    ),
    "declared door": (Bar("better than the logs in truth", lambda o: o["truth"] > o["logged"], 0.95),),
    "tipping": (Bar("tipping strength within a factor of 2", _tipped, 0.95),),
}


def cards_of(logs: trust_logs.Logs) -> Outcome:
    """The causal cards of generated logs, as summary.json holds them, and how long they took."""
    from revive.data.readers import from_arrays
    from revive.graph.description import parse_description
    from revive.trust.grading import causal_cards

    graph = parse_description(logs.description, "generated", ROOT)
    trajectories = from_arrays(logs.arrays, graph, "generated")
    started = time.process_time()
    cards = causal_cards(trajectories, graph).as_dict()
    return {**cards, "seconds": time.process_time() - started}


def narrow(noise: float, seed: int) -> Outcome:
    """The cards of a controller that hardly varies, and the grade of logs with the dither that is asked for."""
    from revive.data.readers import from_arrays
    from revive.graph.description import parse_description
    from revive.trust.experiment import Column, dithers
    from revive.trust.grading import causal_cards

    logs = trust_logs.refrigerator(seed, noise=noise)
    graph = parse_description(logs.description, "generated", ROOT)
    cards = causal_cards(from_arrays(logs.arrays, graph, "generated"), graph).cards
    now, then, power = (logs.arrays[name][:, 0] for name in ("temperature", "next_temperature", "action"))
    known = Column(power.std(), now.std(), (then - now).std(), float(np.corrcoef(now, then)[0, 1]))
    (dither,) = dithers(cards, {("power", "temperature"): known}, power=0.9, steps=1000, bound=0.5)
    after = trust_logs.refrigerator(seed + 7000, noise=noise, rows=dither.steps, dither=dither.amplitude)
    return {**cards_of(logs), "dither": {**dither.to_json(), "grade": cards_of(after)["grade"]}}


def run_on(logs: trust_logs.Logs, folder: Path, seed: int) -> Outcome:
    """A whole run on generated logs of the refrigerator, and what its policy earns in the true one."""
    outcome, policy = _whole_run(logs, folder, seed, REWARD)
    return {**outcome, "truth": true_reward(policy, seed)}


def tipping_on(logs: trust_logs.Logs, folder: Path, seed: int) -> Outcome:
    """A whole run on logs of the vessel: the strength that cancels the gain as it was told, and as it is."""
    outcome, policy = _whole_run(logs, folder, seed, VESSEL_REWARD)
    told = [pair["strength"] for pair in outcome["tipping"]]
    return {**outcome, "told": told[0] if told else None, "strength": true_strength(policy, seed)}


def true_strength(policy: Any, seed: int) -> float | None:
    """The least strength, in steps of .01, of a hidden cause that leaves the policy no gain over the operator's rule.

    Asked of plants whose logs would be the same; None where no strength below 1 does.
    """
    plant = trust_logs.Vessel()

    def earned(rule: Callable[[np.ndarray], np.ndarray], strength: float) -> float:
        random, x, total = np.random.default_rng([seed, 11]), np.full(256, 0.5), 0.0
        for _ in range(150):
            a = np.asarray(rule(x))
            x = np.clip(plant.step(x, a, random.normal(size=x.shape), strength, random), -50, 50)
            total += float((-np.abs(x - 1.0) - 0.1 * a**2).mean())
        return total

    for strength in np.arange(0.01, 1.0, 0.01).tolist():
        ours = earned(lambda x: policy.act({"tank": x[:, None]})["valve"][:, 0], strength)
        if ours <= earned(lambda x: plant.gain * x + plant.usual, strength):
            return float(strength)
    return None


def _whole_run(logs: trust_logs.Logs, folder: Path, seed: int, reward: str) -> tuple[Outcome, Any]:
    """What a run said, and the policy that it took."""
    import revive

    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "logs.npz", **logs.arrays)  # type: ignore[arg-type]
    (folder / "description.yaml").write_text(yaml.safe_dump(logs.description))
    (folder / "reward.py").write_text(reward)
    home = folder / "experiments" / "generated"
    home.mkdir(parents=True, exist_ok=True)
    (home / "experiment.yaml").write_text("# @package _global_\n")
    command = [sys.executable, "-m", "revive", "experiment=generated", f"seed={seed}", "tracking=none"]
    command += [f"dataset.path={folder / 'logs.npz'}", f"dataset.description={folder / 'description.yaml'}"]
    command += [f"reward={folder / 'reward.py'}", f"log_dir={folder}", "run_id=run", "resume=fresh"]
    environment = {**os.environ, "REVIVE_EXPERIMENTS": str(home.parent), "PYTHONPATH": str(ROOT)}
    if not (folder / "run" / "summary.json").is_file():
        with (folder / "run.log").open("wb") as log:
            done = subprocess.run(
                command, check=False, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT
            )
        if done.returncode not in (0, 3):
            told = f"{' '.join(command)} ended with exit code {done.returncode}: see {folder / 'run.log'}"
            raise SystemExit(told)
    summary = json.loads((folder / "run" / "summary.json").read_text())
    policy = revive.load_policy(folder / "run" / "policy", accept_failed_gate=True)
    outcome = {
        "gate": summary["gate"]["status"],
        "grade": summary["causal"]["grade"],
        "fallback": summary["policy"]["chosen"]["fallback"],
        "source": summary["policy"]["chosen"]["source"],
        "predicted": summary["policy"]["predicted"]["mean"],
        "logged": summary["policy"]["logged"],
        "tipping": summary["tipping"],
        "verdicts": sorted({verdict["code"] for verdict in summary["verdicts"]}),
    }
    return outcome, policy


def true_reward(policy: Any, seed: int, batch: int = 32, steps: int = 2000) -> float:
    """Mean reward per step in refrigerators whose doors open as in the logs."""
    from revive.user_code import load_module

    plant = load_module(ROOT / "experiments" / "refrigerator" / "simulator.py").Simulator(batch, 5000 + seed)
    total = 0.0
    for _ in range(steps):
        action = policy.act({"temperature": plant.observe()["temperature"]})
        total += float(-np.abs(plant.step(action)["next_temperature"] + 2.0).mean())
    return total / steps


def stored(file: Path, compute: Callable[[], Outcome]) -> Outcome:
    """What the file holds; else computed now and kept there."""
    if file.is_file():
        return dict(json.loads(file.read_text()))
    outcome = compute()
    draft = file.with_suffix(".tmp")
    draft.write_text(json.dumps(outcome) + "\n")
    draft.replace(file)
    return outcome


def judged(name: str, bars: Sequence[Bar], outcomes: Sequence[Outcome]) -> tuple[str, list[str]]:
    """A row of the table, and which bars it missed."""
    cells, missed = [name, str(len(outcomes))], []
    grades = sorted(outcome["grade"] for outcome in outcomes)
    cells.append(" ".join(f"{grade}:{grades.count(grade)}" for grade in sorted(set(grades))))
    for bar in bars:
        met = sum(map(bar.met, outcomes))
        cells.append(f"{bar.what}: {met}")
        if met < bar.share * len(outcomes):
            missed.append(f"{name}: {bar.what} in {met} of {len(outcomes)}, wanted {bar.share:.0%}")
    if "seconds" in outcomes[0]:
        cells.append(f"{np.median([o['seconds'] for o in outcomes]):.1f} s")
    return "| " + " | ".join(cells) + " |", missed


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", nargs="*", default=None)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0, help="seed of the first data set")
    parser.add_argument("--keep", type=Path, default=None)
    parser.add_argument("--runs", action="store_true", help="whole runs too (a minute or two each)")
    chosen = parser.parse_args(arguments)
    keep = (chosen.keep or Path(tempfile.mkdtemp(prefix="revive-trust-"))).resolve()
    keep.mkdir(parents=True, exist_ok=True)
    seeds, missed = range(chosen.first, chosen.first + chosen.seeds), []
    wanted = chosen.rows or [*ROWS, *RUNS]
    for name, bars in ROWS.items():
        if name not in wanted:
            continue
        make, slug = trust_logs.CASES[name], name.replace(" ", "-")
        judge = partial(narrow, float(name.split()[1])) if name.startswith("narrow") else None
        outcomes = [
            stored(keep / f"{slug}-{s}.json", lambda s=s, m=make, j=judge: j(s) if j else cards_of(m(s)))
            for s in seeds
        ]
        row, short = judged(name, bars, outcomes)
        print(row, flush=True)
        missed += short
    for name, bars in RUNS.items() if chosen.runs else ():
        if name not in wanted:
            continue
        make, slug = trust_logs.CASES[name], f"run-{name.replace(' ', '-')}"
        judge = tipping_on if name == "tipping" else run_on
        outcomes = [
            stored(
                keep / f"{slug}-{s}.json",
                lambda s=s, m=make, f=slug, j=judge: j(m(s), keep / "runs" / f"{f}-{s}", s),
            )
            for s in seeds
        ]
        row, short = judged(f"run: {name}", bars, outcomes)
        print(row, flush=True)
        missed += short
    print("\nevery bar is met" if not missed else "\nmissed:\n  " + "\n  ".join(missed))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
