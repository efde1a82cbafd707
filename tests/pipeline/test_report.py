"""The trust report: what it holds, that it stands alone, that it is made again, and what a damaged run is told."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from revive.__main__ import main
from revive.report.trust.tables import gap_table


@pytest.fixture
def run(refrigerator_run: Path, tmp_path: Path) -> Path:
    """A copy of a run to damage."""
    return Path(shutil.copytree(refrigerator_run, tmp_path / "runs" / "first"))


def _again(run: Path) -> int:
    return main(["report", f"run={run.name}", f"log_dir={run.parent}"])


def test_the_page_stands_alone_and_is_small(refrigerator_run: Path) -> None:
    page = (refrigerator_run / "report.html").read_text()
    assert len(page.encode()) < 6e6
    assert not re.search(r"<(script|link|img|iframe)|@import|src=|url\(http", page)  # nothing is fetched
    for title in (
        "What may be concluded",
        "What may not be concluded",
        "What to do about it",
        "Context of use",
    ):
        assert title in page


def test_every_section_of_a_run_with_a_policy_is_there(refrigerator_run: Path) -> None:
    sections = set(re.findall(r"<section id='([\w-]+)'", (refrigerator_run / "report.html").read_text()))
    assert sections == {
        "error",
        "compared",
        "fqe",
        "rollouts",
        "distributions",
        "calibration",
        "response-action",
        "residuals",
        "drift",
        "worst",
        "card",
        "before-after",
        "policy",
        "tree",
        "input-gap",
    }


def test_plots_and_tables_carry_units(refrigerator_run: Path) -> None:
    page = (refrigerator_run / "report.html").read_text()
    for said in (
        "temperature [degC]",
        "<td>power [degC per step]</td>",
        "degC per step on average",
    ):
        assert said in page
    held = page.partition("Held at (row ")[2].partition("</p>")[0]
    assert re.search(r"temperature = [-\d.]+ degC[,.]", held)


def test_what_a_column_would_gain_is_told_in_units() -> None:
    gap = {"column": "door", "units": None, "action": "power", "error": 0.1, "slope": 2.0, "certain": True}
    page = gap_table([{**gap, "gain": 0.3}, {**gap, "gain": -0.3}], {"power": "W"})
    assert "W per unit of door" in page
    assert page.count("none found") == 1


def test_axes_in_steps_say_how_long_a_step_takes(run: Path) -> None:
    assert ", 20 s each" not in (run / "report.html").read_text()
    summary = json.loads((run / "summary.json").read_text())
    summary["data"]["step_seconds"] = 20.0
    (run / "summary.json").write_text(json.dumps(summary))
    assert _again(run) == 0
    page = (run / "report.html").read_text()
    assert page.count(", 20 s each") >= 8


def test_the_figures_are_kept_beside_it(refrigerator_run: Path) -> None:
    report = json.loads((refrigerator_run / "report.json").read_text())
    assert report["format"] == 1
    assert report["words"]["level"] in ("good", "care", "stop")
    study = report["study"]
    assert set(study["errors"]["temperature"]) >= {"venv", "persistence", "average", "linear", "units"}
    assert [gap["column"] for gap in study["policy"]["input_gap"]] == ["door_open"]


def test_report_makes_the_same_page_again(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (run / "report.html").read_bytes()
    (run / "report.html").unlink()
    assert _again(run) == 0
    assert "report.html" in capsys.readouterr().out
    assert (run / "report.html").read_bytes() == before


def test_a_causal_card_is_shown_where_there_is_one(run: Path) -> None:
    summary = json.loads((run / "summary.json").read_text())
    remark = {"code": "hidden-driver", "sentence": "Something moves both.", "remedy": "Log it."}
    card = {
        "action": "power",
        "output": "temperature",
        "grade": "D",
        "effect": -0.9,
        "low": -1.0,
        "high": -0.8,
    }
    card |= {"overlap": 0.2, "dead_time": 1, "reasons": ["an alarm"], "remarks": [remark]}
    card |= {"cross": [0.1] * 41, "moves_acf": [0.5, 0.2], "rest_acf": [0.1, 0.0]}
    summary["causal"] = {"grade": "D", "cards": [card], "skipped": []}
    summary["tipping"] = [{"sentence": "A cause of 10 % would do."}]
    summary["gate"] = {"status": "fail", "reasons": ["an alarm"], "overridden": True}
    (run / "summary.json").write_text(json.dumps(summary))
    assert _again(run) == 0
    page = (run / "report.html").read_text()
    assert "<section id='card'>" in page
    for said in (
        "Something moves both. Log it.",
        "A cause of 10 % would do.",
        "Do not use",
        "gate.override=true",
    ):
        assert said in page


def _unfinished(run: Path) -> None:
    state = json.loads((run / "state.json").read_text())
    (run / "state.json").write_text(json.dumps({**state, "state": "interrupted"}))


def _earlier(run: Path) -> None:
    (run / "report.json").unlink()


def _other_format(run: Path) -> None:
    report = json.loads((run / "report.json").read_text())
    (run / "report.json").write_text(json.dumps({**report, "format": 0}))


def _cut_off(run: Path) -> None:
    text = (run / "report.json").read_text()
    (run / "report.json").write_text(text[: len(text) // 2])


def _hollow(run: Path) -> None:
    report = json.loads((run / "report.json").read_text())
    del report["study"]["errors"]["temperature"]["venv"]
    (run / "report.json").write_text(json.dumps(report))


def _no_summary(run: Path) -> None:
    (run / "summary.json").write_text("[]")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (_unfinished, "interrupted"),
        (_earlier, "earlier version"),
        (_other_format, "format 0"),
        (_cut_off, "damaged"),
        (_hollow, "damaged"),
        (_no_summary, "damaged"),
    ],
)
def test_a_run_that_cannot_be_reported_ends_in_one_message(
    run: Path, damage: object, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    damage(run)  # type: ignore[operator]
    before = {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}
    assert _again(run) == 2
    message = capsys.readouterr().err
    assert said in message
    assert "Traceback" not in message
    assert {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()} == before


@pytest.mark.parametrize("arguments", [["run=nothing"], [], ["run=first", "speed=2"]])
def test_wrong_arguments_end_in_one_message(
    refrigerator_run: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", *arguments, *([f"log_dir={refrigerator_run.parent}"] if arguments else [])]) == 2
    assert "Traceback" not in capsys.readouterr().err
