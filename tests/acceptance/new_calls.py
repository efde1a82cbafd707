"""`python -m revive new` on large csv files, again and again: none of the processes may end with an abort.

    python tests/acceptance/new_calls.py [--calls 500] [--seed N] [--keep DIR]

Each call is a process of its own on a file of 3 to 8 MiB; the kinds of files take turns. What each call came to is
written to `calls.jsonl` in DIR at once, so that the same command goes on where it was stopped. Prints one Markdown row
per kind, then what was wrong; exits with 1 where a call ended in anything but its right code.

An abort (SIGABRT, 134) came after the work was done, in 2 to 3 of 100 calls, while Python shut down: a thread of
pyarrow released a buffer of Python's. `revive.data.readers.text.own` is what prevents it.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
PATIENCE = 300.0  # seconds after which a call is taken to hang
ROWS = 45_000


def plain(rng: np.random.Generator) -> str:
    """Numbers alone, in commas."""
    values = rng.normal(size=(2 * ROWS, 6))
    return _table("level,flow,temp,pressure,speed,valve", values)


def dated(rng: np.random.Generator) -> str:
    """Dates, numbers and words, as the UCI steel table has them."""
    rows_of_day, (kwh, share) = 96, rng.random((2, ROWS))
    times = np.datetime64("2018-01-01T00:15") + np.timedelta64(15, "m") * np.arange(ROWS)
    rows = (
        f"{time:%d/%m/%Y %H:%M},{kwh[i] * 99:.2f},{share[i] * 9:.2f},0,0.0{i % 8},{60 + share[i] * 40:.2f},100,"
        f"{900 * (i % rows_of_day)},{('Weekday', 'Weekend')[time.weekday() > 4]},{time:%A},Light_Load"
        for i, time in enumerate(times.tolist())
    )
    return "\n".join(["date,kWh,reactive,lead,co2,pf,pf2,nsm,status,day,load", *rows]) + "\n"


def german(rng: np.random.Generator) -> str:
    """Semicolons and decimal commas: each chunk is parsed as text."""
    return plain(rng).replace(",", ";").replace(".", ",")


def late_words(rng: np.random.Generator) -> str:
    """Words for "no value" far behind the beginning: single chunks are parsed anew."""
    lines = plain(rng).split("\n")
    for number in (40_000, 55_000, 69_000):
        lines[number] = "Bad," + lines[number].split(",", 1)[1]
    return "\n".join(lines)


def quoted(rng: np.random.Generator) -> str:
    """Everything in quotes."""
    return "\n".join('"' + line.replace(",", '","') + '"' for line in plain(rng).split("\n") if line) + "\n"


def ragged(rng: np.random.Generator) -> str:
    """A line that lacks a value, near the end: refused, with its number."""
    lines = plain(rng).split("\n")
    lines[-40] = lines[-40].rsplit(",", 1)[0]
    return "\n".join(lines)


KINDS: Mapping[str, tuple[Callable[[np.random.Generator], str], str, int]] = {
    "plain": (plain, ".csv", 0),
    "dated": (dated, ".csv", 0),
    "german": (german, ".csv", 0),
    "late words": (late_words, ".csv", 0),
    "quoted": (quoted, ".csv", 0),
    "packed": (plain, ".csv.gz", 0),
    "ragged": (ragged, ".csv", 2),
}
"""Kind -> its maker, the suffix of its file, the exit code that is right."""


def _table(head: str, values: np.ndarray) -> str:
    return "\n".join([head, *(",".join(f"{v:.4f}" for v in row) for row in values.tolist())]) + "\n"


def written(folder: Path, kind: str, seed: int) -> Path:
    """The file of a kind, made where it is not there yet."""
    make, suffix, _ = KINDS[kind]
    path = folder / f"{kind.replace(' ', '_')}{suffix}"
    if not path.exists():
        text = make(np.random.default_rng([seed, [*KINDS].index(kind)])).encode()
        path.write_bytes(gzip.compress(text, 1) if suffix.endswith(".gz") else text)
    return path


def called(path: Path, folder: Path) -> dict[str, object]:
    """One `new` in a process of its own."""
    target = folder / "experiments"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "REVIVE_EXPERIMENTS": str(target)}
    shutil.rmtree(target, ignore_errors=True)  # of a call that was stopped
    begin = time.monotonic()
    command = [sys.executable, "-m", "revive", "new", "made", "--data", str(path)]
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            capture_output=True,
            check=False,
            text=True,
            timeout=PATIENCE,
        )
        code, said = done.returncode, done.stderr[-500:]
    except subprocess.TimeoutExpired:
        code, said = -1, f"no end after {PATIENCE:.0f} s"
    shutil.rmtree(target, ignore_errors=True)
    return {"code": code, "seconds": round(time.monotonic() - begin, 2), "said": said}


def calls(folder: Path, count: int, seed: int) -> list[dict[str, object]]:
    """So many calls in `folder`, those that it holds already among them."""
    record = folder / "calls.jsonl"
    done = [json.loads(line) for line in record.read_text().splitlines()] if record.exists() else []
    for number in range(len(done), count):
        kind = [*KINDS][number % len(KINDS)]
        outcome = {"kind": kind, **called(written(folder, kind, seed), folder)}
        with record.open("a") as file:
            file.write(json.dumps(outcome) + "\n")
        done.append(outcome)
    return done[:count]


def wrong(outcome: Mapping[str, object]) -> bool:
    """Whether a call ended otherwise than it should."""
    return outcome["code"] != KINDS[str(outcome["kind"])][2]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=500)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (given.keep or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        done = calls(folder, given.calls, given.seed)
        print("| file | MiB | calls | right code | aborted | seconds a call |\n|---|---|---|---|---|---|")
        for kind in KINDS:
            own = [outcome for outcome in done if outcome["kind"] == kind]
            if own:
                aborted = sum(outcome["code"] in (-6, 134) for outcome in own)
                seconds = sum(float(str(outcome["seconds"])) for outcome in own) / len(own)
                size = written(folder, kind, given.seed).stat().st_size / 2**20
                right = len(own) - sum(map(wrong, own))
                print(f"| {kind} | {size:.1f} | {len(own)} | {right} | {aborted} | {seconds:.1f} |")
        faults = [outcome for outcome in done if wrong(outcome)]
        for outcome in faults:
            print(f"wrong: {outcome}")
        return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
