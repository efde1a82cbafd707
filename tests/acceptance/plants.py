"""The plants' acceptance figures, measured through the command line and the public Python side.

    python tests/acceptance/plants.py [--plants NAME ...] [--seeds 5] [--keep DIR] [--data NAME=FILE ...]
                                      [--write-readmes]

Runs `experiment=NAME seed=S` for every folder of experiments/ that has an experiment, one run after the other. Every
finished run is a JSON file in the folder of --keep, and is not run again. --data runs a plant on other logs, in rows of
their own. Prints one Markdown row per run, one per plant, then what missed its bar; exits with 1 where anything did.
--write-readmes puts each plant's rows between the markers of its README.
"""

from __future__ import annotations

import argparse
import inspect
import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))  # a plain script: the packages of this checkout

from tests.acceptance.overview import overview, passing
from tests.acceptance.refrigerator import _peak_memory

ROOT = Path(__file__).parents[2]
EXACT = ("pendulum", "mass_spring", "reactor", "two_tanks")
SLOW = ("hopper", "half_cheetah")
SECONDS_BAR, SLOW_BAR, MEMORY_BAR = 180.0, 360.0, 2e9
ERROR_BAR, PENDULUM_BAR, LANDER_BAR = 0.1, -150.0, 2.0
PROMISED_BAR = 1500.0  # return of the policies from lander_hover's published logs, in the other half's venv
# Returns of the best third of the logs, which the mean of the runs is held to.
BEST_THIRD = {"hopper": 1955.0, "half_cheetah": 2314.0}
COVERED, WORSE = 0.8, 1 / 50
WARM_UP, AHEAD, BATCH = 50, 10, 64
MARKERS = ("<!-- results -->", "<!-- /results -->")


@dataclass(frozen=True)
class Outcome:
    """The figures of one run; the rewards are returns where the logs hold episodes, else means per step."""

    plant: str
    logs: str | None
    seed: int
    unit: str
    logged: float
    predicted: float
    low: float
    high: float
    truth: float
    se: float
    source: str
    fallback: str | None
    verdicts: list[str]
    relative_error: float
    seconds: float
    memory: float

    @property
    def warned(self) -> bool:
        return bool(self.verdicts)

    @property
    def covered(self) -> bool:
        """Whether the true mean, as well as it is known, lies in the interval."""
        return self.low - 2 * self.se <= self.truth <= self.high + 2 * self.se

    @property
    def worse(self) -> bool:
        return not self.truth >= self.logged - 2 * self.se

    def row(self) -> str:
        chosen = f"clone ({self.source}): {self.fallback}" if self.fallback else self.source
        cells = (
            self.plant if self.logs is None else f"{self.plant} on {self.logs}",
            str(self.seed),
            f"{self.logged:.5g}",
            f"{self.predicted:.5g} [{self.low:.5g}, {self.high:.5g}]",
            f"{self.truth:.5g} ± {self.se:.2g}",
            chosen.replace("|", "/"),
            ", ".join(self.verdicts) or "no",
            f"{self.relative_error:.3f}",
            f"{self.seconds:.0f}",
            f"{self.memory / 1e9:.2f}",
        )
        return "| " + " | ".join(cells) + " |"


HEAD = (
    "| plant | seed | logs | predicted [90 %] | true | chosen | warned | venv error at 10 steps / nothing changes "
    "| seconds | GB |\n|" + "---|" * 10
)


def measure(plant: str, data: Path | None, seed: int, keep: Path) -> Outcome:
    """One run of the command, as a user starts it; taken from `keep` where it is there."""
    label = f"{plant}-{data.stem}-{seed}" if data else f"{plant}-{seed}"
    stored = keep / f"{label}.json"
    if stored.is_file():
        return Outcome(**json.loads(stored.read_text()))
    log_dir = keep / "runs"
    command = [sys.executable, "-m", "revive", f"experiment={plant}", f"seed={seed}", f"log_dir={log_dir}"]
    command += [f"run_id={label}", "resume=fresh", *([f"dataset.path={data}"] if data else [])]
    started = time.perf_counter()
    with (keep / f"{label}.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)
        memory = _peak_memory(process)
    seconds = time.perf_counter() - started
    if process.returncode not in (0, 3):  # 3: done, but the gate fails, which the verdicts say
        raise SystemExit(f"{' '.join(command)} ended with exit code {process.returncode}: see {label}.log")
    run = log_dir / label
    outcome = outcome_of(
        json.loads((run / "summary.json").read_text()),
        plant,
        data.stem if data else None,
        seed,
        seconds,
        memory,
        relative_error(plant, run) if plant in EXACT else None,
    )
    draft = stored.with_suffix(".tmp")
    draft.write_text(json.dumps(asdict(outcome), indent=2) + "\n")
    draft.replace(stored)
    return outcome


def outcome_of(
    summary: dict[str, Any],
    plant: str,
    logs: str | None,
    seed: int,
    seconds: float,
    memory: float,
    exact: float | None = None,
) -> Outcome:
    """exact: the relative error of the venv without noise; that of the summary where None."""
    policy, at = summary["policy"], summary["venv"]["at_step"]
    if "truth" in policy.get("episodes", {}):
        told = policy["episodes"]
        unit, logged, truth, se = (
            "episode",
            told["logs"]["return"],
            told["truth"]["return"],
            told["truth"]["se"],
        )
        predicted, low, high = (told["predicted"][k] for k in ("mean", "low", "high"))
    else:
        unit, logged, truth, se = "step", policy["logged"], policy["truth"]["mean"], policy["truth"]["se"]
        predicted, interval = policy["predicted"]["mean"], policy["predicted"]["interval"]
        low, high = interval["low"], interval["high"]
    noisy = at["venv"]["10"] / at["persistence"]["10"] if "10" in at["venv"] else math.nan
    return Outcome(
        plant,
        logs,
        seed,
        unit,
        logged,
        predicted,
        low,
        high,
        truth,
        se,
        policy["chosen"]["source"],
        policy["chosen"]["fallback"],
        sorted({verdict["code"] for verdict in summary["verdicts"]}),
        noisy if exact is None else exact,
        seconds,
        memory,
    )


def relative_error(plant: str, run: Path) -> float:
    """The venv's error at 10 steps over that of "nothing changes", both against the simulator without noise.

    The plant is first controlled by the venv's behaviour policy, so that the states are those of its logs.
    """
    import revive
    from revive.user_code import load_module

    home = ROOT / "experiments" / plant
    module, venv = (
        load_module(home / "simulator.py"),
        revive.load_venv(run / "venv", code=home, accept_failed_gate=True),
    )
    quiet = {"noise": False} if "noise" in inspect.signature(module.Simulator).parameters else {}
    simulator, graph = module.Simulator(BATCH, 12345, **quiet), venv.graph
    target, random = graph.decisions[0], np.random.default_rng(0)
    record: list[dict[str, np.ndarray]] = []
    going = np.ones(BATCH, dtype=bool)
    for _ in range(WARM_UP + AHEAD):
        seen = simulator.observe()
        action = {target: venv.step(seen, deterministic=False, seed=int(random.integers(2**31)))[target]}
        record.append({**seen, **action, **simulator.step(action)})
        if graph.done:
            going &= record[-1][graph.done][:, 0] < 0.5
    ahead = {name: np.stack([row[name] for row in record[WARM_UP:]])[:, going] for name in record[0]}
    states = [name for name in graph.states if name in ahead]
    given = {name: ahead[name] for name in (*venv.model.replayed_nodes, target)}
    rolled = venv.rollout({name: ahead[name][0] for name in states}, given)
    wrong, still = [], []
    for name in states:
        follows, begin = graph.next_of(name), ahead[name][0]
        spread = np.maximum(ahead[follows][-1].std(0), 1e-9)
        wrong.append(np.abs(rolled[follows][-1] - ahead[follows][-1]).mean(0) / spread)
        still.append(np.abs(begin - ahead[follows][-1]).mean(0) / spread)
    return float(np.concatenate(wrong).mean() / np.concatenate(still).mean())


def missed_bars(outcomes: Sequence[Outcome]) -> list[str]:
    """What the issue asks for and the runs do not show."""
    bars: dict[str, Callable[[Outcome], bool]] = {
        f"true return below {PENDULUM_BAR:g}": lambda o: o.plant != "pendulum" or o.truth >= PENDULUM_BAR,
        "true return less than twice the logs'": lambda o: (
            o.plant != "lander_hover" or o.truth >= LANDER_BAR * o.logged
        ),
        f"promises less than {PROMISED_BAR:g}": lambda o: (
            (o.plant, o.logs) != ("lander_hover", "lander_hover") or o.predicted >= PROMISED_BAR
        ),
        "not above the logs in truth, and no fall-back said": lambda o: (
            o.truth > o.logged or bool(o.fallback)
        ),
        f"venv error above {ERROR_BAR:g} of 'nothing changes'": lambda o: (
            o.plant not in EXACT or o.relative_error <= ERROR_BAR
        ),
        "too slow": lambda o: o.seconds <= (SLOW_BAR if o.plant in SLOW else SECONDS_BAR),
        f"more than {MEMORY_BAR / 1e9:g} GB": lambda o: o.memory < MEMORY_BAR,
    }
    missed = [f"{_name(o)}-{o.seed}: {what}" for o in outcomes for what, met in bars.items() if not met(o)]
    for name, runs in _by_plant(outcomes).items():
        honest = sum(o.covered or o.warned for o in runs)
        if honest < COVERED * len(runs):
            missed.append(
                f"{name}: in {honest} of {len(runs)} runs the interval covers the truth or the run warned"
            )
        mean = sum(o.truth for o in runs) / len(runs)
        if mean < BEST_THIRD.get(name, -math.inf):
            missed.append(f"{name}: {mean:.4g} on average, the best third of the logs {BEST_THIRD[name]:g}")
    if disbelieved := passing(outcomes)[1]:
        missed.append(disbelieved)
    worse = [f"{_name(o)}-{o.seed}" for o in outcomes if o.worse]
    if len(worse) > max(1.0, WORSE * len(outcomes)):
        missed.append(f"{len(worse)} of {len(outcomes)} runs are worse than the logs: {', '.join(worse)}")
    return missed


def _name(outcome: Outcome) -> str:
    return outcome.plant if outcome.logs is None else f"{outcome.plant} on {outcome.logs}"


def _by_plant(outcomes: Iterable[Outcome]) -> dict[str, list[Outcome]]:
    found: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        found.setdefault(_name(outcome), []).append(outcome)
    return found


def write_readmes(outcomes: Sequence[Outcome], experiments: Path) -> None:
    """Each plant's rows between the markers of its README; one without markers is left alone."""
    for plant in {o.plant for o in outcomes}:
        file, runs = experiments / plant / "README.md", [o for o in outcomes if o.plant == plant]
        text = file.read_text(encoding="utf-8")
        if not all(marker in text for marker in MARKERS):
            continue
        unit = "return per episode" if runs[0].unit == "episode" else "reward per step"
        told = f"Measured by `python tests/acceptance/plants.py --plants {plant}`; {unit}, mean ± standard error.\n\n"
        table = "\n".join([told + HEAD, *(run.row() for run in runs)])
        before, rest = text.split(MARKERS[0], 1)
        after = rest.split(MARKERS[1], 1)[1]
        file.write_text(f"{before}{MARKERS[0]}\n{table}\n{MARKERS[1]}{after}", encoding="utf-8")


def plants() -> list[str]:
    """Every experiment with a ground truth."""
    return sorted(file.parent.name for file in (ROOT / "experiments").glob("*/experiment.yaml"))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--plants", nargs="*", default=plants(), choices=plants())
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--keep", type=Path, default=None)
    parser.add_argument("--data", nargs="*", default=[], metavar="NAME=FILE")
    parser.add_argument("--write-readmes", action="store_true")
    chosen = parser.parse_args(arguments)
    keep = (chosen.keep or Path(tempfile.mkdtemp(prefix="revive-plants-"))).resolve()
    keep.mkdir(parents=True, exist_ok=True)
    others = [(name, Path(file).resolve()) for name, file in (text.split("=", 1) for text in chosen.data)]
    cases = [*((name, None) for name in chosen.plants), *others]
    print(HEAD, flush=True)
    outcomes = []
    for plant, data in cases:
        for seed in range(chosen.seeds):
            outcomes.append(measure(plant, data, seed, keep))
            print(outcomes[-1].row(), flush=True)
    if chosen.write_readmes:
        write_readmes(outcomes, ROOT / "experiments")
    print(f"\n{overview(_by_plant(outcomes))}\n\n{passing(outcomes)[0]}")
    missed = missed_bars(outcomes)
    print("\nevery bar is met" if not missed else "\nmissed:\n  " + "\n  ".join(missed))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
