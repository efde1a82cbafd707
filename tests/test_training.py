"""The training loop, with the smallest learner that needs it."""

from __future__ import annotations

import contextlib
import signal
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from revive.tracking.lightning import StageLogger
from revive.training import fit


class Recorder:
    """Remembers the metrics it is given."""

    def __init__(self) -> None:
        self.seen: list[float] = []

    def metrics(self, values: dict[str, float], step: int = 0) -> None:
        self.seen += [value for name, value in values.items() if name == "value"]


class Walker(pl.LightningModule):
    """Momentum and a random generator: it matters that both are resumed."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.place = torch.nn.Parameter(torch.zeros(3))
        self.generator = torch.Generator().manual_seed(0)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam([self.place], lr=0.1)

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader([0])  # type: ignore[arg-type]

    def training_step(self, _: object) -> None:
        optimizer: Any = self.optimizers()
        loss = (self.place - torch.randn(3, generator=self.generator)).square().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        self.log("value", self.place.detach().sum())

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["generator"] = self.generator.get_state()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.generator.set_state(checkpoint["generator"])


class Pulled(Exception):
    """The plug was."""


def walk(
    folder: Path,
    *,
    stop: int | None = None,
    until: int | None = None,
    chunks: int = 7,
    every: int = 2,
    error: type[BaseException] = Pulled,
    recorder: Recorder | None = None,
) -> tuple[Walker, list[tuple[int, int]]]:
    """A fit in `folder`, ended by `error` after `stop` chunks; the walker and the progress it made."""
    walker, steps = Walker(), []

    def progress(done: int, total: int) -> None:
        steps.append((done, total))
        if done == stop:
            raise error

    tracker: Any = recorder or Recorder()
    with contextlib.suppress(Pulled):
        fit(
            walker,
            chunks,
            accelerator="cpu",
            devices=1,
            precision="32-true",
            checkpoint=folder / "checkpoints" / "venv.ckpt",
            logger=StageLogger(tracker),
            progress=progress,
            until=until,
            checkpoint_every=every,
        )
    return walker, steps


def test_progress_is_told_after_every_chunk(tmp_path: Path) -> None:
    recorder = Recorder()
    walker, steps = walk(tmp_path, recorder=recorder)
    assert steps == [(i, 7) for i in range(1, 8)]
    assert len(recorder.seen) == 7
    assert recorder.seen[-1] == pytest.approx(float(walker.place.detach().sum()))


def test_a_finished_fit_leaves_its_checkpoint_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    walk(tmp_path)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["venv.ckpt"]


def test_a_fit_that_was_finished_has_nothing_left_to_do(tmp_path: Path) -> None:
    whole, _ = walk(tmp_path)
    again, steps = walk(tmp_path)
    assert steps == []
    assert torch.equal(again.place, whole.place)
    assert torch.equal(again.generator.get_state(), whole.generator.get_state())


@pytest.mark.parametrize(("stop", "kept"), [(2, 0), (3, 2), (5, 4), (7, 6)])
def test_an_interrupted_fit_goes_on_from_its_last_checkpoint(tmp_path: Path, stop: int, kept: int) -> None:
    whole, _ = walk(tmp_path / "whole")
    walk(tmp_path, stop=stop)
    assert (tmp_path / "checkpoints" / "venv.ckpt").is_file() == (kept > 0)
    resumed, steps = walk(tmp_path)
    assert steps[0] == (kept + 1, 7)
    assert torch.equal(resumed.place, whole.place)


def test_training_leg_by_leg_comes_to_the_same(tmp_path: Path) -> None:
    whole, _ = walk(tmp_path / "whole")
    for until, expected in ((3, [1, 2, 3]), (3, []), (5, [4, 5]), (7, [6, 7])):
        walker, steps = walk(tmp_path, until=until)
        assert [done for done, _ in steps] == expected
    assert torch.equal(walker.place, whole.place)


def test_a_leg_that_was_interrupted_goes_on(tmp_path: Path) -> None:
    whole, _ = walk(tmp_path / "whole")
    walk(tmp_path, until=3)
    walk(tmp_path, until=6, stop=5, every=1)
    walk(tmp_path, until=6, every=1)
    assert torch.equal(walk(tmp_path)[0].place, whole.place)


def test_it_can_be_interrupted_again_and_again(tmp_path: Path) -> None:
    whole, _ = walk(tmp_path / "whole")
    for stop in (2, 3, 4, 6):
        walk(tmp_path, stop=stop, every=1)
    resumed, steps = walk(tmp_path, every=1)
    assert [done for done, _ in steps] == [6, 7]
    assert torch.equal(resumed.place, whole.place)


def test_a_checkpoint_that_cannot_be_written_leaves_the_former_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    walk(tmp_path, stop=3)
    file = tmp_path / "checkpoints" / "venv.ckpt"
    former = file.read_bytes()

    def full(obj: Any, path: Any, *args: Any, **options: Any) -> None:
        Path(path).write_bytes(b"half of it")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(
            "pytorch_lightning.plugins.io.TorchCheckpointIO.save_checkpoint", lambda s, *a: full(*a)
        )
        with pytest.raises(OSError, match="No space left") as raised:
            walk(tmp_path)
    assert raised.value.filename == str(file)
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    assert file.read_bytes() == former
    _, steps = walk(tmp_path)
    assert steps[0] == (3, 7)


def test_only_one_checkpoint_is_kept(tmp_path: Path) -> None:
    walk(tmp_path, stop=6, every=1)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["venv.ckpt"]


def test_a_second_interrupt_is_heard_after_the_first_ended_a_fit(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises((KeyboardInterrupt, SystemExit)):
            walk(tmp_path, stop=2, error=KeyboardInterrupt)
        assert signal.getsignal(signal.SIGINT) == before
    finally:
        signal.signal(signal.SIGINT, before)
