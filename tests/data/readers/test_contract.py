"""What every reader has to do, whatever the container: one line below for each of them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from revive.data.readers import ReadOptions, from_arrays, read_trajectories
from revive.errors import UserError
from revive.graph.decision_graph import DecisionGraph

Arrays = dict[str, np.ndarray]
MakeLogs = Callable[..., Arrays]
Write = Callable[[Path, Arrays], Path]


def _frame(arrays: Arrays) -> pd.DataFrame:
    columns = {name: array[:, 0] for name, array in arrays.items() if name != "index"}
    lengths = np.diff(arrays["index"], prepend=0)
    names = np.repeat([f"run {number}" for number in range(len(lengths))], lengths)
    return pd.DataFrame(columns).assign(run=names)


def npz(path: Path, arrays: Arrays) -> Path:
    np.savez(path / "logs.npz", **arrays)
    return path / "logs.npz"


def npz_compressed_by_columns(path: Path, arrays: Arrays) -> Path:
    np.savez_compressed(path / "logs.npz", **{name: np.asfortranarray(a) for name, a in arrays.items()})
    return path / "logs.npz"


def h5(path: Path, arrays: Arrays) -> Path:
    with h5py.File(path / "logs.h5", "w") as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array, chunks=True, compression="gzip")
    return path / "logs.h5"


def csv(path: Path, arrays: Arrays) -> Path:
    _frame(arrays).to_csv(path / "logs.csv")
    return path / "logs.csv"


def csv_with_semicolons(path: Path, arrays: Arrays) -> Path:
    _frame(arrays).to_csv(path / "logs.csv", sep=";", encoding="utf-8-sig", index=False)
    return path / "logs.csv"


def parquet(path: Path, arrays: Arrays) -> Path:
    _frame(arrays).astype({"run": "category"}).to_parquet(path / "logs.parquet")
    return path / "logs.parquet"


def csv_folder(path: Path, arrays: Arrays) -> Path:
    for number, (_, rows) in enumerate(_frame(arrays).groupby("run", sort=False)):
        rows.to_csv(path / f"run{number}.csv")
    return path


def parquet_folder(path: Path, arrays: Arrays) -> Path:
    for number, (_, rows) in enumerate(_frame(arrays).groupby("run", sort=False)):
        rows.to_parquet(path / f"run{number}.parquet")
    return path


READERS: dict[str, tuple[Write, ReadOptions]] = {
    write.__name__: (write, options)
    for write, options in [
        (npz, ReadOptions()),
        (npz_compressed_by_columns, ReadOptions()),
        (h5, ReadOptions()),
        (csv, ReadOptions(trajectory="run")),
        (csv_with_semicolons, ReadOptions(trajectory="run")),
        (parquet, ReadOptions(trajectory="run")),
        (csv_folder, ReadOptions()),
        (parquet_folder, ReadOptions()),
    ]
}
every_reader = pytest.mark.parametrize(("write", "options"), READERS.values(), ids=READERS.keys())


@pytest.fixture
def arrays(make_logs: MakeLogs) -> Arrays:
    return make_logs(3, 5, *[2] * 10)


@every_reader
def test_the_values_come_back_exactly(
    tmp_path: Path, write: Write, options: ReadOptions, arrays: Arrays, refrigerator: DecisionGraph
) -> None:
    read = read_trajectories(write(tmp_path, arrays), refrigerator, options)
    assert read.hash() == from_arrays(arrays, refrigerator, "here").hash()
    assert list(read.arrays) == list(refrigerator.nodes)


@every_reader
def test_missing_transitions_are_built(
    tmp_path: Path, write: Write, options: ReadOptions, arrays: Arrays, refrigerator: DecisionGraph
) -> None:
    del arrays["next_temperature"]
    read = read_trajectories(write(tmp_path, arrays), refrigerator, options)
    assert read.hash() == from_arrays(arrays, refrigerator, "here").hash()
    assert read.lengths.tolist() == [2, 4, *[1] * 10]


@every_reader
def test_missing_values_are_masked_where_asked_for(
    tmp_path: Path,
    write: Write,
    options: ReadOptions,
    arrays: Arrays,
    refrigerator: DecisionGraph,
    caplog: pytest.LogCaptureFixture,
) -> None:
    arrays["action"][[1, 3]] = np.nan
    path = write(tmp_path, arrays)
    with pytest.raises(UserError, match="row 1 "):
        read_trajectories(path, refrigerator, options)
    with caplog.at_level(logging.WARNING, "revive"):
        read = read_trajectories(
            path, refrigerator, ReadOptions(trajectory=options.trajectory, missing="mask")
        )
    assert read.missing is not None
    assert np.flatnonzero(read.missing["action"]).tolist() == [1, 3]
    assert read.arrays["action"][[1, 3], 0].tolist() == arrays["action"][[0, 4], 0].tolist()
    assert sum("action.action 2" in record.message for record in caplog.records) == 1


@every_reader
def test_extra_things_are_named_once(
    tmp_path: Path,
    write: Write,
    options: ReadOptions,
    arrays: Arrays,
    refrigerator: DecisionGraph,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING, "revive"):
        read_trajectories(write(tmp_path, arrays | {"rew": arrays["action"]}), refrigerator, options)
    assert sum("rew" in record.message for record in caplog.records) == 1


@every_reader
def test_an_absent_node_is_named_with_the_file(
    tmp_path: Path, write: Write, options: ReadOptions, arrays: Arrays, refrigerator: DecisionGraph
) -> None:
    arrays["acton"] = arrays.pop("action")
    path = write(tmp_path, arrays)
    with pytest.raises(UserError, match="action") as caught:
        read_trajectories(path, refrigerator, options)
    assert str(path) in str(caught.value)
    assert "did you mean 'acton'" in str(caught.value)


@every_reader
def test_what_does_not_fit_is_refused_before_it_is_read(
    tmp_path: Path, write: Write, options: ReadOptions, make_logs: MakeLogs, refrigerator: DecisionGraph
) -> None:
    path = write(tmp_path, make_logs(400, 400))
    small = ReadOptions(trajectory=options.trajectory, size_limit_bytes=1000)
    with pytest.raises(UserError, match=r"would take .* of memory .*, the limit is 9\.31e-07 GiB"):
        read_trajectories(path, refrigerator, small)


@every_reader
@pytest.mark.parametrize("damage", ["truncated", "empty", "noise"])
def test_damaged_files_are_explained(
    tmp_path: Path,
    write: Write,
    options: ReadOptions,
    damage: str,
    make_logs: MakeLogs,
    refrigerator: DecisionGraph,
) -> None:
    path = write(tmp_path, make_logs(300, 300))
    file = path if path.is_file() else next(path.iterdir())
    content = file.read_bytes()
    noise = np.random.default_rng(0).bytes(2000)
    file.write_bytes({"truncated": content[: len(content) // 3], "empty": b"", "noise": noise}[damage])
    if damage == "truncated" and file.suffix == ".csv":
        return  # a text may end anywhere; what is left of it is a table
    with pytest.raises(UserError) as caught:
        read_trajectories(path, refrigerator, options)
    assert str(path) in str(caught.value)
