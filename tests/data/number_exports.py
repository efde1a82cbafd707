"""Exports whose numbers and words are written as a country, a program or a sensor likes them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.data.exports import THREE, S, body, export, times, write

ISO = "%Y-%m-%d %H:%M:%S"
NAMES = "time,level,temp,valve"
PLAIN = "level=level|temp=temp|valve=valve"


def _rows(form: Callable[[float], str], sep: str = ",", *, clock: str = ISO) -> list[str]:
    """Rows in which the temperature is written in this form, the other numbers plainly."""
    return [
        sep.join([f"{t:{clock}}", f"{S['level'][k]:g}", form(S["temp"][k]), f"{S['valve'][k]:g}"])
        for k, t in enumerate(times())
    ]


def _number(
    name: str, form: Callable[[float], str], sep: str = ",", *, refused: str = "", encoding: str = "utf-8"
) -> None:
    def make(folder: Path) -> Path:
        return write(folder, "logs.csv", [NAMES.replace(",", sep)], _rows(form, sep), encoding)

    make.__name__ = name
    if refused:
        export(refused=refused)(make)
    else:
        export(PLAIN, "valve", "time")(make)


_number("fortran_exponents", lambda v: f"{v:.6E}".replace("E", "D"))
_number("exponents_with_a_blank", lambda v: f" {v:.6e}")
_number("percent_behind", lambda v: f"{v:g} %")
_number("percent_in_quotes", lambda v: f'"{v:g}%"')
_number("money_before", lambda v: f"${v:.2f}")
_number("money_in_brazil", lambda v: f"R$ {v:.2f}", ";")
_number("apostrophe_before_numbers", lambda v: f"'{v:g}")
_number("leading_noughts", lambda v: f"{v:010.3f}")
_number("nought_left_out", lambda v: f"{v:g}".lstrip("0"))
_number("plus_signs", lambda v: f"{v:+g}")
_number(
    "full_width_figures", lambda v: "".join(chr(ord(c) + 0xFEE0) if c.isdecimal() else c for c in f"{v:g}")
)
_number(
    "arabic_figures",
    lambda v: "".join(chr(ord(c) + 0x630) if c.isdecimal() else c for c in f"{v:g}".replace(".", "٫")),
)
_number("narrow_columns", lambda v: f"{v:g}" if v < 41.5 else "#####")
_number("below_detection", lambda v: f"{v:g}" if v > 40.5 else "<40.5", refused="'temp' holds text.*<40.5")
_number("flags_behind", lambda v: f"{v:g}" if v > 40.5 else f"{v:g}*", refused="'temp' holds text")
_number("two_units", lambda v: f"{v:g} mbar" if v > 41 else f"{v / 1000:g} bar", refused="'temp' holds text")
_number(
    "si_prefixes",
    lambda v: f"{v * 25:.4g}" if v < 40.5 else f"{v * 25 / 1000:.5g}k",
    refused="'temp' holds text",
)
_number(
    "decimal_marks_mixed",
    lambda v: f"{v:.2f}" if v > 41 else f"{v:.2f}".replace(".", ","),
    ";",
    refused="different decimal marks",
)


def _signed(name: str, form: Callable[[float], str], sep: str = ";", refused: str = "") -> None:
    """Values on both sides of 0: 41 is taken from the temperature, and the reader has to find that again."""

    def make(folder: Path) -> Path:
        rows = [
            sep.join([f"{t:{ISO}}", f"{S['level'][k]:g}", form(S["temp"][k] - 41), f"{S['valve'][k]:g}"])
            for k, t in enumerate(times())
        ]
        return write(folder, "signed.csv", [NAMES.replace(",", sep)], rows)

    make.__name__ = name
    if refused:
        export(refused=refused)(make)
    else:
        export("level=level|temp=temp-41|valve=valve", "valve", "time")(make)


_signed("true_minus_signs", lambda v: f"{v:.2f}".replace("-", "−"))
_signed("minus_behind", lambda v: f"{abs(v):.2f}{'-' if v < 0 else ''}")
_signed("minus_in_brackets", lambda v: f"({-v:.2f})" if v < 0 else f"{v:.2f}", refused="'temp' holds text")
_signed("minus_apart", lambda v: f"- {-v:.2f}" if v < 0 else f"{v:.2f}")


def _thousands(name: str, form: Callable[[float], str], sep: str = ";", encoding: str = "utf-8") -> None:
    def make(folder: Path) -> Path:
        rows = [
            sep.join(
                [
                    f"{t:{ISO}}",
                    form(S["level"][k] * 1e6),
                    f"{S['valve'][k]:.2f}".replace(".", "," if "," in form(1.5)[-3:] else "."),
                ]
            )
            for k, t in enumerate(times())
        ]
        return write(folder, "big.csv", [sep.join(["time", "flow", "valve"])], rows, encoding)

    make.__name__ = name
    export("flow=level*1e6|valve=valve", "valve", "time")(make)


def _grouped(value: float, mark: str, decimal: str = ".") -> str:
    whole, part = f"{value:,.2f}".split(".")
    return whole.replace(",", mark) + decimal + part


_thousands("thousands_in_french", lambda v: _grouped(v, "\u202f", ","))
_thousands("thousands_in_french_of_old", lambda v: _grouped(v, "\u00a0", ","), ";", "cp1252")
_thousands("thousands_in_brazil", lambda v: _grouped(v, ".", ","))
_thousands("thousands_in_switzerland", lambda v: _grouped(v, "'"))
_thousands("thousands_in_swiss_print", lambda v: _grouped(v, "’"))
_thousands("thousands_in_sweden", lambda v: _grouped(v, " ", ","))


def _lakhs(value: float) -> str:
    sign, (whole, part) = "-" if value < 0 else "", f"{abs(value):.2f}".split(".")
    head, tail = whole[:-3], whole[-3:]
    groups = [head[max(0, n - 2) : n] for n in range(len(head), 0, -2)][::-1]
    return sign + ",".join([*(g for g in groups if g), tail]) + "." + part


_thousands("thousands_in_india", _lakhs)

SWITCHES = {
    "french": ("Arrêt", "Marche"),
    "french_doors": ("Fermé", "Ouvert"),
    "french_truth": ("FAUX", "VRAI"),
    "spanish": ("Apagado", "Encendido"),
    "spanish_truth": ("Falso", "Verdadero"),
    "spanish_yes": ("No", "Sí"),
    "portuguese": ("Desligado", "Ligado"),
    "portuguese_yes": ("Não", "Sim"),
    "italian": ("Spento", "Acceso"),
    "swedish": ("Från", "Till"),
    "swedish_too": ("Av", "På"),
    "dutch": ("Uit", "Aan"),
    "german_doors": ("Geschlossen", "Offen"),
    "german_machine": ("Halt", "Lauf"),
    "polish": ("Nie", "Tak"),
    "russian": ("Выкл", "Вкл"),
    "chinese": ("停止", "运行"),
    "japanese": ("停止", "運転"),
    "japanese_too": ("オフ", "オン"),
}
for place, (off, on) in SWITCHES.items():

    def make_switch(folder: Path, off: str = off, on: str = on) -> Path:
        rows = [
            f"{t:{ISO}};{S['level'][k]};{on if S['valve'][k] > 45 else off}" for k, t in enumerate(times())
        ]
        return write(folder, "switch.csv", ["time;level;pump"], rows)

    make_switch.__name__ = f"switch_in_{place}"
    export("level=level|pump=valve>45", "pump", "time")(make_switch)


@export("level=level|Pumpe=valve>45", "Pumpe", "time")
def a_tick_where_it_ran(folder: Path) -> Path:
    rows = [f"{t:{ISO}};{S['level'][k]};{'x' if S['valve'][k] > 45 else ''}" for k, t in enumerate(times())]
    return write(folder, "ticks.csv", ["time;level;Pumpe"], rows)


def _sentinel(name: str, value: str) -> None:
    def make(folder: Path) -> Path:
        rows = body(ISO, *THREE)
        for k in (11, 12, 40, 71):
            rows[k] = ",".join([*rows[k].split(",")[:2], value, rows[k].split(",")[3]])
        return write(folder, "sentinel.csv", [NAMES], rows)

    make.__name__ = name
    export(PLAIN, "valve", "time")(make)


_sentinel("sentinel_of_well_logs", "-999.25")
_sentinel("sentinel_of_netcdf", "9.969209968386869e+36")
_sentinel("sentinel_of_16_bits", "-32768")
_sentinel("sentinel_of_unsigned_16_bits", "6553.5")
_sentinel("sentinel_of_a_probe_that_broke", "850")
_sentinel("sentinel_of_the_largest_float", "3.4028235e+38")
_sentinel("sentinel_of_nines", "99999")

FAULTS = {
    "wincc": "Schlecht",
    "delta_v": "Bad - NonSpecific",
    "phd": "Bad Tag",
    "french": "Erreur",
    "french_too": "Mauvais",
    "swedish": "Fel",
    "spanish": "Error de comunicación",
    "german": "Fehler",
    "german_too": "Ungültig",
    "arc": "Not Responding",
    "plc": "COMM_ERR",
    "dashes": "--.-",
    "dashes_too": "-.--",
    "sensor": "Open Circuit",
    "sensor_too": "Sensor Error",
    "pi_digital": "Calc Timeout",
    "pi_digital_too": "Shutdown",
    "na_in_french": "N/D",
    "undefined": "undefined",
}
for place, word in FAULTS.items():

    def make_fault(folder: Path, word: str = word) -> Path:
        rows = body(ISO, *THREE)
        for k in (11, 12, 40, 71):
            rows[k] = ",".join([*rows[k].split(",")[:2], word, rows[k].split(",")[3]])
        return write(folder, "fault.csv", [NAMES], rows)

    make_fault.__name__ = f"fault_word_{place}"
    export(PLAIN, "valve", "time")(make_fault)
