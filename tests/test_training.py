"""The training loop, with the smallest learner that needs it."""

from __future__ import annotations

import contextlib
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from revive.tracking.lightning import StageLogger
from revive.training import Learner, Standing, fit


class Recorder:
    """Remembers the metrics it is given."""

    def __init__(self) -> None:
        self.seen: list[float] = []

    def metrics(self, values: dict[str, float], step: int = 0) -> None:
        self.seen += [value for name, value in values.items() if name == "value"]


class Walker(Learner):
    """Momentum and a random generator: it matters that both are resumed."""

    def __init__(self, rounds: int = 7, enough: int = 99) -> None:
        super().__init__()
        self.place = torch.nn.Parameter(torch.zeros(3))
        self.generator = torch.Generator().manual_seed(0)
        self.most, self.enough = rounds, enough
        self.walked: list[int] = []

    @property
    def rounds(self) -> int:
        return self.most

    @property
    def finished(self) -> bool:
        return len(self.walked) >= self.enough

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam([self.place], lr=0.1)

    def round(self, number: int) -> None:
        optimizer: Any = self.optimizers()
        loss = (self.place - torch.randn(3, generator=self.generator)).square().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        self.walked.append(number)
        self.log("value", self.place.detach().sum())

    def standing(self, metric: str, at_last: bool) -> Standing | None:
        return None

    def notes(self) -> dict[str, Any]:
        return {}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["generator"], checkpoint["walked"] = self.generator.get_state(), self.walked

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.generator.set_state(checkpoint["generator"])
        self.walked = list(checkpoint["walked"])


class Pulled(Exception):
    """The plug was."""


def walk(
    folder: Path,
    *,
    stop: int | None = None,
    until: int | None = None,
    enough: int = 99,
    every: int = 2,
    error: type[BaseException] = Pulled,
    recorder: Recorder | None = None,
) -> tuple[Walker, list[tuple[int, int]]]:
    """A fit in `folder`, ended by `error` after `stop` rounds; the walker and the progress it made.

    enough: rounds after which the walker is finished.
    """
    walker, steps = Walker(enough=enough), []

    def progress(done: int, total: int) -> None:
        steps.append((done, total))
        if done == stop:
            raise error

    tracker: Any = recorder or Recorder()
    with contextlib.suppress(Pulled):
        fit(
            walker,
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


def test_progress_is_told_after_every_round(tmp_path: Path) -> None:
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


def test_a_checkpoint_of_the_first_round_counts(tmp_path: Path) -> None:
    walk(tmp_path, stop=2, every=1)
    resumed, steps = walk(tmp_path, every=1)
    assert steps[0] == (2, 7)
    assert resumed.walked == list(range(7))


def test_training_leg_by_leg_comes_to_the_same(tmp_path: Path) -> None:
    whole, _ = walk(tmp_path / "whole")
    for until, expected in ((3, [1, 2, 3]), (3, []), (5, [4, 5]), (7, [6, 7])):
        walker, steps = walk(tmp_path, until=until)
        assert [done for done, _ in steps] == expected
    assert torch.equal(walker.place, whole.place)


def test_a_leg_too_short_for_a_round_leaves_a_checkpoint_to_go_on_from(tmp_path: Path) -> None:
    """As the first leg of a population has it, where a learner has few rounds."""
    whole, _ = walk(tmp_path / "whole")
    assert walk(tmp_path, until=0)[1] == []
    assert (tmp_path / "checkpoints" / "venv.ckpt").is_file()
    assert walk(tmp_path, until=0)[1] == []
    resumed, steps = walk(tmp_path)
    assert [done for done, _ in steps] == list(range(1, 8))
    assert torch.equal(resumed.place, whole.place)


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


# -- a learner that is finished before its time --------------------------------------------------


@pytest.mark.parametrize("every", [1, 2, 5])
def test_a_learner_that_is_finished_ends_its_training(tmp_path: Path, every: int) -> None:
    walker, steps = walk(tmp_path, enough=3, every=every)
    assert walker.walked == [0, 1, 2]
    assert steps == [(1, 7), (2, 7), (7, 7)]  # all is done then


@pytest.mark.parametrize("every", [1, 2, 5])
def test_one_that_was_finished_makes_no_further_round(tmp_path: Path, every: int) -> None:
    whole, _ = walk(tmp_path, enough=3, every=every)
    again, steps = walk(tmp_path, enough=3, every=every)
    assert again.walked == [0, 1, 2]
    assert steps == [(7, 7)]
    assert torch.equal(again.place, whole.place)
    assert torch.equal(again.generator.get_state(), whole.generator.get_state())


@pytest.mark.parametrize("stop", [1, 2])
def test_one_that_was_interrupted_before_it_was_finished_goes_on(tmp_path: Path, stop: int) -> None:
    whole, _ = walk(tmp_path / "whole", enough=3)
    walk(tmp_path, enough=3, stop=stop, every=1)
    resumed, steps = walk(tmp_path, enough=3, every=1)
    assert steps[-1] == (7, 7)
    assert resumed.walked == [0, 1, 2]
    assert torch.equal(resumed.place, whole.place)


def test_one_is_finished_in_whichever_leg(tmp_path: Path) -> None:
    assert ended(tmp_path, until=2) is False
    assert ended(tmp_path, until=5) is True
    assert ended(tmp_path, until=7) is True
    assert ended(tmp_path / "all", until=None) is True


def ended(folder: Path, until: int | None) -> bool:
    """Whether training is complete, of a walker that is finished after four rounds."""
    return fit(
        Walker(enough=4),
        accelerator="cpu",
        devices=1,
        precision="32-true",
        checkpoint=folder / "checkpoints" / "venv.ckpt",
        logger=StageLogger(Recorder()),  # type: ignore[arg-type]
        progress=lambda done, total: None,
        until=until,
    )


def test_rounds_are_numbered_also_after_an_interruption(tmp_path: Path) -> None:
    walk(tmp_path, stop=4, every=1)
    assert walk(tmp_path, every=1)[0].walked == list(range(7))


# -- checkpoints that cannot be written ----------------------------------------------------------


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
