"""The backtest: controllers that are held out, and what a venv of the others says they earned."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from revive.__main__ import main
from revive.pipeline.backtest import agreement
from revive.policy.controllers import pieces_by_behaviour, pieces_by_label, silhouette
from tests.pipeline.conftest import Write

TARGETS = (0.0, 0.6, 1.2)  # levels that the three operators keep


def operators_logs(seed: int = 0, each: int = 4, steps: int = 60) -> dict[str, np.ndarray]:
    """The tank under three operators who keep other levels: the first one earns most."""
    rng = np.random.default_rng(seed)
    rows: dict[str, list[float]] = {"tank": [], "valve": [], "next_tank": [], "operator": []}
    for run in range(each * len(TARGETS)):
        who = run % len(TARGETS)
        level = TARGETS[who] + 0.3 * rng.normal()
        for _ in range(steps):
            valve = float(
                np.clip(1.5 * (TARGETS[who] - level) + TARGETS[who] / 3.0 + 0.3 * rng.normal(), -3, 3)
            )
            following = 0.9 * level + 0.3 * valve + 0.05 * rng.normal()
            for name, value in zip(rows, (level, valve, following, who), strict=True):
                rows[name].append(value)
            level = following
    arrays = {name: np.array(values)[:, None] for name, values in rows.items()}
    return {**arrays, "index": np.arange(1, 1 + each * len(TARGETS)) * steps}


def _run(by: str, *more: str) -> int:
    fast = ["debug=fast", "tracking=none", "policy.mode=none", "run_id=first", *more]
    return main(["experiment=tank", f"backtest.controllers={by}", *fast])


def _rows() -> list[dict]:  # type: ignore[type-arg]
    return json.loads(Path("runs/first/summary.json").read_text())["backtest"]["rows"]  # type: ignore[no-any-return]


@pytest.mark.parametrize("by", ["operator", "clusters"])
def test_held_out_operators_are_put_in_the_right_order(tank: Write, by: str) -> None:
    tank(operators_logs())
    assert _run(by, "venv.learner.one_step_updates=60") == 0
    rows = _rows()
    assert len(rows) == 3
    assert all(row["rows"] == 240 for row in rows)
    backtest = json.loads(Path("runs/first/backtest.json").read_text())
    assert backtest["ordered"] == 1.0
    for row in rows:
        assert row["predicted"]["mean"] == pytest.approx(row["logged"], abs=0.3)
        assert row["replayed"] == pytest.approx(row["logged"], abs=0.3)
    assert "<section id='backtest'>" in Path("runs/first/report.html").read_text()


@pytest.mark.usefixtures("unrendered")
def test_a_finished_backtest_is_taken_as_it_is(tank: Write, capsys: pytest.CaptureFixture[str]) -> None:
    tank(operators_logs(each=2, steps=40))
    assert _run("operator") == 0
    before = _rows()
    assert _run("operator") == 0
    assert "backtest: done before" in capsys.readouterr().out
    assert _rows() == before


@pytest.mark.parametrize(
    ("by", "said"),
    [
        ("operater", "did you mean 'operator'"),
        ("one", "the logs hold 1 controller of"),
        ("short", "has the shape"),
    ],
)
def test_what_cannot_be_backtested_is_said_before_anything_is_written(
    tank: Write, by: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    logs = operators_logs(each=2, steps=40)
    tank({**logs, "one": np.ones(len(logs["tank"])), "short": np.ones(7)})
    assert _run(by) == 2
    message = capsys.readouterr().err
    assert said in message
    assert "Traceback" not in message
    assert not Path("runs/first").exists()


def test_one_operator_makes_no_clusters(tank: Write, capsys: pytest.CaptureFixture[str]) -> None:
    logs = operators_logs()
    one = {k: v[logs["operator"][:, 0] == 0] for k, v in logs.items() if k != "index"}
    tank({**one, "index": np.arange(1, 5) * 60})
    assert _run("clusters") == 2
    assert "name the column" in capsys.readouterr().err


def test_pieces_are_runs_of_one_label_within_trajectories() -> None:
    from revive.data.trajectories import Trajectories

    logs = Trajectories({"x": np.zeros((100, 1))}, np.array([60, 100]))
    label = np.repeat([1.0, 2.0, 2.0], [30, 35, 35])
    assert pieces_by_label(logs, label) == {1.0: [(0, 30)], 2.0: [(30, 60), (60, 100)]}
    same = np.random.default_rng(0).normal(size=(100, 1))
    assert list(pieces_by_behaviour(logs, same, -same)) == [0.0]


def test_silhouette_and_agreement() -> None:
    points = np.concatenate([np.zeros((5, 2)), np.full((5, 2), 4.0)]) + 0.1 * np.random.default_rng(0).normal(
        size=(10, 2)
    )
    assert silhouette(points, np.repeat([0, 1], 5)) > 0.9
    assert silhouette(points, np.tile([0, 1], 5)) < 0.1
    rows = [{"logged": a, "predicted": {"mean": b}} for a, b in ((1, 1.1), (2, 1.9), (3, 1.5))]
    assert agreement(rows)["ordered"] == pytest.approx(2 / 3)
    assert agreement(rows)["rank"] == pytest.approx(0.5)
