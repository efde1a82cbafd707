"""Times that rise: rows that lie newest first, midnights that carry the day before, clocks that were changed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from revive.data.readers.container import Info, Loaded
from revive.data.readers.said import say_once
from revive.data.readers.words import unit_in_name
from revive.data.trajectories import BoolArray, FloatArray, IntArray

DAY: Final = 86_400.0
HOUR: Final = 3_600.0
CLOCKS: Final = "times of day"  # what a column without dates holds
ZONED: Final = "dates with offsets"
_MOSTLY: Final = 0.9  # share of the steps that fall from which rows are newest first
_EARLY: Final = 4  # o'clock: until then clocks are changed, on Sundays of these months
_MONTHS: Final = (3, 4, 9, 10, 11)
_SECONDS: Final = (
    dict.fromkeys(("s", "sec", "secs", "second", "seconds", "sekunden"), 1.0)
    | dict.fromkeys(("ms", "msec", "millis", "milliseconds"), 1e-3)
    | dict.fromkeys(("us", "µs", "micros", "microseconds"), 1e-6)
    | dict.fromkeys(("min", "mins", "minute", "minutes", "minuten"), 60.0)
    | dict.fromkeys(("h", "hr", "hrs", "hour", "hours", "stunden"), HOUR)
    | dict.fromkeys(("d", "day", "days", "tage"), DAY)
)
_SUNDAY: Final = 3  # of the days since 1970-01-01, modulo 7


@dataclass
class TimeOrder:
    """Mends the times of rows whose trajectories are known, and says what it did.

    column: what `time` was read from; info: what it holds; zone: that of times without an offset, None where it is
    not told; source: for messages.
    """

    column: str
    info: Info
    zone: str | None
    source: str

    def mended(self, loaded: Loaded, time: FloatArray, ends: IntArray) -> FloatArray:
        """(N,) the times in an order that rises where they allow it; reverses all rows of `loaded` with them."""
        if len(time) < 2 or not np.isfinite(time).all():
            return time
        time = self.put_forward(loaded, time, ends)
        if self.info.kind == "dates":
            time = time.copy()
            for start, end in zip(_starts(ends), ends, strict=True):
                self._mend(time[start:end])
        return time

    def put_forward(self, loaded: Loaded, time: FloatArray, ends: IntArray) -> FloatArray:
        """(N,) the times; where they lie newest first, reverses each piece of them and of all rows of `loaded`."""
        if len(time) < 2 or not np.isfinite(time).all() or not self._newest_first(time, ends):
            return time
        last = ends - 1
        order = np.concatenate([np.arange(b, a - 1, -1) for a, b in zip(_starts(ends), last, strict=True)])
        for store in (loaded.arrays, loaded.labels):
            for name in [
                name for name, array in store.items() if name != "index" and len(array) == len(time)
            ]:
                store[name] = store[name][order]
        self._say("the rows are newest first; they are taken from the last to the first")
        return np.asarray(time[order])

    def _newest_first(self, time: FloatArray, ends: IntArray) -> bool:
        steps = _inner_steps(time, ends)
        falls, moves = int((steps < 0).sum()), int((steps != 0).sum())
        if self.info.holds == CLOCKS:  # the fall at midnight is no step back
            falls = int(((steps < 0) & (steps > -DAY / 2)).sum()) + int((steps > DAY / 2).sum())
        return moves > 0 and falls > _MOSTLY * moves

    def _mend(self, time: FloatArray) -> None:
        """Mends the times of one trajectory in place."""
        if self.info.holds == CLOCKS:
            midnights = np.diff(time) < -DAY / 2
            time[1:] += DAY * np.cumsum(midnights)
            if midnights.any():
                count = int(midnights.sum())
                told = "1 midnight was counted" if count == 1 else f"{count} midnights were counted"
                self._say(f"times of day without a date; {told}")
            return
        if len(time) < 3:
            return
        step = usual_step(time)
        falls = (np.flatnonzero(np.diff(time) < 0) + 1).tolist()
        late = [row for row in falls if _carries_the_day_before(time, row, step)]
        if late:
            time[late] += DAY
            rows = "1 row" if len(late) == 1 else f"{len(late)} rows"
            self._say(f"00:00 carries the day before in {rows}; it is taken for the end of that day")
        if self.info.holds == ZONED:
            return
        if self.zone is not None:
            time[:] = _in_zone(time, self.zone)
            return
        self._turn_clock(time, step)

    def _turn_clock(self, time: FloatArray, step: float) -> None:
        """Takes back the changes of the clock that show as a step of an hour more or less on a Sunday morning."""
        shown = time.copy()
        changes = [
            (row, change, _is_change_time(float(shown[row]))) for row, change in clock_changes(shown, step)
        ]
        # of rows an hour apart, the one that comes twice in autumn looks like a copy: elsewhere there must be none
        copies = step > 0.99 * HOUR and not all(on_time for _, change, on_time in changes if change < 0)
        for row, change, on_time in changes:
            if not on_time or (copies and change < 0):
                continue
            time[row:] -= change
            moved = "back" if change < 0 else "forward"
            at = np.datetime64(int(shown[row]), "s")
            zone = "dataset.table.zone=Europe/Berlin (or yours) makes that certain"
            self._say(f"the clock was put {moved} an hour before {at}; the rows after it follow on; {zone}")

    def _say(self, what: str) -> None:
        say_once(f"{self.source}: '{self.column}': {what}")


def usual_step(time: FloatArray) -> float:
    """The median of the steps that rise; 0 where none does."""
    steps = np.diff(time)
    steps = steps[steps > 0]
    return float(np.median(steps)) if len(steps) else 0.0


def clock_changes(time: FloatArray, step: float) -> Iterator[tuple[int, float]]:
    """The rows (N,) of a rising time before which it makes a step of an hour more or less, and that hour."""
    if not 0 < step <= 1.01 * HOUR:
        return
    steps = np.diff(time)
    for change in (-HOUR, HOUR):
        for row in np.flatnonzero(np.abs(steps - step - change) <= 0.1 * step):
            yield int(row) + 1, change


def fall_remedy(time: FloatArray, row: int) -> str | None:
    """What to do about a time (N,) that falls in `row` by an hour, as when clocks are put back; None for others."""
    step = usual_step(time)
    if not any(row == other and change < 0 for other, change in clock_changes(time, step)):
        return None
    what = "it falls by exactly an hour less a step, as clocks do in autumn"
    return f"{what}: name the zone, e.g. dataset.table.zone=Europe/Berlin"


def time_scale(name: str, info: Info, time: FloatArray) -> float | None:
    """The seconds in a unit of a column of times; None where neither its name nor its values tell it."""
    if info.kind == "dates":
        return 1.0
    unit = (info.unit or unit_in_name(name)).lower()
    words = [unit, *re.findall(r"[a-z]+", name.lower())]
    if told := next((_SECONDS[word] for word in words if word in _SECONDS), None):
        return told
    return next((scale for scale in (1.0, 1e-3, 1e-6, 1e-9) if _is_epoch(time * scale)), None)


def _is_epoch(seconds: FloatArray) -> bool:
    """Whether these are seconds since 1970 of this age."""
    return bool(len(seconds) and seconds.min() > 6e8 and seconds.max() < 4.2e9)


def _starts(ends: IntArray) -> IntArray:
    return np.concatenate([np.zeros(1, np.int64), ends[:-1]])


def _inner_steps(time: FloatArray, ends: IntArray) -> FloatArray:
    inside = np.ones(len(time) - 1, dtype=bool)
    inside[ends[:-1] - 1] = False
    return np.asarray(np.diff(time)[inside])


def _carries_the_day_before(time: FloatArray, row: int, step: float) -> bool:
    """Whether a row at 00:00 fits between its neighbours once it is a day later."""
    if time[row] % DAY != 0:
        return False
    fits = abs(time[row] + DAY - time[row - 1] - step) <= 0.5 * step
    return bool(fits and (row + 1 == len(time) or time[row + 1] >= time[row] + DAY))


def _is_change_time(second: float) -> bool:
    day = int(second // DAY)
    month = np.datetime64(day, "D").astype("M8[M]").astype(int) % 12 + 1
    return day % 7 == _SUNDAY and month in _MONTHS and second % DAY <= _EARLY * HOUR


def _in_zone(time: FloatArray, zone: str) -> FloatArray:
    """(N,) seconds since 1970 in UTC of local times; of an hour that comes twice, the second is behind a fall."""
    import pyarrow as pa  # type: ignore[import-untyped]
    import pyarrow.compute as pc  # type: ignore[import-untyped]

    local = pa.array(np.round(time * 1e6).astype(np.int64)).cast(pa.timestamp("us"))

    def taken(which: str) -> Any:
        told = pc.assume_timezone(local, zone, ambiguous=which, nonexistent="latest")
        return np.asarray(told.cast(pa.int64()), np.int64) / 1e6

    first, second = taken("earliest"), taken("latest")
    return np.where(_behind_a_fall(time, first != second), second, first)


def _behind_a_fall(time: FloatArray, twice: BoolArray) -> BoolArray:
    """(N,) the rows of each run of `twice` that come behind a fall in it."""
    late = np.zeros(len(time), dtype=bool)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], twice, [False]]).astype(int)))
    for start, stop in edges.reshape(-1, 2):
        falls = np.flatnonzero(np.diff(time[start:stop]) < 0)
        if len(falls):
            late[start + falls[0] + 1 : stop] = True
    return late
