"""The ways of a column to model space, and its ends."""

from __future__ import annotations

from typing import Any

import pytest

from revive.errors import UserError
from revive.graph.columns import Column


def column(**options: Any) -> Column:
    return Column("x", "s", **{"type": "continuous", **options})


def test_a_cyclic_column_has_a_period() -> None:
    assert column(scale="cyclic", period=360).cycle == 360
    assert column(scale="cyclic", min=-180, max=180).cycle == 360
    assert column(scale="cyclic", min=0, max=100, period=360).cycle == 360
    assert column(min=0, max=1).cycle is None


def test_declared_bounds_clamp_unless_told_otherwise() -> None:
    assert column(min=0).clamps
    assert not column().clamps
    assert column(clamp=True).clamps
    assert not column(min=0, clamp=False).clamps
    assert not column(min=0, max=1, scale="cyclic").clamps
    assert not column(type="category", values=(0.0, 1.0)).clamps


@pytest.mark.parametrize("scale", ["robust", "minmax", "log", "quantile", "cyclic"])
def test_options_survive_json(scale: str) -> None:
    period = {"period": 2.5} if scale == "cyclic" else {"clamp": False}
    written = column(scale=scale, **period)
    assert Column.from_json(written.to_json()) == written


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"scale": "cyclic"}, "needs 'period'"),
        ({"scale": "cyclic", "min": 1, "max": 1}, "that differ"),
        ({"period": 3}, "belongs to a cyclic column"),
        ({"scale": "cyclic", "period": 0}, "above 0"),
        ({"scale": "cyclic", "period": 1, "clamp": True}, "cannot be clamped"),
        ({"scale": "log", "min": 0}, "values above 0"),
        ({"type": "category", "values": (0.0, 1.0), "scale": "robust"}, "'scale' says nothing"),
        ({"type": "category", "values": (0.0, 1.0), "clamp": False}, "'clamp' says nothing"),
    ],
)
def test_contradictions_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        column(**options)
