"""The run folder: nothing is shared, overwritten or half written."""

from __future__ import annotations

import json
import multiprocessing
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from revive.errors import UserError
from revive.runs import RunFolder, RunInterrupted, changes_between, is_interrupt, places

CONFIG: dict[str, Any] = {
    "seed": 0,
    "run_id": None,
    "log_dir": "runs",
    "venv": {"mode": "once", "learner": {"lr": 1e-5, "layers": [1, 2]}},
    "trainer": {"threads": 1},
    "tracking": {"uri": None},
}


def changed(**changes: Any) -> dict[str, Any]:
    return {**CONFIG, **changes}


def test_a_fresh_run_records_what_it_is_made_of(tmp_path: Path) -> None:
    with RunFolder.open(tmp_path / "a" / "runs", None, "demo", CONFIG) as run:
        assert run.path.parent == tmp_path / "a" / "runs"
        assert run.run_id.startswith("demo-20")
        assert not run.continued
        assert yaml.safe_load((run.path / "config.yaml").read_text()) == CONFIG
        assert json.loads((run.path / "versions.json").read_text())["numpy"] == np.__version__
        assert run.state == "running"
        assert run.figures.is_dir()
    assert json.loads((run.path / "state.json").read_text())["state"] == "finished"
    assert [path.name for path in run.path.parent.iterdir()] == [run.run_id]


def test_launches_in_one_second_never_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = iter(["same", "same", "same", "other"])
    monkeypatch.setattr(places, "fresh_name", lambda experiment: next(names))
    first = RunFolder.open(tmp_path, None, "demo", CONFIG)
    second = RunFolder.open(tmp_path, None, "demo", CONFIG)
    assert (first.run_id, second.run_id) == ("same", "other")


def test_the_same_run_goes_on(tmp_path: Path) -> None:
    with RunFolder.open(tmp_path, "x", "demo", CONFIG) as run:
        run.stage_started("venv", {"seed": 0})
        run.stage_finished("venv")
        run.stage_started("policy")
    other = changed(run_id="x", log_dir="elsewhere")
    with RunFolder.open(tmp_path, "x", "demo", other) as run:
        assert run.continued
        assert run.is_finished("venv")
        assert not run.is_finished("policy")
        assert run.begun == ["venv", "policy"]
        assert (run.made_of("venv"), run.made_of("policy")) == ({"seed": 0}, None)
        run.take_up(other)
        assert yaml.safe_load((run.path / "config.yaml").read_text()) == other


def test_what_differs_is_told_key_by_key() -> None:
    other = changed(seed=1, venv={"mode": "once", "learner": {"lr": 1e-4, "layers": [1, 2], "new": 3}})
    assert [str(change) for change in changes_between(CONFIG, other)] == [
        "seed: 0 -> 1",
        "venv.learner.lr: 1e-05 -> 0.0001",
        "venv.learner.new: null -> 3",
    ]


LEFT = {"venv": ("venv", "search/venv"), "policy": ("policy",)}


def _with_models(tmp_path: Path) -> RunFolder:
    run = RunFolder.open(tmp_path, "x", "demo", CONFIG)
    for stage in LEFT:
        run.stage_started(stage, {"seed": 0})
        (run.path / stage).mkdir()
        (run.path / stage / "model").write_text(stage)
        run.stage_finished(stage)
    return run


def test_what_is_set_aside_is_kept_and_forgotten(tmp_path: Path) -> None:
    run = _with_models(tmp_path)
    earlier = run.set_aside(["policy"], LEFT)
    assert earlier == run.path / "earlier" / "1"
    assert (earlier / "policy" / "model").read_text() == "policy"
    assert json.loads((earlier / "state.json").read_text())["stages"]["policy"] == "finished"
    assert not (run.path / "policy").exists()
    assert (run.begun, run.made_of("policy")) == (["venv"], None)
    assert run.set_aside(["venv"], LEFT).name == "2"


def test_setting_aside_is_done_to_its_end_by_the_next_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = _with_models(tmp_path)
    with monkeypatch.context() as death:
        death.setattr(Path, "replace", _die_after(2, Path.replace))
        with pytest.raises(ZeroDivisionError):
            run.set_aside(["venv", "policy"], LEFT)
    run.close()
    again = RunFolder.open(tmp_path, "x", "demo", CONFIG)
    assert again.begun == []
    kept = {str(p.relative_to(run.path / "earlier" / "1")) for p in run.path.glob("earlier/1/*/model")}
    assert kept == {"venv/model", "policy/model"}
    assert not (run.path / "venv").exists()


def _die_after(calls: int, real: Any) -> Any:
    left = iter(range(calls))

    def replace(self: Path, target: Path) -> Path:
        if next(left, None) is None:
            raise ZeroDivisionError
        return real(self, target)

    return replace


@pytest.mark.parametrize(
    "content", [{"thesis.tex": "x"}, {"config.yaml": "a: 1"}, {"config.yaml": ":", "state.json": "{}"}]
)
def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path, content: dict[str, str]) -> None:
    (tmp_path / "x").mkdir()
    for name, text in content.items():
        (tmp_path / "x" / name).write_text(text)
    with pytest.raises(UserError, match="is no run folder"):
        RunFolder.open(tmp_path, "x", "demo", CONFIG)
    assert {path.name: path.read_text() for path in (tmp_path / "x").iterdir()} == content


def test_a_file_in_the_place_of_the_run(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("mine")
    with pytest.raises(UserError, match="is no run folder"):
        RunFolder.open(tmp_path, "x", "demo", CONFIG)
    assert (tmp_path / "x").read_text() == "mine"


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    with RunFolder.open(tmp_path, "x", "demo", CONFIG) as run:
        assert not run.continued


def test_a_log_dir_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot be written.*\n.*choose another log_dir"):
        RunFolder.open(tmp_path / "file" / "runs", None, "demo", CONFIG)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_log_dir_without_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match="cannot be written"):
        RunFolder.open(tmp_path, None, "demo", CONFIG)


def test_two_commands_at_once(tmp_path: Path) -> None:
    held = RunFolder.open(tmp_path, "x", "demo", CONFIG)
    with pytest.raises(UserError, match=rf"in use by another command \(process {os.getpid()}\)"):
        RunFolder.open(tmp_path, "x", "demo", CONFIG)
    held.close()
    RunFolder.open(tmp_path, "x", "demo", CONFIG).close()


def _race(log_dir: Path, start: Any, results: Any) -> None:
    start.wait()
    try:
        run = RunFolder.open(log_dir, "x", "demo", CONFIG)
    except UserError:
        results.put("refused")
    else:
        results.put("continued" if run.continued else "made")
        start.wait()


def test_a_race_for_one_name_has_one_winner(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    start, results = context.Barrier(4), context.Queue()
    others = [context.Process(target=_race, args=(tmp_path, start, results)) for _ in range(3)]
    for other in others:
        other.start()
    start.wait()
    found = sorted(results.get(timeout=30) for _ in others)
    assert found == ["made", "refused", "refused"]
    start.abort()
    for other in others:
        other.join(30)


def test_a_crash_leaves_failed_and_lets_go(tmp_path: Path) -> None:
    run = RunFolder.open(tmp_path, "x", "demo", CONFIG)
    run.stage_started("venv")
    with pytest.raises(ZeroDivisionError), run:
        raise ZeroDivisionError
    state = run.read_json("state.json")
    assert (state["state"], state["stage"], state["stages"]) == ("failed", "venv", {"venv": "running"})
    RunFolder.open(tmp_path, "x", "demo", CONFIG).close()


def _as_lightning_stops() -> None:
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt:
        raise SystemExit(1)  # noqa: B904


@pytest.mark.parametrize("stop", [_as_lightning_stops, lambda: (_ for _ in ()).throw(KeyboardInterrupt)])
def test_ctrl_c_names_the_run_to_continue(tmp_path: Path, stop: Any) -> None:
    with pytest.raises(RunInterrupted) as caught, RunFolder.open(tmp_path, "x", "demo", CONFIG):
        stop()
    assert caught.value.run_id == "x"
    assert json.loads((tmp_path / "x" / "state.json").read_text())["state"] == "interrupted"


def test_an_ordinary_exit_is_no_interrupt() -> None:
    assert not is_interrupt(SystemExit(1))
    assert not is_interrupt(None)


def test_json_is_plain_and_whole(tmp_path: Path) -> None:
    with RunFolder.open(tmp_path, "x", "demo", CONFIG) as run:
        value = {"array": np.arange(2.0), "scalar": np.float32(0.5), 1: (True, float("nan"), tmp_path)}
        run.write_json("summary.json", value)
        assert run.read_json("summary.json") == {
            "array": [0.0, 1.0],
            "scalar": 0.5,
            "1": [True, None, str(tmp_path)],
        }
        with pytest.raises(TypeError):
            run.write_json("summary.json", {"bad": _Bad()})
        assert run.read_json("summary.json")["scalar"] == 0.5
        assert not list(run.path.glob("*.tmp"))
        assert run.read_json("nothing.json") is None


class _Bad:
    def tolist(self) -> None:
        raise TypeError
