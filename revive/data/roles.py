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


_TIMES: Final = _words("time timestamp date datetime zeit datum uhrzeit epoch")
_OWNERS: Final = _words(
    "traj trajectory episode run trial machine unit batch lot cycle patient subject engine device vehicle campaign "
    "experiment session simulation rollout charge"
)
_NUMBERED: Final = _words("id no nr num number name idx key")
_DONE: Final = _words("done dones terminal terminals terminated termination terminations")
_CUT: Final = _words("timeout timeouts truncated truncation truncations")
_REWARDS: Final = _words("rew rewards reward return returns")
_LABELS: Final = _words(
    "anomaly anomalies changepoint changepoints label labels outlier outliers fault faults"
)
_COMMANDS: Final = _words(
    "act action actions control controls controller cmd command commands input torque u op mv"
)
_ACTUATORS: Final = _words(
    "valve valves heater heaters heating pump pumps damper dampers insulin bolus basal power fan throttle actuator "
    "gate dosing dose ventil pumpe heizung klappe lüfter stellgrad ventilstellung stellwert stellgröße "
    "vanne pompe chauffage volet ventilateur consigne válvula valvula bomba calefactor compuerta ventilador "
    "aquecedor valvola pompa riscaldatore pump fläkt värmare spjäll klep verwarming pomp zawór pompa клапан насос"
)
_SETPOINTS: Final = _words("set setpoint setpoints sp soll sollwert reference börvärde punto setpunkt")
_MEASURED: Final = _words(
    "temp temperature temperatur pressure druck level flow current voltage measured measurement actual ist pv feedback "
    "fb position pos speed rpm status state vibration humidity consumption energy ph concentration density "
    "usage hours"
)
_DISTURBANCES: Final = _words(
    "outdoor outside ambient weather disturbance disturbances demand price forecast wind solar irradiance rain meal "
    "meals carbs cho occupancy door exogenous external"
)
_ON_DUTY: Final = _words("operator operators bediener schicht crew")
_COMPOUND_OUTSIDE: Final = ("aussen", "außen", "umgebung")  # German joins words: Aussentemperatur
_COMPOUND_ACTUATORS: Final = ("ventil", "pumpe", "heizung", "klappe", "brenner")  # ... and Gasventil
_COUNTERS: Final = _words(
    "step steps minute minutes min second seconds sec cycle cycles tick ticks sample count counter frame elapsed index "
    "t time timestep timesteps timestamp k n"
)
PERCENT: Final = "a unit of [%]"
_UNIT: Final = re.compile(r"\s*[\[({]([^\])}]*)[\])}]\s*$")
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
    outside = words & _DISTURBANCES or any(word.startswith(_COMPOUND_OUTSIDE) for word in words)
    return Role.OUTSIDE if outside or (words & _ON_DUTY and words <= _ON_DUTY | _NUMBERED) else None


def is_time(name: str) -> bool:
    """Whether a name reads like that of a time; a bare capital T is a temperature."""
    said = tokens(name)
    return name.strip() == "t" or bool(said and (said[0] in _TIMES or said[-1] in _TIMES) and len(said) <= 3)


def actions_among(names: list[str]) -> dict[str, str]:
    """Which of these columns read like what somebody sets, each with what says so.

    Commands count first; then actuators, but for one that a command names too (its position, as measured); set
    points count where there is neither, and a unit of [%] where nothing else says anything.
    """
    commands = {name: word for name in names if (word := _command(name))}
    led = {word for name in commands for word in tokens(name)}
    found = {name: f"'{word}' in its name" for name, word in commands.items()}
    for name in names:
        words = {*tokens(name)}
        acting = words & _ACTUATORS or {word for word in words if word.endswith(_COMPOUND_ACTUATORS)}
        if (
            name not in found
            and acting
            and not words & _MEASURED
            and not words & _DISTURBANCES
            and not acting & led
        ):
            found[name] = f"'{sorted(acting)[0]}' in its name"
    if not found:
        found = {n: "a set point by its name" for n in names if {*tokens(n)} & _SETPOINTS}
    if not found:
        found = {n: PERCENT for n in names if unit_of(n) == "%" and not {*tokens(n)} & _MEASURED}
    return found


def is_counter(name: str) -> bool:
    """Whether a name reads like that of a count of steps or of time passed."""
    return bool({*tokens(name)} & _COUNTERS)


def is_setpoint(name: str) -> bool:
    """Whether a name reads like a set point."""
    return bool({*tokens(name)} & _SETPOINTS)


def _command(name: str) -> str | None:
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
