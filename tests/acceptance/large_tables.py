"""A csv of 3 GB and one of 10 000 columns through `new` and `check`: in bounded memory, or refused in one message.

    python tests/acceptance/large_tables.py [--bytes 3e9] [--columns 10000] [--keep DIR]

The files are made in a temporary folder and deleted afterwards (`--keep` leaves them). Prints a Markdown row for each
command: exit code, seconds, the most memory that it held, and the last line that it said.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
BLOCK = 20_000  # rows written at a time


def write_long(path: Path, size: float) -> int:
    """Rows of a plant of six columns, and an ISO date, until the file has `size` bytes; how many there are."""
    values, rows = np.random.default_rng(0).normal(size=(BLOCK, 6)).round(4), 0
    ends = [
        f",{','.join(map(str, row))}\n" for row in values.tolist()
    ]  # the same in each block, to save time
    begin = np.datetime64("2020-01-01T00:00:00")
    with path.open("w") as file:
        written = file.write("time,level,flow,temp,pressure,speed,valve\n")
        while written < size:
            stamps = (begin + np.arange(rows, rows + BLOCK)).astype(str).tolist()
            written += file.write("".join([part for pair in zip(stamps, ends, strict=True) for part in pair]))
            rows += BLOCK
    return rows


def write_wide(path: Path, columns: int, rows: int = 400) -> None:
    """A table of so many columns, the last one a valve."""
    values = np.random.default_rng(0).normal(size=(rows, columns)).round(4)
    names = [f"s{number}" for number in range(columns - 1)] + ["valve"]
    lines = (",".join(map(str, row)) for row in values.tolist())
    path.write_text("\n".join([",".join(names), *lines]) + "\n")


def run(folder: Path, *arguments: str) -> tuple[int, float, float, str]:
    """Exit code, seconds, GiB held at most, and the last line said, of one command."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "REVIVE_EXPERIMENTS": str(folder / "experiments")}
    said, begin = folder / "said.txt", time.monotonic()
    with said.open("w") as out:
        command = [sys.executable, "-m", "revive", *arguments]
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=out, stderr=out)
        _, status, usage = os.wait4(process.pid, 0)
    lines = [line for line in said.read_text(errors="replace").splitlines() if line.strip()]
    seconds = time.monotonic() - begin
    return os.waitstatus_to_exitcode(status), seconds, usage.ru_maxrss / 2**20, lines[-1] if lines else ""


def courses(
    folder: Path, size: float, columns: int
) -> Iterator[tuple[str, str, tuple[int, float, float, str]]]:
    """Name, command and outcome of each."""
    if size:
        if shutil.disk_usage(folder).free < 2 * size:
            raise SystemExit(f"{folder} has no room for {size / 1e9:.1f} GB")
        rows = write_long(folder / "long.csv", size)
        name = f"{size / 1e9:.1f} GB, {rows} rows"
        yield name, "new", run(folder, "new", "long", "--data", "long.csv")
        yield name, "check", run(folder, "check", "experiment=long", "log_dir=runs")
        (folder / "long.csv").unlink()
    write_wide(folder / "wide.csv", columns)
    name = f"{columns} columns"
    yield name, "new", run(folder, "new", "wide", "--data", "wide.csv")
    yield name, "check", run(folder, "check", "experiment=wide", "log_dir=runs")
    yield (
        name,
        "train",
        run(folder, "experiment=wide", "tracking=none", "policy.mode=none", "venv.budget=200"),
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bytes", type=float, default=3e9)
    parser.add_argument("--columns", type=int, default=10_000)
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()
    bad = 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = (given.keep or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        print(
            "| table | command | exit code | seconds | GiB | said last |\n|---|---|---|---|---|---|",
            flush=True,
        )
        for name, command, (code, seconds, held, said) in courses(folder, given.bytes, given.columns):
            bad += code not in (
                (0, 2, 3) if command == "train" else (0, 2)
            )  # noise teaches nothing: the gate fails
            print(f"| {name} | {command} | {code} | {seconds:.0f} | {held:.2f} | {said[:160]} |", flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
