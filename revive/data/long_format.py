"""Tables with a row for each time and quantity, as historians and home automation export them: named, not read."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from revive.data.readers.container import NUMBER, WORD, Container
from revive.data.readers.loading import load_within
from revive.data.readers.options import ReadOptions
from revive.data.readers.tables import TableFiles
from revive.data.readers.words import UNITS, vocabulary
from revive.data.roles import role_by_name, tokens
from revive.errors import Problem, Problems, UserError, first_few

_TAGS: Final = vocabulary("""
    tag tagname tags name variable sensor point entity signal parameter item channel quantity source series field metric
    itemid nodeid messstelle messgröße kanal variablenname bezeichnung grandeur mesure capteur repère étiquette
    etiqueta variavel variável señal sensor punto variabele givare mätpunkt grandezza segnale varname
    """)
_FLUX: Final = frozenset(["_time", "_value", "_field"])  # of InfluxDB, beside constants
_VALUES: Final = frozenset(
    [
        "value",
        "val",
        "values",
        "wert",
        "messwert",
        "state",
        "reading",
        "measurement",
        "valeur",
        "valor",
        "valore",
        "värde",
        "waarde",
        "varvalue",
    ]
)
_TIMES: Final = frozenset(
    [
        "time",
        "timestamp",
        "date",
        "datetime",
        "changed",
        "updated",
        "ts",
        "zeit",
        "when",
        "horodatage",
        "fecha",
        "tid",
    ]
)
_MOST: Final = 10  # columns of such a table
_FEW: Final = 6  # columns up to which names alone tell it
_SHARED: Final = 0.75  # share of different times up to which rows of several quantities share them
_REPEATED: Final = 5  # rows for each tag, on average


def refuse_long_format(container: Container, path: Path) -> None:
    """Raises UserError, with the lines that pivot it, where a table holds a row for each (time, tag)."""
    infos = container.infos
    if not container.is_table or not (3 <= len(infos) <= _MOST or {*infos} >= _FLUX):
        return
    tag = _first(container, _TAGS, ("text",))
    value = _first(container, _VALUES, ("numbers", "text"))
    time = _first(container, _TIMES, ("dates",)) or _first(container, _TIMES, ("numbers", "text"))
    if tag is None or value is None:
        tag, value, time = _by_content(container)
    if tag is None or value is None or time is None or len({tag, value, time}) < 3:
        return
    loaded = load_within(container, {}, {f"{WORD}{tag}": tag}, ReadOptions(), Problems())
    codes, words = loaded.labels[f"{WORD}{tag}"], {code: word for word, code in loaded.words.items()}
    tags = [str(words[code]) for code in np.unique(codes).tolist() if words[code] is not None]
    if len(tags) < 2 or len(codes) < _REPEATED * len(tags):
        return
    told = _is_called(tag, _TAGS) and (len(infos) <= _FEW or _has_units(container))
    if not told and not _times_repeat(container, time):
        return
    what = f"is in long format: a row for each '{time}' and '{tag}', with its '{value}' "
    what += f"({len(tags)} quantities: {first_few(tags, 6)})"
    read = container.pandas_call if isinstance(container, TableFiles) else f"pd.read_csv({path.name!r})"
    form = (
        ", unit='s'" if infos[time].kind == "numbers" else ", dayfirst=True" if infos[time].day_first else ""
    )
    script = [
        "make a column of each quantity first, for example in Python, with a sampling period that suits the plant:",
        "    import pandas as pd",
        f"    d = {read}",
        f"    d[{value!r}] = pd.to_numeric(d[{value!r}], errors='coerce')",
        f"    d[{time!r}] = pd.to_datetime(d[{time!r}]{form}, errors='coerce')",
        f"    wide = d.pivot_table(index={time!r}, columns={tag!r}, values={value!r}, aggfunc='last')",
        "    wide.resample('60s').last().ffill().dropna().to_csv('wide.csv')",
    ]
    raise UserError(Problem(what, path, remedy="\n       ".join(script)))


def _is_called(name: str, words: frozenset[str]) -> bool:
    return bool(words & {*tokens(name)})


def _has_units(container: Container) -> bool:
    """Whether a column says in which unit the value of each row is; several units are several quantities."""
    return any(_is_called(name, UNITS) and len(info.words) > 1 for name, info in container.infos.items())


def _times_repeat(container: Container, time: str) -> bool:
    """Whether rows share their times with others, as those of several quantities do."""
    loaded = load_within(container, {}, {f"{NUMBER}{time}": time}, ReadOptions(), Problems())
    times = np.asarray(loaded.labels[f"{NUMBER}{time}"]).reshape(-1)
    return len(np.unique(times)) <= _SHARED * len(times)


def _by_content(container: Container) -> tuple[str | None, str | None, str | None]:
    """The only column of several words, of numbers and of dates, where there is one of each."""
    infos = container.infos
    words = [name for name, info in infos.items() if len(info.words) > 1 and info.holds == "states"]
    numbers = [name for name, info in infos.items() if info.numeric and not info.words]
    dates = [name for name, info in infos.items() if info.kind == "dates"]
    told = len(words) == 1 and len(numbers) == 1 and len(dates) == 1
    if not told or role_by_name(numbers[0]) is not None or len(infos[words[0]].words) < 2:
        return None, None, None
    return words[0], numbers[0], dates[0]


def _first(container: Container, words: frozenset[str], kinds: tuple[str, ...]) -> str | None:
    infos = container.infos
    named = (n for n in infos if words & {*tokens(n)})
    return next((n for n in named if ("text" if infos[n].words else infos[n].kind) in kinds), None)
