"""Times of rows: how they are read, and what is done about those that do not rise."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest

from revive.data.readers import ReadOptions, from_arrays, read_trajectories
from revive.data.readers.container import Info
from revive.data.readers.order import time_scale
from revive.data.readers.time_forms import time_form
from revive.data.readers.times import read_times
from revive.data.report import check_data
from revive.data.scaffold import guess
from revive.data.trajectories import Trajectories
from revive.errors import UserError
from revive.graph.columns import Column
from revive.graph.decision_graph import DecisionGraph

GRAPH = DecisionGraph.build(
    [Column("level", "state", "continuous"), Column("valve", "action", "continuous")],
    {"action": ["state"], "next_state": ["state", "action"]},
)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2024-03-09 08:07:06", "2024-03-09T08:07:06"),
        ("2024-03-09T08:07:06.25Z", "2024-03-09T08:07:06.250"),
        ("2024-03-09 08:07+02:00", "2024-03-09T06:07"),
        ("2024/03/09 8:07", "2024-03-09T08:07"),
        ("09.03.2024 08:07:06", "2024-03-09T08:07:06"),
        ("13/03/24 08:07", "2024-03-13T08:07"),
        ("03/13/2024 08:07:06 PM", "2024-03-13T20:07:06"),
        ("3/13/2024 12:07 am", "2024-03-13T00:07"),
        ("09-Mar-2024 08:07:06,125", "2024-03-09T08:07:06.125"),
        ("9. März 2024 08:07", "2024-03-09T08:07"),
        ("Mar 9, 2024 8:07 PM", "2024-03-09T20:07"),
        ("Sat, 09 Mar 2024 08:07:06 CET", "2024-03-09T07:07:06"),
        ("29.02.2024", "2024-02-29"),
        ("31.12.2024 24:00", "2025-01-01"),
        ("09MAR2024:08:07:06", "2024-03-09T08:07:06"),
        ("09mar2024", "2024-03-09"),
        ("09-MAR-24 08.07.06.500000 PM", "2024-03-09T20:07:06.500"),
        ("2024-W10-6", "2024-03-09"),
        ("2020-W53", "2020-12-28"),
        ("2024-03", "2024-03-01"),
        ("2024-Q2", "2024-04-01"),
    ],
)
def test_times_are_read_as_they_are_meant(text: str, meant: str) -> None:
    form = time_form([text])
    assert form is not None
    micros, known = read_times(pa.array([text, "30.02.2024", "Average", None]), form)
    assert known.tolist() == [True, False, False, False]
    assert np.datetime64(int(micros[0]), "us") == np.datetime64(meant)


@pytest.mark.parametrize("text", ["", "12", "1.2.3.4", "20.5", "99/99/9999 10", "08:99x", "May", "V1-Feb-2"])
def test_what_is_no_time_is_not_taken_for_one(text: str) -> None:
    form = time_form([text])
    assert form is None or not read_times(pa.array([text]), form)[1].any()


def logged(path: Path, times: list[str], **options: object) -> Trajectories:
    lines = ["when,level,valve"] + [f"{time},{n}.5,{n % 5}" for n, time in enumerate(times)]
    path.write_text("\n".join(lines))
    return read_trajectories(path, GRAPH, ReadOptions(time="when", **options))  # type: ignore[arg-type]


def clock(start: str, steps: int, minutes: int = 15) -> list[datetime]:
    first = datetime.fromisoformat(start)
    return [first + timedelta(minutes=minutes * number) for number in range(steps)]


def shown(times: list[datetime]) -> list[str]:
    return [time.strftime("%Y-%m-%d %H:%M") for time in times]


def test_newest_first_is_turned_round_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    logs = logged(tmp_path / "a.csv", shown(clock("2024-03-01", 30))[::-1])
    assert logs.arrays["state"][:3, 0].tolist() == [29.5, 28.5, 27.5]
    assert "newest first" in caplog.text
    assert logs.time is not None
    assert (np.diff(logs.time) == 900).all()


def test_arrays_are_turned_round_too() -> None:
    arrays = {"state": np.arange(5.0), "action": np.arange(5.0), "clock": np.arange(5)[::-1] * 60}
    read = from_arrays(arrays, GRAPH, "here", ReadOptions(time="clock", gap=1000))
    assert read.arrays["state"][:, 0].tolist() == [4, 3, 2, 1]


def test_each_trajectory_is_turned_round_by_itself(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    rows = [(run, time) for run in "AB" for time in shown(clock("2024-03-01", 20))[::-1]]
    lines = ["run,when,level,valve"] + [f"{run},{time},{n}.5,1" for n, (run, time) in enumerate(rows)]
    path.write_text("\n".join(lines))
    read = read_trajectories(path, GRAPH, ReadOptions(time="when", trajectory="run"))
    assert read.arrays["state"][[0, 18, 19, 37], 0].tolist() == [19.5, 1.5, 39.5, 21.5]


def test_a_clock_that_is_put_back_is_never_sorted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    times = shown(clock("2024-10-27 00:00", 12) + clock("2024-10-27 02:00", 20))
    logs = logged(tmp_path / "a.csv", times)
    assert "the clock was put back an hour before 2024-10-27T02:00:00" in caplog.text
    assert logs.time is not None
    assert (np.diff(logs.time) == 900).all()
    assert logs.arrays["state"][:, 0].tolist() == [n + 0.5 for n in range(31)]
    zoned = logged(tmp_path / "a.csv", times, table={"zone": "Europe/Berlin"}).time
    assert zoned is not None
    assert (np.diff(zoned) == 900).all()
    assert zoned[0] == datetime.fromisoformat("2024-10-27T00:00+02:00").timestamp()


def test_a_fall_of_an_hour_on_another_day_is_named(tmp_path: Path) -> None:
    times = shown(clock("2024-06-05 10:00", 12) + clock("2024-06-05 12:00", 20))
    with pytest.raises(UserError, match="falls by exactly an hour") as caught:
        logged(tmp_path / "a.csv", times)
    assert "sort" not in str(caught.value)
    assert "dataset.table.zone" in str(caught.value)


def test_a_clock_that_is_put_forward_leaves_no_gap(tmp_path: Path) -> None:
    logs = logged(tmp_path / "a.csv", shown(clock("2024-03-31 00:00", 8) + clock("2024-03-31 03:00", 20)))
    assert logs.time is not None
    assert (np.diff(logs.time) == 900).all()


@pytest.mark.parametrize("copied", [False, True])
def test_hourly_rows_of_a_year_with_both_changes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, copied: bool
) -> None:
    zone = ZoneInfo("Europe/Berlin")
    utc = [datetime(2024, 3, 29, tzinfo=UTC) + timedelta(hours=k) for k in range(5200)]
    local = [f"{t.astimezone(zone):%d.%m.%Y %H:%M}" for t in utc]
    if copied:  # a row that stands twice on a Tuesday: then it may be so in autumn
        local.insert(100, local[100])
    read = logged(tmp_path / "year.csv", local)
    assert read.time is not None
    steps = np.diff(read.time)
    assert "put forward" in caplog.text
    assert ("put back" in caplog.text) is not copied
    assert (steps == 3600).sum() == len(steps) - 2 * copied


def test_midnight_that_carries_the_day_before(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    times = clock("2024-01-01 00:15", 300)
    labels = [t - timedelta(days=1) if (t.hour, t.minute) == (0, 0) else t for t in times]
    logs = logged(tmp_path / "a.csv", [t.strftime("%d/%m/%Y %H:%M") for t in labels])
    assert "00:00 carries the day before in 3 rows" in caplog.text
    assert logs.time is not None
    assert (np.diff(logs.time) == 900).all()


def test_times_of_day_go_on_behind_midnight(tmp_path: Path) -> None:
    logs = logged(tmp_path / "a.csv", [t.strftime("%I:%M %p") for t in clock("2024-01-01 20:00", 40)])
    assert logs.time is not None
    assert (np.diff(logs.time) == 900).all()


def test_a_time_that_falls_otherwise_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="'when' falls in row 20"):
        logged(tmp_path / "a.csv", shown(clock("2024-06-05 10:00", 20) + clock("2024-06-03 12:00", 20)))


def test_a_bare_t_is_no_time_and_a_date_is_one_whatever_its_name(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    times = [t.strftime("%d.%m.%Y %H:%M") for t in clock("2024-01-01", 40)]
    path.write_text("\n".join(["when,T,valve"] + [f"{t},{n / 4},{n % 7}.5" for n, t in enumerate(times)]))
    found = guess(path)
    assert found.dataset["time"] == "when"
    assert "- T: {dim: state" in found.description


def test_a_time_that_is_not_used_is_a_warning_of_check(tmp_path: Path) -> None:
    logged(tmp_path / "a.csv", shown(clock("2024-01-01", 60)))
    findings = check_data(read_trajectories(tmp_path / "a.csv", GRAPH), GRAPH).findings
    told = next(finding for finding in findings if finding.code == "time-not-used")
    assert told.remedy == "dataset.time=when"


def test_irregular_rows_are_offered_a_grid(tmp_path: Path) -> None:
    steps = [5, 60, 600] * 30
    start = datetime(2024, 1, 1)
    times = [(start + timedelta(seconds=s)).isoformat() for s in np.cumsum(steps).tolist()]
    logs = logged(tmp_path / "a.csv", times)
    gap = next(finding for finding in check_data(logs, GRAPH).findings if finding.code == "time-gap")
    assert "dataset.resample=60" in gap.remedy
    even = logged(tmp_path / "a.csv", times, resample="1min")
    assert even.time is not None
    assert (np.diff(even.time) == 60).all()
    assert even.rows > logs.rows


@pytest.mark.parametrize(
    ("name", "unit", "values", "scale"),
    [
        ("time [ms]", "", [0, 20], 1e-3),
        ("minutes", "", [0, 1], 60),
        ("t", "h", [0, 1], 3600),
        ("timestamp", "", [1.7e12, 1.7e12 + 60000], 1e-3),
        ("timestamp", "", [1.7e9, 1.7e9 + 60], 1),
        ("t", "", [0, 1], None),
    ],
)
def test_the_unit_of_a_time_is_told(name: str, unit: str, values: list[float], scale: float | None) -> None:
    assert time_scale(name, Info((-1,), unit=unit), np.array(values)) == scale
