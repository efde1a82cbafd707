from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from revive.data.readers import ReadOptions, from_arrays, read_trajectories
from revive.errors import UserError
from revive.graph.columns import Column
from revive.graph.decision_graph import DecisionGraph

LOGS = Path(__file__).parents[3].parent / "shared" / "data"
real_logs = pytest.mark.skipif(not LOGS.is_dir(), reason="the real logs are not here")

Arrays = dict[str, np.ndarray]
MakeLogs = Callable[..., Arrays]


def change(name: str, make: Callable[[np.ndarray], Any]) -> Callable[[Arrays], None]:
    def apply(arrays: Arrays) -> None:
        arrays[name] = make(arrays[name])

    return apply


def put(name: str, row: int, value: float) -> Callable[[Arrays], None]:
    def apply(arrays: Arrays) -> None:
        arrays[name][row] = value

    return apply


def test_npz_round_trip(tmp_path: Path, refrigerator: DecisionGraph, make_logs: MakeLogs) -> None:
    arrays = make_logs(3, 4)
    np.savez(tmp_path / "logs.npz", **arrays)
    read = read_trajectories(tmp_path / "logs.npz", refrigerator)
    assert read.ends.tolist() == [3, 7]
    assert set(read.arrays) == set(refrigerator.nodes)
    np.testing.assert_array_equal(read.arrays["next_temperature"], arrays["next_temperature"])
    assert read.hash() == from_arrays(arrays, refrigerator, "here").hash()


def test_missing_transitions_are_shifted_inside_trajectories(
    refrigerator: DecisionGraph, make_logs: MakeLogs
) -> None:
    arrays = make_logs(3, 4)
    del arrays["next_temperature"]
    read = from_arrays(arrays, refrigerator, "here")
    t = arrays["temperature"]
    assert read.ends.tolist() == [2, 5]
    np.testing.assert_array_equal(read.arrays["temperature"], t[[0, 1, 3, 4, 5]])
    np.testing.assert_array_equal(read.arrays["next_temperature"], t[[1, 2, 4, 5, 6]])
    np.testing.assert_array_equal(read.arrays["action"], arrays["action"][[0, 1, 3, 4, 5]])


def test_harmless_forms_are_taken(refrigerator: DecisionGraph, make_logs: MakeLogs) -> None:
    arrays = make_logs(5)
    plain = from_arrays(arrays, refrigerator, "here")
    arrays["door_open"] = arrays["door_open"][:, 0].astype(bool)
    arrays["index"] = arrays["index"].astype(float)
    assert from_arrays(arrays, refrigerator, "here").hash() == plain.hash()


def test_float32_rounding_stays_inside_bounds_and_categories() -> None:
    graph = DecisionGraph.build(
        [
            Column("s", "s", "category", values=(0.1, 0.7)),
            Column("a", "a", "discrete", min=0, max=0.3, num=4),
        ],
        {"a": ["s"], "next_s": ["s", "a"]},
    )
    arrays = {
        "s": np.array([[0.1], [0.7], [0.1]], np.float32),
        "a": np.array([0.1, 0.2, 0.3], np.float32),
        "index": np.array([3]),
    }
    assert from_arrays(arrays, graph, "here").rows == 2


def test_extra_arrays_are_named_once(
    caplog: pytest.LogCaptureFixture, refrigerator: DecisionGraph, make_logs: MakeLogs
) -> None:
    with caplog.at_level(logging.WARNING, "revive"):
        from_arrays(make_logs(4) | {"rew": np.zeros(4), "done": np.zeros(4)}, refrigerator, "here")
    assert len(caplog.records) == 1
    assert "done, rew" in caplog.text


BAD: dict[str, tuple[Callable[[Arrays], Any], list[str]]] = {
    "missing array": (
        lambda a: a.update(temprature=a.pop("temperature")),
        ["'temperature'", "did you mean 'temprature'"],
    ),
    "wrong width": (change("action", lambda x: np.hstack([x, x])), ["'action'", "(7, 2)", "1 column"]),
    "object dtype": (change("action", lambda x: x.astype(object)), ["'action' holds Python objects"]),
    "text": (change("action", lambda x: x.astype(str)), ["'action' holds <U"]),
    "rows disagree": (change("action", lambda x: x[:-1]), ["number of rows", "temperature 7", "action 6"]),
    "NaN": (put("action", 4, np.nan), ["'action' of 'action'", "NaN", "row 4 (trajectory 1, its row 1)"]),
    "infinite": (put("temperature", 0, np.inf), ["'temperature'", "infinite", "row 0"]),
    "no index": (lambda a: a.pop("index"), ["'index' is missing", "np.array([7])"]),
    "index falls": (
        change("index", lambda x: np.array([5, 3, 7])),
        ["does not rise", "entry 1 is 3 after 5"],
    ),
    "index short": (change("index", lambda x: np.array([3, 6])), ["ends at row 6", "7 rows"]),
    "index of beginnings": (change("index", lambda x: np.array([0, 3])), ["beginnings", "drop 0, add 7"]),
    "index of fractions": (change("index", lambda x: np.array([2.5, 7])), ["whole numbers"]),
    "index as a column": (change("index", lambda x: x[:, None]), ["shape (2, 1)"]),
    "broken shift": (
        put("next_temperature", 3, 50.0),
        ["is 50", "row 3 (trajectory 1, its row 0)", "'index'"],
    ),
    "above max": (put("action", 2, 12.0), ["goes to 12", "max 10", "row 2"]),
    "below min": (put("action", 2, -1.0), ["goes to -1", "min 0"]),
    "undeclared category": (put("door_open", 6, 2.0), ["is 2", "2 declared values", "row 6"]),
    "no rows": (lambda a: [a.update({k: v[:0]}) for k, v in list(a.items())], ["no rows"]),
}


@pytest.mark.parametrize(("spoil", "said"), BAD.values(), ids=BAD.keys())
def test_bad_arrays_are_explained(
    spoil: Callable[[Arrays], Any], said: list[str], refrigerator: DecisionGraph, make_logs: MakeLogs
) -> None:
    arrays = make_logs(3, 4)
    spoil(arrays)
    with pytest.raises(UserError) as caught:
        from_arrays(arrays, refrigerator, "logs.npz")
    assert len(caught.value.problems) == 1, caught.value
    for words in ["logs.npz", *said]:
        assert words in str(caught.value)


def test_all_findings_come_together(refrigerator: DecisionGraph, make_logs: MakeLogs) -> None:
    arrays = make_logs(3, 4)
    arrays["action"][[1, 4]] = np.nan
    arrays["door_open"][6] = 3.0
    arrays["index"] = np.array([3, 6])
    with pytest.raises(UserError) as caught:
        from_arrays(arrays, refrigerator, "here")
    assert len(caught.value.problems) == 3
    assert "in 2 rows: 1, 4" in str(caught.value)


def test_single_rows_cannot_be_shifted(refrigerator: DecisionGraph, make_logs: MakeLogs) -> None:
    arrays = make_logs(3, 1)
    del arrays["next_temperature"]
    with pytest.raises(UserError, match="next_temperature"):
        from_arrays(arrays, refrigerator, "here")


def broken_archive(path: Path, arrays: Arrays) -> None:
    np.savez(path, **arrays)
    path.write_bytes(path.read_bytes()[:-200])


def pickled(path: Path, arrays: Arrays) -> None:
    np.savez(path, **(arrays | {"action": np.array([1.0, "a", None], dtype=object)}))


def flipped_byte(path: Path, arrays: Arrays) -> None:
    np.savez(path, **arrays)
    content = bytearray(path.read_bytes())
    content[1000] ^= 0xFF
    path.write_bytes(content)


FILES: dict[str, tuple[Callable[[Path, Arrays], Any], str]] = {
    "empty": (lambda path, _: path.touch(), "is empty"),
    "text": (lambda path, _: path.write_text("a,b\n1,2\n"), "no npz archive"),
    "truncated": (broken_archive, "truncated"),
    "pickled": (pickled, "'action' holds Python objects"),
    "corrupt": (flipped_byte, "'door_open' cannot be read"),
    "folder": (lambda path, _: path.mkdir(), "is a folder"),
}


@pytest.mark.parametrize(("write", "said"), FILES.values(), ids=FILES.keys())
def test_bad_files_are_explained(
    tmp_path: Path,
    write: Callable[[Path, Arrays], Any],
    said: str,
    refrigerator: DecisionGraph,
    make_logs: MakeLogs,
) -> None:
    path = tmp_path / "logs.npz"
    write(path, make_logs(300))
    with pytest.raises(UserError) as caught:
        read_trajectories(path, refrigerator)
    assert str(path) in str(caught.value)
    assert said in str(caught.value)


def test_missing_and_unknown_files(tmp_path: Path, refrigerator: DecisionGraph, make_logs: MakeLogs) -> None:
    np.savez(tmp_path / "logs.npz", **make_logs(3))
    with pytest.raises(UserError, match=r"did you mean 'logs\.npz'"):
        read_trajectories(tmp_path / "log.npz", refrigerator)
    with pytest.raises(UserError, match="nor its folder"):
        read_trajectories(tmp_path / "no" / "log.npz", refrigerator)
    (tmp_path / "logs.mat").write_text("x")
    with pytest.raises(UserError, match=r"'\.mat'"):
        read_trajectories(tmp_path / "logs.mat", refrigerator)


@real_logs
def test_the_refrigerator_logs_are_read(refrigerator: DecisionGraph) -> None:
    read = read_trajectories(LOGS / "refrigeration.npz", refrigerator)
    assert (read.rows, read.count) == (2000, 1)
    assert np.abs(read.arrays["next_temperature"] + 2).mean() == pytest.approx(0.518, abs=1e-3)


@real_logs
def test_pendulum_logs_lose_one_row_per_trajectory_and_a_nan_is_found() -> None:
    names = ("cos", "sin", "speed")
    columns = [Column(name, "states", "continuous", -8.0, 8.0) for name in names]
    columns.append(Column("torque", "actions", "continuous", -2.0, 2.0))
    graph = DecisionGraph.build(columns, {"actions": ["states"], "next_states": ["states", "actions"]})
    read = read_trajectories(LOGS / "pendulum.npz", graph)
    assert (read.rows, read.count) == (19_900, 100)
    with pytest.raises(UserError, match="'torque' of 'actions' is NaN"):
        read_trajectories(LOGS / "pendulum_nan.npz", graph)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"missing_values": {"temperatur": [-9999]}},
            r"'missing_values' speaks of 'temperatur'.*\n.*did you mean",
        ),
        (
            {"time": "time", "resample": 1, "resample_how": {"tempe": "mean"}},
            "'resample_how' speaks of 'tempe'",
        ),
    ],
)
def test_an_option_that_speaks_of_what_is_not_there_is_no_option(
    refrigerator: DecisionGraph, make_logs: MakeLogs, options: dict[str, Any], said: str
) -> None:
    arrays = {**make_logs(30), "time": np.arange(30.0)}
    with pytest.raises(UserError, match=said):
        from_arrays(arrays, refrigerator, "logs", ReadOptions(**options))
