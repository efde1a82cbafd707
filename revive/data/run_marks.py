"""What tells one trajectory from the next in a data file that nobody has described."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from revive.data.clocks import rows_of_each
from revive.data.readers.container import TRAJECTORY, Container, Loaded
from revive.data.readers.ends import plain_time
from revive.data.readers.loading import load_within
from revive.data.readers.options import ReadOptions
from revive.data.readers.order import TimeOrder
from revive.data.readers.tables import TableFiles
from revive.data.roles import Role, is_counter, role_by_name
from revive.data.trajectories import FloatArray, IntArray
from revive.errors import Problem, Problems, UserError

_APART: Final = 3  # rows for each id, on average, below which an id tells rows and not trajectories
_REGULAR: Final = 0.9  # share of equal steps in a column that counts
_TOGETHER: Final = 5  # rows of an id in a row, below which ids lie interleaved
_FEW: Final = 1000  # ids beyond which a column is not tried where no name speaks for it
NO_NODE: Final = "no node"
TOLD: Final = "as you said"


@dataclass(frozen=True)
class Marks:
    """Fills `roles` and `dataset` with what tells trajectories.

    wish: the columns that the user named. named: the names that the user gave some role. arrays: name -> (N, d).
    """

    container: Container
    wish: Sequence[str] | None
    roles: dict[str, tuple[str, str]]
    arrays: Mapping[str, FloatArray]
    dataset: dict[str, Any]
    named: Mapping[str, str]

    def find(self) -> None:
        """Looks for ids, ends, counters that fall back, and times that several machines share, in this order."""
        counters = self._counters()
        codes = self._codes(counters)
        has_index = not self.container.is_table and "index" in self.container.infos
        told = self.wish is not None or has_index
        if self.wish is not None:
            self.dataset["trajectory"] = self.wish[0] if len(self.wish) == 1 else [*self.wish]
            self.roles.update(dict.fromkeys(self.wish, (Role.TRAJECTORY, TOLD)))
        elif has_index:
            self._index()
        for name in counters:
            if name not in self.roles:
                self.roles[name] = (NO_NODE, "it counts inside each trajectory")
        if told:
            said = "'index' does" if self.wish is None else "the one that was named does"
            self.roles.update(dict.fromkeys(codes, (NO_NODE, f"it tells trajectories, but {said}")))
        else:
            told = self._by_names(codes)
        files = self.container.ends is not None and len(self.container.ends) > 1
        told = self._by_ends(told) or told or files
        if not told and counters:
            self.dataset["resets"] = counters[0]
            timed = self.roles[counters[0]][0] == Role.TIME
            self.roles[counters[0]] = (Role.TIME if timed else Role.TRAJECTORY, "it counts, and falls back")
            told = True
        if not told:
            self._by_times(counters)

    def _counters(self) -> list[str]:
        """Columns that count in equal steps and fall back to where they began, more than once in a while."""
        found = []
        clock = self.dataset.get("time")  # times that never fall: then a count is one of the calendar
        on_clock = clock is not None and not (
            clock in self.arrays and _falls_back(self.arrays[clock][:, 0], True)
        )
        for name, values in self.arrays.items():
            timed = self.roles.get(name, ("",))[0] == Role.TIME
            free = name not in self.roles and name not in self.named and is_counter(name) and not on_clock
            free = free and bool((values == np.round(values)).all())
            if values.shape[1] == 1 and (timed or free) and _falls_back(values[:, 0], timed):
                found.append(name)
        return sorted(found, key=lambda name: self.roles.get(name, ("",))[0] != Role.TIME)

    def _index(self) -> None:
        container = self.container
        loaded = load_within(container, {}, {"index": "index"}, ReadOptions(), Problems())
        index = loaded.labels.get("index")
        if (
            index is not None
            and index.dtype.kind in "iuf"
            and index.ndim == 1
            and len(index)
            and index[0] == 0
        ):
            self.dataset["index"] = "starts"

    def _codes(self, counters: Sequence[str]) -> dict[str, IntArray]:
        """Name -> (N,) a number for each value, of columns whose names say that they tell trajectories."""
        infos = self.container.infos
        names = [
            name
            for name in infos
            if role_by_name(name) is Role.TRAJECTORY
            and name not in self.named
            and name not in counters
            and infos[name].kind in ("numbers", "text", "dates")
            and infos[name].width == 1
            and len(infos[name].shape) in (1, 2)
        ]
        found = self._labels(names)
        for name in names:
            if name not in found:
                self.roles[name] = (NO_NODE, "it is called an id, but is empty in some rows")
        return found

    def _labels(self, names: Sequence[str]) -> dict[str, IntArray]:
        """Name -> (N,) a number for each value, of those columns that have one in every row."""
        labels = {f"{TRAJECTORY}:{name}": name for name in names}
        problems = Problems()
        loaded = load_within(self.container, {}, labels, ReadOptions(), problems).labels if labels else {}
        if problems and len(names) > 1:
            return {name: codes for one in names for name, codes in self._labels([one]).items()}
        if problems:
            return {}
        flat = {name: loaded[role].reshape(-1) for role, name in labels.items()}
        known = {name: v for name, v in flat.items() if v.dtype.kind != "f" or not np.isnan(v).any()}
        return {name: np.unique(values, return_inverse=True)[1].reshape(-1) for name, values in known.items()}

    def _by_names(self, codes: Mapping[str, IntArray]) -> bool:
        """Takes the ids among the columns that are called so; several where none alone is enough."""
        ids: dict[str, IntArray] = {}
        for name, values in codes.items():
            count = int(values.max(initial=-1)) + 1
            if count < 2:
                self.roles[name] = (NO_NODE, "the same in all rows")
            elif len(values) < _APART * count:
                self.roles[name] = (NO_NODE, "it tells every row apart")
            elif self._alternates(values, count):
                if name not in self.arrays:
                    self.roles[name] = (NO_NODE, "it comes and goes")
            else:
                ids[name] = values
        if not ids:
            return False
        order = sorted(ids, key=lambda name: -int(ids[name].max()))
        taken = [order[0]]
        for name in order[1:]:
            if not _nests(ids[taken[0]], ids[name]):
                taken.append(name)
        taken = [name for name in ids if name in taken]
        self.dataset["trajectory"] = taken[0] if len(taken) == 1 else taken
        for name in ids:
            self.roles[name] = (
                Role.TRAJECTORY,
                "its name" if name in taken else "its name; another one says more",
            )
        return True

    def _alternates(self, values: IntArray, count: int) -> bool:
        """Whether ids come back again and again, in long blocks: then they are a state of the plant."""
        blocks = int((np.diff(values) != 0).sum()) + 1
        return blocks >= 4 * count and len(values) / blocks >= _TOGETHER

    def _by_ends(self, told: bool) -> bool:
        """Takes what marks the last rows of trajectories, by its name."""
        marks = []
        for name, info in self.container.infos.items():
            if role_by_name(name) is not Role.DONE or name in self.named or (told and name in self.roles):
                continue
            values = self.arrays.get(name)
            up = 0 if values is None or info.width != 1 else int((np.nan_to_num(values[:, 0]) > 0.5).sum())
            usable = values is not None and 0 < 2 * up <= len(values)
            why = "it marks ends"
            if usable and not told:
                marks.append(name)
                self.roles[name] = (Role.DONE, "its name")
                continue
            if not told and values is not None and 2 * up > len(values):
                why = f"it is called an end, but is 1 in {up} of {len(values)} rows"
            elif not told and up == 0:
                why = "it is called an end, but marks none"
            self.roles[name] = (NO_NODE, why)
        if marks:
            self.dataset["done"] = marks
        elif (
            not told
            and not self.container.is_table
            and any(r[0] == NO_NODE and "an end" in r[1] for r in self.roles.values())
        ):
            said = [f"'{name}': {why}" for name, (_, why) in self.roles.items() if "called an end" in why]
            what = f"nothing tells where its trajectories end ({'; '.join(said)})"
            remedy = "add 'index', the row behind each trajectory, or name what tells them: --trajectory NAME"
            raise UserError(Problem(what, self.container.name, remedy=remedy))
        return bool(marks)

    def _by_times(self, counters: Sequence[str]) -> None:
        """Where different rows have the same time: several machines, told by a column that has to be found."""
        name = self.dataset.get("time")
        if name is None or not self.container.is_table:
            return
        time = plain_time(
            load_within(self.container, {}, {"time": name}, ReadOptions(), Problems()).labels["time"]
        )
        if time is None or not np.isfinite(time).all() or len(time) < 3:
            return
        order = TimeOrder(name, self.container.infos[name], None, self.container.name)
        mended = order.mended(Loaded(), time, np.array([len(time)], np.int64))
        turned = time[0] > time[-1] and mended[0] < mended[-1]  # newest row first: the arrays still are
        time = mended[::-1] if turned else mended
        twice = _shared(time, self.arrays)
        if twice == 0:
            self._refuse_scattered(name, time)
            return
        fitting = self._telling(time)
        if fitting:
            self.dataset["trajectory"] = fitting[0]
            self.roles[fitting[0]] = (
                Role.TRAJECTORY,
                "rows of the same time differ in it, and in nothing else as surely",
            )
            return
        what = f"{twice} rows have the time of another row and other values: several machines in one file?"
        remedy = "name the column that tells them: --trajectory COLUMN; if none does, write one, or a file for each"
        if (each := rows_of_each(time)) > 1:
            what += f" Or are the times cut, {each} rows to each?"
            remedy += "; where they are cut (to a minute, say), log what was cut off as well"
        raise UserError(Problem(what, self.container.name, name, remedy))

    def _refuse_scattered(self, name: str, time: FloatArray) -> None:
        """Raises UserError where the values of one time stand in several rows, some columns in each."""
        twice = _shared(time, {key: np.isnan(values) for key, values in self.arrays.items()})
        if twice == 0:
            return
        what = f"{twice} rows have the time of another row, and values in other columns than that"
        call = self.container.pandas_call if isinstance(self.container, TableFiles) else "pd.read_csv(...)"
        remedy = (
            f"make one row of them first, in Python: {call}.groupby({name!r}).first().to_csv('together.csv')"
        )
        raise UserError(Problem(what, self.container.name, name, remedy))

    def _telling(self, time: FloatArray) -> list[str]:
        """The columns that, together with the time, tell all rows apart; those of the fewest values first."""
        infos = self.container.infos
        free = [
            n
            for n in infos
            if n not in self.roles and n not in self.named and infos[n].kind in ("numbers", "text")
        ]
        found = []
        for name, codes in self._labels(free).items():
            count = int(codes.max(initial=-1)) + 1
            if 2 <= count <= min(_FEW, len(codes) // 5):
                pairs = np.unique(np.column_stack([time, codes]), axis=0)
                if len(pairs) == len(time):
                    found.append((count, name))
        return [name for _, name in sorted(found)]


def _falls_back(values: FloatArray, timed: bool) -> bool:
    """Whether values rise in equal steps (times: at all) and fall back, each time to about where they began."""
    if len(values) < 10 or not np.isfinite(values).all():
        return False
    steps = np.diff(values)
    falls = steps < 0
    if not 0 < falls.sum() <= len(values) / 3:
        return False
    rises = steps[~falls]
    usual = float(np.median(rises))
    regular = rises >= 0 if timed else np.abs(rises - usual) <= 1e-6 * abs(usual)
    starts = values[1:][falls]
    near = values.min() + 0.05 * np.ptp(values) + 1e-12
    return (
        usual > 0 and bool(regular.mean() >= _REGULAR) and bool((np.append(starts, values[0]) <= near).all())
    )


def _nests(fine: IntArray, coarse: IntArray) -> bool:
    """Whether each value of `fine` belongs to one value of `coarse` alone."""
    pairs = np.unique(np.column_stack([fine, coarse]), axis=0)
    return len(pairs) == len(np.unique(fine))


def _shared(time: FloatArray, arrays: Mapping[str, FloatArray]) -> int:
    """How many rows have the time of another row, but not its values; 0 where that is no more than a few."""
    order = np.argsort(time, kind="stable")
    same = np.diff(time[order]) == 0
    if not same.any():
        return 0
    differ = np.zeros(len(same), dtype=bool)
    for values in arrays.values():
        if len(values) == len(time):
            sorted_ = values[order]
            unlike = (
                (sorted_[1:] != sorted_[:-1]) & (sorted_[1:] == sorted_[1:]) & (sorted_[:-1] == sorted_[:-1])
            )
            differ |= unlike.any(axis=1)
    shared = int((same & differ).sum())
    return shared if shared > max(2, 0.02 * len(time)) else 0
