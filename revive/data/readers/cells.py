"""What the columns of a table hold, and how their cells become numbers: columns of arrow text in, numbers out."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np

from revive.data.readers.container import Info
from revive.data.readers.dialect import Dialect, TableOptions
from revive.data.readers.spelling import respelt
from revive.data.readers.time_forms import TimeForm, is_time, time_form
from revive.data.readers.times import read_times
from revive.data.readers.words import (
    is_like_number,
    is_missing,
    is_number,
    is_tick,
    pair_of,
    plain,
    with_unit,
)
from revive.data.trajectories import FloatArray
from revive.errors import Problems

_NUMBERS: Final = 0.5  # share of the cells that say something from which a column holds numbers
_TIMES: Final = 0.6  # the same for times
_STATES: Final = 30  # words up to which a column of words is taken for states
_REPEATED: Final = 4  # times that each of these words occurs on the average
_LOOKED_AT: Final = 5000  # cells of a column that its kind is told from
_SHOWN: Final = 3  # words named in one message
_PLAIN_NUMBER: Final = r"^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$|^[+-]?(?i:inf|infinity)$"
_HEX_NUMBER: Final = r"^0[xX][0-9a-fA-F]{1,13}$"  # as many digits as a float holds exactly
_ODD: Final = r"^['$€£¥A-Z]|^[+-]\s|-$|[dD]|[^\x00-\x7f]"  # where a number may be spelt in another way
_SCALES: Final = frozenset(
    ["k", "K", "M", "G", "T", "m", "µ", "u", "n"]
)  # beside numbers without one they count
_FORMULA: Final = r'^=\s*"?([^"]*)"?$'


@dataclass(frozen=True)
class Kind:
    """What the cells of a column hold.

    holds: numbers (perhaps with `unit` behind them), switch positions and states in `words`, in the order of their
    numbers 0, 1, 2, ... (`pinned`: no others are allowed), times in a `form`, or text.
    """

    holds: Literal["numbers", "switch", "states", "times", "text"]
    unit: str = ""
    words: tuple[str, ...] = ()
    pinned: bool = False
    form: TimeForm | None = None

    def info(self, unit: str) -> Info:
        """What is known of such a column; `unit`: what its header says."""
        unit = unit or self.unit
        if self.holds == "times" and self.form is not None:
            dates = "dates with offsets" if self.form.zoned else "dates" if self.form.clocked else "days"
            dates = dates if self.form.dated else "times of day"
            return Info((-1,), "dates", dates, unit, day_first=self.form.order == "DMY")
        if self.holds == "text":
            return Info((-1,), "text", "text")
        return Info((-1,), "numbers", self.holds, unit, self.words)


@dataclass
class Tally:
    """How often a word was read in a column, and the first line that it stands in."""

    count: int = 0
    line: int = 0


@dataclass
class Words:
    """The words that were read where numbers or times were expected: column -> word -> tally.

    place: what the rows are counted in, for messages.
    """

    missing: dict[str, dict[str, Tally]] = field(default_factory=dict)
    unknown: dict[str, dict[str, Tally]] = field(default_factory=dict)
    place: str = "line"

    def add(self, column: str, word: str, count: int, line: int, missing: bool) -> None:
        """Counts `count` cells more, the first of them in `line`."""
        tallies = (self.missing if missing else self.unknown).setdefault(column, {})
        tally = tallies.setdefault(word, Tally(0, line))
        tally.count, tally.line = tally.count + count, min(tally.line, line)

    def said(self) -> list[tuple[str, str]]:
        """Each column with words for missing values, and a text about them."""
        told = {name: tallies for name, tallies in self.missing.items() if any(tallies)}
        return [(name, f"'{name}' {self._shown(tallies)}") for name, tallies in told.items()]

    def report(self, source: str, kinds: Mapping[str, Kind], problems: Problems) -> None:
        """A problem for each column with words in it that nothing explains, or one for a line of words alone."""
        alone = {(name, tally.line, word) for name, t in self.unknown.items() for word, tally in t.items()}
        if (
            len(self.unknown) > 2
            and len(alone) == len(self.unknown)
            and len({line for _, line, _ in alone}) == 1
        ):
            line = next(iter(alone))[1]
            shown = ", ".join(repr(next(iter(tallies))) for tallies in [*self.unknown.values()][:_SHOWN])
            what = f"{self.place} {line} holds words ({shown}) where {len(alone)} columns hold numbers"
            remedy = "a line of names, or of another table? write a file for each table, with the names once"
            problems.add(what, file=source, place=f"{self.place} {line}", remedy=remedy)
            return
        for name, tallies in self.unknown.items():
            kind = kinds[name]
            wanted = f"a number with '{kind.unit}'" if kind.unit else "a number"
            if kind.holds != "numbers":
                wanted = "a time" if kind.holds == "times" else f"one of {', '.join(kind.words[:8])}"
            line = min(tally.line for tally in tallies.values())
            words = ", ".join(quoted(word) for word in [*tallies][:_SHOWN])
            remedy = (
                f"correct it, or, where it means that there is no value: 'dataset.table.missing=[{words}]'"
            )
            if kind.holds == "states":
                listed = ", ".join(quoted(word) for word in [*kind.words, *tallies][:_STATES])
                column = quoted(name)
                remedy = f"correct it, or name all words: 'dataset.table.codes={{{column}: [{listed}]}}'"
            if kind.holds == "times":
                remedy = "correct it; dataset.table.dates=DMY (or MDY, YMD) tells the order of the date"
            what = f"'{name}' holds text where {wanted} should be: {self._shown(tallies)}"
            if kind.unit and all(map(is_number, tallies)):
                what = f"'{name}' holds {wanted} in some rows and none behind it in others: {self._shown(tallies)}"
                remedy = "write all of them in one unit, and that in the name of the column"
            problems.add(what, file=source, place=f"{self.place} {line}", remedy=remedy)

    def _shown(self, tallies: Mapping[str, Tally]) -> str:
        order = sorted(tallies.items(), key=lambda item: -item[1].count)
        more = len(order) - _SHOWN
        shown = [
            f"{word or 'blank'} in {self.place} {tally.line}"
            if tally.count == 1
            else f"{word or 'blank'} {tally.count} times, first in {self.place} {tally.line}"
            for word, tally in order[:_SHOWN]
        ]
        return ", ".join(shown) + (f" and {more} other words" if more > 0 else "")


def quoted(word: str) -> str:
    """A word as it is written in a list on the command line."""
    return word if re.fullmatch(r"[\w.-]+", word) else '"' + word.replace('"', '\\"') + '"'


def kind_of(name: str, column: Any, options: TableOptions) -> Kind:
    """What the column `name`, an arrow array of text, seems to hold."""
    if options.codes and name in options.codes:
        return Kind("states", words=tuple(options.codes[name]), pinned=True)
    cells = [plain(cell or "") for cell in column.slice(0, _LOOKED_AT).to_pylist()]
    told = [cell for cell in cells if not is_missing(cell, options.missing)]
    numbers = [cell for cell in told if is_number(cell)]
    times = [cell for cell in told if is_time(cell)]
    if len(times) >= _TIMES * len(told) and len(times) > len(numbers):
        return Kind("times", form=time_form(told))
    units = [found[1] for cell in told if (found := with_unit(cell)) is not None]
    doubtful = sum(is_like_number(cell) for cell in told if not is_number(cell))
    if len(numbers) + len(units) + doubtful >= _NUMBERS * len(told):
        unit = max(sorted({*units}), key=units.count) if units else ""
        scales = unit in _SCALES and any(number.strip("0.,") for number in numbers)
        return Kind("numbers", unit="" if scales else unit)
    if {*told} and all(map(is_tick, told)) and len(told) < len(cells):
        return Kind("switch", words=("", told[0]))
    return _kind_of_words(told)


def _kind_of_words(told: Sequence[str]) -> Kind:
    words = {*told}
    if pair := pair_of(word.lower() for word in words):
        spelt = {word.lower(): word for word in sorted(words)}
        return Kind("switch", words=tuple(spelt.get(word, word) for word in pair))
    if len(words) <= min(_STATES, len(told) // _REPEATED):
        return Kind("states", words=tuple(sorted(words)))
    return Kind("text")


class Reader:
    """Turns columns of text into numbers, times or codes; counts the words that are in their way."""

    def __init__(self, dialect: Dialect, options: TableOptions, kinds: dict[str, Kind]) -> None:
        self._dialect, self._options, self.kinds = dialect, options, kinds
        self.words = Words()

    def column(self, name: str, column: Any, line: Callable[[int], int]) -> Any:
        """An arrow array of the values of `column` (text); `line` is that in which its row of a number stands.

        Numbers are float64 and times are timestamps, with nulls where nothing was logged; switches and states are
        dictionaries whose indices are their numbers; text stays.
        """
        import pyarrow as pa  # type: ignore[import-untyped]

        kind = self.kinds[name]
        if kind.holds == "text":
            return column
        encoded = column.fill_null("").dictionary_encode()
        cells, indices = encoded.dictionary, np.asarray(encoded.indices)
        if kind.holds == "times" and kind.form is not None:
            micros, known = read_times(_trimmed(cells), kind.form)
            values: Any = pa.array(micros, mask=~known).cast(pa.timestamp("us"))
        elif kind.holds == "numbers":
            numbers = self._parsed(cells, kind.unit)
            known = ~np.isnan(numbers)
            values = pa.array(numbers, mask=~known)
        else:
            codes = self._coded(kind, name, cells)
            known = codes >= 0
            values = pa.array(codes, mask=~known)
        self._count(name, kind, cells, known, indices, line)
        values = values.take(pa.array(indices))
        words = self.kinds[name].words
        return pa.DictionaryArray.from_arrays(values, pa.array(words)) if words else values

    def _coded(self, kind: Kind, name: str, cells: Any) -> np.ndarray:
        """(N,) int32 the number of each different word, -1 where it has none."""
        texts = [plain(cell) for cell in cells.to_pylist()]
        if kind.holds == "switch":
            places = {word.lower(): number for number, word in enumerate(kind.words)} | {"0": 0, "1": 1}
            return np.array([places.get(text.lower(), -1) for text in texts], np.int32)
        if not kind.pinned:
            fresh = [t for t in texts if not is_missing(t, self._options.missing) and t not in kind.words]
            kind = Kind("states", words=(*kind.words, *dict.fromkeys(fresh)))
            self.kinds[name] = kind
        codes = {word: number for number, word in enumerate(kind.words)}
        return np.array([codes.get(text, -1) for text in texts], np.int32)

    def _parsed(self, cells: Any, unit: str) -> FloatArray:
        import pyarrow as pa
        import pyarrow.compute as pc  # type: ignore[import-untyped]

        texts = pc.replace_substring_regex(_trimmed(cells), _FORMULA, r"\1")
        texts = _usual(texts)
        bare: Any = False
        if unit:
            ended = rf"\s*{re.escape(unit)}$"
            bare = ~np.asarray(pc.match_substring_regex(texts, ended), bool)
            texts = pc.replace_substring_regex(texts, ended, "")
        mark, grouped = self._dialect.decimal, self._dialect.thousands
        if grouped:
            mark_ = re.escape(grouped)
            shape = rf"^([+-]?\d{{1,3}}(?:{mark_}\d{{2,3}})*{mark_}\d{{3}})(\D.*)?$"
            groups = pc.fill_null(pc.match_substring_regex(texts, shape), False)
            texts = pc.if_else(groups, pc.replace_substring(texts, grouped, ""), texts)
        if mark == ",":
            points = pc.match_substring(texts, ".")
            texts = pc.if_else(points, "", pc.replace_substring(texts, ",", "."))
        right = pc.match_substring_regex(texts, _PLAIN_NUMBER)
        numbers = np.array(pc.if_else(right, texts, "nan").cast(pa.float64()), float)
        hexadecimal = np.asarray(pc.match_substring_regex(texts, _HEX_NUMBER), bool)
        for number in np.flatnonzero(hexadecimal).tolist():
            numbers[number] = int(texts[number].as_py(), 16)
        return np.where(bare & (numbers != 0), np.nan, numbers)  # 0.45 is not 0.45 %; 0 is 0 in any unit

    def _count(
        self, name: str, kind: Kind, cells: Any, known: Any, indices: Any, line: Callable[[int], int]
    ) -> None:
        if known.all():
            return
        odd = np.flatnonzero(~known)
        texts = cells.take(odd).to_pylist()
        counts = np.bincount(indices, minlength=len(known))
        for number, text in zip(odd.tolist(), texts, strict=True):
            word = plain(text)
            missing = is_missing(word, self._options.missing, number=kind.holds == "numbers")
            first = line(int(np.argmax(indices == number)))
            self.words.add(name, word, int(counts[number]), first, missing)


def _usual(texts: Any) -> Any:
    """Cells with those numbers respelt that no computer writes."""
    import pyarrow as pa
    import pyarrow.compute as pc

    odd = np.flatnonzero(np.asarray(pc.match_substring_regex(texts, _ODD), bool))
    if not len(odd):
        return texts
    cells = texts.to_pylist()
    for number in odd.tolist():
        cells[number] = respelt(cells[number])
    return pa.array(cells, pa.string())


def _trimmed(cells: Any) -> Any:
    import pyarrow.compute as pc

    return pc.utf8_trim_whitespace(cells)
