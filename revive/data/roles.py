"""What the name of a column or an array says that it is for."""

from __future__ import annotations

import re
from enum import StrEnum
from functools import cache
from typing import Final


class Role(StrEnum):
    """What a column is for."""

    ACTION = "action"
    STATE = "state"
    OUTSIDE = "exogenous"
    TIME = "time"
    TRAJECTORY = "trajectory"
    DONE = "done"
    REWARD = "reward"
    LABEL = "label"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_TIMES: Final = _words("time timestamp date datetime zeit datum uhrzeit epoch millis micros uptime")
_OWNERS: Final = _words(
    "traj trajectory episode run trial machine unit batch lot cycle patient subject engine device vehicle campaign "
    "experiment session simulation rollout charge"
)
_NUMBERED: Final = _words("id no nr num number name idx index key")
_DONE: Final = _words("done dones terminal terminals terminated termination terminations")
_CUT: Final = _words("timeout timeouts truncated truncation truncations")
_REWARDS: Final = _words("rew rewards reward return returns")
_LABELS: Final = _words(
    "anomaly anomalies changepoint changepoints label labels outlier outliers fault faults"
)
_COMMANDS: Final = _words(
    "act action actions control controls controller cmd command commands input torque u op mv xmv manipulated pwm duty"
)
_ACTUATORS: Final = _words(
    "valve valves heater heaters heating pump pumps damper dampers insulin bolus basal power fan throttle actuator "
    "gate dosing dose compressor blower agitator stirrer stirr chiller burner pitch igv vanes vfd louver blind blinds "
    "shutter discount promo promotion "
    "ventil pumpe heizung klappe lüfter stellgrad ventilstellung stellwert stellgröße verdichter kompressor gebläse "
    "rührer brenner stufe jalousie fällmittel flockungsmittel dosierung dosiermenge raam brander "
    "vanne pompe chauffage volet ventilateur consigne válvula valvula bomba calefactor compuerta ventilador "
    "aquecedor valvola pompa riscaldatore pump fläkt värmare spjäll klep verwarming pomp zawór pompa клапан насос"
)
_SETPOINTS: Final = _words("set setpoint setpoints sp soll sollwert reference börvärde punto setpunkt")
_MEASURED: Final = _words(
    "temp temperature temperatur pressure druck level flow current voltage measured measurement actual ist pv feedback "
    "fb position pos speed rpm status state vibration humidity consumption energy ph concentration density "
    "usage hours sales"
)
_TOLD_BY_SPEED: Final = _words(
    "speed rpm drehzahl"
)  # of a pump, a fan or a compressor: more often set than measured
_DRAWN: Final = _words("power")  # what an actuator takes, where another one is named
_DISTURBANCES: Final = _words(
    "outdoor outside ambient weather disturbance disturbances demand price forecast wind solar irradiance rain meal "
    "meals carbs cho occupancy door exogenous external amb oat ghi dni dhi irradiation precipitation buiten"
)
_CALENDAR: Final = _words(
    "hour weekday weekend month week season holiday holidays dow doy shift stunde wochentag wochenende feiertag monat "
    "woche schicht heure mois semaine jour hora mes semana maand daytype dayofweek hourofday dayofyear"
)
_OF_THE_CALENDAR: Final = _words(
    "day of type is the year number no nr daylight savings saving status working"
)
_ON_DUTY: Final = _words("operator operators bediener schicht crew")
_COMPOUND_OUTSIDE: Final = (  # words that are joined: Aussentemperatur, windspeed
    *(
        "aussen",
        "außen",
        "umgebung",
        "buiten",
        "wind",
        "solar",
        "irradi",
        "outdoor",
        "outside",
        "ambient",
        "weather",
    ),
    *("holiday", "weekday"),
)
_COMPOUND_ACTUATORS: Final = ("ventil", "pumpe", "heizung", "klappe", "brenner")  # ... and Gasventil
_COUNTERS: Final = _words(
    "step steps minute minutes min second seconds sec cycle cycles tick ticks sample count counter frame elapsed index "
    "t time timestep timesteps timestamp k n"
)
PERCENT: Final = "a unit of [%]"
_CODES: Final = _words(
    "mode modes state status statuscode code codes type product recipe grade program programme programm betriebsart "
    "zustand modus produkt rezept sorte estado modo état statut tipo produto receta recette tillstånd läge"
)
_AMOUNTS: Final = _words(
    "biomass biomasse mass weight masse gewicht volume volumen concentration concentrations conc konzentration "
    "substrate glucose glukose ethanol lactate ammonium nitrate phosphate population cells inventory stock bestand "
    "count orders humidity feuchte turbidity tds cod bod doc yield"
)
_AMOUNT_UNITS: Final = _words(
    "g/l mg/l µg/l kg/m3 kg/m³ g/m3 g/m³ mg/m3 mg/m³ mol/l mmol/l mg/dl cells/ml kg g mg t lb l ml hl m3 m³ ppm ppb "
    "%rh rh ntu"
)
_OUTPUT: Final = re.compile(
    r"[./](?:OUT|CO|Out)(?:\.(?:CV|Value|PV|F_CV))?$"
)  # of a controller: FIC-101/PID1/OUT.CV
_UNIT: Final = re.compile(r"(?<=[^\s])\s*[\[({]([^\])}]*)[\])}]\s*$")
_CAMEL: Final = re.compile(r"(?<=[a-z0-9ß-ÿ])(?=[A-Z])")


@cache
def tokens(name: str) -> tuple[str, ...]:
    """The words and numbers of a name, in small letters, without a unit in brackets."""
    plain = _CAMEL.sub(" ", _UNIT.sub("", name))
    return tuple(word.lower() for word in re.findall(r"[^\W\d_]+|\d+", plain))


def unit_of(name: str) -> str | None:
    """The unit that stands in brackets behind a name."""
    found = _UNIT.search(name)
    return found[1].strip() if found else None


def role_by_name(name: str) -> Role | None:
    """What a name says by itself, but for actions; None where it says nothing."""
    said = tokens(name)
    words = {word for word in said if not word.isdecimal()}
    if not words:
        return None
    ending = words & (_DONE | _CUT) and words <= _DONE | _CUT | {"is", "flag", "episode"}
    if ending or said in (("time", "out"), ("time", "outs")):
        return Role.DONE
    if words & _REWARDS and len(words) <= 2:
        return Role.REWARD
    if words & _LABELS or said in (("change", "point"), ("change", "points")):
        return Role.LABEL
    if said[-1] in ("id", "uuid") or (
        words & _OWNERS and words <= _OWNERS | _NUMBERED and said[0] != "number"
    ):
        return Role.TRAJECTORY
    if is_time(name):
        return Role.TIME
    outside = (
        words & _DISTURBANCES
        or any(word.startswith(_COMPOUND_OUTSIDE) for word in words)
        or _of_calendar(words)
    )
    return Role.OUTSIDE if outside or (words & _ON_DUTY and words <= _ON_DUTY | _NUMBERED) else None


def _of_calendar(words: set[str]) -> bool:
    """Whether they name an hour, a day of the week, a holiday: the calendar decides it, whatever the plant does."""
    days = {"day", "of"} <= words or {"day", "type"} <= words or {"daylight"} <= words
    return bool(words & _CALENDAR or days) and words <= _CALENDAR | _OF_THE_CALENDAR


def is_time(name: str) -> bool:
    """Whether a name reads like that of a time; a bare capital T is a temperature."""
    said = tokens(name)
    return name.strip() == "t" or bool(said and (said[0] in _TIMES or said[-1] in _TIMES) and len(said) <= 3)


def actions_among(names: list[str]) -> dict[str, str]:
    """Which of these columns read like what somebody sets, each with what says so.

    Commands count first; then actuators, but for one that a command names too (its position, as measured), and for
    the power that others draw; the speed of an actuator counts where there is neither, then set points, then a unit
    of [%], then a price, where nothing else says anything.
    """
    commands = {name: word for name in names if (word := _command(name))}
    led = {word for name in commands for word in tokens(name)}
    found = {name: f"'{word}' in its name" for name, word in commands.items()}
    acting = {name: _acting(name) for name in names if name not in found and role_by_name(name) is None}
    acting = {name: words for name, words in acting.items() if words and not words & led}
    plain = {name: words for name, words in acting.items() if not {*tokens(name)} & (_MEASURED - words)}
    strong = found or any(words - _DRAWN for words in plain.values())
    plain = {name: words for name, words in plain.items() if not strong or words - _DRAWN}
    found |= {name: f"'{sorted(words)[0]}' in its name" for name, words in plain.items()}
    if not found:
        turning = {n: words for n, words in acting.items() if {*tokens(n)} & _MEASURED <= _TOLD_BY_SPEED}
        found = {name: f"the speed of a '{sorted(words)[0]}'" for name, words in turning.items()}
    if not found:
        found = {n: "a set point by its name" for n in names if {*tokens(n)} & _SETPOINTS}
    if not found:
        found = {n: PERCENT for n in names if unit_of(n) == "%" and not {*tokens(n)} & _MEASURED}
    if not found:
        found = {
            n: "a price, where nothing else is set"
            for n in names
            if {*tokens(n)} & {"price", "preis", "prix"}
        }
    return found


def is_counter(name: str) -> bool:
    """Whether a name reads like that of a count of steps or of time passed."""
    return bool({*tokens(name)} & _COUNTERS)


def is_code(name: str) -> bool:
    """Whether the numbers of a column of this name stand for states, as 0, 1 and 4 of a mode do."""
    said = tokens(name)
    return bool({*said} & _CODES) and not any(word.isdecimal() for word in said)


def is_amount(name: str, unit: str) -> bool:
    """Whether there can be no less than nothing of what a column holds, by its name or its unit."""
    return bool({*tokens(name)} & _AMOUNTS) or unit.lower() in _AMOUNT_UNITS


def is_setpoint(name: str) -> bool:
    """Whether a name reads like a set point."""
    return bool({*tokens(name)} & _SETPOINTS)


def likely_last(names: list[str]) -> str:
    """The last of these columns that reads neither like a measurement nor like the weather; the last, if all do."""
    free = [n for n in names if role_by_name(n) is None and not {*tokens(n)} & _MEASURED]
    return (free or names)[-1]


def _acting(name: str) -> set[str]:
    """The words of a name that are actuators."""
    words = {*tokens(name)}
    return (words & _ACTUATORS) or {word for word in words if word.endswith(_COMPOUND_ACTUATORS)}


def _command(name: str) -> str | None:
    if _OUTPUT.search(_UNIT.sub("", name)):
        return "OUT"
    said = tokens(name)
    words = [word for word in said if word in _COMMANDS]
    if words and {*said} & _ACTUATORS and {*said} & {"feedback", "fb", "actual", "measured"}:
        return None
    short = [word for word in words if word in ("u", "op", "mv")]
    if words and len(short) == len(words):  # two letters mean it only at an end of the name
        words = [
            word for word in short if word in (said[0], said[-1]) or (len(said) > 1 and said[-2] == word)
        ]
    return words[0] if words else None
