"""Exports that are no text: arrays as learning libraries store them, frames, workbooks, archives of programs."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import feather, parquet

from tests.data.exports import BEGIN, ROWS, THREE, S, export, times, write

PLAIN = "level=level|temp=temp|valve=valve"
EPISODES = 4
LENGTH = ROWS // EPISODES
ENDS = np.arange(1, EPISODES + 1) * LENGTH
OBS = np.column_stack([S["level"], S["temp"]])
ACT = S["valve"][:, None]
LAST = np.isin(np.arange(ROWS), ENDS - 1)
NODES = "observations_0=level|observations_1=temp|actions=valve"


def _h5(path: Path, arrays: dict[str, np.ndarray]) -> Path:
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name] = array
    return path


@export(NODES, "actions", trajectories=EPISODES)
def d4rl(folder: Path) -> Path:
    arrays = {
        "observations": OBS.astype("f4"),
        "actions": ACT.astype("f4"),
        "next_observations": np.roll(OBS, -1, 0).astype("f4"),
        "rewards": np.zeros(ROWS, "f4"),
        "terminals": np.zeros(ROWS, bool),
        "timeouts": LAST,
        "infos/qpos": OBS.astype("f4"),
        "infos/action_log_probs": np.zeros(ROWS, "f4"),
        "metadata/algorithm": np.bytes_("SAC"),
        "metadata/policy/fc0/weight": np.zeros((8, 2), "f4"),
    }
    return _h5(folder / "d4rl.hdf5", arrays)


@export(refused="arrays for each of 4 episodes")
def robomimic(folder: Path) -> Path:
    arrays = {}
    for number in range(EPISODES):
        own = slice(number * LENGTH, (number + 1) * LENGTH)
        arrays[f"data/demo_{number}/actions"] = ACT[own]
        arrays[f"data/demo_{number}/obs/level"] = OBS[own, :1]
        arrays[f"data/demo_{number}/obs/temp"] = OBS[own, 1:]
        arrays[f"data/demo_{number}/dones"] = LAST[own]
    return _h5(folder / "low_dim.hdf5", arrays)


@export(NODES, "actions", trajectories=EPISODES)
def d3rlpy_of_old(folder: Path) -> Path:
    arrays = {
        "observations": OBS.astype("f4"),
        "actions": ACT.astype("f4"),
        "rewards": np.zeros((ROWS, 1), "f4"),
        "terminals": np.zeros((ROWS, 1), "f4"),
        "episode_terminals": LAST[:, None].astype("f4"),
        "discrete_action": np.array(False),
        "version": np.bytes_("1.0"),
    }
    return _h5(folder / "dataset.h5", arrays)


@export(refused="arrays for each of 4 episodes")
def d3rlpy_buffer(folder: Path) -> Path:
    arrays: dict[str, np.ndarray] = {"total_step": np.array(ROWS), "version": np.bytes_("2.1")}
    for number in range(EPISODES):
        own = slice(number * LENGTH, (number + 1) * LENGTH)
        arrays |= {
            f"observations_{number}": OBS[own],
            f"actions_{number}": ACT[own],
            f"rewards_{number}": np.zeros((LENGTH, 1)),
            f"terminated_{number}": np.array(False),
        }
    return _h5(folder / "buffer.h5", arrays)


@export(NODES, "actions", trajectories=EPISODES)
def npz_with_terminals(folder: Path) -> Path:
    np.savez(
        folder / "x.npz",
        observations=OBS,
        actions=ACT,
        rewards=np.zeros(ROWS),
        terminals=LAST,
        dt=0.1,
        env="Tank-v0",
    )
    return folder / "x.npz"


@export(refused="the array 'index' is missing.*np.array")
def npz_of_single_columns(folder: Path) -> Path:
    np.savez(
        folder / "x.npz", time=np.arange(ROWS) * 60.0, level=S["level"], temp=S["temp"], valve=S["valve"]
    )
    return folder / "x.npz"


@export(refused="three axes, .4, 24, 2.")
def npz_of_episodes(folder: Path) -> Path:
    np.savez(
        folder / "x.npz",
        observations=OBS.reshape(EPISODES, LENGTH, 2),
        actions=ACT.reshape(EPISODES, LENGTH, 1),
    )
    return folder / "x.npz"


@export(refused="three axes, .4, 24, .")
def h5_of_episodes(folder: Path) -> Path:
    return _h5(
        folder / "x.h5", {"obs": OBS.reshape(EPISODES, LENGTH, 2), "act": ACT.reshape(EPISODES, LENGTH, 1)}
    )


@export(refused="on their side")
def h5_on_its_side(folder: Path) -> Path:
    return _h5(folder / "matlab.h5", {name: S[name][None, :] for name in THREE})


@export(refused="objects")
def npz_of_objects(folder: Path) -> Path:
    rows = np.empty(3, object)
    for number in range(3):
        rows[number] = OBS[:20]
    np.savez(folder / "x.npz", observations=rows, actions=rows)
    return folder / "x.npz"


@export(refused="fields of their own")
def npz_of_records(folder: Path) -> Path:
    rows = np.zeros(ROWS, [("level", "f8"), ("valve", "f8")])
    np.savez(folder / "x.npz", logs=rows)
    return folder / "x.npz"


@export(refused="files of type '.npy' cannot be read.*np.load")
def npy(folder: Path) -> Path:
    np.save(folder / "x.npy", np.column_stack([OBS, ACT]))
    return folder / "x.npy"


@export(refused="pd.read_hdf")
def pandas_hdf(folder: Path) -> Path:
    with h5py.File(folder / "x.h5", "w") as file:
        group = file.create_group("df")
        group.attrs["pandas_type"] = np.bytes_("frame")
        group["axis0"], group["axis1"] = np.array([b"level", b"temp", b"valve"]), np.arange(ROWS)
        group["block0_items"], group["block0_values"] = (
            np.array([b"level", b"temp", b"valve"]),
            np.column_stack([OBS, ACT]),
        )
    return folder / "x.h5"


def _frame() -> pd.DataFrame:
    return pd.DataFrame({name: S[name] for name in THREE}).assign(time=pd.DatetimeIndex(times()))[
        ["time", *THREE]
    ]


@export(PLAIN, "valve", "time", others=["mode", "on", "count"])
def parquet_with_types(folder: Path) -> Path:
    frame = _frame()
    frame["mode"] = pd.Categorical(np.where(np.arange(ROWS) % 20 < 15, "AUTO", "MAN"))
    frame["on"] = pd.array(np.arange(ROWS) % 7 < 4, "boolean")
    frame["count"] = pd.array([None if k % 10 == 3 else k % 5 for k in range(ROWS)], "Int64")
    frame["note"], frame["lasted"] = "x", pd.to_timedelta(np.arange(ROWS), unit="s")
    frame["time"] = frame["time"].dt.tz_convert("Europe/Berlin")
    frame["temp"] = frame["temp"].astype("float32")
    frame.to_parquet(folder / "x.parquet")
    return folder / "x.parquet"


@export(PLAIN, "valve", "time")
def parquet_of_text(folder: Path) -> Path:
    frame = _frame().astype(str)
    frame.loc[7, "temp"] = "Bad"
    frame.to_parquet(folder / "x.parquet")
    return folder / "x.parquet"


@export(PLAIN, "valve", "time")
def parquet_of_decimals(folder: Path) -> Path:
    table = pa.table(
        {
            "time": pa.array(times(), pa.timestamp("ns", "UTC")),
            **{n: pa.array([f"{v:.3f}" for v in S[n]]).cast(pa.decimal128(12, 3)) for n in THREE},
        }
    )
    parquet.write_table(table, folder / "x.parquet")
    return folder / "x.parquet"


@export(PLAIN, "valve", "time")
def parquet_of_words_for_switches(folder: Path) -> Path:
    frame = _frame()
    frame["level"] = frame["level"].map(lambda v: f"{v:.3f}".replace(".", ","))
    frame.to_parquet(folder / "x.parquet")
    return folder / "x.parquet"


@export(refused="is in long format")
def parquet_in_long_format(folder: Path) -> Path:
    _frame().melt("time", var_name="tag").to_parquet(folder / "x.parquet")
    return folder / "x.parquet"


@export(refused="pd.read_feather")
def arrow_file(folder: Path) -> Path:
    feather.write_feather(_frame(), folder / "x.feather")
    return folder / "x.feather"


@export(refused="pd.json_normalize")
def records_in_json(folder: Path) -> Path:
    rows = [
        {"time": t.isoformat(), "level": S["level"][k], "valve": S["valve"][k]} for k, t in enumerate(times())
    ]
    return write(folder, "x.json", [json.dumps(rows)], [])


@export(refused="holds JSON")
def json_called_csv(folder: Path) -> Path:
    rows = [
        json.dumps({"time": t.isoformat(), "level": S["level"][k], "valve": S["valve"][k]})
        for k, t in enumerate(times())
    ]
    return write(folder, "x.csv", [], rows)


@export(refused="files of type '.tdms' cannot be read.*nptdms")
def tdms(folder: Path) -> Path:
    (folder / "x.tdms").write_bytes(b"TDSm" + bytes(200))
    return folder / "x.tdms"


@export(refused="files of type '.sqlite' cannot be read.*read_sql")
def sqlite(folder: Path) -> Path:
    import sqlite3

    with sqlite3.connect(folder / "x.sqlite") as base:
        _frame().astype(str).to_sql("logs", base)
    return folder / "x.sqlite"


@export(refused="files of type '.pkl' cannot be read")
def pickled(folder: Path) -> Path:
    _frame().to_pickle(folder / "x.pkl")
    return folder / "x.pkl"


def _book(folder: Path, sheets: dict[str, list[list[object]]]) -> Path:
    import openpyxl

    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(folder / "x.xlsx")
    return folder / "x.xlsx"


def _rows() -> list[list[object]]:
    stamps = [t.replace(tzinfo=None) for t in times()]
    return [[stamps[k], *(float(S[name][k]) for name in THREE)] for k in range(ROWS)]


HEAD: list[object] = ["time", *THREE]


@export(PLAIN, "valve", "time")
def workbook_with_a_cover(folder: Path) -> Path:
    cover: list[list[object]] = [
        ["Plant A"],
        ["Monthly report", "March 2024"],
        ["Author", "Meier"],
        [],
        ["see sheet Data"],
    ]
    return _book(folder, {"Cover": cover, "Data": [HEAD, *_rows()]})


@export(PLAIN, "valve", "time")
def workbook_away_from_the_corner(folder: Path) -> Path:
    return _book(folder, {"Data": [[], [], [None, None, *HEAD], *([None, None, *row] for row in _rows())]})


@export(PLAIN, "valve", "time")
def workbook_with_text_for_numbers(folder: Path) -> Path:
    rows = [
        [row[0].strftime("%d.%m.%Y %H:%M:%S"), *(str(v).replace(".", ",") for v in row[1:])]
        for row in _rows()
    ]  # type: ignore[attr-defined]
    return _book(folder, {"Data": [HEAD, *rows]})


@export(refused="formulas of 'temp'")
def workbook_of_formulas(folder: Path) -> Path:
    rows = [[row[0], row[1], f"=B{k + 2}*30", row[3]] for k, row in enumerate(_rows())]
    return _book(folder, {"Data": [HEAD, *rows]})


@export(PLAIN, "valve", "date + time")
def workbook_with_date_and_time(folder: Path) -> Path:
    rows = [[row[0].date(), row[0].time(), *row[1:]] for row in _rows()]  # type: ignore[attr-defined]
    return _book(folder, {"Data": [["date", "time", *THREE], *rows]})


@export(PLAIN, "valve", "time", others=["Phase"])
def workbook_with_merged_phases(folder: Path) -> Path:
    rows = [
        [*row, ("fill", "heat", "hold")[k // 8 % 3] if k % 8 == 0 else None] for k, row in enumerate(_rows())
    ]
    return _book(folder, {"Data": [[*HEAD, "Phase"], *rows]})


@export(refused="sheets 'March', 'April'")
def workbook_of_months(folder: Path) -> Path:
    return _book(folder, {"March": [HEAD, *_rows()[:48]], "April": [HEAD, *_rows()[48:]]})


@export(PLAIN, "valve", "time", trajectories=2)
def folder_with_what_programs_leave(folder: Path) -> Path:
    home = folder / "logs"
    home.mkdir()
    for number in range(2):
        _frame()[number * 48 : number * 48 + 48].to_csv(home / f"run{number}.csv", index=False)
    (home / ".DS_Store").write_bytes(b"\0\1")
    (home / "~$run0.csv").write_bytes(b"\0lock")
    (home / "Thumbs.db").write_bytes(b"\0")
    (home / "._run0.csv").write_bytes(b"\0\5\x16")
    (home / "README.txt").write_text("Logs of March, written by the line PC.\n")
    return home


@export(PLAIN, "valve", "time", trajectories=2)
def folder_of_days(folder: Path) -> Path:
    home = folder / "logs"
    home.mkdir()
    for number in range(2):
        _frame()[number * 48 : number * 48 + 48].to_csv(
            home / f"{BEGIN + timedelta(days=number):%d-%m-%Y}.CSV", index=False
        )
    return home
