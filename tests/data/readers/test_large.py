"""What is read and checked in blocks, by several threads: the same as all at once, wherever blocks end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from revive.data import parallel
from revive.data.extremes import extremes, ties
from revive.data.readers import ReadOptions, from_arrays, read_trajectories
from revive.errors import UserError
from revive.graph.columns import Column
from revive.graph.decision_graph import DecisionGraph

ROWS = 300_000
GRAPH = DecisionGraph.build(
    [Column(name, "state", "continuous") for name in "xyz"] + [Column("u", "action", "continuous")],
    {"action": ["state"], "next_state": ["state", "action"]},
)


@pytest.fixture(autouse=True)
def several_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "_processors", lambda: 3)


@pytest.fixture
def arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    state = rng.normal(size=(ROWS, 3))
    following = np.roll(state, -1, axis=0)
    ends = np.append(np.arange(700, ROWS, 700), ROWS)
    following[ends - 1] = 0.0
    return {"state": state, "next_state": following, "action": rng.normal(size=(ROWS, 1)), "index": ends}


@pytest.mark.parametrize("width", [1, 2, 3, 1500])
@pytest.mark.parametrize("rows", [0, 1, 1023, 400_000])
def test_extremes_of_blocks(width: int, rows: int) -> None:
    array = (
        np.random.default_rng(0).integers(-9, 9, (rows if width < 9 else rows // 500, width)).astype(float)
    )
    low, high = extremes(array)
    np.testing.assert_array_equal(low, array.min(axis=0, initial=np.inf))
    np.testing.assert_array_equal(high, array.max(axis=0, initial=-np.inf))
    np.testing.assert_array_equal(ties(array, high), (array == high).sum(axis=0))
    np.testing.assert_array_equal(ties(array.T.copy().T, low), (array == low).sum(axis=0))
    if rows > 1:
        array[-1, 0] = np.nan
        assert np.isnan(extremes(array)[1][0])


def test_threads_keep_the_order_and_pass_errors_on() -> None:
    assert parallel.each(lambda n: n * n, range(50)) == [n * n for n in range(50)]
    assert parallel.spans(10, 4) == [(0, 4), (4, 8), (8, 10)]
    assert parallel.spans(0, 4) == []
    with pytest.raises(ZeroDivisionError):
        parallel.each(lambda n: 1 / n, [1, 0])


@pytest.mark.parametrize("row", [0, 4095, 16_383, 16_384, 131_071, 131_072, 262_143, ROWS - 2])
def test_a_wrong_successor_is_found_in_every_block(arrays: dict[str, np.ndarray], row: int) -> None:
    arrays["next_state"][row, 1] += 1.0
    with pytest.raises(UserError) as caught:
        from_arrays(arrays, GRAPH, "here")
    assert len(caught.value.problems) == 1
    assert f"row {row} (" in str(caught.value)


def test_npz_is_read_by_several_threads(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    expected = from_arrays(arrays, GRAPH, "here").hash()
    arrays["state"] = arrays["state"].astype(">f8")
    arrays["next_state"] = np.asfortranarray(arrays["next_state"])
    np.savez(tmp_path / "logs.npz", **arrays)
    assert read_trajectories(tmp_path / "logs.npz", GRAPH).hash() == expected


def test_all_damaged_arrays_of_an_npz_are_named(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    path = tmp_path / "logs.npz"
    np.savez(path, **arrays)
    content = bytearray(path.read_bytes())
    for name in ("state", "action"):
        content[content.find(arrays[name][1000:].tobytes()[:64])] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_trajectories(path, GRAPH)
    found = [str(problem) for problem in caught.value.problems]
    assert len(found) == 2
    assert "'state' cannot be read: Bad CRC-32 for file 'state.npy'" in found[0]
    assert "'action' cannot be read: Bad CRC-32" in found[1]


@pytest.mark.parametrize("kind", ["f8", "f4", "i4"])
def test_h5_is_read_into_place(tmp_path: Path, arrays: dict[str, np.ndarray], kind: str) -> None:
    with h5py.File(tmp_path / "logs.h5", "w") as file:
        for name, array in arrays.items():
            chunks = (1000, array.shape[1]) if array.ndim == 2 else None
            file.create_dataset(name, data=array.astype(kind) if name == "action" else array, chunks=chunks)
    arrays["action"] = arrays["action"].astype(kind)
    read = read_trajectories(tmp_path / "logs.h5", GRAPH)
    assert read.hash() == from_arrays(arrays, GRAPH, "here").hash()


def _table(arrays: dict[str, np.ndarray], name: Callable[[int], object]) -> pa.Table:
    columns = {c: arrays["state"][:, k] for k, c in enumerate("xyz")}
    columns |= {f"next_{c}": arrays["next_state"][:, k] for k, c in enumerate("xyz")}
    lengths = np.diff(arrays["index"], prepend=0)
    names = [name(number) for number, length in enumerate(lengths) for _ in range(length)]
    return pa.table(columns | {"u": arrays["action"][:, 0], "run": names})


@pytest.mark.parametrize("name", [int, float, str, lambda n: n % 2 == 0], ids=["int", "float", "str", "bool"])
def test_tables_of_several_row_groups(
    tmp_path: Path, arrays: dict[str, np.ndarray], name: Callable[[int], object]
) -> None:
    path = tmp_path / "logs.parquet"
    if name(0) is True:  # two names only
        arrays["index"] = np.array([70_000, ROWS])
        arrays["next_state"][:-1] = arrays["state"][1:]
    parquet.write_table(_table(arrays, name), path, row_group_size=70_001)
    read = read_trajectories(path, GRAPH, ReadOptions(trajectory="run"))
    assert read.hash() == from_arrays(arrays, GRAPH, "here").hash()


def test_csv_of_several_chunks_with_quotes(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    path = tmp_path / "logs.csv"
    frame = _table(arrays, int).slice(0, 60_000).to_pandas()
    for name in "xyz":
        frame[f"next_{name}"] = frame[name].shift(-1, fill_value=0.0)
    frame["run"] = 'one, "long"\nname'
    frame.to_csv(path, index=False)
    assert path.stat().st_size > 3 << 20
    read = read_trajectories(path, GRAPH, ReadOptions(trajectory="run"))
    assert read.ends.tolist() == [len(frame)]
    np.testing.assert_allclose(read.arrays["next_state"], frame[["next_x", "next_y", "next_z"]], rtol=1e-12)
