"""What is found out about text tables, what is said of it, and how it can be set."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from revive.data.readers import ReadOptions, read_trajectories
from revive.data.readers.pieces import own
from revive.data.trajectories import Trajectories
from revive.errors import UserError
from revive.graph.columns import Column
from revive.graph.decision_graph import DecisionGraph

GRAPH = DecisionGraph.build(
    [Column("level", "state", "continuous"), Column("valve", "action", "continuous")],
    {"action": ["state"], "next_state": ["state", "action"]},
)


def table(rows: int = 30, level: str = "{:.2f}", valve: str = "{}.5", separator: str = ",") -> list[str]:
    cells = [(level.format(20 + 0.37 * number), valve.format(number % 7)) for number in range(rows)]
    return [separator.join(row) for row in cells]


def read(path: Path, lines: list[str], **options: object) -> Trajectories:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return read_trajectories(path, GRAPH, ReadOptions(**options))  # type: ignore[arg-type]


def refused(path: Path, lines: list[str], **options: object) -> str:
    with pytest.raises(UserError) as caught:
        read(path, lines, **options)
    return str(caught.value)


def test_everything_that_was_found_is_said_in_one_line_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lines = ["Logger;PLC-7", "", "time;level;valve", ";%;m3/h"]
    hours = [f"{1 + n // 24:02d}.03.2024 {n % 24:02d}:00" for n in range(60)]
    lines += [f"{hour};{20 + n // 7},{n % 7}2;{n % 5},5" for n, hour in enumerate(hours)]
    caplog.set_level(logging.WARNING)
    for _ in range(2):
        read(tmp_path / "plant.csv", lines, time="time")
    said = [record.getMessage() for record in caplog.records if record.getMessage().startswith("plant.csv")]
    assert said == [
        "plant.csv: ; separated, decimal comma, names in line 3, units in line 4; times DD.MM.YYYY"
    ]


def test_a_plain_table_is_read_without_a_word(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert read(tmp_path / "logs.csv", ["level,valve", *table()]).rows == 29
    assert not caplog.records


@pytest.mark.parametrize(
    ("lines", "said", "options"),
    [
        (
            ["level;valve", *table(level="1,{:03.0f}", valve="{}", separator=";")],
            "'1,020' is 1.020 or 1020",
            {"decimal": "."},
        ),
        (
            ["level;valve", *table(level="1,{:03.0f}", valve="{}", separator=";")],
            "dataset.table.decimal",
            {"decimal": ","},
        ),
        (["level;valve", *table(level="{:.0f},5", separator=";")], "different decimal marks", None),
        (["1;2", *table(separator=";")], "first line holds numbers", {"header": "none"}),
    ],
)
def test_where_it_is_not_sure_it_names_line_candidates_and_key(
    tmp_path: Path, lines: list[str], said: str, options: dict[str, str] | None
) -> None:
    assert said in " ".join(refused(tmp_path / "logs.csv", lines).split())
    if options and "decimal" in options:
        found = read(tmp_path / "logs.csv", lines, table=options).arrays["state"][0, 0]
        assert found == (1.02 if options["decimal"] == "," else 1020)


def test_a_table_without_names_gets_them_where_that_is_asked_for(tmp_path: Path) -> None:
    columns = {"header": "none", "state": ["column_1"], "action": ["column_2"]}
    logs = read(tmp_path / "logs.csv", table(), table=columns)
    assert logs.rows == 29
    assert logs.arrays["state"][1, 0] == 20.37


def test_every_finding_can_be_set(tmp_path: Path) -> None:
    path = tmp_path / "logs.csv"
    path.write_bytes(
        "\n".join(["Größe;1", "x;y", "level;valve", "a;b", "1,5;2", "2,5;3", "3,5;4", "9;9"]).encode("cp1252")
    )
    layout = {"encoding": "cp1252", "separator": ";", "decimal": ",", "header": 3, "units": 4, "footer": 1}
    logs = read_trajectories(path, GRAPH, ReadOptions(table=layout))
    assert logs.arrays["state"][:, 0].tolist() == [1.5, 2.5]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("encoding", "utf-9"),
        ("decimal", ";"),
        ("header", 0),
        ("footer", -1),
        ("dates", "DYM"),
        ("zone", "Berlin"),
        ("missing", "Bad"),
        ("codes", {"a": []}),
        ("separator", "ab"),
        ("thousands", "abc"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(key: str, value: object) -> None:
    with pytest.raises(UserError, match=f"dataset.table.{key}: '{key}' cannot be"):
        ReadOptions(table={key: value})


def test_words_that_are_no_numbers_are_counted_and_named_with_their_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lines = ["level,valve", *table(100)]
    for number in (20, 50, 51):
        lines[number] = "Bad,1.5"
    lines[70] = "I/O Timeout,1.5"
    logs = read(tmp_path / "words.csv", lines, missing="mask")
    assert logs.missing is not None
    assert np.flatnonzero(logs.missing["state"][:, 0]).tolist() == [19, 49, 50, 69]
    assert "'level' Bad 3 times, first in line 21, I/O Timeout in line 71" in caplog.text
    lines[30] = "odd,1.5"
    said = refused(tmp_path / "words.csv", lines, missing="mask")
    assert "line 31: 'level' holds text where a number should be: odd in line 31" in said
    assert "'dataset.table.missing=[odd]'" in said
    assert read(tmp_path / "words.csv", lines, missing="mask", table={"missing": ["odd"]}).missing is not None


def test_a_word_far_behind_the_beginning_is_named_with_its_line(tmp_path: Path) -> None:
    lines = ["level,valve", *table(200_000)]
    lines.insert(150_000, "")
    lines[180_000] = "1.5,odd"
    assert "odd in line 180001" in refused(tmp_path / "logs.csv", lines)


def test_blank_cells_are_missing_and_a_short_line_is_not(tmp_path: Path) -> None:
    lines = ["level,valve", *table(), ",3.5", "4.5"]
    assert "1 values in line 33, but 2 names: '4.5'" in refused(tmp_path / "logs.csv", lines, missing="mask")
    logs = read(tmp_path / "logs.csv", [*lines[:-1], *table()], missing="mask")
    assert logs.missing is not None
    assert logs.missing["state"].sum() == 1


@pytest.mark.parametrize(
    ("off", "on"),
    [("OFF", "ON"), ("No", "Yes"), ("FALSE", "TRUE"), ("closed", "Open"), ("Aus", "Ein"), ("否", "是")],
)
def test_switches_are_zero_and_one(tmp_path: Path, off: str, on: str) -> None:
    lines = ["level,valve", *(f"{n}.5,{on if n % 3 else off}" for n in range(30))]
    assert read(tmp_path / "logs.csv", lines).arrays["action"][:4, 0].tolist() == [0, 1, 1, 0]


def test_words_of_states_keep_their_numbers_in_every_file(tmp_path: Path) -> None:
    words = ["HEAT", "COOL", "ERROR", "HEAT"] * 8
    lines = ["level,valve"] + [f"{n}.5,{word}" for n, word in enumerate(words)]
    assert read(tmp_path / "a.csv", lines).arrays["action"][:3, 0].tolist() == [2, 0, 1]
    pinned = {"codes": {"valve": ["OFF", "HEAT", "COOL", "ERROR"]}}
    assert read(tmp_path / "a.csv", lines, table=pinned).arrays["action"][:3, 0].tolist() == [1, 2, 3]
    said = refused(tmp_path / "a.csv", lines, table={"codes": {"valve": ["HEAT", "COOL"]}})
    assert "holds text where one of HEAT, COOL should be: ERROR 8 times, first in line 4" in said


def test_units_in_cells_have_to_be_the_same(tmp_path: Path) -> None:
    lines = ["level,valve", *table(level="{:.2f} kW")]
    assert read(tmp_path / "logs.csv", lines).arrays["state"][1, 0] == 20.37
    lines[9] = "0.02 MW,1.5"
    assert "a number with 'kW' should be: 0.02 MW in line 10" in refused(tmp_path / "logs.csv", lines)


def test_a_date_in_another_order_than_the_others_is_named(tmp_path: Path) -> None:
    lines = ["time,level,valve"] + [f"{1 + n % 28:02d}/01/2024,{n}.5,1.5" for n in range(28)]
    lines.append("02/14/2024,1.5,1.5")
    said = refused(tmp_path / "logs.csv", lines, time="time")
    assert "'time' holds text where a time should be: 02/14/2024 in line 30" in said
    assert "dataset.table.dates" in said


def test_the_order_of_a_date_is_told_by_the_steps(tmp_path: Path) -> None:
    days = [f"{month:02d}/{day:02d}/2024" for month in (1, 2) for day in range(1, 13)]
    lines = ["time,level,valve"] + [f"{day},{n}.5,{n}.5" for n, day in enumerate(days)]
    time = read(tmp_path / "logs.csv", lines, time="time").time
    assert time is not None
    assert np.median(np.diff(time)) == 86_400


def test_bytes_in_another_encoding_than_the_beginning_are_named(tmp_path: Path) -> None:
    path = tmp_path / "logs.csv"
    text = "\n".join(["level,valve,note", *[row + ",fine" for row in table(100_000)]]).encode()
    path.write_bytes(text + "\n1.5,1.5,Größe\n".encode("cp1252"))
    with pytest.raises(UserError, match=r"dataset\.table\.encoding"):
        read_trajectories(path, GRAPH, ReadOptions(trajectory="note"))
    assert read_trajectories(path, GRAPH).rows > 100  # a column that nobody reads does no harm


def test_a_wide_table_is_read(tmp_path: Path) -> None:
    names = [f"x{number}" for number in range(3000)]
    rows = [",".join(["1.25"] * 3000 + [f"{n}.5", "1.5"]) for n in range(60)]
    assert read(tmp_path / "logs.csv", [",".join([*names, "level", "valve"]), *rows]).rows == 59


def test_arrow_owns_what_its_threads_hold() -> None:
    """Memory of Python in the hands of a thread that ends late aborts the process at its exit."""
    buffer = own(b"level,valve\n")
    assert buffer.to_pybytes() == b"level,valve\n"
    assert "PyBuffer" not in type(buffer).__name__
    assert buffer.is_mutable  # allocated, not borrowed from an object of Python


def test_frames_are_read_like_files(tmp_path: Path) -> None:
    path = tmp_path / "logs.csv"
    read(path, ["level,valve", *table()])
    frame = pd.read_csv(path)
    assert read_trajectories(frame, GRAPH).hash() == read_trajectories(path, GRAPH).hash()
    times = pd.date_range("2024-01-01", periods=30, freq="min", name="when")
    timed = read_trajectories(frame.astype({"level": str}).set_index(times), GRAPH, ReadOptions(time="when"))
    assert timed.time is not None
    np.testing.assert_array_equal(timed.arrays["state"], read_trajectories(frame, GRAPH).arrays["state"])
    frame.loc[3, "level"] = None
    frame["level"] = frame["level"].astype(object)
    frame.loc[4, "level"] = "odd"
    with pytest.raises(UserError, match=r"the frame, row 5: 'level' holds text"):
        read_trajectories(frame, GRAPH, ReadOptions(missing="mask"))


def test_frames_of_polars_are_read(tmp_path: Path) -> None:
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame({"level": [1.0, 2.0, None], "valve": [1, 2, 3], "on": ["ON", "OFF", "ON"]})
    assert read_trajectories(frame, GRAPH, ReadOptions(missing="mask")).rows == 2


def test_a_sheet_of_a_workbook_is_read(tmp_path: Path) -> None:
    pytest.importorskip("openpyxl")
    path = tmp_path / "logs.xlsx"
    frame = pd.DataFrame(
        {"when": pd.date_range("2024-01-01", periods=30, freq="min"), "level": np.arange(30) / 8}
    )
    frame["valve"] = 1.5
    with pd.ExcelWriter(path) as book:
        pd.DataFrame({"a": [1]}).to_excel(book, sheet_name="about", index=False)
        frame.to_excel(book, sheet_name="data", index=False, startrow=3)
    options = {"time": "when", "table": {"sheet": "data"}}
    logs = read_trajectories(path, GRAPH, ReadOptions(**options))  # type: ignore[arg-type]
    np.testing.assert_array_equal(logs.arrays["state"][:, 0], np.arange(29) / 8)
    with pytest.raises(UserError, match="did you mean 'data'"):
        read_trajectories(path, GRAPH, ReadOptions(table={"sheet": "date"}))


def test_a_folder_of_tables_with_a_log_of_a_program_beside_them(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"run{number}.csv").write_text("\n".join(["level,valve", *table()]) + "\n")
    (tmp_path / "logger.log").write_text("started\nstopped\n")
    assert read_trajectories(tmp_path, GRAPH).count == 3
    (tmp_path / "run3.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match=r"is a folder with both \.csv and \.parquet files"):
        read_trajectories(tmp_path, GRAPH)


def test_a_folder_without_tables(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is a folder without tables in it"):
        read_trajectories(tmp_path, GRAPH)


def test_lines_and_quotes_that_never_end_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "logs.csv"
    path.write_bytes(b"level,valve\n" + b"1" * (9 << 20))
    with pytest.raises(UserError, match="has a line of more than 4 MiB"):
        read_trajectories(path, GRAPH)
    path.write_bytes(b'level,valve\n1,2\n3,"4\n' + b"5,6\n" * (3 << 20))
    with pytest.raises(UserError, match="has a quotation mark without another one in more than 4 MiB"):
        read_trajectories(path, GRAPH)
    path.write_bytes(b",".join(b"c%d" % number for number in range(100_001)) + b"\n1,2\n")
    with pytest.raises(UserError, match="has 100001 columns, at most 100000 are read"):
        read_trajectories(path, GRAPH)
