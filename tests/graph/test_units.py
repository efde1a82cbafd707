"""The unit of an effect."""

from __future__ import annotations

import pytest

from revive.graph.units import effect_units, labelled, with_unit

UNITS = {"temperature": "K", "valve": "%", "feed": "kg/s"}


@pytest.mark.parametrize(
    ("source", "output", "unit"),
    [
        ("valve", "temperature", "K per %"),
        ("power", "temperature", "K per unit of power"),
        ("valve", "level", "per %"),
        ("power", "level", ""),
        ("feed", "temperature", "K per (kg/s)"),
        ("mode=2", "temperature", "K"),
    ],
)
def test_an_effect_has_the_units_of_both_columns(source: str, output: str, unit: str) -> None:
    assert effect_units(UNITS, source, output) == unit


def test_no_unit_leaves_the_number_alone() -> None:
    assert with_unit("1.5", "") == "1.5"
    assert with_unit("1.5", "K") == "1.5 K"


@pytest.mark.parametrize(
    ("name", "unit", "said"),
    [
        ("level", "m", "level [m]"),
        ("level", None, "level"),
        ("Biomass [g/L]", "g/L", "Biomass [g/L]"),
        ("T (degC)", "degC", "T (degC)"),
        ("T [K]", "degC", "T [K] [degC]"),
    ],
)
def test_a_unit_is_said_once(name: str, unit: str | None, said: str) -> None:
    assert labelled(name, unit) == said
