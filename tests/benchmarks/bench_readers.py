"""How long it takes to read, split and check a log, beside the time that numpy or pyarrow alone need.

Run it by hand: `python tests/benchmarks/bench_readers.py [--rows 10000000] [--table-rows 1000000]`. It prints
a Markdown table. Every figure is the median of `--rounds` in which both sides take turns, each time in a
fresh process, with the file in the cache of the disk and all imports done before the clock starts; the peak
is the largest one of all rounds.

plain: the same file to float64 arrays in memory, and nothing else. npz: `numpy.load` and every array of it,
which takes each value from the file and compares the checksums; h5: every data set whole; tables:
`pyarrow.parquet.read_table` or `pyarrow.csv.read_csv`, then `to_numpy` of each column.
ours: `read_trajectories`, `split` into halves by trajectory, and `check_data` with the split and a horizon.
ratio: ours by plain, of seconds on the clock, with its quartiles; CPU: the same of processor seconds.
user: processor seconds outside the kernel, plain and ours.
peak: the growth of resident memory while the file is read, over the size of the 20 columns.
gather: seconds, not part of ours and taken once, that the parts of the split need to copy all their rows,
which they do for each array when it is first used.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
from pyarrow import csv, parquet

from revive.data.readers import ReadOptions, read_trajectories
from revive.data.report import check_data
from revive.data.split import split
from revive.graph.columns import Column
from revive.graph.decision_graph import DecisionGraph

STATES, ACTIONS, LENGTH = 9, 2, 1000
GRAPH = DecisionGraph.build(
    [
        *(Column(f"s{number}", "state", "continuous", min=-100, max=100) for number in range(STATES)),
        *(Column(f"a{number}", "action", "continuous") for number in range(ACTIONS)),
    ],
    {"action": ["state"], "next_state": ["state", "action"]},
)  # state, next_state and action have 20 columns together


def logs(rows: int) -> dict[str, np.ndarray]:
    """Random walks in pieces, made without holding anything twice."""
    rng = np.random.default_rng(0)
    state = np.empty((rows, STATES))
    for start in range(0, rows, LENGTH):
        stop = min(start + LENGTH, rows)
        state[start:stop] = np.cumsum(rng.normal(size=(stop - start, STATES)), axis=0) * 0.1
    following = np.empty_like(state)
    following[:-1] = state[1:]
    ends = np.minimum(np.arange(LENGTH, rows + LENGTH, LENGTH), rows)
    following[ends - 1] = state[ends - 1] + 0.1 * rng.normal(size=(len(ends), STATES))
    return {
        "state": state,
        "next_state": following,
        "action": rng.normal(size=(rows, ACTIONS)),
        "index": ends,
    }


def table(arrays: dict[str, np.ndarray]) -> pa.Table:
    columns = {f"s{number}": arrays["state"][:, number] for number in range(STATES)}
    columns |= {f"next_s{number}": arrays["next_state"][:, number] for number in range(STATES)}
    columns |= {f"a{number}": arrays["action"][:, number] for number in range(ACTIONS)}
    lengths = np.diff(arrays["index"], prepend=0)
    return pa.table(columns | {"run": np.repeat(np.arange(len(lengths)), lengths)})


def write(path: Path, rows: int) -> None:
    arrays = logs(rows)
    if path.suffix == ".npz":
        np.savez(path, **arrays)
    elif path.suffix == ".h5":
        with h5py.File(path, "w") as file:
            for name, array in arrays.items():
                file[name] = array
    elif path.suffix == ".csv":
        csv.write_csv(table(arrays), path)
    else:
        parquet.write_table(table(arrays), path)


def plain_read(path: Path) -> int:
    """What numpy, h5py or pyarrow do with the same file; returns bytes."""
    if path.suffix == ".npz":
        with np.load(path) as archive:
            arrays = [np.asarray(archive[name], np.float64) for name in archive.files]
    elif path.suffix == ".h5":
        with h5py.File(path) as file:
            arrays = [np.asarray(file[name][()], np.float64) for name in file]
    else:
        read = csv.read_csv(path) if path.suffix == ".csv" else parquet.read_table(path)
        arrays = [column.to_numpy() for column in read.columns]
    return sum(array.nbytes for array in arrays)


@dataclass(frozen=True)
class Clock:
    """Seconds on the clock, of the processors, and of these outside the kernel; the peak of memory in bytes."""

    wall: float
    cpu: float
    user: float
    peak: int

    @classmethod
    def now(cls) -> Clock:
        used = resource.getrusage(resource.RUSAGE_SELF)
        cpu = used.ru_utime + used.ru_stime
        return cls(time.perf_counter(), cpu, used.ru_utime, used.ru_maxrss * 1024)

    def since(self, begin: Clock) -> dict[str, float]:
        return {name: getattr(self, name) - getattr(begin, name) for name in ("wall", "cpu", "user")}


def plain_cost(path: Path) -> dict[str, float]:
    """Seconds of `plain_read`."""
    begin = Clock.now()
    plain_read(path)
    return Clock.now().since(begin)


def our_cost(path: Path, gather: bool = False) -> dict[str, float]:
    """Seconds to read, split and check, and to `gather`; peak memory of reading over the arrays."""
    options = ReadOptions() if path.suffix in (".npz", ".h5") else ReadOptions(trajectory="run")
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    begin = Clock.now()
    data = read_trajectories(path, GRAPH, options)
    read = Clock.now()
    parts = split(data)
    parted = Clock.now()
    check_data(data, GRAPH, parts, horizon=100)
    checked = Clock.now()
    size = sum(array.nbytes for array in data.arrays.values())
    for part in (parts.train, parts.validation) if gather else ():
        assert all(len(part.arrays[name]) == part.rows for name in part.arrays)
    return checked.since(begin) | {
        "read": read.wall - begin.wall,
        "split": parted.wall - read.wall,
        "check": checked.wall - parted.wall,
        "gather": Clock.now().wall - checked.wall,
        "peak": (read.peak - resident) / size,
    }


def _answer(work: Callable[[Path], Any], path: Path, pipe: Any) -> None:
    pa.chunked_array([[1.0]]).to_numpy()  # imports pandas where it is installed
    pipe.send(work(path))


def apart(work: Callable[[Path], Any], path: Path) -> Any:
    """The result of `work` in a process of its own, so that memory is its own too."""
    here, there = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_answer, args=(work, path, there))
    process.start()
    there.close()
    answer = here.recv()
    process.join()
    return answer


def line(path: Path, rows: int, rounds: int) -> str:
    """A row of the table."""
    plain, ours = [], []
    for number in range(rounds):
        plain.append(apart(plain_cost, path))
        ours.append(apart(partial(our_cost, gather=number == rounds - 1), path))

    def middle(costs: list[dict[str, float]], name: str) -> str:
        return f"{np.median([cost[name] for cost in costs]):.2f}"

    ratios = {name: [b[name] / a[name] for a, b in zip(plain, ours, strict=True)] for name in ("wall", "cpu")}
    low, half, high = np.percentile(ratios["wall"], [25, 50, 75])
    cells = [path.suffix[1:], f"{rows:,}", middle(plain, "wall")]
    cells += [middle(ours, name) for name in ("read", "split", "check")]
    cells += [f"{half:.2f} ({low:.2f} to {high:.2f})", f"{np.median(ratios['cpu']):.2f}"]
    cells += [f"{middle(plain, 'user')}, {middle(ours, 'user')}"]
    cells += [f"{max(cost['peak'] for cost in ours):.2f}", f"{ours[-1]['gather']:.2f}"]
    return "| " + " | ".join(cells) + " |\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--table-rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    heads = ["file", "rows", "plain s", "read s", "split s", "check s", "ratio (quartiles)", "CPU", "user s"]
    heads += ["peak", "gather s"]
    sys.stdout.write("| " + " | ".join(heads) + " |\n|" + " --- |" * len(heads) + "\n")
    with tempfile.TemporaryDirectory() as folder:
        for suffix in (".npz", ".parquet", ".csv", ".h5"):
            rows = chosen.rows if suffix in (".npz", ".h5") else chosen.table_rows
            path = Path(folder) / f"logs{suffix}"
            apart(partial(write, rows=rows), path)  # elsewhere, so that its memory is not ours
            apart(plain_cost, path)  # warms the cache of the disk
            sys.stdout.write(line(path, rows, chosen.rounds))
            sys.stdout.flush()
            path.unlink()


if __name__ == "__main__":
    main()
