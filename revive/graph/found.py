"""What detectors may find in the data about single columns, as plain values that a graph can carry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final


@dataclass(frozen=True)
class Circle:
    """The columns `x` and `y` of the state `node` have x^2 + y^2 = 1."""

    node: str
    x: str
    y: str


@dataclass(frozen=True)
class Bound:
    """The column of the state `node` never leaves the range from `min` to `max`, physical units; None: no bound."""

    node: str
    column: str
    min: float | None = None
    max: float | None = None


@dataclass(frozen=True)
class Copied:
    """The column of the state `node` holds in a step what `source.source_column` held in the step before."""

    node: str
    column: str
    source: str
    source_column: str


@dataclass(frozen=True)
class Unseen:
    """The models of the nodes `models` do not depend on the column of `node`, and do not get it as an input."""

    node: str
    column: str
    models: tuple[str, ...]


Amendment = Circle | Bound | Copied | Unseen
"""A property of columns that holds in all rows of the data."""

_KINDS: Final[Mapping[str, type]] = {"circle": Circle, "bound": Bound, "copied": Copied, "unseen": Unseen}


def amendment_to_json(amendment: Amendment) -> dict[str, Any]:
    """The amendment as plain JSON values."""
    kind = next(name for name, cls in _KINDS.items() if isinstance(amendment, cls))
    fields = {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(amendment).items()}
    return {"kind": kind, **fields}


def amendment_from_json(fields: Mapping[str, Any]) -> Amendment:
    """The amendment that `amendment_to_json` wrote."""
    rest = {key: tuple(v) if isinstance(v, list) else v for key, v in fields.items() if key != "kind"}
    made: Amendment = _KINDS[fields["kind"]](**rest)
    return made
