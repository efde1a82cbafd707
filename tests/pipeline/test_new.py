"""`revive new NAME --data FILE`: an experiment that runs at once, and nothing where one cannot be made."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import revive
from revive.__main__ import main
from revive.pipeline.new import new as make
from tests.pipeline.conftest import contents, tank_logs


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    work = tmp_path / "work [1]"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.delenv("REVIVE_EXPERIMENTS", raising=False)
    return work


def npz(name: str = "logs.npz") -> Path:
    np.savez(name, **tank_logs())  # type: ignore[arg-type]
    return Path(name)


def csv(name: str = "logs.csv") -> Path:
    logs = tank_logs()
    columns = {
        "episode": np.repeat([0, 1, 2], 80),
        "level": logs["tank"][:, 0],
        "action": logs["valve"][:, 0],
    }
    pd.DataFrame(columns).to_csv(name, index=False)
    return Path(name)


@pytest.mark.parametrize("write", [npz, csv])
def test_what_is_made_can_be_checked_and_learned_on_at_once(
    write: type[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    data = write()
    before = data.read_bytes()
    assert main(["new", "tank", "--data", str(data)]) == 0
    captured = capsys.readouterr()
    assert "check experiment=tank" in captured.out
    assert captured.err == ""
    home = Path("experiments") / "tank"
    assert {*contents(home)} == {"README.md", "description.yaml", "experiment.yaml", "reward.py"}
    assert [path.name for path in home.parent.iterdir()] == ["tank"]  # no draft beside it
    assert "GUESS" in (home / "description.yaml").read_text()
    assert data.read_bytes() == before
    assert main(["check", "experiment=tank"]) == 0
    assert main(["experiment=tank", "debug=fast", "tracking=none", "run_id=r"]) == 0
    policy = revive.load_policy(Path("runs") / "r" / "policy")
    assert policy.target in revive.load_venv(Path("runs") / "r" / "venv").graph.decisions
    assert "Traceback" not in capsys.readouterr().err


def test_an_experiment_goes_where_it_is_told_and_finds_its_data_from_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = npz()
    assert main(["new", "tank", "--data", str(data), "--folder", str(tmp_path / "mine")]) == 0
    assert not Path("experiments").exists()
    monkeypatch.setenv("REVIVE_EXPERIMENTS", str(tmp_path / "mine"))
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    assert main(["check", "experiment=tank"]) == 0


def test_the_column_that_tells_trajectories_can_be_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "logs.csv"
    rows = [f"{day},{step},{0.5 * step},{day + 0.1 * step}" for day in range(3) for step in range(40)]
    data.write_text("\n".join(["day,time,valve,level", *rows]))
    asked = ["new", "tank", "--data", str(data)]
    assert main([*asked, "--trajectory", "dya"]) == 2
    assert "--trajectory: there is no column 'dya'" in (error := capsys.readouterr().err)
    assert "did you mean 'day'" in error
    assert main([*asked, "--trajectory", "day"]) == 0
    described = (Path("experiments") / "tank" / "description.yaml").read_text()
    assert "trajectory: day" in (Path("experiments") / "tank" / "experiment.yaml").read_text()
    assert "valve: {dim: action" in described
    assert main(["check", "experiment=tank"]) == 0
    assert "3 trajectories" in capsys.readouterr().out


def test_nothing_that_exists_is_overwritten(capsys: pytest.CaptureFixture[str]) -> None:
    data = npz()
    assert main(["new", "tank", "--data", str(data)]) == 0
    (Path("experiments") / "tank" / "reward.py").write_text("# mine\n")
    before = contents(Path("experiments"))
    assert main(["new", "tank", "--data", str(data)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert contents(Path("experiments")) == before
    Path("experiments", "other").touch()  # a file in the way
    assert main(["new", "other", "--data", str(data)]) == 2
    assert Path("experiments", "other").read_bytes() == b""


def unreadable(kind: str) -> str:
    """The name of a file, or of none, that no experiment can be made of."""
    if kind == "empty":
        Path("d.csv").touch()
    elif kind == "words":
        Path("d.csv").write_text("a,b\nx,y\nz,w\n")
    elif kind == "header":
        Path("d.csv").write_text("level,action\n")
    elif kind == "no npz":
        Path("d.npz").write_text("PK no zip")
        return "d.npz"
    elif kind == "objects":
        np.savez("d.npz", x=np.array([{"a": 1}] * 30, dtype=object))
        return "d.npz"
    elif kind == "scalars":
        np.savez("d.npz", x=np.array(3.0))
        return "d.npz"
    elif kind == "picture":
        Path("d.png").write_bytes(b"\x89PNG\r\n")
        return "d.png"
    elif kind == "folder":
        Path("d").mkdir()
        return "d"
    elif kind == "nowhere":
        return "nowhere.npz"
    elif kind == "one constant column":
        Path("d.csv").write_text("level\n" + "1\n" * 50)
    return "d.csv"


KINDS = ["empty", "words", "header", "no npz", "objects", "scalars", "picture", "folder", "nowhere"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_no_experiment_can_be_made_of_is_refused(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    data = unreadable(kind)
    assert main(["new", "demo", "--data", data]) == 2
    error = capsys.readouterr().err
    assert data in error
    assert "Traceback" not in error
    assert not Path("experiments").exists() or not list(Path("experiments").iterdir())


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["tank"],
        ["tank", "--data"],
        ["--data", "logs.npz"],
        ["../up", "--data", "logs.npz"],
        ["a b", "--data", "logs.npz"],
        [".hidden", "--data", "logs.npz"],
        ["", "--data", "logs.npz"],
        ["tank", "--data", "logs.npz", "--what"],
        ["tank", "more", "--data", "logs.npz"],
    ],
)
def test_arguments_that_cannot_be_meant_end_in_the_usage(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    npz()
    assert main(["new", *arguments]) == 2
    error = capsys.readouterr().err
    assert "new NAME --data FILE" in error
    assert "Traceback" not in error
    assert [path.name for path in Path.cwd().iterdir()] == ["logs.npz"]


def test_an_experiment_of_a_name_that_is_shipped_takes_precedence(capsys: pytest.CaptureFixture[str]) -> None:
    data = npz()
    assert main(["new", "refrigerator", "--data", str(data)]) == 0
    assert main(["check", "experiment=refrigerator"]) == 0
    assert "240" in capsys.readouterr().out


def test_the_reward_that_is_written_names_the_columns_whatever_they_are_called(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(60, 2))
    pd.DataFrame(rows, columns=['a\\N"""b', "valve"]).to_csv(tmp_path / "odd.csv", index=False)
    made = make("odd", tmp_path / "odd.csv", tmp_path / "experiments")
    text = (made.folder / "reward.py").read_text(encoding="utf-8")
    compile(text, "reward.py", "exec")
    assert "state: 0 a/N'''b" in text
    assert "action: 0 valve" in text


@pytest.mark.parametrize(("between", "said"), [(60, True), (4 * 3600, False)])
def test_files_that_follow_each_other_may_be_one_run(tmp_path: Path, between: int, said: bool) -> None:
    folder = tmp_path / "days"
    folder.mkdir()
    for day in range(4):
        begin = day * (99 * 60 + between)
        rows = [f"{begin + 60 * n},{n % 7 / 10},{n % 11}.5" for n in range(100)]
        (folder / f"day{day}.csv").write_text("\n".join(["time [s],level,valve", *rows]) + "\n")
    lines = make("days", folder, tmp_path / "experiments").lines
    assert any("follow each other without a pause" in line for line in lines) is said


def test_a_pause_in_the_logs_is_said_with_what_cuts_there(tmp_path: Path) -> None:
    rows = [f"{60 * n + (172_800 if n > 200 else 0)},{n % 7 / 10},{n % 11}.5" for n in range(400)]
    (tmp_path / "logs.csv").write_text("\n".join(["time [s],level,valve", *rows]) + "\n")
    made = make("paused", tmp_path / "logs.csv", tmp_path / "experiments")
    told = "a pause of up to 2 days, e.g. after row 200; to cut trajectories there: dataset.gap=600"
    assert any(told in line.replace("48 h", "2 days") for line in made.lines)
