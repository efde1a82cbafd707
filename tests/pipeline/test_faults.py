"""What happens in the middle of a run that nobody wished for, and how the same command goes on."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pytorch_lightning.plugins.io import TorchCheckpointIO

from revive.__main__ import main
from revive.pipeline.context import Context
from revive.runs import RunFolder, Stopped
from revive.search.conductor import Conductor
from revive.venv.learners.multi_step import MultiStepLearner
from tests.acceptance.kills import SEARCH, Command, born, descendants, wait_until_gone, workers
from tests.conftest import figures_not_rendered

pytestmark = pytest.mark.usefixtures("unrendered")

HERE = ("ray.enabled=false", "tracking=none", "run_id=r")
TUNED = ("venv.mode=tune", "search=random", "search.trials=3", "search.retrain=0", "policy.mode=none")
LONGER = (
    "venv.learner.chunk=1",
    "venv.learner.one_step_updates=20",
    "policy=first_order",
    "policy.learner.chunk=1",
)
Full = Callable[[int | None], None]


def run(log_dir: Path, *overrides: str) -> int:
    return main(["experiment=refrigerator", "debug=fast", *HERE, f"log_dir={log_dir}", *overrides])


def state(log_dir: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((log_dir / "r" / "state.json").read_text())
    return found


def trials(log_dir: Path, stage: str = "venv") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((log_dir / "r" / "search" / stage / "trials.json").read_text())[
        "trials"
    ]
    return found


def weights(log_dir: Path, where: str = "venv") -> bytes:
    return (log_dir / "r" / where / "model.safetensors").read_bytes()


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> Full:
    """Makes the disk full once so many checkpoints are written; None: never again."""
    real, left = TorchCheckpointIO.save_checkpoint, [-1]

    def save(self: TorchCheckpointIO, checkpoint: Any, path: Any, options: Any = None) -> None:
        if left[0] == 0:
            Path(path).write_bytes(b"half of it")
            raise OSError(errno.ENOSPC, "No space left on device")
        left[0] -= 1
        real(self, checkpoint, path, options)

    monkeypatch.setattr(TorchCheckpointIO, "save_checkpoint", save)
    return lambda count: left.__setitem__(0, -1 if count is None else count)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds a run that nothing has disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    with figures_not_rendered():
        assert run(folder, *LONGER) == 0
    return folder


@pytest.mark.parametrize(("stage", "written"), [("venv", 2), ("policy", 0)])
def test_a_checkpoint_that_cannot_be_written_stops_a_run_that_goes_on_later(
    stage: str, written: int, whole: Path, tmp_path: Path, full: Full, capsys: pytest.CaptureFixture[str]
) -> None:
    if stage == "policy":
        assert run(tmp_path, *LONGER, "policy.mode=none") == 0
    capsys.readouterr()
    full(written)
    assert run(tmp_path, *LONGER) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"{tmp_path / 'r' / 'checkpoints' / f'{stage}.ckpt'}: No space left on device\n")
    assert "make space, then run_id=r goes on" in told
    assert "Traceback" not in told
    assert (state(tmp_path)["state"], state(tmp_path)["stages"][stage]) == ("failed", "running")
    full(None)
    assert run(tmp_path, *LONGER) == 0
    for learned in ("venv", "policy"):
        assert weights(tmp_path, learned) == weights(whole, learned)
    assert not list((tmp_path / "r").rglob("*.ckpt*"))


def test_a_full_disk_is_no_fault_of_a_trial(
    tmp_path: Path, full: Full, capsys: pytest.CaptureFixture[str]
) -> None:
    full(14)  # within the second trial
    assert run(tmp_path, *TUNED, *LONGER) == 2
    told = capsys.readouterr().err
    assert "checkpoint.ckpt: No space left on device" in told
    before = trials(tmp_path)
    assert {trial["state"] for trial in before} == {"finished", "running"}
    full(None)
    assert run(tmp_path, *TUNED, *LONGER) == 0
    after = trials(tmp_path)
    assert [trial["state"] for trial in after] == ["finished"] * 3
    kept = [trial for trial in before if trial["state"] == "finished"]
    assert after[: len(kept)] == kept


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk that holds the inputs of a run and no checkpoint."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=400k", "revive-test", str(disk)],
        check=False,
        capture_output=True,
    )
    if mounted.returncode:
        pytest.skip("this process may not mount a disk")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_disk_that_is_full_in_truth(tiny_disk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tiny_disk, *LONGER, "venv.network.hidden=[64]", "venv.members=20") == 2
    told = capsys.readouterr().err
    assert "No space left on device" in told
    assert str(tiny_disk / "r") in told
    assert "run_id=r goes on" in told
    assert state(tiny_disk)["state"] in ("running", "failed")
    subprocess.run(["mount", "-o", "remount,size=100m", str(tiny_disk)], check=True)
    assert run(tiny_disk, *LONGER, "venv.network.hidden=[64]", "venv.members=20") == 0
    assert state(tiny_disk)["state"] == "finished"


def test_a_trial_whose_end_nobody_heard_is_not_trained_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deaf(self: Conductor, number: int, *_: Any) -> None:
        raise Stopped

    with monkeypatch.context() as patch:
        patch.setattr(Conductor, "ended", deaf)
        assert run(tmp_path, *TUNED, *LONGER) == 130
    model = weights(tmp_path, "search/venv/trial_000/venv")
    assert [trial["state"] for trial in trials(tmp_path)] == ["running"]
    trained: list[MultiStepLearner] = []
    make_round = MultiStepLearner.round

    def counted(self: MultiStepLearner, number: int) -> None:
        trained.append(self)
        make_round(self, number)

    monkeypatch.setattr(MultiStepLearner, "round", counted)
    assert run(tmp_path, *TUNED, *LONGER) == 0
    assert weights(tmp_path, "search/venv/trial_000/venv") == model
    assert trials(tmp_path)[0]["metric"] is not None
    assert len({id(learner) for learner in trained}) == 2  # those of the two trials that were left


def test_the_error_of_a_trial_is_told_once_at_the_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    space = ("search=grid", "search.trials=4", "search.retrain=0", "+venv.space.learner.chunk='choice(0, 5)'")
    space += ("venv.space.learner.lr='choice(1e-3, 2e-3)'",)
    assert (
        run(tmp_path, "venv.mode=tune", *space, "policy.mode=none", "~venv.space.learner.multi_step_lr") == 0
    )
    told = capsys.readouterr().out
    assert told.count("Traceback") == 1
    chosen, failed = told.index("  chosen "), told.index("Traceback")
    assert chosen < failed
    assert {trial["state"] for trial in trials(tmp_path)} == {"finished", "failed"}


def test_a_second_command_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, "policy.mode=none") == 0
    held = RunFolder.open(tmp_path, "r", "refrigerator", {})
    before = (tmp_path / "r" / "state.json").read_bytes()
    assert run(tmp_path, "policy.mode=none") == 2
    assert f"is in use by another command (process {os.getpid()})" in capsys.readouterr().err
    assert (tmp_path / "r" / "state.json").read_bytes() == before
    held.close()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_in_the_middle_of_training_ends_a_run_that_goes_on_later(
    number: int,
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    watch, before = Context.watch, signal.getsignal(number)

    def hit(self: Context, learner: object, done: int, total: int) -> None:
        watch(self, learner, done, total)
        if done == 7:
            os.kill(os.getpid(), number)

    with monkeypatch.context() as patch:
        patch.setattr(Context, "watch", hit)
        assert run(tmp_path, *LONGER, "policy.mode=none") == code
    assert "to go on from here: " in capsys.readouterr().err
    assert signal.getsignal(number) == before
    assert state(tmp_path)["state"] == "interrupted"
    assert (tmp_path / "r" / "checkpoints" / "venv.ckpt").is_file()
    assert run(tmp_path, *LONGER, "policy.mode=none") == 0


def test_of_a_multirun_that_is_interrupted_the_run_alone_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def hit(self: Context, learner: object, done: int, total: int) -> None:
        if self.settings.seed == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(Context, "watch", hit)
    fixed = ("debug=fast", "policy.mode=none", "tracking=none", f"log_dir={tmp_path}")
    sweep = f"hydra.sweep.dir={tmp_path / 'sweep'}"
    assert main(["-m", "experiment=refrigerator", "seed=0,1,2", *fixed, sweep]) == 130
    told = capsys.readouterr().err
    runs = {json.loads(file.read_text())["state"]: file.parent.name for file in tmp_path.glob("*/state.json")}
    assert runs.keys() == {"finished", "interrupted"}
    wanted = " ".join(["experiment=refrigerator", "seed=1", *fixed, f"run_id={runs['interrupted']}"])
    assert "to go on from here: " in told
    assert f" {wanted}\n" in told
    assert "the combinations after it were not begun" in told


def _in_the_middle_of_a_search(command: Command) -> subprocess.Popen[bytes]:
    """The started command, once a trial is over and another one at work."""
    command.start()
    assert command.process
    until = time.monotonic() + 200
    while not (command.trials() and workers(command.process.pid)):
        assert time.monotonic() < until
        assert command.running
        time.sleep(0.2)
    return command.process


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_search_on_ray_is_interrupted(number: int, code: int, tmp_path: Path) -> None:
    """As a terminal does it: every process of the group gets the signal."""
    command = Command(tmp_path, "r", *SEARCH, "search.scheduler=fifo", "policy.mode=none")
    process = _in_the_middle_of_a_search(command)
    below = {pid: born(pid) for pid in descendants(process.pid)}
    if number == signal.SIGINT:
        command.signal(number)
    else:
        process.send_signal(number)
    assert command.wait(60) == code
    kept = command.trials()
    told = (tmp_path / "r.log").read_text()
    assert "interrupted; to go on from here: " in told
    assert told.rstrip().endswith("run_id=r")
    assert "Traceback" not in told
    assert wait_until_gone(below) == []
    assert json.loads((command.folder / "state.json").read_text())["state"] == "interrupted"
    command.start()
    assert command.wait() == 0
    after = command.trials()
    assert {name: after[name] for name in kept} == kept
    assert len(after) > len(kept)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_disk_that_gets_full_while_a_search_runs_on_ray(tiny_disk: Path, tmp_path: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=30m", str(tiny_disk)], check=True)
    overrides = (*SEARCH, "search.scheduler=fifo", "policy.mode=none", "tracking.patience=5")
    command = Command(tiny_disk, "r", *overrides, log=tmp_path / "log")
    process = _in_the_middle_of_a_search(command)
    filler = tiny_disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    below = {pid: born(pid) for pid in descendants(process.pid)}
    kept = command.trials()
    assert command.wait(100) == 2
    told = (tmp_path / "log").read_text()
    assert "No space left on device\n    -> make space, then run_id=r goes on from there" in told
    assert "Traceback" not in told
    assert wait_until_gone(below) == []
    filler.unlink()
    command.start()
    assert command.wait() == 0
    after = command.trials()
    assert {name: after[name] for name in kept} == kept
    assert {trial["state"] for trial in after.values()} == {"finished"}
