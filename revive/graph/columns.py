"""Columns: the scalars that a description names, each with its type and its legal values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from revive.errors import Problems

ColumnType = Literal["continuous", "discrete", "category"]
Scale = Literal["robust", "minmax", "log", "quantile", "cyclic"]


@dataclass(frozen=True)
class Column:
    """One scalar of one node. `min`, `max` and `values` are in physical units (`units`, free text).

    continuous: bounds are optional, each one alone is allowed.
    discrete:   `num` equally spaced values, at least two, from `min` to `max`.
    category:   one of `values`, in the order the user wrote.
    `fit` false keeps the column as an input but out of the judgement of a model.
    `scale` is the way to model space, None for the codec's own choice. A cyclic column is back at its start
    after `period`, or after `max - min` where no period is given.
    `clamp` says whether rollouts keep the column in its range, the declared one or else that of the training
    data; None leaves it to the bounds (see `clamps`).
    """

    name: str
    node: str
    type: ColumnType
    min: float | None = None
    max: float | None = None
    num: int | None = None
    values: tuple[float, ...] | None = None
    fit: bool = True
    units: str | None = None
    description: str | None = None
    scale: Scale | None = None
    period: float | None = None
    clamp: bool | None = None

    def __post_init__(self) -> None:
        problems = Problems()
        if self.type == "category":
            self._check_category(problems)
        elif self.values is not None:
            problems.add(
                f"'values' says nothing about a {self.type} column",
                remedy="remove it, or write type: category",
            )
        if self.type == "discrete":
            self._check_discrete(problems)
        elif self.num is not None:
            problems.add(
                f"'num' says nothing about a {self.type} column", remedy="remove it, or write type: discrete"
            )
        self._check_bounds(problems)
        self._check_scale(problems)
        problems.raise_if_any()

    def _check_category(self, problems: Problems) -> None:
        if not self.values:
            problems.add(
                "a category column needs 'values'", remedy="list the allowed values: values: [0, 1, 2]"
            )
        else:
            twice = sorted({value for value in self.values if self.values.count(value) > 1})
            if twice:
                problems.add(f"'values' names {', '.join(f'{v:g}' for v in twice)} more than once")
        for key in ("min", "max"):
            if getattr(self, key) is not None:
                problems.add(
                    f"'{key}' says nothing about a category column",
                    remedy="remove it; 'values' alone says it",
                )

    def _check_discrete(self, problems: Problems) -> None:
        if self.num is None or self.num < 2:
            said = "" if self.num is None else f", not {self.num}"
            problems.add(
                f"a discrete column needs 'num' of at least 2{said}",
                remedy="num is the number of equally spaced values from min to max",
            )
        if self.min is not None and self.min == self.max:
            problems.add(f"'min' and 'max' of a discrete column are both {self.min:g}")

    def _check_bounds(self, problems: Problems) -> None:
        for key in ("min", "max"):
            bound = getattr(self, key)
            if bound is not None and not math.isfinite(bound):
                problems.add(
                    f"'{key}' is {bound}, no finite number", remedy="leave it out where there is no bound"
                )
        if self.min is not None and self.max is not None and self.min > self.max:
            problems.add(f"'min' {self.min:g} is above 'max' {self.max:g}", remedy="exchange them")

    def _check_scale(self, problems: Problems) -> None:
        if self.type == "category":
            for key in ("scale", "clamp"):
                if getattr(self, key) is not None:
                    problems.add(f"'{key}' says nothing about a category column", remedy="remove it")
        if self.scale != "cyclic" and self.period is not None:
            problems.add("'period' belongs to a cyclic column", remedy="remove it, or write scale: cyclic")
        if self.period is not None and not (math.isfinite(self.period) and self.period > 0):
            problems.add(f"'period' must be above 0, not {self.period:g}")
        if self.scale == "cyclic":
            if self.period is None and (self.min is None or self.max is None or self.min == self.max):
                remedy = "write e.g. period: 360, in the units of the column"
                problems.add("a cyclic column needs 'period', or 'min' and 'max' that differ", remedy=remedy)
            if self.clamp:
                problems.add("a cyclic column has no ends, so it cannot be clamped", remedy="remove 'clamp'")
        if self.scale == "log" and self.min is not None and self.min <= 0:
            remedy = "choose another scale, or a 'min' above 0"
            problems.add(f"scale: log wants values above 0, but 'min' is {self.min:g}", remedy=remedy)

    @property
    def cycle(self) -> float | None:
        """After how much, in physical units, a cyclic column is back where it was; None for any other."""
        if self.scale != "cyclic":
            return None
        if self.period is None and self.min is not None and self.max is not None:
            return self.max - self.min
        return self.period

    @property
    def clamps(self) -> bool:
        """Whether rollouts keep the column in its range: as `clamp` says, else where a bound is declared."""
        if self.clamp is not None:
            return self.clamp
        bounded = self.min is not None or self.max is not None
        return bounded and self.type != "category" and self.scale != "cyclic"

    @property
    def choices(self) -> tuple[float, ...] | None:
        """The legal values in physical units: of a category, or of a discrete column with both bounds."""
        if self.type == "category":
            return self.values
        if self.type == "discrete" and self.num and self.min is not None and self.max is not None:
            step = (self.max - self.min) / (self.num - 1)
            return (*(self.min + step * i for i in range(self.num - 1)), self.max)
        return None

    def to_json(self) -> dict[str, Any]:
        """All fields that differ from their defaults, as plain JSON values."""
        fields = {key: value for key, value in asdict(self).items() if value is not None}
        if self.fit:
            del fields["fit"]
        if self.values is not None:
            fields["values"] = list(self.values)
        return fields

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Column:
        """The column that `to_json` wrote."""
        values = fields.get("values")
        return cls(**{**fields, "values": None if values is None else tuple(values)})
