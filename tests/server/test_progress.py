"""What a server tells of a run folder that others write."""

from __future__ import annotations

import json
import math
from pathlib import Path

from revive.server.progress import Progress


def test_a_trial_that_waits_for_the_others_of_its_population_is_under_way(tmp_path: Path) -> None:
    told = [("finished", 0.1), ("waiting", 0.2), ("running", None), ("failed", None)]
    trials = [
        {"id": i, "state": state, "metric": metric, "error": "ValueError: no" if state == "failed" else None}
        for i, (state, metric) in enumerate(told)
    ]
    folder = tmp_path / "search" / "venv"
    folder.mkdir(parents=True)
    book = {"metric": "held_out_error", "better": "min", "trials": trials}
    (folder / "trials.json").write_text(json.dumps(book), encoding="utf-8")
    progress = Progress(tmp_path)
    assert [state for state, _ in progress.trials("venv", running=True).values()] == [
        "finished",
        "running",
        "running",
        "failed",
    ]
    assert progress.trials("venv", running=False)[1] == ("stopped", "")
    assert progress.metrics("venv") == {
        "current_num_of_trials": 2,
        "total_num_of_trials": 2,
        "held_out_error": 0.1,
        "venv_acc": -0.1,
    }


def test_a_run_that_is_through_tells_the_figures_of_its_stages(tmp_path: Path) -> None:
    summary = {
        "venv": {"rollout_mae": {"1": 0.1, "100": 0.2}},
        "policy": {"logged": -0.5, "predicted": {"mean": -0.2}, "truth": {"mean": -0.3}},
    }
    (tmp_path / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
    stages = {"venv": "finished", "policy": "finished"}
    made_of = {"venv": {"search.trials": 8}}

    def look(state: str) -> Progress:
        told = {"state": state, "stages": stages, "made_of": made_of}
        (tmp_path / "state.json").write_text(json.dumps(told), encoding="utf-8")
        return Progress(tmp_path)

    counts = {"current_num_of_trials": 1, "total_num_of_trials": 1}
    venv = {"rollout_mae.1": 0.1, "rollout_mae.100": 0.2, "venv_acc": -0.2}
    assert look("finished").metrics("venv") == {**counts, **venv}
    policy = {"logged": -0.5, "predicted": -0.2, "truth": -0.3, "policy_acc": -0.2}
    assert look("finished").metrics("policy") == {**counts, **policy}
    assert look("running").metrics("policy") == {
        **counts,
        "policy_acc": -math.inf,
    }  # the summary may be that of an earlier command
