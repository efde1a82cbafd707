"""Logs of unusual shape have a sane course: they run to the end, or stop with one message that says why."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from revive.__main__ import main
from tests.pipeline.conftest import DESCRIPTION, EXPERIMENT, Write, tank_logs

FAST = ("experiment=tank", "debug=fast", "tracking=none", "run_id=r")
WITH_DONE = DESCRIPTION.replace(
    "  graph:", "    - done: {dim: done, type: category, values: [0, 1]}\n  graph:\n    done: [next_tank]"
)


def logs(rows: int, *ends: int, done: tuple[int, ...] | None = None) -> dict[str, np.ndarray]:
    made = tank_logs(rows)
    made["index"] = np.array(ends)
    if done is not None:
        made["done"] = np.zeros((rows, 1))
        made["done"][list(done)] = 1
    return made


@pytest.mark.parametrize(
    ("made", "description"),
    [
        (logs(300, 300), DESCRIPTION),
        (logs(600, 1, 2, 3, 4, 300, 301, 302, 600), DESCRIPTION),
        (logs(600, 1, 2, 3, 4, 600), DESCRIPTION),
        (logs(600, 1, 200, 400, 600, done=(0, 199, 399)), WITH_DONE),
        (logs(600, 200, 400, 600, done=(0,)), WITH_DONE),
    ],
    ids=["one trajectory", "one row beside long", "one long alone", "done at once", "rows after done"],
)
def test_runs_end_to_end(
    tank: Write, capsys: pytest.CaptureFixture[str], made: dict[str, np.ndarray], description: str
) -> None:
    tank(made, description_yaml=description)
    assert main([*FAST]) == 0
    assert (Path("runs") / "r" / "policy").is_dir()
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.usefixtures("unrendered")
def test_rows_after_done_are_warned_of(tank: Write, capsys: pytest.CaptureFixture[str]) -> None:
    tank(logs(600, 200, 400, 600, done=(0, 599)), description_yaml=WITH_DONE)
    assert main(["check", "experiment=tank"]) == 0
    assert "'done' is 1 in 1 row that is not the last of a trajectory" in " ".join(
        capsys.readouterr().out.split()
    )


@pytest.mark.usefixtures("unrendered")
def test_an_action_that_never_varies_teaches_no_policy(
    tank: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    made = tank_logs()
    made["valve"][:] = 1.0
    tank(made)
    assert main([*FAST]) == 2
    assert "'valve' never varies in the logs (valve=1)" in capsys.readouterr().err
    assert not Path("runs").exists()
    assert main([*FAST, "policy.mode=none"]) == 0


@pytest.mark.usefixtures("unrendered")
def test_check_needs_no_reward_and_no_experiment(tank: Write, capsys: pytest.CaptureFixture[str]) -> None:
    home = tank(experiment_yaml=EXPERIMENT.replace("reward: reward.py\n", ""))
    assert main(["check", "experiment=tank"]) == 0
    files = (f"dataset.path='{home / 'logs.npz'}'", f"dataset.description='{home / 'description.yaml'}'")
    assert main(["check", *files]) == 0
    assert "0 errors" in capsys.readouterr().out
    assert (Path("runs") / "checks" / "data" / "data_report.html").is_file()
    assert main(["check"]) == 2
    assert "no experiment was chosen" in capsys.readouterr().err
