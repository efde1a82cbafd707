# ruff: noqa: E501 - tables, a line for each of theirs
"""Exports of loggers, instruments, laboratories, medical devices, weather stations and simulation programs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

from tests.data.exports import BEGIN, ROWS, THREE, S, body, cells, export, times, write

ISO = "%Y-%m-%d %H:%M:%S"
PLAIN = "level=level|temp=temp|valve=valve"
NAMES = "time,level,temp,valve"


@export("Level=level|Temp=temp|Valve=valve", "Valve")
def labview(folder: Path) -> Path:
    head = """LabVIEW Measurement\t|Writer_Version\t2|Reader_Version\t2|Separator\tTab|Decimal_Separator\t.|Multi_Headings\tNo|X_Columns\tOne
Time_Pref\tRelative|Operator\tplant|Date\t2024/03/04|Time\t22:00:00.0|***End_of_Header***\t|\t|Channels\t3\t\t\t|Samples\t96\t96\t96\t
Date\t2024/03/04\t2024/03/04\t2024/03/04\t|Time\t22:00:00\t22:00:00\t22:00:00\t|X_Dimension\tTime\tTime\tTime\t|X0\t0.0\t0.0\t0.0\t
Delta_X\t1.0\t1.0\t1.0\t|***End_of_Header***\t\t\t\t|X_Value\tLevel\tTemp\tValve\tComment""".replace(
        "\n", "|"
    ).split("|")
    rows = ["\t".join([f"{k:.6f}", *cells(k, *THREE, form="{:.6f}")]) + "\t" for k in range(ROWS)]
    return write(folder, "measured.lvm", head, rows)


@export("Level=level|Temp_Avg=temp|Valve=valve", "Valve", "TIMESTAMP")
def campbell(folder: Path) -> Path:
    head = [
        '"TOA5","CR1000","CR1000","12345","CR1000.Std.31","CPU:prog.CR1","5432","Table1"',
        '"TIMESTAMP","RECORD","Level","Temp_Avg","Valve"',
    ]
    head += ['"TS","RN","m","Deg C","%"', '"","","Smp","Avg","Smp"']
    rows = [
        f'"{t:{ISO}}",{k},{S["level"][k]},{S["temp"][k] if k != 9 else chr(34) + "NAN" + chr(34)},{S["valve"][k]}'
        for k, t in enumerate(times())
    ]
    return write(folder, "CR1000_Table1.dat", head, rows)


@export("CH001=level|CH002=temp|CH003=valve", "CH003", "Date + Time")
def yokogawa(folder: Path) -> Path:
    odd = {30: "-OVER", 31: "BURNOUT"}
    rows = [
        f"{t:%Y/%m/%d},{t:%H:%M:%S},{S['level'][k]:+.4E},{odd.get(k, format(S['temp'][k], '+.4E'))},{S['valve'][k]:+.4E}"
        for k, t in enumerate(times())
    ]
    return write(
        folder,
        "dx.csv",
        [
            "Model,DX1000",
            "Serial No.,S5",
            "Sample Interval,60,sec",
            "",
            "Date,Time,CH001,CH002,CH003",
            "-,-,m,C,%",
        ],
        rows,
    )


@export("Ewe/V=level|Temperature/°C=temp|control/V=valve", "control/V", "time/s")
def potentiostat(folder: Path) -> Path:
    head = [
        "EC-Lab ASCII FILE",
        "Nb header lines : 5",
        "",
        "Acquisition started on : 03/04/2024",
        "time/s\tEwe/V\tTemperature/°C\tcontrol/V",
    ]
    rows = body(lambda t: f"{(t - BEGIN).total_seconds():.12E}", *THREE, sep="\t", form="{:.7E}")
    return write(folder, "ec.mpt", head, rows, "cp1252")


@export("Volts=level|Amps_cmd=valve", "Amps_cmd", "TestTime", 3600.0, others=["Cyc#", "Step"])
def battery_tester(folder: Path) -> Path:
    rows = [
        f"{k + 1}\t{k // 48 + 1}\t{1 + k // 5 % 3}\t{k // 24}d {k % 24:02d}:01:00.00\t{S['level'][k]}\t{S['valve'][k]}"
        for k in range(ROWS)
    ]
    return write(
        folder,
        "cell.txt",
        [
            "Today's Date\t03/04/2024",
            "Filename: X.001\tProcedure: p",
            "Rec#\tCyc#\tStep\tTestTime\tVolts\tAmps_cmd",
        ],
        rows,
    )


@export("Level=level|Valve=valve", "Valve", "Elapsed Time", 900.0)
def hours_beyond_a_day(folder: Path) -> Path:
    rows = [
        f"{20 + k * 15 // 60:02d}:{k * 15 % 60:02d}:00," + ",".join(cells(k, "level", "valve"))
        for k in range(ROWS)
    ]
    return write(folder, "elapsed.csv", ["Elapsed Time,Level,Valve"], rows)


@export(refused="first line holds numbers.*dataset.table.header=none")
def oscilloscope(folder: Path) -> Path:
    meta = ["Record Length,9.6e+01", "Sample Interval,1.0e-03", "Trigger Point,4.0e+00", "Source,CH1"] + [
        ","
    ] * ROWS
    return write(
        folder,
        "tek.csv",
        [],
        [f"{meta[k]},{k * 1e-3:.6f}," + ",".join(cells(k, "level", "valve")) for k in range(ROWS)],
    )


@export(
    "Sensor Glucose (mg/dL)=level|Bolus Volume Delivered (U)=valve",
    "Bolus Volume Delivered (U)",
    "Date + Time",
    300.0,
    others=["BG Reading (mg/dL)"],
)
def insulin_pump(folder: Path) -> Path:
    head = [
        "Last Name;First Name;Patient ID;Start Date;End Date;Device;Serial",
        "Doe;J.;;04/03/2024;05/03/2024;MiniMed 670G;X1",
        "",
    ]
    head += [
        "-------;MiniMed 670G;Pump;X1;Sensor;-------",
        "Index;Date;Time;Sensor Glucose (mg/dL);BG Reading (mg/dL);Bolus Volume Delivered (U);Event Marker",
    ]
    rows = [
        f"{k},00000;{t:%Y/%m/%d};{t:%H:%M:%S};{cells(k, 'level', comma=True)[0]};{140 + k % 3 if k % 30 == 5 else ''};"
        f"{cells(k, 'valve', comma=True)[0] if k % 2 == 0 else ''};{'Meal: 30.00grams' if k % 40 == 7 else ''}"
        for k, t in enumerate(times(300))
    ]
    return write(folder, "pump.csv", head, rows)


@export(
    refused="'Glucose Value \\(mg/dL\\)' holds text where a number should be: High in line 59.*dataset.table.missing"
)
def glucose_sensor(folder: Path) -> Path:
    head = [
        "Index,Timestamp (YYYY-MM-DDThh:mm:ss),Event Type,Event Subtype,Patient Info,Device Info,Source Device ID,Glucose Value (mg/dL),Insulin Value (u)"
    ]
    head += [f"{k + 1},,{word},,Jo,,,," for k, word in enumerate(("FirstName", "LastName", "DateOfBirth"))]
    head += [
        f"{k + 4},,Alert,{word},,,android,{70 + k}," for k, word in enumerate(("Fall", "High", "Low", "Rise"))
    ]
    rows = [
        f"{k + 8},{t:%Y-%m-%dT%H:%M:%S},EGV,,,,android,{'High' if k == 50 else round(100 + 10 * S['level'][k])},"
        for k, t in enumerate(times(300))
    ]
    return write(folder, "cgm.csv", head, rows)


@export(
    "Historic Glucose mmol/L=level|Rapid-Acting Insulin (units)=valve",
    "Rapid-Acting Insulin (units)",
    "Device Timestamp",
    900.0,
    others=["Record Type"],
)
def glucose_patch(folder: Path) -> Path:
    head = ["Glucose Data,Generated on,04-03-2024 22:00 UTC,Generated by,J Doe"]
    head += [
        "Device,Serial Number,Device Timestamp,Record Type,Historic Glucose mmol/L,Scan Glucose mmol/L,Non-numeric Rapid-Acting Insulin,Rapid-Acting Insulin (units)"
    ]
    rows = [
        f"Link,ABC,{t:%d-%m-%Y %H:%M},{0 if k % 10 else 4},{S['level'][k]},,,{S['valve'][k]}"
        for k, t in enumerate(times(900))
    ]
    return write(folder, "patch.csv", head, rows)


@export(
    "Wind speed (m/s)=air|Wind speed, Standard deviation (m/s)=level|Power (kW)=temp|Blade angle (pitch position) A (°)=valve",
    "Power (kW)",
    "Date and time",
    600.0,
)
def turbine(folder: Path) -> Path:
    head = [
        "# This file was exported at 2024-03-05 00:00:00",
        "#",
        "# Turbine: K 1",
        "# Time zone: UTC",
        "# Time interval: 10 min",
        "#",
        "#",
    ]
    head += [
        '# Date and time,Wind speed (m/s),"Wind speed, Standard deviation (m/s)",Power (kW),Blade angle (pitch position) A (°)'
    ]
    return write(folder, "turbine.csv", head, body(ISO, "air", "level", "temp", "valve", step=600))


@export("Temp Out=level|Hi Temp=temp|Out Hum=air|Valve Out=valve", "Valve Out", "Date + Time", 300.0)
def weather_station(folder: Path) -> Path:
    rows = []
    for k, t in enumerate(times(300)):
        clock = f"{t.hour % 12 or 12}:{t:%M}{'a' if t.hour < 12 else 'p'}"
        rows.append(
            "\t".join(
                [
                    f"{t.day}/{t:%m/%y}",
                    clock,
                    *(["---"] if k == 5 else cells(k, "level")),
                    *cells(k, "temp", "air", "valve"),
                ]
            )
        )
    return write(folder, "station.txt", ["\t\tTemp\tHi\tOut\tValve", "Date\tTime\tOut\tTemp\tHum\tOut"], rows)


@export("TT_TU=temp|RF_TU=level|VALVE=valve", "VALVE", "MESS_DATUM", 3600.0)
def weather_service(folder: Path) -> Path:
    rows = [
        f"      3987;{t:%Y%m%d%H};    3;{S['temp'][k]:8.3f};{S['level'][k] if k % 20 else -999:8.3f};{S['valve'][k]:8.3f};eor"
        for k, t in enumerate(times(3600))
    ]
    return write(folder, "produkt_tu.txt", ["STATIONS_ID;MESS_DATUM;QN_9;TT_TU;RF_TU;VALVE;eor"], rows)


@export("tmpf=temp|p01i=level|valve=valve", "valve", "valid")
def airport(folder: Path) -> Path:
    rows = [
        f"DSM,{t:%Y-%m-%d %H:%M},{S['temp'][k]:.2f},{S['level'][k] if k % 9 else 'M'},{S['valve'][k]}"
        for k, t in enumerate(times())
    ]
    return write(
        folder,
        "asos.txt",
        ["#DEBUG: Format Typ    -> onlycomma", "#DEBUG: Time Period", "station,valid,tmpf,p01i,valve"],
        rows,
    )


@export(PLAIN, "valve", "UTC_DATE + UTC_TIME", 300.0)
def days_and_clocks_in_figures(folder: Path) -> Path:
    rows = [f"53131 {t:%Y%m%d} {t:%H%M} " + " ".join(cells(k, *THREE)) for k, t in enumerate(times(300))]
    return write(folder, "crn.txt", ["WBANNO UTC_DATE UTC_TIME level temp valve"], rows)


@export(PLAIN, "valve", "year + month + day + hour", 3600.0)
def a_column_for_each_part_of_the_time(folder: Path) -> Path:
    rows = [
        f"{k + 1},{t.year},{t.month},{t.day},{t.hour}," + ",".join(cells(k, *THREE))
        for k, t in enumerate(times(3600))
    ]
    return write(folder, "PRSA.csv", ["No,year,month,day,hour,level,temp,valve"], rows)


@export(PLAIN, "valve", "Year + DOY + HHMM")
def day_of_the_year(folder: Path) -> Path:
    rows = [
        f"2024,{t.timetuple().tm_yday},{t.hour * 100 + t.minute}," + ",".join(cells(k, *THREE))
        for k, t in enumerate(times())
    ]
    return write(folder, "doy.csv", ["Year,DOY,HHMM,level,temp,valve"], rows)


@export(PLAIN, "valve", "Timestamp")
def time_in_figures(folder: Path) -> Path:
    return write(folder, "compact.csv", ["Timestamp,level,temp,valve"], body("%Y%m%d%H%M%S", *THREE))


@export(PLAIN, "valve", "time")
def basic_iso(folder: Path) -> Path:
    return write(folder, "basic.csv", [NAMES], body("%Y%m%dT%H%M%SZ", *THREE))


@export(PLAIN, "valve", "time")
def weekdays(folder: Path) -> Path:
    return write(folder, "weekdays.csv", [NAMES], body("%a %d/%m/%Y %H:%M", *THREE))


@export(
    "Speed (OBD)(km/h)=level|Engine Coolant Temperature(°C)=temp|Throttle Position(Manifold)(%)=valve",
    "Throttle Position(Manifold)(%)",
    "GPS Time",
)
def car(folder: Path) -> Path:
    rows = [
        f"{t:%a %b %d %H:%M:%S GMT %Y},{t:%d-%b-%Y %H:%M:%S}.000,{S['level'][k]},{S['temp'][k] if k > 3 else '-'},{S['valve'][k]}"
        for k, t in enumerate(times())
    ]
    return write(
        folder,
        "trackLog.csv",
        [
            "GPS Time, Device Time, Speed (OBD)(km/h), Engine Coolant Temperature(°C), Throttle Position(Manifold)(%)"
        ],
        rows,
    )


@export(
    "ZONE ONE:Air Temperature [C](TimeStep)=level|TANK:Temperature [C](TimeStep)=temp|FAN:Valve [%](TimeStep)=valve",
    "FAN:Valve [%](TimeStep)",
    "Date/Time",
    900.0,
)
def energyplus(folder: Path) -> Path:
    minutes = [(k + 1) * 15 for k in range(ROWS + 1)]  # midnight is 24:00 of the day before
    stamps = [
        f" 01/{1 + (m - 1) // 1440:02d}  {((m - 1) % 1440 + 1) // 60:02d}:{((m - 1) % 1440 + 1) % 60:02d}:00"
        for m in minutes
    ]
    head = [
        "Date/Time,ZONE ONE:Air Temperature [C](TimeStep),TANK:Temperature [C](TimeStep),FAN:Valve [%](TimeStep)"
    ]
    return write(
        folder, "eplusout.csv", head, [",".join([stamps[k], *cells(k, *THREE)]) for k in range(ROWS)]
    )


@export("tank.level=level|tank.T=temp|valve.u=valve", "valve.u", "time", 1.0)
def modelica(folder: Path) -> Path:
    return write(
        folder,
        "result.csv",
        ['"time","tank.level","tank.T","valve.u"'],
        [",".join([f"{k:.1f}", *cells(k, *THREE)]) for k in range(ROWS)],
    )


@export(refused="first line holds numbers.*dataset.table.header=none")
def numbers_alone(folder: Path) -> Path:
    return write(
        folder, "plant.data", [], [" ".join(cells(k, *THREE, form="{:.4f}")) + "  " for k in range(ROWS)]
    )


@export(PLAIN, "valve", "__index_level_0__")
def frame_with_an_index(folder: Path) -> Path:
    pd.DataFrame({name: S[name] for name in THREE}, index=pd.DatetimeIndex(times())).to_parquet(
        folder / "x.parquet"
    )
    return folder / "x.parquet"


@export(PLAIN, "valve", "when")
def frame_with_a_named_index(folder: Path) -> Path:
    pd.DataFrame({name: S[name] for name in THREE}, index=pd.DatetimeIndex(times(), name="when")).to_parquet(
        folder / "x.parquet"
    )
    return folder / "x.parquet"


@export(refused="scipy.io.loadmat\\('x.mat'\\)")
def matlab(folder: Path) -> Path:
    from scipy.io import savemat

    savemat(folder / "x.mat", {name: np.asarray(S[name])[:, None] for name in THREE})
    return folder / "x.mat"


@export(refused="pd.read_json\\('x.jsonl', lines=True\\)")
def json_lines(folder: Path) -> Path:
    rows = [
        json.dumps({"time": t.isoformat(), "level": S["level"][k], "valve": S["valve"][k]})
        for k, t in enumerate(times())
    ]
    return write(folder, "x.jsonl", [], rows)


@export(refused="save it as .xlsx")
def old_workbook(folder: Path) -> Path:
    (folder / "old.xls").write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600)
    return folder / "old.xls"


@export("Tank 1 Level=level|Temp=temp|Valve=valve|Ambient Temp=air", "Valve", "Time")
def workbook(folder: Path) -> Path:
    import openpyxl

    book = openpyxl.Workbook()
    sheet = book.active
    sheet["A1"], sheet["B3"], sheet["E3"] = "Shift report March", "Tank 1", "Ambient"
    for area in ("A1:E1", "B3:D3"):
        sheet.merge_cells(area)
    for line, texts in ((4, ("Time", "Level", "Temp", "Valve", "Temp")), (5, ("", "m", "degC", "%", "degC"))):
        for column, text in enumerate(texts, 1):
            sheet.cell(line, column, text)
    for k, t in enumerate(times()):
        sheet.cell(6 + k, 1, t.replace(tzinfo=None))
        for column, name in enumerate((*THREE, "air"), 2):
            sheet.cell(6 + k, column, float(S[name][k]))
    sheet.cell(7 + ROWS, 1, "Average")
    sheet.cell(7 + ROWS, 2, 1.5)
    book.create_sheet("Notes")["A1"] = "made by hand"
    book.save(folder / "report.xlsx")
    return folder / "report.xlsx"
