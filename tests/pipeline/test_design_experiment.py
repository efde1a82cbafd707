"""`design-experiment` on the run folder of a tiny run."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from revive.__main__ import main
from revive.outcome import DONE, WRONG
from tests.acceptance.trust_logs import refrigerator
from tests.pipeline.test_gate import run_on


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("narrow")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REVIVE_EXPERIMENTS", str(folder / "experiments"))
        run_on(refrigerator(100, noise=0.003), folder, "policy.mode=none")
    return folder / "run"


def test_a_narrow_controller_is_to_be_moved(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["design-experiment", "run=run", f"log_dir={run.parent}"]) == DONE
    assert "power" in capsys.readouterr().out
    (dither,) = json.loads((run / "design_experiment.json").read_text())["dithers"]
    assert dither["needed"]
    with (run / "design_experiment.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == dither["steps"]
    assert {round(abs(float(row["power"])), 5) for row in rows} == {round(dither["amplitude"], 5)}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run=nun"], "did you mean 'run'"),
        ([], "takes one run, 0 are named"),
        (["run=run", "power=2"], "a number from"),
        (["run=run", "pover=0.9"], "did you mean 'power'"),
        (["run=run", "bound=wide"], "a number from"),
    ],
)
def test_bad_arguments_end_in_one_message(
    run: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["design-experiment", f"log_dir={run.parent}", *arguments]) == WRONG
    assert said in capsys.readouterr().err
