"""Numbers of HDF5 that are packed as netCDF does it (CF conventions 1.11, 8.1): whole numbers, a factor, an offset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from revive.data.trajectories import FloatArray

_FILLS = ("_FillValue", "missing_value")
_LONGEST_UNIT = 40  # characters


@dataclass(frozen=True)
class Packing:
    """A value is `factor` times the number that is stored, plus `offset`; what is in `fills` is none."""

    factor: float = 1.0
    offset: float = 0.0
    fills: tuple[float, ...] = ()

    @property
    def scaled(self) -> bool:
        """Whether the numbers are others than those that are stored."""
        return (self.factor, self.offset) != (1.0, 0.0)

    def unpack(self, stored: FloatArray) -> None:
        """Turns stored numbers (N, d) into values, in place; NaN where there is none."""
        empty = np.isin(stored, self.fills) if self.fills else None
        if self.scaled:
            stored *= self.factor
            stored += self.offset
        if empty is not None:
            stored[empty] = np.nan


def packing_of(data: Any) -> Packing | None:
    """How the numbers of an HDF5 dataset are packed; None where they are plain."""
    if data.dtype.kind not in "iuf":
        return None
    attributes = _attributes(data)
    factor, offset = (_number(attributes.get(name)) for name in ("scale_factor", "add_offset"))
    fills = []
    for name in _FILLS:
        if (fill := _number(attributes.get(name))) is not None and np.isfinite(fill):
            with np.errstate(all="ignore"):
                fills.append(float(np.asarray(fill).astype(data.dtype)))
    packing = Packing(1.0 if factor is None else factor, offset or 0.0, tuple(dict.fromkeys(fills)))
    return None if packing == Packing() else packing


def unit_of(data: Any) -> str:
    """The unit that a dataset says it is in, that of `minutes since 2024-03-04` being minutes; else empty."""
    unit = _attributes(data).get("units")
    text = unit.decode("utf-8", "replace") if isinstance(unit, bytes) else unit
    if not isinstance(text, str) or len(text) > _LONGEST_UNIT:
        return ""
    return text.split(" since ")[0].strip()


def _attributes(data: Any) -> Mapping[str, Any]:
    try:
        return {
            name: data.attrs[name]
            for name in (*_FILLS, "scale_factor", "add_offset", "units")
            if name in data.attrs
        }
    except (OSError, RuntimeError, ValueError, TypeError, KeyError):  # damaged, or of a type that numpy lacks
        return {}


def _number(value: Any) -> float | None:
    """A single number; None for anything else."""
    array = np.asarray(value) if value is not None else np.empty(0)
    return float(array.reshape(-1)[0]) if array.size == 1 and array.dtype.kind in "iuf" else None
