# ruff: noqa: E501 - tables, a line for each of theirs
"""Exports whose rows, heads and ends are laid out as a program or a person found it handy."""

from __future__ import annotations

import zipfile
from datetime import timedelta
from pathlib import Path

from tests.data.exports import ROWS, THREE, S, body, cells, export, times, write

ISO = "%Y-%m-%d %H:%M:%S"
NAMES = "time,level,temp,valve"
PLAIN = "level=level|temp=temp|valve=valve"


@export("Tank level=level|Tank temperature=temp|Feed valve output=valve", "Feed valve output", "Time")
def aspen(folder: Path) -> Path:
    head = [
        "Aspen Process Explorer,,,",
        "Start: 04-MAR-24 22:00:00.0,End: 05-MAR-24 00:00:00.0,,",
        ",LIC101.PV,TIC101.PV,LIC101.OP",
        "Time,Tank level,Tank temperature,Feed valve output",
        ",m,degC,%",
    ]
    return write(folder, "aspen.csv", head, body("%d-%b-%y %H:%M:%S.0", *THREE))


@export("LIC101.PV=level|TIC101.PV=temp|LIC101.OP=valve", "LIC101.OP", "Timestamp")
def four_lines_of_names(folder: Path) -> Path:
    head = [
        "Timestamp;LIC101.PV;TIC101.PV;LIC101.OP",
        ";Tank level;Tank temperature;Feed valve",
        ";m;degC;%",
        ";REAL;REAL;REAL",
    ]
    return write(folder, "four.csv", head, body(ISO, *THREE, sep=";"))


@export("Level=level|Valve=valve", "Valve", "Zeitstempel")
def quality_beside_each_tag(folder: Path) -> Path:
    rows = [
        f"{t:%d.%m.%Y %H:%M:%S};{cells(k, 'level', comma=True)[0]};Gut;{cells(k, 'valve', comma=True)[0]};{'Gut' if k % 13 else 'Schlecht'}"
        for k, t in enumerate(times())
    ]
    return write(
        folder, "wincc.csv", ["Zeitstempel;Level;Level Qualität;Valve;Valve Qualität"], rows, "cp1252"
    )


@export("level=level|valve=valve", "valve", "time")
def quality_in_numbers(folder: Path) -> Path:
    rows = [
        f"{t:{ISO}},{S['level'][k]},{192 if k % 9 else 24},{S['valve'][k]},192" for k, t in enumerate(times())
    ]
    return write(folder, "opc.csv", ["time,level,level_quality,valve,valve_quality"], rows)


@export(refused="several columns called 'X_Value'")
def labview_multi(folder: Path) -> Path:
    rows = [
        "\t".join([f"{k:.6f}", cells(k, "level")[0], f"{k:.6f}", cells(k, "valve")[0]]) for k in range(ROWS)
    ]
    return write(
        folder,
        "multi.lvm",
        ["LabVIEW Measurement", "***End_of_Header***", "X_Value\tLevel\tX_Value\tValve"],
        rows,
    )


@export(refused="line protocol, no table")
def influx_lines(folder: Path) -> Path:
    rows = [
        f"tank,site=north level={S['level'][k]},valve={S['valve'][k]} {int(t.timestamp())}000000000"
        for k, t in enumerate(times())
    ]
    return write(folder, "points.txt", [], rows)


@export(PLAIN, "valve", "time")
def percent_comments(folder: Path) -> Path:
    head = [
        "% Model:  tank.mph",
        "% Version: COMSOL 6.1",
        "% Date: Mar 4 2024, 22:00",
        "% time,level,temp,valve",
    ]
    return write(folder, "comsol.txt", head, body(ISO, *THREE))


@export(PLAIN, "valve", "time")
def slashes_before_comments(folder: Path) -> Path:
    return write(folder, "slash.csv", ["// exported by the line PC", "// 96 rows", NAMES], body(ISO, *THREE))


@export(PLAIN, "valve", "time")
def remarks_in_the_middle(folder: Path) -> Path:
    rows = body(ISO, *THREE)
    rows[50:50] = ["# pump changed", "# logger restarted"]
    return write(folder, "remarks.csv", [NAMES], rows)


@export(refused="1 values in line 38, but 4 names: 'Page 2 of 3'")
def pages(folder: Path) -> Path:
    rows = body(ISO, *THREE, sep=";")
    for page in (64, 32):
        rows[page:page] = ["", f"Page {page // 32 + 1} of 3", "", NAMES.replace(",", ";")]
    return write(folder, "pages.csv", ["Plant A, line 3", "Page 1 of 3", "", NAMES.replace(",", ";")], rows)


@export(PLAIN, "valve", "time")
def psql(folder: Path) -> Path:
    rows = [" " + " | ".join([f"{t:{ISO}}", *cells(k, *THREE)]) for k, t in enumerate(times())]
    return write(
        folder,
        "psql.txt",
        ["        time         | level | temp  | valve", "---------------------+-------+-------+-------"],
        [*rows, f"({ROWS} rows)", ""],
    )


@export(PLAIN, "valve", "time")
def mysql(folder: Path) -> Path:
    rule = "+---------------------+-------+-------+-------+"
    rows = ["| " + " | ".join([f"{t:{ISO}}", *cells(k, *THREE)]) + " |" for k, t in enumerate(times())]
    return write(
        folder,
        "mysql.txt",
        [rule, "| time | level | temp | valve |", rule],
        [*rows, rule, f"{ROWS} rows in set (0.01 sec)"],
    )


@export(PLAIN, "valve", "time")
def markdown(folder: Path) -> Path:
    rows = ["| " + " | ".join([f"{t:{ISO}}", *cells(k, *THREE)]) + " |" for k, t in enumerate(times())]
    return write(folder, "table.txt", ["| time | level | temp | valve |", "|---|---:|---:|---:|"], rows)


@export(PLAIN, "valve", "time")
def sqlcmd(folder: Path) -> Path:
    return write(
        folder,
        "sql.csv",
        [NAMES, "----,-----,----,-----"],
        [*body(ISO, *THREE), "", f"({ROWS} rows affected)"],
    )


@export(PLAIN, "valve", "time")
def sap_list(folder: Path) -> Path:
    rule = "-" * 60
    rows = [
        "|" + "|".join([f"{t:%d.%m.%Y %H:%M:%S}", *cells(k, *THREE, comma=True)]) + "|"
        for k, t in enumerate(times())
    ]
    return write(
        folder, "list.txt", ["Messwerte  Werk 0100", "", rule, "|time|level|temp|valve|", rule], [*rows, rule]
    )


@export(PLAIN, "valve", "time")
def summary_of_several_lines(folder: Path) -> Path:
    below = [
        "",
        "Min;0.9;30.1;2.0",
        "Max;2.9;42.0;98.0",
        "Mittelwert;1.5;36;45",
        "Gedruckt am 05.03.2024 von Meier",
    ]
    return write(folder, "sums.csv", [NAMES.replace(",", ";")], [*body(ISO, *THREE, sep=";"), *below])


@export(PLAIN, "valve", "time")
def end_of_a_dos_file(folder: Path) -> Path:
    path = write(folder, "dos.csv", [NAMES], body(ISO, *THREE))
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n") + b"\x1a")
    return path


@export(PLAIN, "valve", "time")
def marked_files_put_together(folder: Path) -> Path:
    rows = body(ISO, *THREE)
    rows[50:50] = ["\ufeff" + NAMES]
    return write(folder, "both.csv", ["\ufeff" + NAMES], rows)


@export(refused="holds binary data")
def zeros_where_power_failed(folder: Path) -> Path:
    rows = body(ISO, *THREE)
    rows[50:50] = ["\0" * 300]
    return write(folder, "power.csv", [NAMES], rows)


@export(refused="line 99 holds words .'pressure', 'flow', 'pump'.*another table")
def another_table_below(folder: Path) -> Path:
    below = ["", "time,pressure,flow,pump", *body(ISO, *THREE)[:40]]
    return write(folder, "two.csv", [NAMES], [*body(ISO, *THREE), *below])


@export("level [m]=level|temp [degC]=temp|valve [%]=valve", "valve [%]", "time")
def names_with_line_breaks(folder: Path) -> Path:
    return write(
        folder, "wrapped.csv", ['"time","level\n[m]","temp\n[degC]","valve\n[%]"'], body(ISO, *THREE)
    )


@export("101=level|102=temp|103=valve", "103", "time")
def names_that_are_numbers(folder: Path) -> Path:
    return write(folder, "numbers.csv", ["time,101,102,103"], body(ISO, *THREE))


@export("yes=level|null=temp|valve: ${x} #1=valve", "valve: ${x} #1", "time")
def names_that_yaml_knows(folder: Path) -> Path:
    return write(folder, "names.csv", ["time,yes,null,valve: ${x} #1"], body(ISO, *THREE))


@export("level.1=temp|level=level|valve=valve", "valve", "time")
def names_numbered_by_pandas(folder: Path) -> Path:
    return write(folder, "twice.csv", ["time,level,level.1,valve"], body(ISO, *THREE))


@export(PLAIN, "valve", "time", 1200.0, others=["lab"])
def a_laboratory_every_eight_hours(folder: Path) -> Path:
    rows = [
        row + (f",{S['temp'][k]}" if k % 24 == 5 else ",")
        for k, row in enumerate(body(ISO, *THREE, step=1200))
    ]
    return write(folder, "lab.csv", [NAMES + ",lab"], rows)


@export(refused="is a log of events.*even.csv")
def a_row_for_each_event(folder: Path) -> Path:
    rows = []
    for k, t in enumerate(times()):
        for place, name in enumerate(THREE):
            texts = ["", "", ""]
            texts[place] = f"{S[name][k]:g}"
            rows.append(",".join([f"{t + timedelta(seconds=11 * place + k % 7):{ISO}}", *texts]))
    return write(folder, "events.csv", [NAMES], rows)


@export(refused="is in long format.*Messstelle")
def long_in_german(folder: Path) -> Path:
    rows = [
        f"{t:%d.%m.%Y %H:%M};{name};{str(S[name][k]).replace('.', ',')};Gut"
        for k, t in enumerate(times())
        for name in THREE
    ]
    return write(folder, "werte.csv", ["Zeit;Messstelle;Wert;Status"], rows)


@export(refused="is in long format")
def long_in_french(folder: Path) -> Path:
    rows = [
        f"{t:%d/%m/%Y %H:%M};{name};{str(S[name][k]).replace('.', ',')}"
        for k, t in enumerate(times())
        for name in THREE
    ]
    return write(folder, "valeurs.csv", ["Horodatage;Variable;Valeur"], rows)


@export(refused="is in long format|first line holds")
def long_without_names(folder: Path) -> Path:
    rows = [f"{t:{ISO}},{name},{S[name][k]}" for k, t in enumerate(times()) for name in THREE]
    return write(folder, "bare.csv", [], rows)


@export(refused="is in long format")
def long_with_unit_and_quality(folder: Path) -> Path:
    rows = [f"{t:{ISO}},{name},{S[name][k]},m,Good,AHU,0" for k, t in enumerate(times()) for name in THREE]
    return write(folder, "points.csv", ["timestamp,point,value,unit,quality,group,flags"], rows)


@export(refused="is in long format")
def long_with_odd_names(folder: Path) -> Path:
    rows = [f"{t:{ISO}},{name},{S[name][k]}" for k, t in enumerate(times()) for name in THREE]
    return write(folder, "odd.csv", ["stamp,what,number"], rows)


@export(refused="files of type '.zip' cannot be read -> unpack it")
def zipped(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "logs.zip", "w") as file:
        file.writestr("logs.csv", "\n".join([NAMES, *body(ISO, *THREE)]))
    return folder / "logs.zip"


@export(refused="is a zip archive or a workbook")
def a_workbook_called_csv(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "x.zip", "w") as file:
        file.writestr("xl/workbook.xml", "<workbook/>")
    (folder / "x.zip").rename(folder / "logs.csv")
    return folder / "logs.csv"


@export(refused="is a gzip archive.*csv.gz")
def packed_but_called_csv(folder: Path) -> Path:
    import gzip

    (folder / "logs.csv").write_bytes(gzip.compress("\n".join([NAMES, *body(ISO, *THREE)]).encode()))
    return folder / "logs.csv"


@export("Level=level|Opening=valve", "Opening", "Date + Time")
def fixed_width(folder: Path) -> Path:
    rows = [
        f"{t:%d.%m.%Y}  {t:%H:%M:%S}   {S['level'][k]:8.3f}   {S['valve'][k]:8.2f}"
        for k, t in enumerate(times())
    ]
    return write(folder, "fixed.prn", ["Date        Time          Level     Opening"], rows)


@export(refused="scipy.io.arff")
def arff(folder: Path) -> Path:
    head = [
        "@relation tank",
        "@attribute level numeric",
        "@attribute temp numeric",
        "@attribute valve numeric",
        "@data",
    ]
    return write(folder, "tank.arff", head, [",".join(cells(k, *THREE)) for k in range(ROWS)])


@export(PLAIN, "valve", "time", others=["Schicht"])
def shifts(folder: Path) -> Path:
    rows = [row + f",{('Früh', 'Spät', 'Nacht')[k // 24 % 3]}" for k, row in enumerate(body(ISO, *THREE))]
    return write(folder, "shifts.csv", [NAMES + ",Schicht"], rows)


@export(PLAIN, "valve", "time", others=["parts"])
def a_count_of_parts(folder: Path) -> Path:
    rows = [row + f",{(k * 3) % 100}" for k, row in enumerate(body(ISO, *THREE))]
    return write(folder, "parts.csv", [NAMES + ",parts"], rows)


@export(PLAIN, "valve", "time")
def blank_line_after_each(folder: Path) -> Path:
    return write(folder, "double.csv", [NAMES, ""], [text for row in body(ISO, *THREE) for text in (row, "")])


@export(PLAIN, "valve", "time")
def tabs_and_commas(folder: Path) -> Path:
    rows = body("%d.%m.%Y %H:%M:%S", *THREE, sep="\t", comma=True)
    return write(folder, "unicode.txt", [NAMES.replace(",", "\t")], rows, "utf-16")


@export(PLAIN, "valve", "time")
def a_remark_in_quotes(folder: Path) -> Path:
    rows = [
        row + (',"pump, ""P1"" was\nchanged; ok"' if k == 30 else ",")
        for k, row in enumerate(body(ISO, *THREE))
    ]
    return write(folder, "remark.csv", [NAMES + ",remark"], rows)


@export(PLAIN, "valve", "time", 86400.0)
def days_as_columns_of_a_year(folder: Path) -> Path:
    return write(folder, "days.csv", [NAMES], body("%Y-%m-%d", *THREE, step=86400))


@export(refused="'time' and 'alarm time' have times of their own")
def side_by_side(folder: Path) -> Path:
    rows = [
        f"{t:{ISO}},{S['level'][k]},{S['valve'][k]},," + (f"{t:{ISO}},{k}" if k < 20 else ",")
        for k, t in enumerate(times())
    ]
    return write(folder, "side.csv", ["time,level,valve,,alarm time,alarm"], rows)
