"""What a cell of a table can say: a number, a missing value, a switch position, a time, or a word."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Final

from revive.data.readers.spelling import respelt


def vocabulary(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


MISSING: Final = vocabulary("""
    na n/a n.a. #n/a #na nan -nan 1.#qnan -1.#qnan 1.#ind -1.#ind -nan(ind) null none nil nil. missing void
    - -- --- . ? * bad unavailable unknown #value! #ref! #div/0! #num! #name? #null! #error #wert! #bezug! #nv
    (null) <null> [null] \\n n.d. n/d nodata no_data novalue no_value 无 无数据 undefined undef unknown nodato
    k.a. k.w. s/d sd n/c nc b.d.
    """) | {
    "",
    "no data",
    "no value",
    "not available",
    "i/o timeout",
    "#n/a n/a",
    "bad input",
    "bad quality",
    "kein wert",
    "keine daten",
    "pas de données",
    "sin datos",
    "sem dados",
    "ingen data",
}
"""Lower-case words for "no value was logged", as historians, spreadsheets and programs write them."""

FAULTS: Final = vocabulary(
    """
    invalid uncertain questionable offline off-line timeout error failed fault configure out failure
    over under over+ under- -over +over overflow underflow overload ovf ol o.l burnout b.out abnormal illegal unreliable
    disconnected masked skip m err shutdown snapfix doubtful erreur défaut mauvais mauvaise panne invalide fehler
    fehlerhaft schlecht ungültig störung gestört fel felaktig dålig fallo malo mala erro ruim falha inválido errore
    guasto fout storing ошибка 坏值 无效 异常 故障
    """
) | {
    "bad value",
    "calc failed",
    "comm fail",
    "comm failure",
    "intf shut",
    "no good data",
    "no good data for calculation",
    "no result",
    "no sample",
    "not connect",
    "not connected",
    "out of serv",
    "out of service",
    "over range",
    "pt created",
    "scan off",
    "scan timeout",
    "sensor fault",
    "tag not found",
    "under range",
    "arc off-line",
    "filter exp",
    "inp outrange",
    "wrong type",
    "not collected",
    "set to bad",
    "short circuit",
    "open circuit",
    "open loop",
    "wire break",
    "drahtbruch",
}
"""Lower-case words that stand for a missing number; in a column of words they are states like any other."""

_FAULTY: Final = re.compile(
    r"(?:bad|comm|calc|sensor|error|err|fault|invalid|erreur|fehler|fel|defaut|défaut)\b(?!.*\b(?:ok|good)\b).*"
    r"|.*\b(?:error|err|fault|fail|failed|failure|timeout|timed out|not responding|not available|no response"
    r"|erreur|fehler|störung|fallo|falha|errore|comunicación)"
    r"|#+|\*+|\?+|[-.]*-[-.]*\.?[-.]*"
)
"""What programs make of such words, a cell that is too narrow, and a display without a value; in small letters."""

PAIRS: Final = tuple(
    (off, on)
    for pairs in [
        "off/on",
        "no/yes",
        "false/true",
        "n/y",
        "f/t",
        "closed/open",
        "close/open",
        "closed/opened",
        "stop/start",
        "stopped/running",
        "stop/run",
        "idle/running",
        "inactive/active",
        "disabled/enabled",
        "low/high",
        "stopped/started",
        "de-energized/energized",
        "aus/ein",
        "aus/an",
        "nein/ja",
        "falsch/wahr",
        "zu/auf",
        "geschlossen/offen",
        "geschlossen/geöffnet",
        "halt/lauf",
        "gestoppt/läuft",
        "inaktiv/aktiv",
        "arrêt/marche",
        "arret/marche",
        "arrêté/marche",
        "fermé/ouvert",
        "fermée/ouverte",
        "faux/vrai",
        "non/oui",
        "inactif/actif",
        "éteint/allumé",
        "apagado/encendido",
        "cerrado/abierto",
        "cerrada/abierta",
        "falso/verdadero",
        "no/sí",
        "no/si",
        "parado/marcha",
        "inactivo/activo",
        "desligado/ligado",
        "desligada/ligada",
        "não/sim",
        "nao/sim",
        "fechado/aberto",
        "fechada/aberta",
        "parado/rodando",
        "inativo/ativo",
        "spento/acceso",
        "spenta/accesa",
        "chiuso/aperto",
        "chiusa/aperta",
        "no/sì",
        "fermo/marcia",
        "från/till",
        "av/på",
        "nej/ja",
        "falskt/sant",
        "stängd/öppen",
        "stängt/öppet",
        "stopp/drift",
        "slukket/tændt",
        "lukket/åben",
        "uit/aan",
        "nee/ja",
        "onwaar/waar",
        "dicht/open",
        "gesloten/open",
        "nie/tak",
        "fałsz/prawda",
        "wył/wł",
        "wyłączony/włączony",
        "zamknięty/otwarty",
        "vypnuto/zapnuto",
        "ne/ano",
        "ei/kyllä",
        "pois/päällä",
        "kapalı/açık",
        "hayır/evet",
        "выкл/вкл",
        "нет/да",
        "закрыт/открыт",
        "стоп/пуск",
        "ложь/истина",
        "关/开",
        "否/是",
        "停止/运行",
        "停机/运行",
        "停止/启动",
        "关闭/打开",
        "关闭/开启",
        "停止/運転",
        "オフ/オン",
        "閉/開",
        "切/入",
        "꺼짐/켜짐",
        "정지/운전",
    ]
    for off, on in [pairs.split("/")]
)
"""Words for 0 and 1."""

_DECIMALS: Final = r"(?:\d+(?:[.,]\d*)?|[.,]\d+)"
_GROUPED: Final = (  # in India the groups before the last one have two figures
    r"\d{1,3}(?:(?P<mark>[., '’\u00a0\u202f\u2009])\d{3})(?:(?P=mark)\d{3})*(?:[.,]\d+)?"
    r"|\d{1,2}(?:,\d{2})+,\d{3}(?:\.\d+)?"
)
_NUMBER: Final = re.compile(rf"[+-]?(?:{_GROUPED}|{_DECIMALS}(?:[eE][+-]?\d+)?|inf(?:inity)?)$", re.I)
_UNIT: Final = r"[^\W\d_]{1,4}(?:[/*·^][\w³²]{1,5})*|[%‰°µΩ$€][\w/³²]{0,6}"
_WITH_UNIT: Final = re.compile(
    rf"(?P<number>[+-]?[\d.,](?:[\d.,eE+ '’\u00a0\u202f\u2009-]*[\d.,])?)\s*(?P<unit>{_UNIT})$"
)
_UNITS: Final = vocabulary(
    """
    % ‰ c °c degc deg_c f °f degf k s sec second seconds min mins h hr hrs hour hours d ms us m mm cm km m2 m² m3 m³ l
    ml hl g mg kg t lb lbs ft in gal bar mbar barg bara pa kpa mpa hpa psi psig psia atm torr mmhg w kw mw gw kwh mwh
    wh j kj mj gj v mv kv a ma ka ohm ω hz khz mhz rpm u/min 1/min r/min ppm ppb ph mol mmol mmol/l mg/dl g/l kg/h kg/s
    t/h m3/h m³/h nm3/h m3/s l/h l/min l/s ml/min m/s km/h mm/s nm n kn kvar kvarh kva var lx lux db us/cm µs/cm ntu usd
    eur deg ° rad u iu u/h [-] - --
    """
)
UNITS: Final = vocabulary(
    "unit units uom einheit einheiten unité unite unidad unità unita enhet eenheid 单位 単位"
)
"""What a column of units is called."""

_SIMPLE: Final = re.compile(r"-?\d+(?:\.\d+)?$")  # most cells, which need no other look
_CODED: Final = re.compile(r"\[-?\d+\] \D")  # a historian's number of a fault, and its text
_HEX: Final = re.compile(r"0[xX][0-9a-fA-F]{1,16}$")
_BRACKETED: Final = re.compile(r"[\[(<{].{0,12}[\])>}]$")
_TICKS: Final = frozenset("x✓✔✗•●")
_LIKE_NUMBER: Final = re.compile(
    r"[<>≤≥=~≈^±(\[]{0,3}\s*[+-]?[\d.,]*\d[\d.,]*(?:[eE][+-]?\d+)?\s*[*?!)\]#†~±^]{0,3}$"
)
_NAME_UNIT: Final = re.compile(r"(?P<name>.*\S)\s*[\[(](?P<unit>[^\[\]()]{1,12})[\])]\s*$")


def plain(cell: str) -> str:
    """A cell without blanks around it or the `="..."` that keeps spreadsheets from guessing; numbers as usual."""
    cell = cell.strip()
    if _SIMPLE.match(cell):
        return cell
    if cell.startswith("="):
        cell = cell[1:].strip()
        if len(cell) > 1 and cell[0] == cell[-1] == '"':
            cell = cell[1:-1].strip()
    return respelt(cell)


def is_missing(cell: str, more: Collection[str] = (), number: bool = False) -> bool:
    """Whether a plain cell says that there is no value, where a `number` is expected or anything.

    more: words that mean it too.
    """
    lower = cell.lower()
    if lower in MISSING or cell in more:
        return True
    return number and (
        lower in FAULTS or bool(_CODED.match(cell) or _FAULTY.fullmatch(lower.replace("_", " ")))
    )


def is_number(cell: str) -> bool:
    """Whether a plain cell is a number under some decimal and thousands mark."""
    return _SIMPLE.match(cell) is not None or _NUMBER.match(cell) is not None or _HEX.match(cell) is not None


def is_like_number(cell: str) -> bool:
    """Whether a plain cell is a number with signs around it that nobody can be sure of: `<0.05`, `23.4*`."""
    return _LIKE_NUMBER.match(cell) is not None


def is_tick(word: str) -> bool:
    """Whether a word only marks the rows in which something was on."""
    return word.lower() in _TICKS


def with_unit(cell: str) -> tuple[str, str] | None:
    """The number and the unit behind it, or None for a cell that is not made of both."""
    found = _WITH_UNIT.match(cell)
    return (found["number"], found["unit"]) if found and is_number(found["number"]) else None


def is_unit(cell: str) -> bool:
    """Whether a cell of a header reads like a unit."""
    return cell.lower().strip("[]() ") in _UNITS or _BRACKETED.match(cell) is not None


def unit_in_name(name: str) -> str:
    """The unit that a column's name ends in: `T [degC]`, `level (%)`; empty where there is none."""
    found = _NAME_UNIT.match(name)
    return found["unit"].strip() if found else ""


def pair_of(words: Iterable[str]) -> tuple[str, str] | None:
    """The pair of switch positions that all `words` (lower case) belong to, or None."""
    seen = {*words}
    return next((pair for pair in PAIRS if seen and seen <= {*pair}), None)
