"""What the tests of several packages share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from tests.acceptance.pictures import blank_picture

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")  # --hypothesis-profile=default looks for new cases

torch.set_num_threads(1)  # small networks are many times slower on several threads

EXPERIMENT = """\
dataset:
  path: logs.npz
  description: description.yaml
reward: reward.py
"""


@pytest.fixture(scope="session")
def new_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database, to be copied: making one takes seconds."""
    from tests.tracking.in_process import make_database

    return make_database(tmp_path_factory.mktemp("database"))


@contextmanager
def records_written_here() -> Iterator[None]:
    """Records are written in this process, in which MLflow is imported once for all tests."""
    from revive.tracking.worker import _ENVIRONMENT
    from tests.tracking.in_process import InProcess

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("revive.tracking.mlflow.WorkerProcess", InProcess.of)
        patch.setattr("revive.tracking.promotion.WorkerProcess", InProcess.of)
        for name, value in _ENVIRONMENT.items():
            patch.setenv(name, value)
        yield


@pytest.fixture
def recorded_here() -> Iterator[None]:
    """See `records_written_here`."""
    with records_written_here():
        yield


@contextmanager
def figures_not_rendered() -> Iterator[None]:
    """Every figure is made, but what is written is an empty picture: rendering takes a third of a tiny run.

    For tests that look at no picture, of runs whose figures are those of a test that renders them.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("matplotlib.figure.Figure.savefig", blank_picture)
        yield


@pytest.fixture
def unrendered() -> Iterator[None]:
    """See `figures_not_rendered`."""
    with figures_not_rendered():
        yield


@pytest.fixture
def experiments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the experiment `demo`, found by REVIVE_EXPERIMENTS, and an empty working directory."""
    folder = tmp_path / "experiments of mine"
    write_experiment(folder, "demo", EXPERIMENT, readme="# A demonstration\n\nMore.\n")
    workplace = tmp_path / "work"
    workplace.mkdir()
    monkeypatch.chdir(workplace)
    monkeypatch.setenv("REVIVE_EXPERIMENTS", str(folder))
    return folder


def write_experiment(folder: Path, name: str, text: str, readme: str | None = None) -> Path:
    """Make an experiment of that text and return its folder."""
    home = folder / name
    home.mkdir(parents=True)
    (home / "experiment.yaml").write_text(text)
    if readme is not None:
        (home / "README.md").write_text(readme)
    return home
