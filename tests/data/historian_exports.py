# ruff: noqa: E501 - tables, a line for each of theirs
"""Exports of historians, control systems, dashboards and building automation."""

from __future__ import annotations

from pathlib import Path

from tests.data.exports import ROWS, THREE, S, body, cells, export, times, write

ISO = "%Y-%m-%d %H:%M:%S"
LONG = "is in long format"


@export("LIC101.PV=level|TIC101.PV=temp|LIC101.OP=valve", "LIC101.OP", "Tag")
def pi_datalink(folder: Path) -> Path:
    rows = [row.split(",") for row in body("%d-%b-%y %H:%M:%S", *THREE)]
    for number, word in (
        (7, "Bad"),
        (8, "No Data"),
        (20, "I/O Timeout"),
        (33, "[-11059] No Good Data For Calculation"),
        (40, "Pt Created"),
    ):
        rows[number][1] = word
    head = [
        "Tag,LIC101.PV,TIC101.PV,LIC101.OP",
        "Description,Tank level,Tank temperature,Feed valve",
        "Units,m,degC,%",
    ]
    return write(folder, "pi.csv", head, [",".join(row) for row in rows])


@export(refused=LONG)
def pi_vision(folder: Path) -> Path:
    rows = [
        f"{tag},{t:%Y-%m-%dT%H:%M:%SZ},{S[name][k]}"
        for tag, name in (("LIC101.PV", "level"), ("LIC101.OP", "valve"))
        for k, t in enumerate(times())
    ]
    return write(folder, "vision.csv", ["Data Source,Time,Value"], rows)


@export("LT101.PV=level|LV101.CMD=valve", "LV101.CMD", "DateTime")
def wonderware(folder: Path) -> Path:
    rows = [
        f"{t:{ISO}}.0000000|{S['level'][k]}|192|{S['valve'][k] if k % 17 else '(null)'}|192"
        for k, t in enumerate(times())
    ]
    return write(
        folder, "ww.csv", ["DateTime|LT101.PV|LT101.PV.QualityDetail|LV101.CMD|LV101.CMD.QualityDetail"], rows
    )


@export(refused=LONG + ".*sep=';', decimal=','.*dayfirst=True")
def wincc(folder: Path) -> Path:
    rows = [
        f'"{name}";"{t:%d.%m.%Y %H:%M:%S}";{str(S[name][k]).replace(".", ",")};1;{f"{45355.9166667 + k / 1440:.7f}".replace(".", ",")}'
        for k, t in enumerate(times())
        for name in ("level", "valve")
    ]
    rows.append('"$RT_OFF$";"05.03.2024 00:00:00";0;2;45356,0')
    return write(folder, "wincc.csv", ['"VarName";"TimeString";"VarValue";"Validity";"Time_ms"'], rows)


@export("Tank 1/Level=level|Tank 1/Temp=temp|Tank 1/Valve CMD=valve", "Tank 1/Valve CMD", "t_stamp")
def ignition(folder: Path) -> Path:
    rows = ['"' + row.replace(",", '","') + '"' for row in body(ISO, *THREE)]
    head = [
        '"#NAMES"',
        '"t_stamp","Tank 1/Level","Tank 1/Temp","Tank 1/Valve CMD"',
        '"#TYPES"',
        '"date","D","D","D"',
        '"#ROWS","96"',
    ]
    return write(folder, "ignition.csv", head, rows)


@export("Level=level|Valve=valve", "Valve", "Date + UTC Time")
def siemens_datalog(folder: Path) -> Path:
    rows = [
        f"{k + 1},{t:%m/%d/%Y},{t:%H:%M:%S},{S['level'][k]:.3f},{S['valve'][k]:.2f}"
        for k, t in enumerate(times())
    ]
    return write(folder, "DataLog1.csv", ["Record,Date,UTC Time,Level,Valve"], [*rows, "//END" + " " * 40])


@export(refused=LONG + ".*skiprows=3")
def influx(folder: Path) -> Path:
    head = [
        "#group,false,false,true,true,false,false,true,true",
        "#datatype,string,long,dateTime:RFC3339,dateTime:RFC3339,dateTime:RFC3339,double,string,string",
        "#default,mean,,,,,,,",
        ",result,table,_start,_stop,_time,_value,_field,_measurement",
    ]
    span = "2024-03-04T22:00:00Z,2024-03-05T00:00:00Z"
    rows = [
        f",,{i},{span},{t:%Y-%m-%dT%H:%M:%SZ},{S[name][k]},{name},tank"
        for i, name in enumerate(("level", "valve"))
        for k, t in enumerate(times())
    ]
    return write(folder, "influx.csv", head, rows)


@export("level=level|temp=temp|valve=valve", "valve", "_time")
def influx_pivoted(folder: Path) -> Path:
    head = [
        "#group,false,false,true,true,false,true,false,false,false",
        "#datatype,string,long,dateTime:RFC3339,dateTime:RFC3339,dateTime:RFC3339,string,double,double,double",
        "#default,_result,,,,,,,,",
        ",result,table,_start,_stop,_time,_measurement,level,temp,valve",
    ]
    span = "2024-03-04T22:00:00Z,2024-03-05T00:00:00Z"
    rows = [
        f",,0,{span},{t:%Y-%m-%dT%H:%M:%S.123456789Z},tank," + ",".join(cells(k, *THREE))
        for k, t in enumerate(times())
    ]
    return write(folder, "pivoted.csv", head, rows)


@export(refused=LONG)
def home_assistant(folder: Path) -> Path:
    rows = [
        f"sensor.{name},{S[name][k] if k % 11 else 'unavailable'},{t:%Y-%m-%dT%H:%M:%S.000Z}"
        for k, t in enumerate(times())
        for name in ("level", "valve")
    ]
    return write(folder, "history.csv", ["entity_id,state,last_changed"], rows)


@export("tank.level=level|tank.temp=temp|valve=valve", "valve", "Time")
def grafana(folder: Path) -> Path:
    rows = [
        f'"{t:{ISO}}","{S["level"][k]} m","{S["temp"][k]} °C","{S["valve"][k]}%"'
        for k, t in enumerate(times())
    ]
    return write(folder, "Panel data.csv", ["sep=,", '"Time","tank.level","tank.temp","valve"'], rows)


@export(refused=LONG + ".*sep=';'")
def grafana_series(folder: Path) -> Path:
    rows = [
        f"{name};{t:%Y-%m-%dT%H:%M:%S+01:00};{S[name][k]}"
        for name in ("level", "valve")
        for k, t in enumerate(times())
    ]
    return write(folder, "grafana.csv", ["Series;Time;Value"], rows)


@export("Füllstand [m]=level|Ventil Soll [%]=valve", "Ventil Soll [%]", "Zeitstempel", others=["Betriebsart"])
def plc_with_status_bits(folder: Path) -> Path:
    rows = [
        f"{t:%d.%m.%Y %H:%M:%S};{cells(k, 'level', comma=True)[0]};0x00C0;{cells(k, 'valve', comma=True)[0]};1010 0000;{'AUTO' if k % 30 else 'MAN'}"
        for k, t in enumerate(times())
    ]
    return write(
        folder,
        "plc.csv",
        ["Zeitstempel;Füllstand [m];Status;Ventil Soll [%];Bits;Betriebsart"],
        rows,
        "cp1252",
    )


@export("Tank 1 Level=level|Temp=temp|Valve=valve|Ambient Temp=air", "Valve", "Time")
def merged_head(folder: Path) -> Path:
    return write(
        folder,
        "merged.csv",
        [",Tank 1,,,Ambient", "Time,Level,Temp,Valve,Temp"],
        body("%Y-%m-%d %H:%M", *THREE, "air"),
    )


@export("LT101 Value=level|LV101 Value=valve", "LV101 Value", "Timestamp")
def tags_with_quality(folder: Path) -> Path:
    rows = [
        f"{t:{ISO}},{S['level'][k]},Good,{S['valve'][k]},{'Good' if k % 13 else 'Bad'}"
        for k, t in enumerate(times())
    ]
    return write(folder, "quality.csv", [",LT101,,LV101,", "Timestamp,Value,Quality,Value,Quality"], rows)


@export(refused="several columns called 'Quality', 'Value'")
def value_and_quality(folder: Path) -> Path:
    rows = [f"{t:{ISO}},{S['level'][k]},Good,{S['valve'][k]},Good" for k, t in enumerate(times())]
    return write(folder, "vq.csv", ["Timestamp,Value,Quality,Value,Quality"], rows)


@export(
    "ns=2;s=Tank.Level=level|ns=2;s=Tank.Temp=temp|ns=2;s=Valve.CMD=valve",
    "ns=2;s=Valve.CMD",
    "SourceTimestamp",
)
def opc_ua(folder: Path) -> Path:
    return write(
        folder,
        "ua.csv",
        ['SourceTimestamp,"ns=2;s=Tank.Level","ns=2;s=Tank.Temp","ns=2;s=Valve.CMD"'],
        body("%Y-%m-%dT%H:%M:%S.%fZ", *THREE),
    )


@export(
    r"\\[PLC]Level [m]=level|\\[PLC]Valve [%]=valve", r"\\[PLC]Valve [%]", "Date + Time", others=["Millitm"]
)
def factorytalk(folder: Path) -> Path:
    rows = [
        f'"{t:%m/%d/%Y}","{t:%H:%M:%S}",{(k * 37) % 1000},{S["level"][k]},{S["valve"][k]}'
        for k, t in enumerate(times())
    ]
    return write(
        folder, "trend.csv", ['"Date","Time","Millitm","\\\\[PLC]Level [m]","\\\\[PLC]Valve [%]"'], rows
    )


@export("Value (°F)=temp|Damper (%)=valve", "Damper (%)", "Timestamp")
def niagara(folder: Path) -> Path:
    rows = [
        f"{t:%d-%b-%y %I:%M:%S %p EST},{{ }},{{ok}},{S['temp'][k]},{S['valve'][k]}"
        for k, t in enumerate(times())
    ]
    return write(
        folder,
        "history.csv",
        [
            "history:/Station/AHU1",
            "04-Mar-24 10:00 PM EST to 05-Mar-24",
            "Timestamp,Trend Flags,Status,Value (°F),Damper (%)",
        ],
        rows,
    )


@export("Level=level|Temp=temp|Valve=valve", "Valve", "dd.MM.yyyy HH:mm:ss")
def solar_portal(folder: Path) -> Path:
    head = [
        "sep=;",
        "Version CSV1|Tool SE|Linebreaks CR/LF|Delimiter semicolon",
        "",
        ";SN: 1;SN: 1;SN: 1",
        "",
        "dd.MM.yyyy HH:mm:ss;Level;Temp;Valve",
        ";Counter;Analog;Analog",
        ";kWh;degC;%",
    ]
    return write(folder, "solar.csv", head, body("%d.%m.%Y %H:%M:%S", *THREE, sep=";", comma=True))


@export("Energie | Symo=level|Temp | Symo=temp|Ventil=valve", "Ventil", "Datum und Uhrzeit")
def inverter(folder: Path) -> Path:
    rows = [
        ",".join([f"{t:%d.%m.%Y %H:%M}", *(f'"{cell}"' for cell in cells(k, *THREE, comma=True))])
        for k, t in enumerate(times())
    ]
    return write(
        folder,
        "inverter.csv",
        ["Datum und Uhrzeit,Energie | Symo,Temp | Symo,Ventil", "[dd.MM.yyyy HH:mm],[Wh],[°C],[%]"],
        rows,
    )


@export("1#液位(m)=level|1#温度(℃)=temp|进料阀开度(%)=valve", "进料阀开度(%)", "时间")
def chinese(folder: Path) -> Path:
    return write(
        folder,
        "dcs.csv",
        ["时间,1#液位(m),1#温度(℃),进料阀开度(%)"],
        body("%Y/%m/%d %H:%M:%S", *THREE),
        "gbk",
    )


@export("液位=level|温度=temp|バルブ指令=valve", "バルブ指令", "日時")
def japanese(folder: Path) -> Path:
    return write(
        folder, "jp.csv", ["日時,液位,温度,バルブ指令"], body("%Y年%m月%d日 %H時%M分", *THREE), "cp932"
    )


@export("Уровень=level|Температура=temp|Клапан=valve", "Клапан", "Дата")
def russian(folder: Path) -> Path:
    return write(
        folder,
        "ru.csv",
        ["Дата;Уровень;Температура;Клапан"],
        body("%d.%m.%Y %H:%M:%S", *THREE, sep=";", comma=True),
        "cp1251",
    )


@export(refused="192 rows have the time of another row, and values in other columns.*groupby")
def a_row_for_each_change(folder: Path) -> Path:
    rows = [
        row
        for k, t in enumerate(times())
        for row in (
            f"{t:{ISO}},{S['level'][k]},,",
            f"{t:{ISO}},,{S['temp'][k]},",
            f"{t:{ISO}},,,{S['valve'][k]}",
        )
    ]
    return write(folder, "events.csv", ["time,level,temp,valve"], rows)


@export("level=level|temp=temp|valve=valve", "valve", "time")
def files_put_together(folder: Path) -> Path:
    rows = body(ISO, *THREE)
    rows[50:50] = ["time,level,temp,valve"]
    return write(folder, "both.csv", ["time,level,temp,valve"], rows)


@export(refused="1 values in line 52, but 4 names: '--- logger restarted ---'")
def a_remark_in_the_middle(folder: Path) -> Path:
    rows = body(ISO, *THREE)
    rows[50:50] = ["--- logger restarted ---"]
    return write(folder, "marks.csv", ["time,level,temp,valve"], rows)


@export("level=level|temp=temp|valve=valve", "valve", "time")
def a_comma_behind_each_row(folder: Path) -> Path:
    return write(folder, "behind.csv", ["time,level,temp,valve"], [f"{row}," for row in body(ISO, *THREE)])


@export("level=level|temp=temp|valve=valve", "valve")
def a_comma_behind_each_row_without_times(folder: Path) -> Path:
    return write(
        folder, "bare.csv", ["level,temp,valve"], [",".join(cells(k, *THREE)) + "," for k in range(ROWS)]
    )


@export("level=level|temp=temp|valve=valve", "valve", "time")
def a_comma_behind_the_names(folder: Path) -> Path:
    return write(folder, "names.csv", ["time,level,temp,valve,"], body(ISO, *THREE))


@export(refused="a page of HTML, no table")
def a_page(folder: Path) -> Path:
    return write(
        folder, "report.csv", ["<html><table><tr><td>time</td><td>level</td></tr></table></html>"], []
    )
