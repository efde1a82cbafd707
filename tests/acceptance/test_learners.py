"""The arithmetic of the acceptance programs on learners and on the choice among their policies."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from revive.config.compose import load_settings
from tests.acceptance import choice, learners, venv_learners
from tests.acceptance.learners import Row, keeps_up, table


def row(plant: str, learner: str, truth: float, seed: int = 0) -> Row:
    pool = ("clones", "ppo") if learner == "auto" else ()
    return Row(plant, learner, seed, 1.0, truth, None, truth, 0.1, learner, False, 3.0, pool)


def test_auto_is_measured_against_the_best_of_its_pool() -> None:
    rows = [row("a", "clones", 1.0), row("a", "ppo", 2.0), row("a", "iql", 9.0)]
    assert keeps_up(rows, "a") is None
    assert keeps_up([*rows, row("a", "auto", 1.95)], "a") is True
    assert keeps_up([*rows, row("a", "auto", 1.93)], "a") is False
    assert (
        keeps_up([*rows, row("a", "auto", 1.0), row("a", "auto", 3.0, 1)], "a") is True
    )  # means over the seeds
    told = table([*rows, row("a", "auto", 1.5), row("a", "auto", 2.5, 1)])
    assert "| auto | 2 ± 0.5, 3 s |" in told
    assert "| the logs | 1 |" in told


def test_learners_and_plants_are_found_by_their_files() -> None:
    assert {"auto", "clones", "ppo"} < set(learners.learners())
    assert "refrigerator" in learners.plants()


def finished(run: Path, truth: float) -> Path:
    """What a finished run leaves in its folder, as far as rows are made of it."""
    run.mkdir(parents=True, exist_ok=True)
    policy = f'{{"logged": 1, "predicted": {{"mean": 2}}, "truth": {{"mean": {truth}, "se": 0.1}}, '
    policy += '"chosen": {"source": "x", "fallback": null}, "learning": {"iql": {}}}'
    (run / "summary.json").write_text(f'{{"policy": {policy}, "seconds": {{"policy": 1, "policy.iql": 1}}}}')
    return run


def test_a_row_that_is_there_is_not_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []

    def command(keep: Path, plant: str, seed: int, run_id: str, *more: str) -> Path:
        asked.append(run_id)
        return finished(keep / run_id, 2)

    monkeypatch.setattr(learners, "command", command)
    arguments = [
        "--plants",
        "refrigerator",
        "--learners",
        "iql",
        "auto",
        "--seeds",
        "1",
        "--keep",
        str(tmp_path),
    ]
    assert learners.main(arguments) == 0
    first = list(asked)
    assert "refrigerator-0-iql" in first
    assert learners.main(arguments) == 0
    assert asked == first
    assert "| refrigerator | iql | 0 | 1 | 2 |" in capsys.readouterr().out


def test_whole_runs_are_those_of_auto_and_lend_their_venv(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, ...]] = []

    def command(keep: Path, plant: str, seed: int, run_id: str, *more: str) -> Path:
        asked.append((run_id, *more))
        return finished(keep / run_id, 2)

    monkeypatch.setattr(learners, "command", command)
    whole = finished(tmp_path / "runs" / "reactor-0", 5)
    assert learners.measure("reactor", "auto", 0, tmp_path, tmp_path).truth == 5
    assert not asked
    assert learners.measure("reactor", "iql", 0, tmp_path, tmp_path).truth == 2
    assert asked == [("reactor-0-iql", "policy=iql", "venv.mode=none", f"venv_path={whole / 'venv'}")]
    assert learners.measure("reactor", "auto", 1, tmp_path, tmp_path).truth == 2  # there is no such run
    assert asked[1] == ("reactor-1-venv", "policy.mode=none")


def test_the_learners_of_a_pool_have_their_rows_in_a_whole_run() -> None:
    def line(name: str, truth: float, taken: bool) -> dict[str, object]:
        worth = {"mean": truth, "se": 0.5, "steps": 2000}
        return {"name": name, "half": 1, "rewards": [[2.0, 4.0], [9.0]], "taken": taken, "truth": worth}

    lines = [
        {"name": "logs' controller", "half": None, "truth": None},
        line("clone, all", 1.0, False),
        line("clone, of good trajectories", 2.0, True),
        line("td3_bc, behaviour 3", 4.0, False),
    ]
    policy = {"logged": 1.5, "compared": lines}
    summary = {"policy": policy, "seconds": {"policy": 13.0, "policy.clones": 5.0, "policy.td3_bc": 7.0}}
    clones = learners.row_of_part(summary, "reactor", "clones", 0)
    assert clones is not None
    assert (clones.truth, clones.predicted, clones.logged, clones.seconds) == (2.0, 3.0, 1.5, 5.0)
    policy["episodes"] = {"steps": 200, "logs": {"return": 150.0}, "truth": {"return": 1.0}}
    other = learners.row_of_part(summary, "reactor", "td3_bc", 0)
    assert other is not None
    assert (other.truth, other.se, other.predicted, other.logged) == (800.0, 100.0, 600.0, 150.0)
    assert learners.row_of_part(summary, "reactor", "iql", 0) is None


def test_a_perfect_score_has_no_regret() -> None:
    truth = [3.0, 1.0, 2.0]
    assert choice.spearman([30.0, 10.0, 20.0], truth) == pytest.approx(1.0)
    assert choice.regret([30.0, 10.0, 20.0], truth) == 0.0
    assert choice.spearman([-3.0, -1.0, -2.0], truth) == pytest.approx(-1.0)
    assert choice.regret([-3.0, -1.0, -2.0], truth) == 1.0
    assert choice.regret([0.0, 0.0, 5.0], truth) == 0.5
    assert math.isnan(choice.spearman([1.0, 1.0, 1.0], truth))
    rows = [
        {"gain": g, "prediction": g, "fqe": math.nan, "truth": t} for g, t in zip(truth, truth, strict=True)
    ]
    told = choice.figures({"rows": rows})
    assert told["gain spearman"] == pytest.approx(1.0)
    assert math.isnan(told["fqe regret"])


def test_errors_of_venvs_are_told_beside_what_nothing_changes_errs() -> None:
    def half(error: float) -> dict[str, dict[str, float]]:
        return {"rollout_mae": {"10": error, "100": 2 * error}, "persistence_mae": {"10": 1.0, "100": 4.0}}

    summary = {"venv": {**half(0.07), "other_half": half(0.05)}}
    rows = [venv_learners.row_of(summary, "refrigerator", "bc", seed, 12.0) for seed in (0, 1)]
    assert rows[0].told() == "| refrigerator | bc | 0 | 0.07 | 0.035 | 0.05 | 0.025 | 0.14 | 0.1 | 12 |"
    assert "| bc | 0.03 ± 0.005, 12 s |" in venv_learners.table(rows, "100")
    assert venv_learners.missed(rows) == ["bc: MAE@100 0.140 on the refrigerator, the bar is 0.13"]
    assert not venv_learners.missed([venv_learners.row_of(summary, "pendulum", "bc", 0, 12.0)])


def test_every_venv_learner_is_among_those_that_are_measured() -> None:
    names = venv_learners.learners()
    assert {name.partition(" ")[0] for name in names} == {
        file.stem for file in (venv_learners.ROOT / "conf" / "venv").glob("*.yaml")
    }
    assert set(venv_learners.BARS) < set(names)


@pytest.mark.parametrize("name", ["adm", "adversarial ppo", "bc gru"])
def test_variants_are_what_the_command_line_takes(name: str) -> None:
    settings = load_settings(["experiment=refrigerator", *venv_learners.VARIANTS[name]])
    assert settings.venv.learner["_target_"].startswith("revive.venv.learners.")
