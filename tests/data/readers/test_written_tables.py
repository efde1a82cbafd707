"""Tables in all combinations of the ways in which people write them come back as they were meant."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings

from revive.data.readers import read_trajectories
from tests.data.readers.written_tables import DATES, FORMS, GRAPH, UNITS, Form, Table, meant, options, write


def filled(values: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """The values with the last known one of the same trajectory where there is none, or the first one behind."""
    values = values.copy()
    for start, end in zip([0, *ends[:-1]], ends, strict=True):
        for column in values[start:end].T:
            known = np.flatnonzero(~np.isnan(column))
            if len(known):
                before = known[
                    np.maximum(np.searchsorted(known, np.arange(len(column)), side="right") - 1, 0)
                ]
                column[:] = column[before]
    return values


def on_grid(table: Table) -> Table:
    """Every second row: levels and temperatures as they were then, or before; valves as the mean since."""
    kept, values = [], []
    for start, end in zip([0, *table.ends[:-1]], table.ends, strict=True):
        held = table.values[start:end].copy()
        for column in held[:, :2].T:
            for row in range(1, len(column)):
                column[row] = column[row - 1] if np.isnan(column[row]) else column[row]
        for row in range(0, end - start, 2):
            mean = table.values[start + max(row - 1, 0) : start + row + 1, 2].mean()
            values.append([*held[row, :2], mean])
            kept.append(start + row)
    return Table(np.array(values), table.times[kept], table.ids[kept])


def check(form: Form) -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        read = read_trajectories(write(form, folder), GRAPH, options(form))
    finally:
        shutil.rmtree(folder)
    table = meant(form)
    if form.newest_first and form.ids != "none":  # blocks stand in the order of the file
        order = np.argsort(-table.ids, kind="stable")
        table = Table(table.values[order], table.times[order], table.ids[order])
    table = on_grid(table) if form.resample else table
    ends = table.ends
    inside = np.ones(len(table.ids), bool)
    inside[ends - 1] = False  # the last rows have no successor
    expected = filled(table.values, ends)
    state = np.asarray(read.arrays["state"])
    assert read.ends.tolist() == (ends - np.arange(1, len(ends) + 1)).tolist()
    known = ~np.isnan(expected[inside])
    np.testing.assert_array_equal(state[known[:, :2]], expected[inside][:, :2][known[:, :2]])
    compare = np.testing.assert_allclose if form.resample else np.testing.assert_array_equal
    compare(read.arrays["action"][:, 0], expected[inside][:, 2])
    masked = np.isnan(table.values[inside][:, :2])
    found = (read.missing or {}).get("state", np.zeros(masked.shape, bool))
    np.testing.assert_array_equal(found, masked)
    if form.dates != "none":
        assert read.time is not None
        steps = np.diff(table.times[inside]) * UNITS.get(form.dates, 1.0)
        np.testing.assert_allclose(np.diff(read.time), steps, rtol=0, atol=1e-3)


@pytest.mark.parametrize("dates", [*DATES])
def test_every_form_of_dates(dates: str) -> None:
    check(Form(dates=dates, rows=60, start=44_000).fitting())


@settings(max_examples=50, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(FORMS)
@example(Form(separator=";", decimal=",", thousands=".", head="preamble", dates="german", newest_first=True))
@example(Form(separator=",", decimal=",", head="quoted", ids="word", dates="two", missing="Bad"))
def test_what_was_meant_comes_back(form: Form) -> None:
    check(form)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@settings(max_examples=2000, deadline=None, suppress_health_check=list(HealthCheck))
@given(FORMS)
def test_what_was_meant_comes_back_in_very_many_forms(form: Form) -> None:
    check(form)
