"""The command line: exit codes and messages."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import revive
from revive.__main__ import main
from revive.errors import UserError
from revive.runs import RunInterrupted

ROOT = Path(__file__).parents[1]


@pytest.fixture
def pipeline(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Any], None]], None]:
    """Put a function in the place of the real pipeline."""

    def use(run: Callable[[Any], None]) -> None:
        module = ModuleType("revive.pipeline.run")
        module.run = run  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "revive.pipeline.run", module)

    return use


def raising(error: BaseException) -> Callable[..., None]:
    def run(settings: Any, **_: Any) -> None:
        raise error

    return run


@pytest.mark.parametrize(
    ("arguments", "hints"),
    [
        ("", ["no experiment was chosen", "experiment=NAME", "demo"]),
        ("seed=1", ["no experiment was chosen"]),
        ("experiment=dmo", ["no experiment 'dmo'", "did you mean 'demo'?"]),
        ("-m experiment=dmo seed=0,1", ["no experiment 'dmo'", "did you mean 'demo'?"]),
        ("experiment=dmo --cfg job", ["no experiment 'dmo'", "did you mean 'demo'?"]),
        ("demo", ["'demo' is an experiment", "write experiment=demo"]),
        ("trian experiment=demo", ["no command 'trian'", "did you mean 'train'?"]),
        ("experiment=demo tracking=mlfow", ["no tracking 'mlfow'", "did you mean 'mlflow'?", "mlflow, none"]),
        ("experiment=demo dataset=5", ["no dataset '5'", "default"]),
        ("experiment=demo sede=1", ["sede: unknown key", "did you mean 'seed'?"]),
        ("experiment=demo ++sede=1", ["sede: unknown key", "did you mean 'seed'?"]),
        ("-m experiment=demo sede=1,2", ["sede: unknown key", "did you mean 'seed'?"]),
        ("exp=demo", ["exp: unknown key", "did you mean 'experiment'?"]),
        ("experiment=demo trackin=none", ["trackin: unknown key", "did you mean 'tracking'?"]),
        (
            "experiment=demo dataset.splt.gap=1 trainer.thread=2",
            ["did you mean 'dataset.split.gap'?", "did you mean 'trainer.threads'?"],
        ),
        ("experiment=demo seed", ["cannot read 'seed'", "write key=value"]),
        ("experiment=demo seed=[1", ["cannot read 'seed=[1'", "needs quotes"]),
        ("experiment=demo seed=1,2", ["'seed=1,2' has several values", "add -m"]),
        ("experiment=demo seed=abc", ["seed: must be a whole number, not 'abc'"]),
        (
            "experiment=demo seed=1.5 venv.mode=on",
            ["seed: must be a whole number", "venv.mode: must be 'tune', 'once'"],
        ),
        ("experiment=demo seed=???", ["seed: has no value", "seed=VALUE"]),
        ("experiment=demo ~seed", ["seed: has no value"]),
        ("experiment=demo run_id=../up", ["run_id: must be made of letters, digits"]),
        ("experiment=demo reward=", ["reward: must not be empty"]),
        ("experiment=demo dataset.split=5", ["dataset.split: must be a mapping"]),
        ("experiment=demo --nonsense", ["there is no flag '--nonsense'"]),
    ],
)
def test_bad_input(
    experiments: Path, pipeline: Any, capsys: pytest.CaptureFixture[str], arguments: str, hints: list[str]
) -> None:
    pipeline(raising(AssertionError("must not be reached")))
    try:
        code = main(arguments.split())
    except SystemExit as stop:
        code = stop.code
    captured = capsys.readouterr()
    assert code == 2
    assert captured.out == ""
    assert "Traceback" not in captured.err
    assert all(hint in captured.err for hint in hints), captured.err
    assert not list(Path.cwd().iterdir()) or arguments.startswith("-m")


def test_settings_reach_the_pipeline(experiments: Path, pipeline: Any) -> None:
    seen: list[Any] = []
    pipeline(lambda settings, **_: seen.append(settings))
    assert main(["experiment=demo", "seed=4"]) == 0
    assert main(["train", "experiment=demo", "seed=5"]) == 0
    assert [(settings.experiment, settings.seed) for settings in seen] == [("demo", 4), ("demo", 5)]
    assert not list(Path.cwd().iterdir())


def test_multirun_runs_every_combination(experiments: Path, pipeline: Any) -> None:
    seen: list[int] = []
    pipeline(lambda settings, **_: seen.append(settings.seed))
    assert main(["-m", "experiment=demo", "seed=0,1,2"]) == 0
    assert seen == [0, 1, 2]
    assert [path.name for path in Path.cwd().iterdir()] == ["runs"]


def test_show_config(experiments: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["experiment=demo", "--cfg", "job"]) == 0
    shown = " ".join(capfd.readouterr().out.split())  # YAML folds long lines
    assert f"description: {experiments / 'demo' / 'description.yaml'}" in shown


def test_help_lists_the_experiments(experiments: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert any(line.split() == ["demo", "A", "demonstration"] for line in out.splitlines())
    assert "run_id=NAME" in out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"revive {revive.__version__}\n"


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (UserError("the logs are empty"), 2, "the logs are empty\n"),
        (PermissionError(13, "Permission denied", "/x/runs"), 2, "/x/runs: Permission denied\n"),
        (OSError(28, "No space left on device"), 2, "No space left on device\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
        (RunInterrupted("calm-otter"), 130, "experiment=demo seed=1 run_id=calm-otter\n"),
    ],
)
def test_errors_of_the_pipeline(
    experiments: Path,
    pipeline: Any,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    code: int,
    message: str,
) -> None:
    pipeline(raising(error))
    assert main(["experiment=demo", "seed=1"]) == code
    captured = capsys.readouterr().err
    assert captured.endswith(message)
    assert "Error executing job" not in captured


@pytest.mark.parametrize(
    "error", [ZeroDivisionError("ours"), FileNotFoundError(2, "No such file"), SystemExit(3)]
)
def test_our_own_mistakes_are_not_dressed_up(experiments: Path, pipeline: Any, error: BaseException) -> None:
    pipeline(raising(error))
    with pytest.raises(type(error)):
        main(["experiment=demo"])


def test_a_log_dir_that_cannot_be(
    experiments: Path, pipeline: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("file").touch()
    assert main(["-m", "experiment=demo", "seed=0,1", "log_dir=file"]) == 2
    assert "file" in capsys.readouterr().err


def test_as_a_program(experiments: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "revive", "experiment=dmo"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("there is no experiment 'dmo'")


def test_show_and_export_of_a_policy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from revive.deploy import save_policy
    from tests.runtime.plants import policy_of

    save_policy(policy_of("plain"), tmp_path / "policy", {"run_id": "r7"})
    assert main(["show", str(tmp_path)]) == 0
    assert "run       r7" in capsys.readouterr().out
    assert main(["export", str(tmp_path / "policy"), "--out", str(tmp_path / "c"), "--name", "pump"]) == 0
    assert sorted(path.name for path in (tmp_path / "c").iterdir()) == ["pump.c", "pump.h"]
    for wrong in (
        ["show"],
        ["export"],
        ["export", str(tmp_path / "policy"), "--to", "pascal"],
        ["show", str(tmp_path / "c")],
    ):
        assert main(wrong) == 2
        assert "->" in capsys.readouterr().err
