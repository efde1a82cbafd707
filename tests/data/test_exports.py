"""Some three hundred exports through `new` and `check`: read as they are meant, or refused in a message that helps."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import yaml

import revive.__main__
from revive.data.readers import ReadOptions, read_trajectories
from revive.errors import UserError
from revive.graph.description import read_description
from revive.pipeline.new import new
from tests.data import (  # noqa: F401 - they register their tables
    array_exports,
    domain_exports,
    field_exports,
    historian_exports,
    logger_exports,
    number_exports,
    shape_exports,
    time_exports,
)
from tests.data.exports import EXPORTS, ROWS, Export, held

NAMES = [*EXPORTS]
MADE = [name for name in NAMES if not EXPORTS[name].refused]


def _needs(name: str) -> None:
    if name.startswith("workbook"):
        pytest.importorskip("openpyxl")


@pytest.mark.parametrize("name", NAMES)
def test_an_export_is_read_as_it_is_meant_or_refused(name: str, tmp_path: Path) -> None:
    _needs(name)
    wanted = EXPORTS[name]
    path = wanted.make(tmp_path)
    if wanted.refused:
        with pytest.raises(UserError) as caught:
            new("made", path, tmp_path / "experiments")
        assert re.search(wanted.refused, " ".join(str(caught.value).split())), str(caught.value)
        return
    _compare(wanted, path, new("made", path, tmp_path / "experiments").folder)


def _compare(wanted: Export, path: Path, folder: Path) -> None:
    dataset = yaml.safe_load((folder / "experiment.yaml").read_text())["dataset"]
    assert dataset.get("time") == wanted.time
    graph = read_description(folder / "description.yaml")
    keys = ("missing", "missing_values", "table", "time", "trajectory", "resets", "done")
    logs = read_trajectories(path, graph, ReadOptions(**{k: v for k, v in dataset.items() if k in keys}))
    assert logs.count == wanted.trajectories
    whole = "next_observations" in graph and logs.rows == ROWS
    assert whole or logs.rows == ROWS - logs.count
    rows = np.arange(ROWS)
    kept = rows if whole else rows[(rows + 1) % (ROWS // logs.count) != 0]
    nodes = [node for node in graph.nodes if node not in graph.transitions]
    found = {c.name: logs.arrays[node][:, n] for node in nodes for n, c in enumerate(graph.columns(node))}
    assert {*wanted.columns} == {*found} - {*wanted.others}
    assert [c.name for node in graph.decisions for c in graph.columns(node)] == [wanted.action]
    for column, signal in wanted.columns.items():
        same = np.isclose(found[column], held(signal)[kept], rtol=1e-4, atol=1e-9)
        assert same.mean() > (0.45 if "Bolus" in column else 0.85), column
    if wanted.time is not None:
        assert logs.time is not None
        steps = np.diff(logs.time)[np.diff(kept) == 1]
        np.testing.assert_allclose(steps, wanted.step, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", MADE)
def test_check_takes_what_new_made(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _needs(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REVIVE_EXPERIMENTS", str(tmp_path / "experiments"))
    new("made", EXPORTS[name].make(tmp_path), tmp_path / "experiments")
    assert revive.__main__.main(["check", "experiment=made"]) == 0, capsys.readouterr().err
