"""Commands that are killed at random moments, and what becomes of their runs.

    python tests/acceptance/kills.py [--kills 24] [--seed 0] [--keep DIR]

A kill is SIGKILL, without warning. A third of them hit the driver of a run without a search, a third the driver of a
search on Ray, and of the rest half a worker of a trial and half the MLflow server (which comes back). After every
kill of a driver the same command is given again. Prints one Markdown row per run, then what was wrong; exits with 1
where anything was.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
# Large enough for a kill to hit each stage, small enough for many runs.
LIMITS = (
    "venv.members=3",
    "venv.keep=2",
    "venv.learner.one_step_updates=150",
    "venv.learner.curriculum=[[5,30],[20,50]]",
    "venv.learner.chunk=5",
    "policy=first_order",
    "policy.learner.iterations=40",
    "policy.learner.warm_up=5",
    "policy.learner.branches=32",
    "policy.evaluation.horizon=100",
    "policy.truth.episodes=10",
)
SEARCH = (
    "venv.mode=tune",
    "policy.mode=tune",
    "search.trials=4",
    "search.retrain=2",
    "search.seeds=1",
    "search.concurrency=2",
)
ORDER = ("inputs", "venv", "after venv", "policy", "after policy", "evaluation", "after evaluation")
# What a kill aims at, and the share of the whole in which it comes after that began.
PHASES = (("inputs", 0.3), ("venv", 0.15), ("policy", 0.3), ("evaluation", 0.05))
AGENTS = 120.0  # seconds that Ray's own agents may look for their dead Ray; they know no run folder
HANGS = 400.0  # seconds after which a command is taken to hang
OVER = {"finished": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}


@dataclass
class Outcome:
    """What became of one run."""

    name: str
    hit: str
    kills: int = 0
    phases: list[str] = field(default_factory=list)
    commands: int = 0
    kept: int = 0
    seconds: float = 0.0
    missed: list[str] = field(default_factory=list)

    def row(self) -> str:
        verdict = "yes" if not self.missed else "NO"
        cells = (self.name, self.hit, self.kills, ", ".join(self.phases), self.commands, self.kept)
        return "| " + " | ".join(map(str, cells)) + f" | {self.seconds:.0f} | {verdict} |"

    def require(self, met: object, what: str) -> None:
        if not met:
            self.missed.append(f"{self.name}: {what}")


HEAD = (
    "| run | killed | kills | while | commands | finished before a kill, kept | seconds | whole |\n|"
    + "---|" * 8
)


class Command:
    """One run of the command line, in a session of its own."""

    def __init__(self, log_dir: Path, run_id: str, *overrides: str, log: Path | None = None) -> None:
        self.folder, self.log = log_dir / run_id, log or log_dir / f"{run_id}.log"
        self.arguments = ["experiment=refrigerator", *LIMITS, *overrides]
        self.arguments += [f"log_dir={log_dir}", f"run_id={run_id}"]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-u", "-m", "revive", *self.arguments],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def wait(self, seconds: float = HANGS) -> int | None:
        """The exit code; None where it did not end, which is then forced."""
        assert self.process is not None
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            return None

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def signal(self, number: int) -> None:
        """As a terminal sends it, to the whole group."""
        assert self.process is not None
        os.killpg(self.process.pid, number)

    @property
    def phase(self) -> str:
        """What the run folder says is under way."""
        state = _json(self.folder / "state.json")
        if state is None:
            return "inputs"
        done = [stage for stage in ORDER if state["stages"].get(stage) == "finished"]
        return state.get("stage") or (f"after {done[-1]}" if done else "inputs")

    def trials(self) -> dict[str, dict[str, Any]]:
        """Trials that are over, by stage and name, with what their models are made of."""
        found = {}
        for stage in ("venv", "policy"):
            folder = self.folder / "search" / stage
            for trial in (_json(folder / "trials.json") or {"trials": []})["trials"]:
                if trial["state"] in OVER:
                    home = folder / f"trial_{trial['id']:03d}"
                    files = sorted(home.glob("*/model.safetensors"))
                    models = [(str(f), f.stat().st_mtime_ns, _sha(f)) for f in files]
                    found[f"{stage}/{home.name}"] = {**trial, "models": models}
        return found

    def models(self) -> dict[str, str]:
        """Stages that are finished, and what their models are made of."""
        stages = (_json(self.folder / "state.json") or {"stages": {}})["stages"]
        done = [stage for stage in ("venv", "policy") if stages.get(stage) == "finished"]
        return {stage: _sha(self.folder / stage / "model.safetensors") for stage in done}


def _json(file: Path) -> Any:
    try:
        return json.loads(file.read_text())
    except FileNotFoundError:
        return None


def _sha(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def figures(folder: Path) -> dict[str, Any]:
    """summary.json without what may differ between two equal runs."""
    summary = _json(folder / "summary.json") or {}
    return {key: value for key, value in summary.items() if key not in ("run_id", "seconds")}


# ---------------------------------------------------------------- processes


def born(pid: int) -> str:
    """When a process began, which tells it from a later one of the same number; empty where it is gone."""
    with suppress(OSError):
        after = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return "" if after[0] == "Z" else after[19]
    return ""


def descendants(pid: int) -> list[int]:
    """All processes below one, itself not counted (Linux)."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            after = stat.read_text().rpartition(")")[2].split()
            children.setdefault(int(after[1]), []).append(int(stat.parent.name))
    found, left = [], [pid]
    while left:
        for child in children.get(left.pop(), []):
            found.append(child)
            left.append(child)
    return found


def title(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    return ""


def workers(pid: int) -> list[int]:
    """The Ray workers below a driver that execute a trial."""
    return [child for child in descendants(pid) if title(child).startswith("ray::ImplicitFunc")]


def wait_until_gone(births: dict[int, str], seconds: float = 20.0) -> list[str]:
    """Of processes and when they were born: what those are that still live after so long."""
    until = time.monotonic() + seconds
    while True:
        left = [pid for pid, birth in births.items() if birth and born(pid) == birth]
        if not left or time.monotonic() > until:
            return [title(pid)[-100:] for pid in left]
        time.sleep(0.1)


class Server:
    """`mlflow server` on a free port of this machine, with a database of its own."""

    def __init__(self, home: Path) -> None:
        home.mkdir(parents=True, exist_ok=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.home, self.uri = home, f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def database(self) -> Path:
        return self.home / "server.db"

    def start(self) -> None:
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--backend-store-uri", f"sqlite:///{self.database}", "--workers", "1"]
        command += ["--serve-artifacts", "--artifacts-destination", str(self.home / "files")]
        environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
        with (self.home / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                command, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        self._wait()

    def _wait(self) -> None:
        until = time.monotonic() + 120
        while time.monotonic() < until:
            try:
                urllib.request.urlopen(f"{self.uri}/health", timeout=2).close()
            except OSError:
                time.sleep(0.2)
            else:
                return
        raise TimeoutError((self.home / "server.log").read_text())

    def kill(self) -> None:
        if self.process:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


@contextmanager
def served(home: Path) -> Any:
    """A server that is up, and gone afterwards."""
    server = Server(home)
    server.start()
    try:
        yield server
    finally:
        server.kill()


# ---------------------------------------------------------------- what must hold


def check_records(outcome: Outcome, command: Command, database: Path) -> None:
    """One MLflow run for each record, all over, as the books say, with every point once."""
    run_id = command.folder.name
    with closing(sqlite3.connect(database)) as opened:
        rows = opened.execute(
            "select r.run_uuid, r.status, t.value from runs r join tags t on t.run_uuid = r.run_uuid"
            " and t.key = 'revive.record' where r.lifecycle_stage = 'active'"
        ).fetchall()
        points = opened.execute(
            "select run_uuid, key, step, count(*) from metrics group by 1, 2, 3"
        ).fetchall()
    mark = (_json(command.folder / "mlflow.json") or {}).get("mark", "")
    mine = [(run, status, tag.partition("/")[2]) for run, status, tag in rows if tag.startswith(f"{mark}/")]
    keys = [key for _, _, key in mine]
    outcome.require(len(keys) == len(set(keys)), f"an MLflow run twice: {sorted(keys)}")
    wanted = {".": "FINISHED", **dict.fromkeys(("venv", "policy", "evaluation"), "FINISHED")}
    wanted |= {name: OVER[trial["state"]] for name, trial in command.trials().items()}
    told = {key: status for _, status, key in mine}
    differ = {
        key: (wanted.get(key), told.get(key)) for key in {*wanted, *told} if wanted.get(key) != told.get(key)
    }
    outcome.require(not differ, f"MLflow statuses (wanted, found): {differ}")
    ours = {run for run, _, _ in mine}
    twice = [(key, step) for run, key, step, count in points if run in ours and step > 0 and count > 1]
    outcome.require(not twice, f"points told twice: {twice[:5]}")
    curves = {run: {key for owner, key, _, _ in points if owner == run} for run in ours}
    bare = [key for run, status, key in mine if "/" in key and status == "FINISHED" and not curves[run]]
    outcome.require(not bare, f"trials without a curve in MLflow of {run_id}: {bare}")
    outcome.require(not (command.folder / "unsent.jsonl").exists(), "records are left unsent")


def check_kept(outcome: Outcome, before: dict[str, Any], after: dict[str, Any], what: str) -> None:
    """What was finished is as it was."""
    for name, was in before.items():
        outcome.require(
            after.get(name) == was, f"{what} {name} was finished and changed: {was} -> {after.get(name)}"
        )
    outcome.kept = max(outcome.kept, len(before))


def check_end(outcome: Outcome, command: Command, code: int | None) -> None:
    log = command.log
    outcome.require(code == 0, f"exit code {code}, see {log}: {log.read_text()[-1500:]}")
    state = _json(command.folder / "state.json") or {}
    outcome.require(state.get("state") == "finished", f"state.json says {state.get('state')}")
    outcome.require("Traceback" not in log.read_text(), f"a traceback in {log}")
    drafts = [str(path) for path in command.folder.rglob("*.ckpt*")]
    outcome.require(not drafts, f"checkpoints are left: {drafts}")


# ---------------------------------------------------------------- scenarios


def killed_driver(
    log_dir: Path, name: str, overrides: Sequence[str], kills: int, length: float, generator: random.Random
) -> Outcome:
    """Kill the command again and again, at random moments that meet one stage after the other; then let it end.

    length: seconds that an uninterrupted one takes.
    """
    outcome, command = Outcome(name, "driver"), Command(log_dir, name, *overrides)
    started, trials, models = time.monotonic(), {}, {}
    below: dict[int, str] = {}
    for number in range(kills):
        command.start()
        outcome.commands += 1
        assert command.process
        aim, share = PHASES[number * len(PHASES) // kills if kills > 1 else generator.randrange(len(PHASES))]
        while command.running and ORDER.index(command.phase) < ORDER.index(aim):
            time.sleep(0.02)
        with suppress(subprocess.TimeoutExpired):
            command.process.wait(generator.uniform(0.0, share * length))
        if not command.running:
            break  # nothing is left to kill
        below |= {pid: born(pid) for pid in descendants(command.process.pid)}
        busy = {pid: below[pid] for pid in workers(command.process.pid) if pid in below}
        outcome.phases.append(command.phase)
        command.kill()
        outcome.kills += 1
        check_kept(outcome, trials, trials := command.trials(), "trial")
        check_kept(outcome, models, models := command.models(), "stage")
        if generator.random() < 0.5:  # otherwise the next command meets what is left of this one
            left = wait_until_gone(busy)
            outcome.require(not left, f"workers outlive their driver: {left}")
    command.start()
    outcome.commands += 1
    check_end(outcome, command, command.wait())
    check_kept(outcome, trials, command.trials(), "trial")
    check_kept(outcome, models, command.models(), "stage")
    check_records(outcome, command, log_dir / "mlflow.db")
    left = wait_until_gone(below, AGENTS)
    outcome.require(not left, f"processes outlive their driver: {left}")
    outcome.seconds = time.monotonic() - started
    return outcome


def check_equal(outcome: Outcome, killed: Path, whole: Path) -> None:
    """A run without a search ends digit for digit as one that nobody killed."""
    outcome.require(figures(killed) == figures(whole), "summary.json differs from an uninterrupted run")
    for stage in ("venv", "policy"):
        same = _sha(killed / stage / "model.safetensors") == _sha(whole / stage / "model.safetensors")
        outcome.require(same, f"the {stage} differs from an uninterrupted run")


def killed_workers(log_dir: Path, name: str, kills: int, generator: random.Random) -> Outcome:
    """Kill workers of a search that otherwise goes on undisturbed."""
    outcome, command = Outcome(name, "worker"), Command(log_dir, name, *SEARCH)
    started = time.monotonic()
    command.start()
    outcome.commands = 1
    assert command.process
    deadline = time.monotonic() + HANGS
    while outcome.kills < kills and command.running and time.monotonic() < deadline:
        time.sleep(generator.uniform(1.0, 12.0))
        found = workers(command.process.pid)
        if found:
            with suppress(ProcessLookupError):
                phase = command.phase
                os.kill(generator.choice(found), signal.SIGKILL)
                outcome.kills += 1
                outcome.phases.append(phase)
            time.sleep(4.0)  # Ray gives up on a trial whose worker died four times
    check_end(outcome, command, command.wait())
    lost = [name for name, trial in command.trials().items() if trial["state"] == "failed"]
    outcome.require(not lost, f"trials are lost: {lost}")
    outcome.require("its worker died" in command.log.read_text(), "nothing is told of dead workers")
    outcome.require(outcome.kills == kills, f"only {outcome.kills} of {kills} workers could be killed")
    check_records(outcome, command, log_dir / "mlflow.db")
    outcome.seconds = time.monotonic() - started
    return outcome


def killed_server(log_dir: Path, name: str, kills: int, length: float, generator: random.Random) -> Outcome:
    """Kill the MLflow server of a search in this process, and bring it back some seconds later."""
    outcome = Outcome(name, "MLflow server")
    started = time.monotonic()
    with served(log_dir / f"{name}-server") as server:
        uri = ("tracking.patience=180", f"tracking.uri={server.uri}", "ray.enabled=false", "search.trials=3")
        command = Command(log_dir, name, *SEARCH, *uri)
        command.start()
        outcome.commands = 1
        for _ in range(kills):
            time.sleep(generator.uniform(0.5, length / kills))
            if not command.running:
                break
            outcome.phases.append(command.phase)
            server.kill()
            outcome.kills += 1
            time.sleep(generator.uniform(1.0, 6.0))
            server.start()
        check_end(outcome, command, command.wait())
        check_records(outcome, command, server.database)
    outcome.seconds = time.monotonic() - started
    return outcome


def uninterrupted(log_dir: Path, name: str, *overrides: str) -> tuple[Path, float]:
    """A run that nobody kills, and how many seconds it took."""
    command, started = Command(log_dir, name, *overrides), time.monotonic()
    command.start()
    code = command.wait()
    if code != 0:
        raise SystemExit(f"{name} ended with {code}:\n" + (log_dir / f"{name}.log").read_text())
    return command.folder, time.monotonic() - started


def scenarios(log_dir: Path, kills: int, seed: int) -> list[Callable[[], Outcome]]:
    """So many kills, spread over all kinds."""
    third, rest = kills // 3, kills - 2 * (kills // 3)
    whole: dict[str, tuple[Path, float]] = {}

    def once(number: int, hits: int) -> Outcome:
        if not whole:
            whole["once"] = uninterrupted(log_dir, "once-whole")
        folder, length = whole["once"]
        generator = random.Random(f"{seed} once {number}")
        outcome = killed_driver(log_dir, f"once-{number}", (), hits, length, generator)
        check_equal(outcome, log_dir / f"once-{number}", folder)
        return outcome

    def search(number: int, hits: int) -> Outcome:
        generator = random.Random(f"{seed} search {number}")
        return killed_driver(
            log_dir, f"search-{number}", (*SEARCH, "search.scheduler=fifo"), hits, 100.0, generator
        )

    made: list[Callable[[], Outcome]] = []
    for scenario in (once, search):
        for number, hits in enumerate(_portions(third, 4)):
            made.append(lambda s=scenario, n=number, h=hits: s(n, h))  # type: ignore[misc]
    for number, hits in enumerate(_portions((rest + 1) // 2, 4)):
        generator = random.Random(f"{seed} worker {number}")
        made.append(lambda n=number, h=hits, g=generator: killed_workers(log_dir, f"worker-{n}", h, g))  # type: ignore[misc]
    for number, hits in enumerate(_portions(rest // 2, 4)):
        generator = random.Random(f"{seed} server {number}")
        made.append(lambda n=number, h=hits, g=generator: killed_server(log_dir, f"server-{n}", h, 30.0, g))  # type: ignore[misc]
    return made


def _portions(total: int, most: int) -> list[int]:
    """A total in portions of at most so many."""
    return [most] * (total // most) + ([total % most] if total % most else [])


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=None)
    chosen = parser.parse_args(arguments)
    log_dir = (chosen.keep or Path(tempfile.mkdtemp(prefix="revive-kills-"))).resolve()
    print(HEAD, flush=True)
    outcomes = []
    for scenario in scenarios(log_dir, chosen.kills, chosen.seed):
        outcomes.append(scenario())
        print(outcomes[-1].row(), flush=True)
    done = sum(outcome.kills for outcome in outcomes)
    missed = [text for outcome in outcomes for text in outcome.missed]
    if done < min(chosen.kills, 20):
        missed.append(f"only {done} kills hit something")
    print(
        f"\n{done} kills; " + ("every run completed" if not missed else "missed:\n  " + "\n  ".join(missed))
    )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
