"""`revive check`: what it prints, what it writes, how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from revive.__main__ import main
from tests.pipeline.conftest import DESCRIPTION, Write, contents, tank_logs

REPORT = Path("runs") / "checks" / "tank"


def without_traceback(captured: str) -> str:
    assert "Traceback" not in captured
    return captured


def test_healthy_data_are_reported_and_nothing_else_is_written(
    tank: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tank()
    before = contents(home)
    assert main(["check", "experiment=tank"]) == 0
    out = without_traceback(capsys.readouterr().out)
    assert "0 errors" in out
    assert "240 in all" in out
    assert str(REPORT / "data_report.html") in out
    assert {*contents(Path.cwd())} == {
        str(REPORT / name) for name in ("data_report.html", "data_report.json", "graph.mmd")
    }
    assert contents(home) == before
    report = json.loads((REPORT / "data_report.json").read_text())
    assert (report["rows"], report["trajectories"]) == (240, 3)
    assert [column["column"] for column in report["columns"]] == ["level", "valve", "level"]
    assert (REPORT / "graph.mmd").read_text().startswith("flowchart")


@pytest.mark.usefixtures("unrendered")
def test_it_can_be_repeated_and_goes_where_it_is_told(tank: Write, tmp_path: Path) -> None:
    tank()
    for _ in range(2):
        assert main(["check", "experiment=tank", f"log_dir={tmp_path / 'elsewhere'}"]) == 0
    assert (tmp_path / "elsewhere" / "checks" / "tank" / "data_report.html").is_file()
    assert not list(Path.cwd().iterdir())


def spoilt(node: str, row: int, value: float) -> dict[str, np.ndarray]:
    logs = tank_logs()
    logs[node][row] = value
    return logs


def test_values_that_no_one_can_learn_from_are_errors(
    tank: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    tank(spoilt("valve", 17, 9.0))
    assert main(["check", "experiment=tank"]) == 2
    captured = capsys.readouterr()
    assert "row 17" in without_traceback(captured.err)
    assert "valve" in captured.err
    report = json.loads((REPORT / "data_report.json").read_text())
    assert any(finding["severity"] == "error" for finding in report["findings"])
    assert "valve" in (REPORT / "data_report.html").read_text()
    assert main(["experiment=tank", "debug=fast", "tracking=none"]) == 2
    assert "row 17" in without_traceback(capsys.readouterr().err)
    assert [path.name for path in Path("runs").iterdir()] == ["checks"]


@pytest.mark.parametrize(
    ("logs", "files", "said"),
    [
        (spoilt("tank", 3, np.nan), {}, "missing: mask"),
        ({k: v for k, v in tank_logs().items() if k != "valve"}, {}, "valve"),
        ({**tank_logs(), "index": np.array([10, 5, 240])}, {}, "index"),
        ({**tank_logs(), "valve": np.zeros((7, 1))}, {}, "valve"),
        (None, {"description_yaml": DESCRIPTION.replace("[tank]", "[tnak]")}, "tnak"),
        (None, {"description_yaml": "metadata: ["}, "description.yaml"),
        (None, {"description_yaml": ""}, "description.yaml"),
        (None, {"reward_py": "def get_reward(data):\n    return data['tanks']\n"}, "tanks"),
        (None, {"reward_py": "x = (\n"}, "reward.py"),
        (
            None,
            {"experiment_yaml": "dataset: {path: nowhere.npz, description: description.yaml}"},
            "nowhere.npz",
        ),
        (None, {"experiment_yaml": "dataset: {pth: logs.npz}"}, "pth"),
        (tank_logs(12), {}, "at least 20"),
    ],
)
def test_what_stops_a_run_ends_in_one_message(
    tank: Write,
    capsys: pytest.CaptureFixture[str],
    logs: dict[str, np.ndarray] | None,
    files: dict[str, str],
    said: str,
) -> None:
    home = tank(logs, **files)
    before = contents(home)
    assert main(["check", "experiment=tank"]) == 2
    captured = capsys.readouterr()
    assert said in without_traceback(captured.err)
    assert contents(home) == before
    written = [path.name for path in Path("runs").iterdir()] if Path("runs").exists() else []
    assert set(written) <= {"checks"}


@pytest.mark.usefixtures("unrendered")
def test_missing_values_can_be_masked(tank: Write, capsys: pytest.CaptureFixture[str]) -> None:
    tank(spoilt("tank", 3, np.nan))
    assert main(["check", "experiment=tank", "dataset.missing=mask"]) == 0
    without_traceback(capsys.readouterr().err)
    columns = json.loads((REPORT / "data_report.json").read_text())["columns"]
    assert [c["missing"] for c in columns if c["node"] == "tank"] == [1]


@pytest.mark.usefixtures("unrendered")
def test_a_run_leaves_the_same_report_in_its_folder(tank: Write, capsys: pytest.CaptureFixture[str]) -> None:
    tank()
    assert main(["check", "experiment=tank", "debug=fast"]) == 0
    assert main(["experiment=tank", "debug=fast", "tracking=none", "run_id=r"]) == 0
    for name in ("data_report.json", "graph.mmd"):
        assert (Path("runs") / "r" / name).read_bytes() == (REPORT / name).read_bytes()
    assert (Path("runs") / "r" / "data_report.html").is_file()


@pytest.mark.usefixtures("unrendered")
def test_a_curriculum_without_updates_is_none(tank: Write) -> None:
    tank()
    assert main(["check", "experiment=tank", "venv.learner.curriculum=[[5,0]]"]) == 0
    assert main(["check", "experiment=tank", "venv.learner.curriculum=[]"]) == 0
