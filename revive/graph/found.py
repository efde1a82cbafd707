"""What detectors may find in the data about single columns, as plain values that a graph can carry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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


@dataclass(frozen=True)
class StandIn:
    """The exogenous node `node`, of one column of that name, stands in for a cause that nobody logged.

    It is estimated from what lasts in the moves of `source.source_column` (see revive/trust/stand_in.py), in its unit,
    and is an input of the transitions `models`. 0 where nothing hidden is known to happen.
    """

    node: str
    source: str
    source_column: str
    models: tuple[str, ...]


@dataclass(frozen=True)
class Late:
    """What `node` does shows only later, so the transitions `models` see its last `frames` values."""

    node: str
    frames: int
    models: tuple[str, ...]


Amendment = Circle | Bound | Copied | Unseen | StandIn | Late
"""What the data show of columns, and is written into a graph."""

_KINDS: Final[Mapping[str, type]] = {
    "circle": Circle,
    "bound": Bound,
    "copied": Copied,
    "unseen": Unseen,
    "stand_in": StandIn,
    "late": Late,
}


def stand_ins(found: Iterable[Amendment]) -> tuple[str, ...]:
    """The nodes that stand in for causes that nobody logged."""
    return tuple(amendment.node for amendment in found if isinstance(amendment, StandIn))


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
