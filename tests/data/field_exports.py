"""Exports of energy markets, scopes, buses and loggers that were moved, extended or set up in an odd way."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np

from tests.data.exports import ROWS, THREE, S, body, cells, export, times, write

PLAIN = "level=level|temp=temp|valve=valve"
NAMES = "time,level,temp,valve"
ISO = "%Y-%m-%d %H:%M:%S"


def _from_to(form: str, between: str, step: float = 900) -> list[str]:
    ends = [(t, t + timedelta(seconds=step)) for t in times(step)]
    return [f"{a:{form}}{between}{b:{form}}," + ",".join(cells(k, *THREE)) for k, (a, b) in enumerate(ends)]


@export(PLAIN, "valve", "MTU (CET/CEST)", 900)
def market_time_units(folder: Path) -> Path:
    return write(folder, "prices.csv", ["MTU (CET/CEST),level,temp,valve"], _from_to("%d.%m.%Y %H:%M", " - "))


@export(PLAIN, "valve", "interval", 900)
def intervals_of_iso(folder: Path) -> Path:
    return write(folder, "intervals.csv", ["interval,level,temp,valve"], _from_to("%Y-%m-%dT%H:%MZ", "/"))


@export(PLAIN, "valve", "Date + Hour", 3600)
def hours_from_to(folder: Path) -> Path:
    rows = [
        f"{t:%d.%m.%Y},{t:%H:%M} - {t + timedelta(hours=1):%H:%M}," + ",".join(cells(k, *THREE))
        for k, t in enumerate(times(3600))
    ]
    return write(folder, "hours.csv", ["Date,Hour,level,temp,valve"], rows)


@export(PLAIN, "valve", "time")
def dates_of_javascript(folder: Path) -> Path:
    form = "%a %b %d %Y %H:%M:%S GMT+0000 (Coordinated Universal Time)"
    return write(folder, "js.csv", [NAMES], body(form, *THREE))


@export(PLAIN, "valve", "DATE + TIME")
def six_figures(folder: Path) -> Path:
    return write(folder, "dvr.csv", ["DATE,TIME,level,temp,valve"], body("%y%m%d,%H%M%S", *THREE))


@export(PLAIN, "valve", "Date + Time", 600)
def six_figures_day_first(folder: Path) -> Path:
    return write(folder, "gps.csv", ["Date,Time,level,temp,valve"], body("%d%m%y,%H%M%S", *THREE, step=600))


@export(PLAIN, "valve", "time")
def a_clock_in_figures_alone(folder: Path) -> Path:
    return write(folder, "clock.csv", [NAMES], body("%H%M%S", *THREE))


@export(PLAIN, "valve", "t_unix", 0.1)
def ten_a_second_since_1970(folder: Path) -> Path:
    return write(
        folder,
        "fast.csv",
        ["t_unix,level,temp,valve"],
        body(lambda t: f"{t.timestamp():.3f}", *THREE, step=0.1),
    )


@export(PLAIN, "valve", "t [s]", 0.5)
def a_clock_called_t(folder: Path) -> Path:
    rows = [f"{k * 0.5}," + ",".join(cells(k, *THREE)) for k in range(ROWS)]
    return write(folder, "t.csv", ["t [s],level,temp,valve"], rows)


@export(refused=r"line 2.*4 names.*5 values.*mark decimals")
def decimals_behind_the_comma_that_separates(folder: Path) -> Path:
    rows = [
        f"{t:{ISO}},{S['level'][k]},{str(S['temp'][k]).replace('.', ',')},{S['valve'][k]}"
        for k, t in enumerate(times())
        if "." in str(S["temp"][k])
    ]
    return write(folder, "mixed.csv", [NAMES], rows)


@export(refused=r"line 62.*'27\.512' is 27512 or 27\.512.*thousands")
def a_point_among_decimal_commas(folder: Path) -> Path:
    rows = [
        ";".join([f"{t:{ISO}}", *cells(k, *THREE, form="{:.2f}", comma=True)]) for k, t in enumerate(times())
    ]
    rows[60] = rows[60].rpartition(";")[0] + ";27.512"
    return write(folder, "slip.csv", [NAMES.replace(",", ";")], rows)


@export(refused=r"line 82.*'valve' holds a number with '%' in some rows and none behind it")
def per_cent_in_some_rows(folder: Path) -> Path:
    rows = [
        f"{t:{ISO}},{S['level'][k]},{S['temp'][k]},"
        + (f"{S['valve'][k]}%" if k < 80 else f"{S['valve'][k] / 100}")
        for k, t in enumerate(times())
    ]
    return write(folder, "share.csv", [NAMES], rows)


@export(refused=r"two lines of names, 1 and 42, and the 40 rows")
def a_logger_that_was_extended(folder: Path) -> Path:
    first = body(ISO, *THREE)[:40]
    later = body(ISO, *THREE, "air")[40:]
    return write(folder, "extended.csv", [NAMES, *first, NAMES + ",air"], later)


@export(refused=r"long format: a row for each 'Time' and 'Name'")
def signals_of_a_bus(folder: Path) -> Path:
    rows = []
    for k in range(ROWS):
        rows.append(f"{k * 0.01:.4f},1,0x1A0,Engine,RPM,{S['level'][k] * 1000:.0f},rpm")
        rows.append(f"{k * 0.01 + 0.001:.4f},1,0x1A1,Throttle,Pedal,{S['valve'][k]},%")
    return write(folder, "bus.csv", ["Time,Channel,ID,Name,Signal,Value,Unit"], rows)


@export("Füllstand [m]=level|Temperatur [°C]=temp|Rührer [%]=valve", "Rührer [%]", "Zeit")
def of_dos(folder: Path) -> Path:
    names = ["Zeit;Füllstand [m];Temperatur [°C];Rührer [%]"]
    return write(folder, "dos.csv", names, body("%d.%m.%Y %H:%M:%S", *THREE, sep=";"), "cp850")


@export("Füllstand [m]=level|Temperatur [°C]=temp|Rührer [%]=valve", "Rührer [%]", "Zeit")
def of_an_old_macintosh(folder: Path) -> Path:
    names = ["Zeit;Füllstand [m];Temperatur [°C];Rührer [%]"]
    return write(folder, "mac.csv", names, body("%d.%m.%Y %H:%M:%S", *THREE, sep=";"), "mac_roman")


@export(PLAIN, "valve", "time")
def marks_behind_each_row(folder: Path) -> Path:
    return write(
        folder, "marks.csv", [NAMES.replace(",", ";")], [row + ";;" for row in body(ISO, *THREE, sep=";")]
    )


@export(refused=r"Or are the times cut, 6 rows to each\?")
def times_cut_to_the_minute(folder: Path) -> Path:
    return write(folder, "cut.csv", [NAMES], body("%Y-%m-%d %H:%M", *THREE, step=10))


@export(refused=r"'temp_unit' says that values stand in several units: C, F")
def a_unit_in_each_row(folder: Path) -> Path:
    rows = [f"{row},{'C' if k < 48 else 'F'}" for k, row in enumerate(body(ISO, *THREE))]
    return write(folder, "units.csv", [NAMES + ",temp_unit"], rows)


@export(refused=r"log of events: .*'Historic Glucose mg/dL', 'Scan Glucose mg/dL'")
def a_patch_with_mostly_one_kind_of_record(folder: Path) -> Path:
    rows = []
    for k, t in enumerate(times(900)):
        rows.append(f"{t:%d-%m-%Y %H:%M},0,{S['temp'][k] + 80:.0f},,")
        if k % 5 == 0:
            rows.append(f"{t:%d-%m-%Y %H:%M},1,,{S['temp'][k] + 81:.0f},")
    names = "Device Timestamp,Record Type,Historic Glucose mg/dL,Scan Glucose mg/dL,Notes"
    return write(folder, "patch.csv", [names], rows)


@export(refused=r"'mode' holds text .* TEST .*codes=\{mode: \[AUTO, MAN, TEST\]\}")
def runs_of_which_one_has_a_mode_more(folder: Path) -> Path:
    for run in range(2):
        rows = body(ISO, *THREE)[48 * run : 48 * run + 48]
        modes = ["AUTO", "MAN", "TEST"]
        lines = [f"{row},{modes[k // 8 % 2 + run]}" for k, row in enumerate(rows)]
        (folder / "runs").mkdir(exist_ok=True)
        write(folder / "runs", f"{run}.csv", [NAMES + ",mode"], lines)
    return folder / "runs"


@export(PLAIN, "valve", "time", trajectories=3)
def runs_of_which_some_tell_the_order_of_dates(folder: Path) -> Path:
    """03/04 of the first is a 4th of March, as 03/14 of the next shows."""
    (folder / "runs").mkdir()
    for run in range(3):
        days = [t + timedelta(days=10 * run) for t in times()]
        rows = [
            f"{days[k]:%m/%d/%Y %H:%M}," + ",".join(cells(k, *THREE)) for k in range(32 * run, 32 * run + 32)
        ]
        write(folder / "runs", f"{run}.csv", [NAMES], rows)
    return folder / "runs"


@export(PLAIN, "valve", "time")
def names_with_invisible_letters(folder: Path) -> Path:
    return write(folder, "web.csv", ["time,\u200blevel,temp\u200b, valve "], body(ISO, *THREE))


def _table(**columns: object) -> object:
    import pyarrow as pa

    return pa.table({**columns, "level": S["level"], "temp": S["temp"], "valve": S["valve"]})


def _stored(folder: Path, table: object) -> Path:
    from pyarrow import parquet

    parquet.write_table(table, folder / "logs.parquet")
    return folder / "logs.parquet"


@export(PLAIN, "valve", "elapsed")
def parquet_of_durations(folder: Path) -> Path:
    import pyarrow as pa

    passed = [timedelta(minutes=k) for k in range(ROWS)]
    return _stored(folder, _table(elapsed=pa.array(passed, pa.duration("ms"))))


@export(PLAIN, "valve", "time", others=("mode",))
def parquet_of_categories(folder: Path) -> Path:
    import pyarrow as pa

    modes = pa.array(["AUTO", "MANUAL"] * (ROWS // 2)).dictionary_encode()
    return _stored(folder, _table(time=pa.array(times()), mode=modes))


def _h5(folder: Path, attributes: dict[str, dict[str, object]], **arrays: np.ndarray) -> Path:
    import h5py

    with h5py.File(folder / "logs.h5", "w") as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array).attrs.update(attributes.get(name, {}))
        file["index"] = [ROWS]
    return folder / "logs.h5"


@export(PLAIN, "valve", "time", 1)
def h5_that_is_packed(folder: Path) -> Path:
    packed = np.round((S["temp"] - 10) * 100).astype(np.int16)
    packed[7] = -32768
    attributes = {
        "temp": {"scale_factor": 0.01, "add_offset": 10.0, "_FillValue": np.int16(-32768), "units": "degC"},
        "time": {"units": "minutes since 2024-03-04 22:00"},
    }
    return _h5(folder, attributes, temp=packed, level=S["level"], valve=S["valve"], time=np.arange(ROWS))


@export(refused=r"holds its arrays in groups .*'level': 'plant/level'")
def h5_in_groups(folder: Path) -> Path:
    return _h5(
        folder, {}, **{"plant/level": S["level"], "control/valve": S["valve"], "time": np.arange(ROWS) * 1.0}
    )


@export(refused=r"holds arrays for each of 4 episodes")
def h5_of_episodes_of_ones_own(folder: Path) -> Path:
    import h5py

    state, action = np.stack([S["level"], S["temp"]], 1), S["valve"][:, None]
    with h5py.File(folder / "logs.h5", "w") as file:
        for number in range(4):
            rows = slice(24 * number, 24 * number + 24)
            file[f"episode_{number}/observations"], file[f"episode_{number}/actions"] = (
                state[rows],
                action[rows],
            )
    return folder / "logs.h5"


def _npz(folder: Path, **arrays: np.ndarray) -> Path:
    np.savez(folder / "logs.npz", **arrays)
    return folder / "logs.npz"


STATE, ACTION = np.stack([S["level"], S["temp"]], 1), S["valve"][:, None]


@export("obs_0=level|obs_1=temp|act=valve", "act", "time")
def npz_with_dates(folder: Path) -> Path:
    stamps = np.array([t.replace(tzinfo=None) for t in times()], "M8[s]")
    return _npz(folder, obs=STATE, act=ACTION, time=stamps, index=np.array([ROWS]))


@export(refused=r"'obs_mask' seems to say which values of 'obs' are there.*obs_isnan_index_")
def npz_with_a_mask(folder: Path) -> Path:
    return _npz(folder, obs=STATE, obs_mask=STATE > 1, act=ACTION, index=np.array([ROWS]))


@export(refused=r"three axes.*'lengths' says which steps are real.*np\.cumsum")
def npz_of_filled_up_episodes(folder: Path) -> Path:
    lengths = np.array([24, 20, 24, 24])
    return _npz(folder, obs=STATE.reshape(4, 24, 2), act=ACTION.reshape(4, 24, 1), lengths=lengths)


@export(refused=r"nothing beside act to decide from \('obs': its shape is \(2, 96\)\)")
def npz_on_its_side(folder: Path) -> Path:
    return _npz(folder, obs=STATE.T, act=ACTION, index=np.array([ROWS]))
