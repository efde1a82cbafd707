"""mode=tune from end to end, in one process, with tiny limits."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

import revive
from revive.__main__ import main
from revive.pipeline.shortlist import read_shortlist
from tests.conftest import figures_not_rendered, records_written_here
from tests.tracking.in_process import copy_database

pytestmark = pytest.mark.usefixtures("unrendered")

HERE = ("experiment=refrigerator", "policy=first_order", "debug=fast", "ray.enabled=false", "run_id=r")
SMALL = ("~policy.space.learner.noise", "~policy.space.learner.gamma")


def _run(log_dir: Path, *overrides: str) -> int:
    return main([*HERE, f"log_dir={log_dir}", *overrides])


@pytest.fixture(scope="module")
def finished(new_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with both stages tuned and recorded, in which a trial of the policy fails."""
    log_dir = copy_database(new_database, tmp_path_factory.mktemp("runs"))
    tuned = ("venv.mode=tune", "policy.mode=tune", "search=grid", "search.trials=4")
    space = ("+policy.space.learner.chunk='choice(0, 5)'", "policy.space.learner.lr='choice(1e-3, 2e-3)'")
    with figures_not_rendered(), records_written_here():
        assert _run(log_dir, *tuned, *SMALL, *space) == 0
    return log_dir / "r"


def test_the_chosen_models_are_those_of_the_run(finished: Path) -> None:
    for stage in ("venv", "policy"):
        book = json.loads((finished / "search" / stage / "trials.json").read_text())
        trial = finished / "search" / stage / f"trial_{book['chosen']['trial']:03d}"
        weights = (finished / stage / "model.safetensors").read_bytes()
        assert (trial / stage / "model.safetensors").read_bytes() == weights
    assert revive.load_policy(finished / "policy").act({"temperature": [[1.0]]})
    taken = [listed for listed in read_shortlist(finished) if listed.taken]  # for a trial on the plant
    assert [(finished / "candidates" / listed.name).is_dir() for listed in taken] == [True]
    assert json.loads((finished / "summary.json").read_text())["policy"]["truth"]


def test_a_failing_trial_is_noted_and_the_others_go_on(finished: Path) -> None:
    trials = json.loads((finished / "search" / "policy" / "trials.json").read_text())["trials"]
    states = {trial["params"]["learner.chunk"]: trial["state"] for trial in trials}
    assert states == {0: "failed", 5: "finished"}
    assert all("Traceback" in trial["error"] for trial in trials if trial["state"] == "failed")


def test_trials_are_grandchildren_in_the_records(finished: Path) -> None:
    database = sqlite3.connect(finished.parent / "mlflow.db")
    rows = database.execute(
        "select child.name, child.status, parent.name, child.run_uuid from runs child"
        " join tags t on t.run_uuid = child.run_uuid and t.key = 'mlflow.parentRunId'"
        " join runs parent on parent.run_uuid = t.value where child.name like 'trial_%'"
    ).fetchall()
    assert {parent for _, _, parent, _ in rows} == {"venv", "policy"}
    assert {status for _, status, parent, _ in rows if parent == "venv"} == {"FINISHED"}
    assert {status for _, status, parent, _ in rows if parent == "policy"} == {"FINISHED", "FAILED"}
    failed = next(run for _, status, _, run in rows if status == "FAILED")
    error = database.execute("select value from tags where key = 'error' and run_uuid = ?", (failed,))
    assert "Traceback" in error.fetchone()[0]
    chosen = database.execute("select count(*) from tags where key = 'chosen'").fetchone()
    assert chosen == (2,)
    params = database.execute("select distinct key from params where run_uuid = ?", (failed,)).fetchall()
    assert ("learner.lr",) in params


def test_the_record_of_the_command_says_what_it_was_made_of(finished: Path) -> None:
    database = sqlite3.connect(finished.parent / "mlflow.db")
    run, files = database.execute("select run_uuid, artifact_uri from runs where name = 'r'").fetchone()
    tags = dict(database.execute("select key, value from tags where run_uuid = ?", (run,)).fetchall())
    summary = json.loads((finished / "summary.json").read_text())
    assert tags["data_sha256"] == summary["data"]["sha256"]
    assert (tags["run_id"], tags["seed"]) == ("r", "0")
    assert tags["device"].startswith("cpu, ")
    made_with = json.loads((finished / "versions.json").read_text())
    assert tags.get("git_commit") == made_with["commit"]
    assert tags["version.python"] == made_with["python"]
    names = {path.name for path in Path(files.removeprefix("file://")).rglob("*")}
    assert {"config.yaml", "data_report.html", "graph.mmd", "graph.png", "summary.json"} <= names


def test_no_pickle_is_left_behind(finished: Path) -> None:
    suffixes = {path.suffix for path in finished.rglob("*") if path.is_file() and path.name != ".lock"}
    assert suffixes <= {".json", ".yaml", ".npz", ".png", ".safetensors", ".html", ".mmd", ".py"}


def test_all_trials_failing_ends_with_the_first_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    overrides = ("tracking=none", "policy.mode=tune", *SMALL, "+policy.space.learner.chunk='choice(0)'")
    assert _run(tmp_path, *overrides) == 1
    told = capsys.readouterr().err
    assert told.startswith("all 2 trials failed; the first one with:\nTraceback")
    assert told.count("Traceback") == 1
    assert json.loads((tmp_path / "r" / "state.json").read_text())["state"] == "failed"


def test_a_population_trains_together(tmp_path: Path) -> None:
    tuned = ("venv.mode=tune", "policy.mode=tune", "search=pbt", "search.trials=4", "tracking=none")
    assert _run(tmp_path, *tuned) == 0
    for stage in ("venv", "policy"):
        trials = json.loads((tmp_path / "r" / "search" / stage / "trials.json").read_text())["trials"]
        assert {trial["state"] for trial in trials} == {"finished"}
        assert any(trial["parent"] is not None for trial in trials)
        assert all(trial["schedule"][-1][1] == trial["params"] for trial in trials)
    assert not list((tmp_path / "r" / "search").rglob("*.ckpt"))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["search=none"], "needs a search"),
        (["+venv.space.learner.lrr='uniform(0, 1)'"], "did you mean 'learner.lr'"),
        (["search=optunna"], "did you mean 'optuna'"),
        (["search=pbt", "+venv.space.members='choice(3, 5)'"], "cannot change while a trial is trained"),
        (["search.sampler=revive.search.samplers.Optuna"], "OptunaSampler"),
        (["ray.address=127.0.0.1:1", "ray.enabled=true"], "no Ray answers at 127.0.0.1:1"),
    ],
)
def test_what_cannot_be_searched_is_refused_before_anything_is_written(
    overrides: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(tmp_path / "runs", "venv.mode=tune", *overrides) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


@pytest.mark.usefixtures("recorded_here")
def test_a_search_that_is_begun_afresh_has_records_of_its_own(tmp_path: Path, new_database: Path) -> None:
    copy_database(new_database, tmp_path)
    tuned = ("venv.mode=tune", "policy.mode=none", "search=random", "search.retrain=0")
    assert _run(tmp_path, *tuned, "search.trials=3") == 0
    assert _run(tmp_path, *tuned, "search.trials=2", "seed=4", "resume=fresh") == 0
    database = sqlite3.connect(tmp_path / "mlflow.db")
    runs = database.execute("select name from runs where name like 'trial_%'").fetchall()
    assert sorted(name for (name,) in runs) == [
        "trial_000",
        "trial_000",
        "trial_001",
        "trial_001",
        "trial_002",
    ]
    (chosen,) = database.execute("select count(*) from tags where key = 'chosen'").fetchone()
    assert chosen == 2  # one of each search
    stages = database.execute("select count(*) from runs where name = 'venv'").fetchone()
    assert stages == (2,)


@pytest.mark.parametrize("flag", ["-m", "--multirun"])
def test_several_runs_of_a_search_are_refused(
    flag: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(tmp_path / "runs", flag, "venv.mode=tune", "seed=0,1") == 2
    assert "two ways of one thing" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_a_run_without_a_search_knows_no_ray() -> None:
    code = "import sys, revive.pipeline.run, revive.server; sys.exit({'ray', 'optuna'} & set(sys.modules) != set())"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
