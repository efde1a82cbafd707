"""Tables in all combinations of the ways in which people write them come back as they were meant."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, seed, settings

from revive.data.readers import read_trajectories
from tests.data.readers.written_files import write
from tests.data.readers.written_tables import (
    DATES,
    FORMS,
    GRAPH,
    UNITS,
    Form,
    Table,
    meant,
    options,
    written_order,
)
from tests.hostile import drawn_seed

LIBRARIES = {"xlsx": "openpyxl", "polars": "polars", "pandas": "pandas"}


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


def on_grid(table: Table, period: float) -> Table:
    """A row for each period: levels and temperatures as they were last; valves as their mean since the row before."""
    values, times, ids = [], [], []
    for start, end in zip([0, *table.ends[:-1]], table.ends, strict=True):
        time, own = table.times[start:end], table.values[start:end]
        moment = time[0]
        while moment <= time[-1] + 1e-6:
            held = []
            for column in own[:, :2].T:
                known = np.flatnonzero((time <= moment + 1e-6) & ~np.isnan(column))
                held.append(column[known[-1]] if len(known) else np.nan)
            since = own[(time <= moment + 1e-6) & (time > moment - period + 1e-6), 2]
            mean = since.mean() if len(since) else np.interp(moment, time, own[:, 2])
            values.append([*held, mean])
            times.append(moment)
            ids.append(table.ids[start])
            moment += period
    return Table(np.array(values), np.array(times), np.array(ids))


def check(form: Form) -> None:
    if form.container in LIBRARIES:
        pytest.importorskip(LIBRARIES[form.container])
    folder = Path(tempfile.mkdtemp())
    try:
        read = read_trajectories(write(form, folder), GRAPH, options(form))
    finally:
        shutil.rmtree(folder)
    table = meant(form)
    if form.newest_first and form.ids in ("number", "word", "interleaved"):  # in the order of the file
        written = table.ids[written_order(form, table)]
        first = np.array([np.argmax(written == number) for number in range(3)])
        table = table.take(np.argsort(first[table.ids], kind="stable"))
    table = on_grid(table, 2.0 * form.step) if form.resample else table
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


@pytest.mark.parametrize("container", ["csv", "txt", "tsv", "dat", "xlsx", "pandas", "polars"])
@pytest.mark.parametrize("ids", ["none", "number", "word", "interleaved", "done", "gap"])
def test_every_container_and_every_way_to_tell_trajectories(container: str, ids: str) -> None:
    check(Form(container=container, ids=ids, rows=60, start=44_000, missing="Bad").fitting())


@seed(drawn_seed())
@settings(
    max_examples=50, deadline=None, derandomize=False, database=None, suppress_health_check=list(HealthCheck)
)
@given(FORMS)
@example(
    Form(separator=";", decimal=",", thousands=".", head="preamble", dates="german", order="newest first")
)
@example(Form(separator=",", decimal=",", head="quoted", ids="word", dates="two", missing="Bad"))
def test_what_was_meant_comes_back(form: Form) -> None:
    check(form)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@seed(drawn_seed())
@settings(
    max_examples=2000,
    deadline=None,
    derandomize=False,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(FORMS)
def test_what_was_meant_comes_back_in_very_many_forms(form: Form) -> None:
    check(form)
