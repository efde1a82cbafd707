"""Exports whose times are written in ways that no standard knows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from tests.data.exports import ROWS, THREE, S, body, cells, export, times, write

NAMES = "time,level,temp,valve"
PLAIN = "level=level|temp=temp|valve=valve"
LOCAL = {
    "french": "janv. févr. mars avr. mai juin juil. août sept. oct. nov. déc.",
    "spanish": "ene feb mar abr may jun jul ago sep oct nov dic",
    "portuguese": "jan fev mar abr mai jun jul ago set out nov dez",
    "italian": "gen feb mar apr mag giu lug ago set ott nov dic",
    "dutch": "jan feb mrt apr mei jun jul aug sep okt nov dec",
    "swedish": "januari februari mars april maj juni juli augusti september oktober november december",
    "polish": "sty lut mar kwi maj cze lip sie wrz paź lis gru",
    "russian": "января февраля марта апреля мая июня июля августа сентября октября ноября декабря",
}


def stamped(folder: Path, form: Callable[[datetime], str], step: float = 60.0, sep: str = ",") -> Path:
    """A plain table with times in this form."""
    return write(folder, "logs.csv", [NAMES.replace(",", sep)], body(form, *THREE, step=step, sep=sep))


def _half(t: datetime, morning: str, evening: str) -> str:
    return f"{t.hour % 12 or 12}:{t:%M:%S} {morning if t.hour < 12 else evening}"


def _register(name: str, form: Callable[[datetime], str], step: float = 60.0, sep: str = ",") -> None:
    def make(folder: Path) -> Path:
        return stamped(folder, form, step, sep)

    make.__name__ = name
    export(PLAIN, "valve", "time", step)(make)


_DAY = 86400.0
for language, words in LOCAL.items():
    _register(
        f"months_in_{language}",
        lambda t, months=(*words.split(),): f"{t.day:02d} {months[t.month - 1]} {t.year} {t:%H:%M}",  # type: ignore[misc]  # noqa: B008
        3 * _DAY,
    )
_register(
    "months_in_french_with_marks",
    lambda t: f"{t.day}-{LOCAL['french'].split()[t.month - 1]}-{t:%y %H:%M:%S}",
    3 * _DAY,
)
_register("clock_in_spanish", lambda t: f"{t:%d/%m/%Y} {_half(t, 'a. m.', 'p. m.')}", 900)
_register(
    "clock_in_korean",
    lambda t: f"{t:%Y-%m-%d} {'오전' if t.hour < 12 else '오후'} {t.hour % 12 or 12}:{t:%M:%S}",
    900,
)
_register(
    "clock_in_chinese",
    lambda t: f"{t:%Y/%m/%d} {'上午' if t.hour < 12 else '下午'} {t.hour % 12 or 12}:{t:%M:%S}",
    900,
)
_register("clock_with_points", lambda t: f"{t:%d.%m.%Y %H.%M.%S}", 60, ";")
_register("clock_with_an_h", lambda t: f"{t:%d/%m/%Y %Hh%M}", 60)
_register("milliseconds_behind_a_colon", lambda t: f"{t:%Y-%m-%d %H:%M:%S}:{t.microsecond // 1000:03d}", 0.25)
_register(
    "milliseconds_behind_a_comma", lambda t: f"{t:%d.%m.%Y %H:%M:%S},{t.microsecond // 1000:03d}", 0.25, ";"
)
_register("java_with_a_zone", lambda t: f"{t:%Y-%m-%dT%H:%M:%S}+01:00[Europe/Berlin]")
_register("mail_header", lambda t: f"{t:%d %b %Y %H:%M:%S} +0100")
_register("web_server_log", lambda t: f"{t:%d/%b/%Y:%H:%M:%S} +0000")
_register("day_of_the_year_iso", lambda t: f"{t:%Y-%jT%H:%M:%S}")
_register("zone_of_summer", lambda t: f"{t:%d.%m.%Y %H:%M:%S} MEZ", 60, ";")
_register("utc_in_words", lambda t: f"{t:%Y-%m-%d %H:%M:%S} UTC")
_register("utc_and_offset", lambda t: f"{t:%Y-%m-%d %H:%M:%S} UTC+1")
_register("two_figures_year_first", lambda t: f"{t:%y/%m/%d %H:%M:%S}", 3 * _DAY)
_register("apostrophe_before", lambda t: f"'{t:%Y-%m-%d %H:%M:%S}")
_register("american_afternoon", lambda t: f"{t.month}/{t.day}/{t.year} {_half(t, 'AM', 'PM')}", 900)
_register("seconds_with_nine_digits", lambda t: f"{t:%Y-%m-%dT%H:%M:%S}.{t.microsecond:06d}000+00:00", 0.125)
_register("slash_between_day_and_clock", lambda t: f"{t:%Y/%m/%d-%H:%M:%S}")
_register("finnish_at", lambda t: f"{t.day}.{t.month}.{t.year} klo {t:%H.%M}", 60, ";")
_register("german_uhr", lambda t: f"{t:%d.%m.%Y, %H:%M} Uhr", 60, ";")


@export(PLAIN, "valve", "time", 1 / 1440)
def spreadsheet_days(folder: Path) -> Path:
    return stamped(
        folder, lambda t: f"{45355 + (t - datetime(2024, 3, 4, tzinfo=t.tzinfo)).total_seconds() / 86400:.9f}"
    )


@export(PLAIN, "valve", "time", 6e10)
def epoch_in_nanoseconds(folder: Path) -> Path:
    return stamped(folder, lambda t: f"{int(t.timestamp())}000000000")


@export(PLAIN, "valve", "%time", 6e10)
def robot_topic(folder: Path) -> Path:
    rows = body(lambda t: f"{int(t.timestamp())}000000000", *THREE)
    return write(folder, "topic.csv", ["%time,level,temp,valve"], rows)


@export(PLAIN, "valve", "Timestamp", 60.0)
def residence_time_first(folder: Path) -> Path:
    rows = [
        f"{S['level'][k]},{t:%Y-%m-%d %H:%M:%S}," + ",".join(cells(k, "temp", "valve"))
        for k, t in enumerate(times())
    ]
    return write(folder, "res.csv", ["level,Timestamp,temp,valve"], rows)


@export("Residence time [min]=level|temp=temp|valve=valve", "valve", "Timestamp", 60.0)
def a_quantity_called_time(folder: Path) -> Path:
    rows = [
        f"{S['level'][k]},{t:%Y-%m-%d %H:%M:%S}," + ",".join(cells(k, "temp", "valve"))
        for k, t in enumerate(times())
    ]
    return write(folder, "res.csv", ["Residence time [min],Timestamp,temp,valve"], rows)


@export(PLAIN, "valve", "UTC", 900.0)
def utc_beside_local_time(folder: Path) -> Path:
    rows = []
    for k in range(ROWS):
        utc = datetime(2024, 10, 26, 20) + timedelta(minutes=15 * k)
        local = utc + timedelta(hours=2 if utc < datetime(2024, 10, 27, 1) else 1)
        rows.append(f"{local:%Y-%m-%d %H:%M},{utc:%Y-%m-%d %H:%M}," + ",".join(cells(k, *THREE)))
    return write(folder, "two.csv", ["Local time,UTC,level,temp,valve"], rows)


@export(PLAIN, "valve", "time", 900.0)
def summer_to_winter_with_words(folder: Path) -> Path:
    rows = []
    for k in range(ROWS):
        utc = datetime(2024, 10, 26, 20) + timedelta(minutes=15 * k)
        summer = utc < datetime(2024, 10, 27, 1)
        local = utc + timedelta(hours=2 if summer else 1)
        rows.append(f"{local:%d.%m.%Y %H:%M} {'CEST' if summer else 'CET'};" + ";".join(cells(k, *THREE)))
    return write(folder, "clock.csv", [NAMES.replace(",", ";")], rows)


@export(refused="the time of another row")
def ten_rows_a_second(folder: Path) -> Path:
    return stamped(folder, lambda t: f"{t:%Y-%m-%d %H:%M:%S}", 0.1)


@export(refused="lies on its side")
def times_across(folder: Path) -> Path:
    head = "Tag," + ",".join(f"{t:%Y-%m-%d %H:%M}" for t in times())
    rows = [f"{name}," + ",".join(f"{v:g}" for v in S[name]) for name in THREE]
    return write(folder, "across.csv", [head], rows)


@export(refused="have times of their own")
def a_time_beside_each_tag(folder: Path) -> Path:
    rows = [
        f"{t:%Y-%m-%d %H:%M:%S},{S['level'][k]},{t + timedelta(seconds=7 * k):%Y-%m-%d %H:%M:%S},{S['valve'][k]}"
        for k, t in enumerate(times())
    ]
    return write(folder, "trend.csv", ["LIC101 Time,LIC101 Value,LV101 Time,LV101 Value"], rows)


@export("LIC101 Value=level|LV101 Value=valve", "LV101 Value", "LIC101 Time")
def the_same_time_beside_each_tag(folder: Path) -> Path:
    rows = [
        f"{t:%Y-%m-%d %H:%M:%S},{S['level'][k]},{t:%Y-%m-%d %H:%M:%S},{S['valve'][k]}"
        for k, t in enumerate(times())
    ]
    return write(folder, "trend.csv", ["LIC101 Time,LIC101 Value,LV101 Time,LV101 Value"], rows)


@export(refused="'time' is missing in row 40")
def blank_times(folder: Path) -> Path:
    rows = body("%Y-%m-%d %H:%M:%S", *THREE)
    rows[40] = "," + rows[40].split(",", 1)[1]
    return write(folder, "blank.csv", [NAMES], rows)
