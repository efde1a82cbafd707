"""Whatever is in a file: trajectories come out, or a message that names file, place and remedy."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from revive.data.readers import ReadOptions, from_arrays, read_trajectories
from revive.data.report import check_data
from revive.data.scaffold import guess
from revive.data.trajectories import Trajectories
from revive.errors import UserError
from revive.graph.columns import Column
from revive.graph.decision_graph import DecisionGraph

Arrays = dict[str, Any]
Break = Callable[[Arrays, str, np.random.Generator], None]

GRAPH = DecisionGraph.build(
    [
        Column("x", "state", "continuous", min=-50, max=50),
        Column("y", "state", "continuous"),
        Column("level", "action", "discrete", min=0, max=1, num=5),
        Column("mode", "mode", "category", values=(0.0, 1.0)),
    ],
    {"action": ["state"], "next_state": ["state", "action", "mode"]},
)


def healthy(rng: np.random.Generator) -> Arrays:
    lengths = rng.integers(1, 6, size=rng.integers(1, 5))
    rows, ends = int(lengths.sum()), np.cumsum(lengths)
    state = rng.normal(size=(rows, 2))
    following = np.roll(state, -1, axis=0)
    following[ends - 1] = 0.0
    return {
        "state": state,
        "next_state": following,
        "action": rng.integers(0, 5, (rows, 1)) / 4,
        "mode": rng.integers(0, 2, (rows, 1)).astype(float),
        "index": ends,
        "episode": np.repeat(np.arange(len(lengths)), lengths),
        "t": np.arange(rows, dtype=float),
    }


def drop(arrays: Arrays, name: str, rng: np.random.Generator) -> None:
    del arrays[name]


def rename(arrays: Arrays, name: str, rng: np.random.Generator) -> None:
    new = rng.choice(["Zustand ü", "state ", "next_next_state", "nan", "指数", "a.b/c", "index2", "x" * 300])
    arrays[str(new)] = arrays.pop(name)


TYPES = ["f2", "f4", "i1", "u8", "bool", "c16", "U5", "S3", "M8[s]", "O", "longdouble", ">f8"]


def retype(arrays: Arrays, name: str, rng: np.random.Generator) -> None:
    if arrays[name].dtype.kind not in "fiub":
        return
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kind = str(rng.choice(TYPES))
        value = np.nan_to_num(arrays[name].astype(float))
        arrays[name] = (value.astype(np.int64) if kind == "M8[s]" else value).astype(kind)


def structured(arrays: Arrays, name: str, rng: np.random.Generator) -> None:
    arrays[name] = np.zeros(len(np.atleast_1d(arrays[name])), dtype=[("a", "f8"), ("b", "i4")])


def reshape(arrays: Arrays, name: str, rng: np.random.Generator) -> None:
    value = arrays[name]
    shapes: list[Callable[[], Any]] = [
        lambda: value[..., None],
        lambda: value.reshape(-1),
        lambda: np.hstack([np.atleast_2d(value)] * 2),
        lambda: value.reshape(-1)[0],
        lambda: np.atleast_2d(value).T,
        lambda: value[:, :0] if value.ndim == 2 else value[:0],
        lambda: value[:0],
        lambda: np.zeros((0,) * 5),
    ]
    if value.size and value.ndim:
        arrays[name] = np.asarray(shapes[rng.integers(len(shapes))]())


def shorten(arrays: Arrays, name: str, rng: np.random.Generator) -> None:
    if arrays[name].ndim:
        arrays[name] = arrays[name][: rng.integers(0, len(arrays[name]) + 1)]


ODD = [np.nan, np.inf, -np.inf, 1e308, -1e-320, 7.0, -3.0, 0.1, 2.0**63, 1e30]


def spoil(arrays: Arrays, name: str, rng: np.random.Generator) -> None:
    value = arrays[name]
    if value.dtype.kind in "fiu" and value.size:
        changed = value.astype(float)
        places = rng.random(value.shape) < rng.choice([0.05, 0.5, 1.0])
        changed[places] = rng.choice(ODD)
        arrays[name] = changed


def spoil_index(arrays: Arrays, name: str, rng: np.random.Generator) -> None:
    rows = max((np.shape(array)[0] for array in arrays.values() if np.ndim(array)), default=0)
    choices: list[Any] = [
        np.array([0]),
        np.array([0, 2]),
        np.array([rows, rows]),
        np.array([-1, rows]),
        np.array([rows + 1]),
        np.array([np.nan, rows]),
        np.array([2**63 - 1]),
        np.array([1e300]),
        np.array([], dtype=int),
        np.array(rows),
        np.array([[rows]]),
        np.array([0.5, rows]),
        np.array(["3"]),
        np.array([True]),
        np.array([rows], dtype=np.uint8),
        np.array([2**64 - 1], dtype=np.uint64),
    ]
    arrays["index"] = choices[rng.integers(len(choices))]


def empty(arrays: Arrays, name: str, rng: np.random.Generator) -> None:
    for key in list(arrays):
        arrays[key] = arrays[key][:0] if arrays[key].ndim else arrays[key]


def wide(arrays: Arrays, name: str, rng: np.random.Generator) -> None:
    if arrays[name].ndim:
        arrays[name] = np.zeros((len(arrays[name]), 10_000))


def many_more(arrays: Arrays, name: str, rng: np.random.Generator) -> None:
    arrays.update({f"extra {number}": np.zeros(2) for number in range(300)})


def shuffle(arrays: Arrays, name: str, rng: np.random.Generator) -> None:
    if arrays[name].ndim:
        arrays[name] = rng.permutation(arrays[name])


BREAKS: list[Break] = [
    drop,
    rename,
    retype,
    structured,
    reshape,
    shorten,
    spoil,
    spoil,
    spoil_index,
    empty,
    wide,
    many_more,
    shuffle,
]

OPTIONS = [
    ReadOptions(),
    ReadOptions(missing="mask"),
    ReadOptions(index="starts"),
    ReadOptions(trajectory="episode", missing="mask"),
    ReadOptions(trajectory="episode", time="t", gap=0.5),
    ReadOptions(time="t"),
    ReadOptions(table={"state": ["state[0]", "mode"], "mode": ["mode"]}),
    ReadOptions(table={"state": ["state[1:0]"], "action": ["nothing"], "ghost": ["mode"]}, missing="mask"),
    ReadOptions(size_limit_bytes=64),
]


@st.composite
def broken_arrays(draw: st.DrawFn) -> tuple[Arrays, ReadOptions]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    arrays = healthy(rng)
    for way in draw(st.lists(st.sampled_from(BREAKS), min_size=0, max_size=3)):
        if arrays:
            names = sorted(arrays)
            way(arrays, names[draw(st.integers(0, len(names) - 1))], rng)
    return arrays, draw(st.sampled_from(OPTIONS))


def is_helpful(error: UserError, name: str) -> None:
    assert error.problems
    for problem in error.problems:
        assert name in str(problem), problem
        assert problem.remedy, problem
    assert len(str(error)) < 20_000


def has_only_two_outcomes(read: Callable[[], Trajectories], name: str) -> None:
    try:
        data = read()
    except UserError as error:
        is_helpful(error, name)
        return
    assert data.rows == data.ends[-1] > 0
    assert all(np.isfinite(array).all() for array in data.arrays.values())
    assert check_data(data, GRAPH).errors == ()


def write_npz(path: Path, arrays: Arrays) -> None:
    np.savez(path, **arrays)


def write_compressed(path: Path, arrays: Arrays) -> None:
    np.savez_compressed(path, **arrays)


def write_h5(path: Path, arrays: Arrays) -> None:
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            try:
                file[name] = array
            except (TypeError, ValueError):
                continue


def _frame(arrays: Arrays) -> pd.DataFrame:
    columns: Arrays = {}
    for name, array in arrays.items():
        names = {"state": ["x", "y"], "next_state": ["next_x", "next_y"], "action": ["level"]}.get(
            name, [name]
        )
        parts = np.atleast_2d(array.T)[:100] if array.ndim and array.ndim < 3 else []
        for number, part in enumerate(parts):
            label = names[number] if number < len(names) else f"{name}_{number}"
            native = part if part.dtype.isnative else part.astype(part.dtype.newbyteorder("="))
            columns[label] = pd.Series(part.tolist() if part.dtype.kind == "V" else native)
    return pd.DataFrame(columns)


def write_csv(path: Path, arrays: Arrays) -> None:
    _frame(arrays).to_csv(path, index=False)


def write_parquet(path: Path, arrays: Arrays) -> None:
    frame = _frame(arrays)
    try:
        frame.to_parquet(path)
    except Exception:  # whatever pyarrow cannot write
        frame.astype(str).to_parquet(path)


WRITERS = {
    ".npz": write_npz,
    ".NPZ": write_compressed,
    ".h5": write_h5,
    ".csv": write_csv,
    ".parquet": write_parquet,
}


def damage(content: bytes, way: str, rng: np.random.Generator) -> bytes:
    if way == "cut":
        return content[: rng.integers(0, len(content) + 1)]
    if way == "flip" and content:
        changed = bytearray(content)
        for place in rng.integers(0, len(content), rng.integers(1, 8)):
            changed[place] ^= int(rng.integers(1, 256))
        return bytes(changed)
    if way == "prepend":
        return rng.bytes(10) + content
    if way == "repeat":
        return content + content
    return content


def _read_file(
    suffix: str, arrays: Arrays, options: ReadOptions, ways: list[str], seed: int, folder: bool
) -> None:
    place = Path(tempfile.mkdtemp())
    rng = np.random.default_rng(seed)
    try:
        path = place / f"logs{suffix}"
        plain = path.with_suffix(suffix.lower())
        WRITERS[suffix](plain, arrays)
        content = plain.read_bytes()
        for way in ways:
            content = damage(content, way, rng)
        plain.unlink()
        path.write_bytes(content)
        target = place if folder else path
        has_only_two_outcomes(lambda: read_trajectories(target, GRAPH, options), str(target))
        try:
            guess(target)
        except UserError as error:
            is_helpful(error, str(target))
    finally:
        shutil.rmtree(place)


def check_arrays(case: tuple[Arrays, ReadOptions]) -> None:
    arrays, options = case
    has_only_two_outcomes(lambda: from_arrays(arrays, GRAPH, "logs.npz", options), "logs.npz")


def check_files(
    case: tuple[Arrays, ReadOptions], suffix: str, ways: list[str], seed: int, folder: bool
) -> None:
    _read_file(suffix, *case, ways, seed, folder)


def check_text(text: str, options: ReadOptions) -> None:
    place = Path(tempfile.mkdtemp())
    try:
        path = place / "logs.csv"
        path.write_text(text, encoding="utf-8", errors="surrogatepass")
        has_only_two_outcomes(lambda: read_trajectories(path, GRAPH, options), str(path))
    finally:
        shutil.rmtree(place)


DAMAGES = st.lists(st.sampled_from(["cut", "flip", "flip", "prepend", "repeat"]), max_size=2)
FILES = (
    broken_arrays(),
    st.sampled_from(sorted(WRITERS)),
    DAMAGES,
    st.integers(0, 2**32),
    st.integers(0, 9).map(lambda n: n == 0),
)
HEADERS = st.sampled_from(["x,y,level,mode\n", "x;y;level;mode\n", "", "x,y,level,mode,next_x,next_y\n"])
CELLS = st.lists(st.sampled_from(["0", "1", "1.5", "nan", "", "a", '"', "1e400", "-", "true"]), max_size=7)
BODIES = st.one_of(
    st.text(),
    st.lists(CELLS.map(",".join)).map("\n".join),
)
TEXTS = (st.builds(str.__add__, HEADERS, BODIES), st.sampled_from(OPTIONS))

RELAXED: dict[str, Any] = {"deadline": None, "suppress_health_check": list(HealthCheck)}


@settings(max_examples=100, **RELAXED)
@given(broken_arrays())
def test_broken_arrays(case: tuple[Arrays, ReadOptions]) -> None:
    check_arrays(case)


@settings(max_examples=60, **RELAXED)
@given(*FILES)
def test_broken_files(case: Any, suffix: str, ways: list[str], seed: int, folder: bool) -> None:
    check_files(case, suffix, ways, seed, folder)


@settings(max_examples=60, **RELAXED)
@given(*TEXTS)
def test_broken_tables(text: str, options: ReadOptions) -> None:
    check_text(text, options)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@settings(max_examples=1500, **RELAXED)
@given(broken_arrays())
def test_very_many_broken_arrays(case: tuple[Arrays, ReadOptions]) -> None:
    check_arrays(case)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@settings(max_examples=1000, **RELAXED)
@given(*FILES)
def test_very_many_broken_files(case: Any, suffix: str, ways: list[str], seed: int, folder: bool) -> None:
    check_files(case, suffix, ways, seed, folder)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@settings(max_examples=500, **RELAXED)
@given(*TEXTS)
def test_very_many_broken_tables(text: str, options: ReadOptions) -> None:
    check_text(text, options)
