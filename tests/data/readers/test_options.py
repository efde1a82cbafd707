"""What the user says about a file: index, tables, trajectories, times, gaps, missing values."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest

from revive.data.readers import ReadOptions, from_arrays, read_trajectories
from revive.errors import UserError
from revive.graph.columns import Column
from revive.graph.decision_graph import DecisionGraph

Arrays = dict[str, np.ndarray]
MakeLogs = Callable[..., Arrays]

ROBOT = DecisionGraph.build(
    [
        Column("x", "state", "continuous"),
        Column("y", "state", "continuous"),
        Column("u", "action", "continuous"),
    ],
    {"action": ["state"], "next_state": ["state", "action"]},
)


def robot_frame(rows: int = 6) -> pd.DataFrame:
    t = np.arange(rows, dtype=float)
    return pd.DataFrame({"pos x": t, "pos y": -t, "u": 2 * t, "t": t, "episode": "a"})


def test_index_of_beginnings_is_taken_where_it_is_stated(
    refrigerator: DecisionGraph, make_logs: MakeLogs
) -> None:
    arrays = make_logs(3, 4)
    ends = from_arrays(arrays, refrigerator, "here")
    starts = from_arrays(
        arrays | {"index": np.array([0, 3])}, refrigerator, "here", ReadOptions(index="starts")
    )
    assert starts.hash() == ends.hash()


@pytest.mark.parametrize(
    ("index", "meaning", "said"),
    [
        ([0, 3], "ends", "index: starts"),
        ([3, 7], "starts", "index: ends"),
        ([2, 3], "starts", "starts at row 2"),
        ([0, 7], "starts", "starts at row 7, but there are 7"),
        ([0, 4, 4], "starts", "does not rise"),
    ],
)
def test_index_that_says_something_else(
    index: list[int], meaning: Any, said: str, refrigerator: DecisionGraph, make_logs: MakeLogs
) -> None:
    arrays = make_logs(3, 4) | {"index": np.array(index)}
    with pytest.raises(UserError, match=said):
        from_arrays(arrays, refrigerator, "here", ReadOptions(index=meaning))


def test_a_table_is_mapped_to_nodes(tmp_path: Path) -> None:
    path = tmp_path / "logs.csv"
    robot_frame().to_csv(path)
    options = ReadOptions(table={"state": ["pos y", "pos x"]}, time="t")
    read = read_trajectories(path, ROBOT, options)
    assert read.arrays["state"][2].tolist() == [-2, 2]
    assert read.arrays["next_state"][2].tolist() == [-3, 3]
    assert read.time is not None
    assert read.time.tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(UserError, match=r"no x, y of the node 'state'"):
        read_trajectories(path, ROBOT)
    with pytest.raises(UserError, match=r"'pos z', which is not there"):
        read_trajectories(path, ROBOT, ReadOptions(table={"state": ["pos x", "pos z"]}))


def test_arrays_are_cut_into_nodes() -> None:
    everything = np.arange(12.0).reshape(4, 3)
    read = from_arrays(
        {"all": everything, "index": np.array([4])},
        ROBOT,
        "here",
        ReadOptions(table={"state": ["all[1:3]"], "action": ["all[0]"]}),
    )
    assert read.arrays["state"].tolist() == everything[:3, 1:].tolist()
    assert read.arrays["action"].tolist() == everything[:3, :1].tolist()


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize("dates", [False, True])
def test_gaps_in_time_cut_trajectories(tmp_path: Path, suffix: str, dates: bool) -> None:
    frame = robot_frame(7).rename(columns={"pos x": "x", "pos y": "y"})
    frame["t"] = [0, 1, 2, 60, 61, 62.5, 64]
    if dates:
        frame["t"] = pd.Timestamp("2024-02-29 23:59:30") + pd.to_timedelta(frame["t"], unit="s")
    path = tmp_path / f"logs.{suffix}"
    getattr(frame, f"to_{suffix}")(path, index=False)
    read = read_trajectories(path, ROBOT, ReadOptions(time="t", gap=5))
    assert read.lengths.tolist() == [2, 3]
    assert read.time is not None
    assert np.diff(read.time).tolist() == [1, 59, 1, 1.5]


def test_names_of_trajectories_and_gaps_work_together() -> None:
    arrays = {
        "state": np.arange(16.0).reshape(8, 2),
        "action": np.zeros(8),
        "episode": np.array(["b", "b", "a", "a", "a", "a", "c", "c"]),
        "t": np.array([0, 1, 0, 1, 9, 10, 0, 1]),
    }
    read = from_arrays(arrays, ROBOT, "here", ReadOptions(trajectory="episode", time="t", gap=3))
    assert read.lengths.tolist() == [1, 1, 1, 1]
    assert read.arrays["state"][:, 0].tolist() == [0, 4, 8, 12]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda f: f.update({"t": [0, 1, 2, 3, 1, 5]}), "falls in row 4"),
        (lambda f: f.update({"t": [0, 1, None, 3, 4, 5]}), "missing in row 2"),
        (lambda f: f.update({"episode": ["a", "a", None, "a", "a", "a"]}), "empty in row 2"),
        (lambda f: f.update({"u": list("abcdef")}), "holds text, not numbers"),
        (lambda f: f.pop("t"), "'t', named as time"),
    ],
)
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_tables_that_contradict_themselves(tmp_path: Path, suffix: str, change: Any, said: str) -> None:
    columns: dict[str, Any] = {
        "x": [0.0] * 6,
        "y": [1.0] * 6,
        "u": [2.0] * 6,
        "t": [0, 1, 2, 3, 4, 5],
        "episode": list("aaabbb"),
    }
    columns["t"] = [0, 1, 2, 3, 4, 5]
    change(columns)
    path = tmp_path / f"logs.{suffix}"
    getattr(pd.DataFrame(columns), f"to_{suffix}")(path, index=False)
    with pytest.raises(UserError, match=said) as caught:
        read_trajectories(path, ROBOT, ReadOptions(trajectory="episode", time="t"))
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x,y,u\n1,2,3\n1,2\n", "2 values in line 3, but 3 names"),
        ("x,y,u\n1,2,3\n1,two,3\n", "text"),
        ("x,y,x,u\n1,2,3,4\n", "several columns called 'x'"),
        ("1,2,3\n4,5,6\n", "first line holds numbers"),
        ("x,y,u\n", "no rows"),
        ("\n\n\n", "."),
        ("x,y,u\n" + "1,2,3\n" * 700_000 + "1,oops,3\n", "oops"),
    ],
    ids=["ragged", "words", "twice", "no names", "no rows", "blank", "late word"],
)
def test_csv_that_is_malformed(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "logs.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=said) as caught:
        read_trajectories(path, ROBOT)
    assert str(path) in str(caught.value)


def test_leading_gaps_are_filled_from_behind_and_never_across_trajectories() -> None:
    nan = np.nan
    arrays = {
        "state": np.zeros((9, 2)),
        "next_state": np.zeros((9, 2)),
        "action": np.array([nan, 1, nan, nan, nan, nan, 5, nan, 3]),
        "index": np.array([4, 6, 9]),
    }
    kept = arrays["action"].copy()
    read = from_arrays(arrays, ROBOT, "here", ReadOptions(missing="mask"))
    assert read.arrays["action"][:, 0].tolist() == [1, 1, 1, 1, 3, 3, 5, 5, 3]
    assert read.missing is not None
    assert read.missing["action"][:, 0].tolist() == np.isnan(kept).tolist()
    assert "state" not in read.missing
    np.testing.assert_array_equal(arrays["action"], kept)  # what the caller holds stays as it was


def test_masks_are_shifted_with_their_states() -> None:
    state = np.arange(10.0).reshape(5, 2)
    state[1, 0] = state[3, 1] = np.nan
    arrays = {"state": state, "action": np.zeros(5), "index": np.array([2, 5])}
    read = from_arrays(arrays, ROBOT, "here", ReadOptions(missing="mask"))
    assert read.missing is not None
    assert read.missing["state"].tolist() == [[False, False], [False, False], [False, True]]
    assert read.missing["next_state"].tolist() == [[True, False], [False, True], [False, False]]
    assert read.arrays["next_state"][:, 0].tolist() == [0, 6, 8]


def test_what_a_transition_says_of_its_state_is_not_missing() -> None:
    arrays = {
        "state": np.arange(8.0).reshape(4, 2),
        "next_state": np.arange(8.0).reshape(4, 2) + 2,
        "action": np.zeros(4),
        "index": np.array([2, 4]),
    }
    arrays["state"][[1, 2], 0] = np.nan
    read = from_arrays(arrays, ROBOT, "here", ReadOptions(missing="mask"))
    assert read.arrays["state"][:, 0].tolist() == [0, 2, 6, 6]  # row 2 begins a trajectory: nothing tells it
    assert read.missing is not None
    assert read.missing["state"][:, 0].tolist() == [False, False, True, False]


def test_masks_hide_no_other_fault(refrigerator: DecisionGraph, make_logs: MakeLogs) -> None:
    arrays = make_logs(4)
    arrays["action"][0], arrays["temperature"][1] = np.nan, np.inf
    arrays["door_open"][2] = 5
    with pytest.raises(UserError) as caught:
        from_arrays(arrays, refrigerator, "here", ReadOptions(missing="mask"))
    assert len(caught.value.problems) == 2
    arrays = make_logs(4)
    arrays["action"][:] = np.nan
    with pytest.raises(UserError, match="no value at all"):
        from_arrays(arrays, refrigerator, "here", ReadOptions(missing="mask"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"index": "end"}, "did you mean 'ends'"),
        ({"missing": "fill"}, "'missing' cannot be 'fill'"),
        ({"gap": 3.0}, "no column of times"),
        ({"gap": -1.0, "time": "t"}, "above 0"),
        ({"table": {"state": "x"}}, "lists no columns"),
        ({"table": ["x"]}, "no mapping"),
        ({"time": 3}, "no name"),
        ({"size_limit_bytes": 0}, "no positive number"),
    ],
)
def test_options_that_mean_nothing(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        ReadOptions(**options)


def minari(folder: Path, lengths: tuple[int, ...] = (3, 2)) -> Path:
    (folder / "data").mkdir()
    with h5py.File(folder / "data" / "main_data.hdf5", "w") as file:
        for number, length in enumerate(lengths):
            episode = file.create_group(f"episode_{number}")
            episode["observations"] = 100.0 * number + np.arange(2.0 * length + 2).reshape(-1, 2)
            episode["actions"] = np.full(length, number)
            episode["terminations"] = np.arange(length) == length - 1
            episode["rewards"] = np.zeros(length)
            episode.create_group("infos")["extra"] = np.zeros(length + 1)
    return folder


def test_minari_datasets_have_successors_for_every_action(tmp_path: Path) -> None:
    options = ReadOptions(table={"state": ["observations"], "action": ["actions"]})
    read = read_trajectories(minari(tmp_path), ROBOT, options)
    assert read.lengths.tolist() == [3, 2]
    assert read.arrays["state"][:, 0].tolist() == [0, 2, 4, 100, 102]
    assert read.arrays["next_state"][:, 0].tolist() == [2, 4, 6, 102, 104]
    with pytest.raises(UserError, match="'state' of a described node is missing"):
        read_trajectories(tmp_path, ROBOT)


def test_minari_episodes_that_disagree(tmp_path: Path) -> None:
    path = minari(tmp_path)
    with h5py.File(path / "data" / "main_data.hdf5", "a") as file:
        del file["episode_1/actions"]
        file["episode_1/actions"] = np.zeros(7)
    with pytest.raises(UserError, match=r"'observations' of episode 1 has the shape \(3, 2\), wanted 8 rows"):
        read_trajectories(path, ROBOT)


def npy_header(shape: tuple[int, ...]) -> bytes:
    text = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (63 - (10 + len(text)) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def test_zip_bombs_are_refused_by_their_directory(tmp_path: Path) -> None:
    path = tmp_path / "logs.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        rows = 4_000_000
        for name, width in (("state", 2), ("action", 1)):
            with archive.open(f"{name}.npy", "w") as member:
                member.write(npy_header((rows, width)))
                for _ in range(width * 4):
                    member.write(b"\0" * (rows * 2))
    assert path.stat().st_size < 2_000_000
    with pytest.raises(UserError, match=r"0\.0894 GiB of memory .*, the limit is 0\.05"):
        read_trajectories(path, ROBOT, ReadOptions(size_limit_bytes=2**30 // 20))


def test_headers_that_promise_more_than_there_is(tmp_path: Path) -> None:
    path = tmp_path / "logs.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("state.npy", npy_header((10**15, 2)) + b"\0" * 64)
        archive.writestr("action.npy", npy_header((-5, 1)))
        archive.writestr("notes.txt", "hello")
    with pytest.raises(UserError) as caught:
        read_trajectories(path, ROBOT)
    assert len(caught.value.problems) == 3
    assert "promises 16000000000000000 bytes" in str(caught.value)


def test_links_out_of_an_h5_file_are_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "logs.h5", "w") as file:
        file["state"] = h5py.ExternalLink("/etc/other.h5", "state")
    with pytest.raises(UserError, match="link into another file"):
        read_trajectories(tmp_path / "logs.h5", ROBOT)
