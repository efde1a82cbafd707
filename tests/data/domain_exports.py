# ruff: noqa: E501 - tables, a line for each of theirs
"""Exports of trades that write tables in ways of their own: buildings, farms, laboratories, shops, robots, oceanographers."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from tests.data.exports import BEGIN, ROWS, THREE, S, body, cells, export, times, write

ISO = "%Y-%m-%d %H:%M:%S"
NAMES = "time,level,temp,valve"
PLAIN = "level=level|temp=temp|valve=valve"
FEW = ROWS // 2


@export("LIC101.PV=level|TIC101.PV=temp|LIC101.OP=valve", "LIC101.OP", "TimeStamp")
def confidence_beside_each_tag(folder: Path) -> Path:
    rows = [
        f"{t:{ISO}},{S['level'][k]},{100 if k % 20 else 0},{S['temp'][k]},100,{S['valve'][k]},100"
        for k, t in enumerate(times())
    ]
    head = "TimeStamp,LIC101.PV,LIC101.PV_CONF,TIC101.PV,TIC101.PV_CONF,LIC101.OP,LIC101.OP_CONF"
    return write(folder, "phd.csv", [head], rows)


@export(
    "FIC-101/PID1/PV.CV=level|FIC-101/PID1/OUT.CV=valve|TI-102/AI1/PV.CV=temp",
    "FIC-101/PID1/OUT.CV",
    "Date/Time",
    10.0,
    others=["FIC-101/PID1/MODE.ACTUAL"],
)
def blocks_of_a_controller(folder: Path) -> Path:
    rows = [
        f'"{t:%m/%d/%Y %I:%M:%S.000 %p}","{S["level"][k]}","{S["valve"][k]}","{"AUTO" if k % 30 > 8 else "MAN"}","{S["temp"][k]}"'
        for k, t in enumerate(times(10))
    ]
    head = (
        '"Date/Time","FIC-101/PID1/PV.CV","FIC-101/PID1/OUT.CV","FIC-101/PID1/MODE.ACTUAL","TI-102/AI1/PV.CV"'
    )
    return write(folder, "chronicle.csv", [head], rows)


@export("level=level|temp_c=temp|fan_pwm=valve", "fan_pwm", "millis", trajectories=2)
def a_board_that_restarts(folder: Path) -> Path:
    rows = [f"{(k % FEW) * 60 + 17}," + ",".join(cells(k, *THREE)) for k in range(ROWS)]
    return write(folder, "serial.csv", ["millis,level,temp_c,fan_pwm"], rows)


@export("pO2=level|TEMP=temp|STIRR=valve", "STIRR", "Age", 1 / 60)
def a_batch_and_its_age(folder: Path) -> Path:
    rows = [f"{k / 60:.6f}\t" + "\t".join(cells(k, *THREE)) for k in range(ROWS)]
    return write(
        folder, "batch.txt", ["Batch: 24-017\tUser: lab3", "", "Age\tpO2\tTEMP\tSTIRR", "h\t%\t°C\trpm"], rows
    )


@export(PLAIN.replace("valve=", "valve_cmd="), "valve_cmd", "ts", 60_000.0)
def seconds_since_1970_without_a_name(folder: Path) -> Path:
    rows = body(lambda t: f"{int(t.timestamp()) * 1000}", *THREE)
    return write(folder, "device.csv", ["ts,level,temp,valve_cmd"], rows)


@export("Demand=level|Temp=temp|Setpoint=valve", "Setpoint", "Date + Hour", 3600.0)
def hours_from_1_to_24(folder: Path) -> Path:
    days = [BEGIN.replace(hour=0) + timedelta(hours=k) for k in range(ROWS)]
    rows = [f"{t:%m/%d/%Y},{t.hour + 1}," + ",".join(cells(k, *THREE)) for k, t in enumerate(days)]
    return write(folder, "market.csv", ["Date,Hour,Demand,Temp,Setpoint"], rows)


@export("WVHT=level|WTMP=temp|GATE=valve", "GATE", "YY + MM + DD + hh + mm", 600.0)
def a_buoy(folder: Path) -> Path:
    head = ["#YY  MM DD hh mm  WVHT  WTMP  GATE", "#yr  mo dy hr mn     m  degC     %"]
    rows = [
        f"{t:%Y %m %d %H %M} " + " ".join(f"{c:>7}" for c in cells(k, *THREE))
        for k, t in enumerate(times(600))
    ]
    return write(folder, "buoy.txt", head, rows)


@export(PLAIN, "valve", "time")
def of_sas(folder: Path) -> Path:
    return write(folder, "sas.csv", [NAMES], body(lambda t: f"{t:%d%b%Y:%H:%M:%S}".upper(), *THREE))


@export(PLAIN, "valve", "time")
def of_stata(folder: Path) -> Path:
    return write(folder, "stata.csv", [NAMES], body(lambda t: f"{t:%d%b%Y %H:%M:%S}".lower(), *THREE))


@export(PLAIN, "valve", "TS", 900.0)
def of_oracle(folder: Path) -> Path:
    rows = body(lambda t: f"{t:%d-%b-%y %I.%M.%S.000000 %p}".upper(), *THREE, step=900)
    return write(folder, "oracle.csv", ['"TS","level","temp","valve"'], rows)


@export(PLAIN, "valve", "time")
def of_r(folder: Path) -> Path:
    rows = [f'"{k + 1}" "{t:{ISO}}" ' + " ".join(cells(k, *THREE)) for k, t in enumerate(times())]
    return write(folder, "r.txt", ['"time" "level" "temp" "valve"'], rows)


@export("stock=level|sales=temp|price=valve", "price", "week", 7 * 86400.0)
def weeks(folder: Path) -> Path:
    rows = body(lambda t: "{}-W{:02d}".format(*t.isocalendar()), *THREE, step=7 * 86400)
    return write(folder, "weeks.csv", ["week,stock,sales,price"], rows)


@export("room=temp|outdoor=air|Heat Pump Signal=valve", "Heat Pump Signal", others=["Hour"])
def hours_without_a_date(folder: Path) -> Path:
    rows = [f"3,{k % 24 + 1}," + ",".join(cells(k, "temp", "air", "valve")) for k in range(ROWS)]
    return write(folder, "city.csv", ["Month,Hour,room,outdoor,Heat Pump Signal"], rows)


@export("rotor=temp|wind_speed=air|power_kw=level|pitch_angle=valve", "pitch_angle", "timestamp", 600.0)
def a_turbine_and_its_power(folder: Path) -> Path:
    rows = body(ISO, "temp", "air", "level", "valve", step=600)
    return write(folder, "turbine.csv", ["timestamp,rotor,wind_speed,power_kw,pitch_angle"], rows)


@export("flow temp=temp|outdoor temp=air|pump speed=valve", "pump speed", "time")
def the_speed_of_a_pump(folder: Path) -> Path:
    rows = body(ISO, "temp", "air", "valve")
    return write(folder, "pump.csv", ["time,flow temp,outdoor temp,pump speed"], rows)


@export("Kas=temp|Buitentemperatuur=air|Luwezijde raam=valve", "Luwezijde raam", "Datum + Tijd", 900.0)
def a_greenhouse_with_24_00(folder: Path) -> Path:
    ends = [BEGIN.replace(hour=0) + timedelta(minutes=15 * (k + 1)) for k in range(ROWS)]
    stamps = [
        f"{t:%d-%m-%Y};{t:%H:%M}" if t.hour or t.minute else f"{t - timedelta(days=1):%d-%m-%Y};24:00"
        for t in ends
    ]
    rows = [f"{stamps[k]};" + ";".join(cells(k, "temp", "air", "valve", comma=True)) for k in range(ROWS)]
    return write(folder, "priva.csv", ["Datum;Tijd;Kas;Buitentemperatuur;Luwezijde raam"], rows)


@export("xmeas_1=level|xmeas_2=temp|xmv_1=valve", "xmv_1", trajectories=4)
def a_benchmark_of_faults(folder: Path) -> Path:
    length = ROWS // 4
    rows = [
        f"{k // FEW},{k // length % 2 + 1},{k % length + 1}," + ",".join(cells(k, *THREE))
        for k in range(ROWS)
    ]
    return write(folder, "tep.csv", ["faultNumber,simulationRun,sample,xmeas_1,xmeas_2,xmv_1"], rows)


@export(PLAIN, "valve", "time")
def a_probe_that_drops_to_nought(folder: Path) -> Path:
    rows = body(ISO, *THREE)
    for k in (9, 31, 52, 70):
        rows[k] = ",".join([*rows[k].split(",")[:2], "0", rows[k].split(",")[3]])
    return write(folder, "drops.csv", [NAMES], rows)


@export(
    "observation.state_0=level|observation.state_1=temp|action_0=valve",
    "action_0",
    "timestamp",
    1 / 30,
    trajectories=4,
)
def lists_of_a_robot(folder: Path) -> Path:
    length = ROWS // 4
    frame = pd.DataFrame(
        {
            "observation.state": [np.array([S["level"][k], S["temp"][k]], "f4") for k in range(ROWS)],
            "action": [np.array([S["valve"][k]], "f4") for k in range(ROWS)],
            "timestamp": np.array([k % length / 30 for k in range(ROWS)]),
            "frame_index": [k % length for k in range(ROWS)],
            "episode_index": [k // length for k in range(ROWS)],
            "index": range(ROWS),
        }
    )
    frame.to_parquet(folder / "episodes.parquet")
    return folder / "episodes.parquet"


@export("('level', 'mean')=level|('valve', 'last')=valve", "('valve', 'last')", "ts")
def names_of_pairs(folder: Path) -> Path:
    index = pd.DatetimeIndex(times(), name="ts")
    frame = pd.DataFrame({("level", "mean"): S["level"], ("valve", "last"): S["valve"]}, index=index)
    frame.columns = frame.columns.map(str)
    frame.to_parquet(folder / "pairs.parquet")
    return folder / "pairs.parquet"


@export(refused="arrays for each of 2 groups .machine_0/level")
def h5_with_a_group_for_each_machine(folder: Path) -> Path:
    with h5py.File(folder / "machines.h5", "w") as file:
        for machine in range(2):
            for name in THREE:
                file[f"machine_{machine}/{name}"] = S[name]
    return folder / "machines.h5"


@export(refused="'Bolus .U.' has a value in 4 of 96 rows.*fillna\\(0\\)")
def doses_of_single_moments(folder: Path) -> Path:
    rows = [row + (f",{k / 10}" if k % 30 == 5 else ",") for k, row in enumerate(body(ISO, "level", "valve"))]
    return write(folder, "pump.csv", ["time,Glucose,Basal (U/h),Bolus (U)"], rows)


@export(
    "Trübung=level|Temp=temp|Fällmittel [l/h]=valve", "Fällmittel [l/h]", "time", others=["Labor P [mg/l]"]
)
def a_waterworks_and_its_laboratory(folder: Path) -> Path:
    rows = [row + (f",{k / 10}" if k % 24 == 5 else ",") for k, row in enumerate(body(ISO, *THREE))]
    return write(folder, "works.csv", ["time,Trübung,Temp,Fällmittel [l/h],Labor P [mg/l]"], rows)


def _runs(folder: Path, heads: list[str], sub: str = "run{}.csv") -> Path:
    """A folder of two files, with these lines above the rows of each."""
    for number, head in enumerate(heads):
        path = folder / "runs" / sub.format(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        own = slice(number * FEW, number * FEW + FEW)
        write(path.parent, path.name, head.split("\n"), body(ISO, *THREE)[own])
    return folder / "runs"


@export(PLAIN, "valve", "time", trajectories=2)
def runs_whose_names_differ_in_capitals(folder: Path) -> Path:
    return _runs(folder, [NAMES, "Time,Level,Temp ,VALVE"])


@export(refused="'level' is in cm, in 'run0.csv' in m")
def runs_in_different_units(folder: Path) -> Path:
    return _runs(folder, [NAMES + "\n,m,degC,%", NAMES + "\n,cm,°C,%"])


@export(PLAIN, "valve", "time", trajectories=2)
def runs_that_write_degrees_differently(folder: Path) -> Path:
    return _runs(folder, [NAMES + "\n,m,degC,%", NAMES + "\n,m,°C,%"])


@export(refused="lie in folders in it: 'machine_0', 'machine_1'")
def a_folder_for_each_machine(folder: Path) -> Path:
    return _runs(folder, [NAMES, NAMES], "machine_{}/march.csv")


@export(refused="pd.read_parquet\\('parts'\\)")
def parquet_in_parts(folder: Path) -> Path:
    for machine in range(2):
        part = folder / "parts" / f"machine={machine}"
        part.mkdir(parents=True)
        pd.DataFrame({name: S[name] for name in THREE}).to_parquet(part / "part-0.parquet")
    return folder / "parts"
