"""Columns that say something about another one: how good its value is, or when it was taken."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

import numpy as np

from revive.data.readers.container import NUMBER, WORD, Container
from revive.data.readers.loading import load_within
from revive.data.readers.options import ReadOptions
from revive.data.readers.order import usual_step
from revive.data.readers.words import UNITS, is_unit, vocabulary
from revive.data.roles import is_time, tokens
from revive.data.trajectories import FloatArray
from revive.errors import Problem, Problems, UserError

_log = logging.getLogger("revive")
_QUALITY: Final = vocabulary("""
    quality qualities qualität qualitaet qualité qualite kvalitet kwaliteit calidad qualidade qualità validity validité
    gültigkeit conf confidence
    """)
_BESIDE: Final = vocabulary("code flag detail details bit")
_JUDGEMENTS: Final = vocabulary("""
    good bad uncertain questionable gut schlecht gültig ungültig unsicher valid invalid bon bonne mauvais mauvaise
    ok bueno malo buena mala bom ruim boa god bra dålig fel goed slecht interpolated substituted annotated stale
    """)
_AMOUNTS: Final = vocabulary("""
    bolus dose doses dosage carb carbs carbohydrates cho meal meals insulin injection discount promo promotion
    rain rainfall precipitation dosis gabe repas repasto
    """)
_BLANK: Final = 0.5  # share of blanks from which an amount is one of single moments
_LEVELS: Final = 6  # numbers up to which a column of them can be a code of quality
_MOST: Final = 0.9  # share of the rows in which the most frequent kind of event may have its value
_APART: Final = 0.1  # share of the rows in which a second time has to be another one


def qualities(container: Container, arrays: Mapping[str, FloatArray], names: Sequence[str]) -> dict[str, str]:
    """Name -> why, of those columns that say how good the value of another one is; says where that is not good."""
    found = {}
    for name in names:
        if owner := _owner(name, container, arrays):
            found[name] = f"the quality of '{owner}'" if owner != name else "how good values are"
            _say_where_bad(name, container, arrays[name])
    return found


def _owner(name: str, container: Container, arrays: Mapping[str, FloatArray]) -> str:
    """The column that `name` judges, itself where it names none; empty for a quantity of its own."""
    info, said = container.infos[name], tokens(name)
    if not {*said} & _QUALITY or not container.is_table or arrays[name].shape[1] != 1:
        return ""
    rest = [word for word in said if word not in _QUALITY | _BESIDE]
    others = [other for other in container.infos if other != name]
    owner = next((o for o in others if rest and [*tokens(o)][: len(rest)] == rest), name)
    if info.words:
        judged = {word for text in info.words for word in tokens(text)}
        return owner if judged & _JUDGEMENTS or owner != name else ""
    values = arrays[name][:, 0]
    levels = np.unique(values[np.isfinite(values)])
    return owner if owner != name and len(levels) <= _LEVELS and (levels == np.round(levels)).all() else ""


def _say_where_bad(name: str, container: Container, array: FloatArray) -> None:
    known = array[np.isfinite(array[:, 0]), 0].astype(int)
    if not len(known) or (known == known[0]).all():
        return
    words, (levels, counts) = container.infos[name].words, np.unique(known, return_counts=True)
    usual = levels[np.argmax(counts)]
    other = counts.sum() - counts.max()
    shown = ", ".join(str(words[v]) if words else str(v) for v in levels if v != usual)
    good = repr(words[usual]) if words else str(usual)
    said = "%s: '%s' says %s in %d rows, whose values are used like the others; to leave them out: "
    said += 'dataset.where="`%s` == %s"'
    _log.warning(said, container.name, name, shown, other, name, good)


def refuse_own_times(container: Container, time: str) -> None:
    """Raises UserError where columns come in pairs of a time and a value, and the times of a row differ."""
    names = [*container.infos]
    dated = [name for name in names if container.infos[name].kind == "dates"]
    places = [names.index(name) for name in dated]
    paired = len(places) > 1 and places[0] == 0 and all(b - a > 1 for a, b in pairwise(places))
    if time not in dated or not paired or places[-1] == len(names) - 1 or not all(map(is_time, dated)):
        return
    roles = {f"{NUMBER}{name}": name for name in dated}
    loaded = load_within(container, {}, roles, ReadOptions(), Problems()).labels
    first = np.asarray(loaded[f"{NUMBER}{time}"], float).reshape(-1)
    step = usual_step(first)
    for name in dated:
        other = np.asarray(loaded[f"{NUMBER}{name}"], float).reshape(-1)
        with np.errstate(invalid="ignore"):
            apart = np.abs(other - first)
            own = (apart - np.nanmedian(apart) > 0.5 * step) | (np.isnan(other) & ~np.isnan(first))
        if own.mean() > _APART:
            what = f"'{time}' and '{name}' have times of their own: the values of a row are not of one moment"
            remedy = (
                "put them together by time first (pd.merge_asof), or name the time that counts: --time COLUMN"
            )
            raise UserError(Problem(what, container.name, name, remedy))


def refuse_several_units(container: Container) -> None:
    """Raises UserError for a column that says in which unit the value beside it is, where that changes."""
    for name, info in container.infos.items():
        if {*tokens(name)} & UNITS and len(info.words) > 1 and all(map(is_unit, info.words)):
            what = f"'{name}' says that values stand in several units: {', '.join(info.words[:4])}"
            remedy = f"write them in one unit, and leave '{name}' out"
            raise UserError(Problem(what, container.name, name, remedy))


def refuse_unread_times(container: Container) -> None:
    """Raises UserError for a column that is called a time, and holds figures that are no time that is known."""
    for name, info in container.infos.items():
        if not is_time(name) or not (info.kind == "text" or info.words):
            continue
        loaded = load_within(container, {}, {f"{WORD}{name}": name}, ReadOptions(), Problems())
        told = [str(word) for word in loaded.words if any(letter.isdecimal() for letter in str(word))]
        if told and 2 * len(told) >= len(loaded.words):
            what = f"'{name}' is called a time, but '{told[0]}' is written like none that is known"
            remedy = "write it as 2024-03-04 22:00:00; or give the column another name, where it is no time"
            raise UserError(Problem(what, container.name, name, remedy))


def refuse_blank_amounts(
    container: Container, arrays: Mapping[str, FloatArray], names: Sequence[str]
) -> None:
    """Raises UserError for doses and the like that most rows have none of: a blank is 0, not the last one again."""
    for name in names:
        blank = float(np.isnan(arrays[name]).mean()) if len(arrays[name]) else 1.0
        if not container.is_table or not {*tokens(name)} & _AMOUNTS or not _BLANK < blank < 1:
            continue
        count = int((~np.isnan(arrays[name])).sum())
        what = f"'{name}' has a value in {count} of {len(arrays[name])} rows: an amount, of which a blank "
        what += "says that there was none? A blank is taken for a value that is not known"
        call = getattr(container, "pandas_call", "pd.read_csv(...)")
        remedy = f"write 0 there, in Python: d = {call}; d[{name!r}] = d[{name!r}].fillna(0); "
        remedy += "d.to_csv('filled.csv', index=False); where the last value goes on, .ffill() instead"
        raise UserError(Problem(what, container.name, name, remedy))


def refuse_events(
    container: Container, arrays: Mapping[str, FloatArray], names: Sequence[str], time: str
) -> None:
    """Raises UserError where each row holds the value of one column, at a time of its own."""
    columns = [arrays[name][:, 0] for name in names if arrays[name].shape[1] == 1]
    if len(columns) < 2 or not container.is_table:
        return
    known = ~np.isnan(np.column_stack(columns))
    if not len(known):
        return
    share = known.mean(axis=0)
    if known.sum(axis=1).mean() > 1.2 or share.max() > _MOST or not (known.sum(axis=1) == 1).mean() > 0.7:
        return
    what = f"is a log of events: a row holds a value of one of {', '.join(map(repr, names[:4]))}, the others are empty"
    call = getattr(container, "pandas_call", "pd.read_csv(...)")
    remedy = (
        "put them on an even grid first, in Python, with a period that suits the plant: "
        f"d = {call}; d[{time!r}] = pd.to_datetime(d[{time!r}]); "
        f"d.set_index({time!r}).ffill().resample('60s').last().dropna().to_csv('even.csv')"
    )
    raise UserError(Problem(what, container.name, remedy=remedy))
