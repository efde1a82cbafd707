"""Units of columns, and those of an effect of one column on another."""

from __future__ import annotations

from collections.abc import Mapping

from revive.graph.decision_graph import DecisionGraph


def units_of(graph: DecisionGraph) -> dict[str, str]:
    """Column -> unit, of the columns that have one."""
    return {c.name: c.units for node in graph.nodes for c in graph.columns(node) if c.units}


def labelled(name: str, unit: str | None) -> str:
    """`level [m]`; the name alone where there is no unit, and where it says the unit itself: `Biomass [g/L]`."""
    said = not unit or name.rstrip().endswith((f"[{unit}]", f"({unit})"))
    return name if said else f"{name} [{unit}]"


def effect_units(units: Mapping[str, str], source: str, output: str) -> str:
    """The unit of an effect of `source` on `output`: `K per %`, `K per (kg/s)`; empty where neither has one.

    The source of an effect of a category is written `mode=2`; it has no unit, and the effect that of the output.
    """
    above, below = units.get(output, ""), units.get(source, "")
    if "=" in source and source.partition("=")[0] not in units:
        return above
    if not below:
        return f"{above} per unit of {source}" if above else ""
    compound = any(sign in below for sign in (" ", "/"))
    return f"{above} per {f'({below})' if compound else below}".strip()


def with_unit(number: str, unit: str) -> str:
    """`1.06 K per %`; the number alone where there is no unit."""
    return f"{number} {unit}".rstrip()
