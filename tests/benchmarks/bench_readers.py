"""How long it takes to read, check and split a log, beside the time that numpy or pyarrow alone need.

Run it by hand: `python tests/benchmarks/bench_readers.py [--rows 10000000] [--table-rows 1000000]`. Prints a
table; `peak` is the growth of resident memory while the file is read, over the size of the arrays.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable
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
    following[:-1], following[-1] = state[1:], 0.0
    ends = np.minimum(np.arange(LENGTH, rows + LENGTH, LENGTH), rows)
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
            arrays = {name: archive[name] for name in archive.files}
        return sum(array.nbytes for array in arrays.values())
    if path.suffix == ".h5":
        with h5py.File(path) as file:
            arrays = {name: file[name][()] for name in file}
        return sum(array.nbytes for array in arrays.values())
    return csv.read_csv(path).nbytes if path.suffix == ".csv" else parquet.read_table(path).nbytes


def our_read(path: Path) -> tuple[float, float, float, float]:
    """Seconds to read, split and check, and peak memory of reading over the size of the arrays."""
    options = ReadOptions() if path.suffix in (".npz", ".h5") else ReadOptions(trajectory="run")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    data = read_trajectories(path, GRAPH, options)
    read = time.perf_counter()
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    size = sum(array.nbytes for array in data.arrays.values())
    parts = split(data)
    parted = time.perf_counter()
    check_data(data, GRAPH, parts, horizon=100)
    return read - start, parted - read, time.perf_counter() - parted, peak / size


def _answer(work: Callable[[Path], Any], path: Path, pipe: Any) -> None:
    start = time.perf_counter()
    answer = work(path)
    pipe.send((answer, time.perf_counter() - start))


def apart(work: Callable[[Path], Any], path: Path) -> tuple[Any, float]:
    """Result and seconds of `work` in a process of its own, so that memory is its own too."""
    here, there = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_answer, args=(work, path, there))
    process.start()
    there.close()
    answer: tuple[Any, float] = here.recv()
    process.join()
    return answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--table-rows", type=int, default=1_000_000)
    chosen = parser.parse_args()
    out = sys.stdout.write
    heads = ("plain s", "read s", "split s", "check s", "ratio", "peak")
    out(f"{'file':<8} {'rows':>10} " + " ".join(f"{head:>7}" for head in heads) + "\n")
    with tempfile.TemporaryDirectory() as folder:
        for suffix in (".npz", ".h5", ".parquet", ".csv"):
            rows = chosen.rows if suffix in (".npz", ".h5") else chosen.table_rows
            path = Path(folder) / f"logs{suffix}"
            apart(partial(write, rows=rows), path)  # elsewhere, so that its memory is not ours
            apart(plain_read, path)  # warms the cache of the disk
            plain = min(apart(plain_read, path)[1] for _ in range(2))
            ours = [apart(our_read, path) for _ in range(2)]
            (read, parted, checked, peak), _ = min(ours, key=lambda answer: answer[1])
            total = read + parted + checked
            line = f"{suffix[1:]:<8} {rows:>10} {plain:>7.2f} {read:>7.2f} {parted:>7.2f} {checked:>7.2f} "
            out(line + f"{total / plain:>7.2f} {peak:>7.2f}\n")
            path.unlink()


if __name__ == "__main__":
    main()
