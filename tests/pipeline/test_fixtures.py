"""Published logs of other people's plants, from description to rollout.

They lie in `shared/data` beside the checkout, or in the folder that REVIVE_SHARED_DATA names.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import revive
from revive.__main__ import main
from revive.graph.columns import Column
from tests.conftest import figures_not_rendered

HERE = Path(__file__)
DATA = Path(os.environ.get("REVIVE_SHARED_DATA") or HERE.parents[2].parent / "shared" / "data")
DESCRIPTIONS = HERE.parents[1] / "fixtures"


@dataclass(frozen=True)
class Case:
    """Logs, the description of them, what a policy is rewarded for, and options of the command."""

    data: str
    description: str
    reward: str
    options: tuple[str, ...] = ()


CASES = {
    "refrigeration": Case("refrigeration.npz", "refrigeration_ts", "-(d['next_temperature'] + 2).abs()"),
    "pendulum": Case("pendulum.npz", "pendulum", "d['next_states'][..., :1] - 0.001 * d['actions'] ** 2"),
    "pendulum_nan": Case(
        "pendulum_nan.npz", "pendulum", "d['next_states'][..., :1]", ("dataset.missing=mask",)
    ),
    "lander_hover": Case(
        "lander_hover.npz", "lander_hover", "-d['next_obs'][..., :2].abs().sum(-1, keepdim=True)"
    ),
    "mixed_types": Case(
        "mixed_types.npz", "mixed_types", "-d['next_obs'][..., :1].abs() - d['act'][..., :1] ** 2"
    ),
}
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the published logs are not here")


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    """An experiment `logs` of these data, and an empty working directory."""
    chosen = CASES[request.param]
    if not (DATA / chosen.data).is_file():
        pytest.skip(f"{chosen.data} is not here")
    home, work = tmp_path / "experiments" / "logs", tmp_path / "work"
    home.mkdir(parents=True)
    work.mkdir()
    description = (DESCRIPTIONS / f"{chosen.description}.yaml").read_text()
    (home / "description.yaml").write_text(description)
    (home / "reward.py").write_text(f"def get_reward(d):\n    return {chosen.reward}\n")
    dataset = {"path": str(DATA / chosen.data), "description": "description.yaml"}
    text = json.dumps({"dataset": dataset, "reward": "reward.py"})
    (home / "experiment.yaml").write_text(f"# @package _global_\n{text}\n")
    monkeypatch.setenv("REVIVE_EXPERIMENTS", str(home.parent))
    monkeypatch.chdir(work)
    return chosen


@needs_data
def test_published_logs_are_checked_learned_and_rolled_out(
    case: Case, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["experiment=logs", "debug=fast", *case.options]
    with figures_not_rendered():  # the run renders the same
        assert main(["check", *command]) == 0
    report = json.loads((Path("runs") / "checks" / "logs" / "data_report.json").read_text())
    assert report["rows"] >= 2000
    assert main([*command, "tracking=none", "run_id=r"]) == 0
    assert "Traceback" not in capsys.readouterr().err
    summary = json.loads((Path("runs") / "r" / "summary.json").read_text())
    assert all(np.isfinite(value) for value in summary["venv"]["rollout_mae"].values())
    assert np.isfinite(summary["policy"]["predicted"]["mean"])
    _roll_out(case)


def _roll_out(case: Case) -> None:
    """The bundles answer in physical units, every value of which is legal."""
    venv = revive.load_venv(Path("runs") / "r" / "venv")
    policy = revive.load_policy(Path("runs") / "r" / "policy")
    graph = venv.graph
    raw = _first_rows(case.data)
    start = {name: raw[name][:4] for name in graph.states}
    given = {name: np.repeat(raw[name][None, :4], 30, axis=0) for name in graph.exogenous}
    for deterministic in (True, False):
        rolled = venv.rollout(start, given, 30, policy=policy, deterministic=deterministic, seed=0)
        for name, value in rolled.items():
            assert value.shape == (30, 4, graph[name].width)
            assert np.isfinite(value).all(), name
            _legal(graph.columns(name), value)
        for name in graph.states:
            np.testing.assert_allclose(rolled[name][0], start[name], rtol=1e-3, atol=1e-3)


def _first_rows(file: str) -> dict[str, np.ndarray]:
    with np.load(DATA / file) as raw:
        return {name: np.asarray(raw[name], dtype=float)[:10] for name in raw.files}


def _legal(columns: tuple[Column, ...], value: np.ndarray) -> None:
    for i, column in enumerate(columns):
        if column.choices is not None:
            assert np.isin(value[..., i].round(4), np.round(column.choices, 4)).all(), column.name
        for bound, side in ((column.min, 1), (column.max, -1)):
            if bound is not None:
                assert (side * (value[..., i] - bound) >= -1e-3).all(), column.name


def told(data: str, description: str) -> list[str]:
    """Other data for the refrigerator."""
    files = [f"dataset.path={DATA / data}", f"dataset.description={DESCRIPTIONS / description}.yaml"]
    return ["experiment=refrigerator", "simulator=null", *files]


@pytest.mark.usefixtures("unrendered")
@needs_data
@pytest.mark.parametrize("data", ["refrigerator.csv", "refrigeration_exploration_v0.npz"])
def test_more_logs_of_the_refrigerator_are_fit_to_be_learned_from(
    data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["check", *told(data, "refrigeration_ts")]) == 0


@needs_data
def test_missing_values_have_to_be_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["check", *told("pendulum_nan.npz", "pendulum")]) == 2
    error = capsys.readouterr().err
    assert "missing: mask" in error
    assert "Traceback" not in error
