"""What every learner is to Lightning's Trainer, and that Trainer as they all use it: quiet and resumable.

One Lightning epoch is one round: as many updates as a learner likes to make between two checkpoints.
"""

from __future__ import annotations

import logging
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, ModelCheckpoint
from pytorch_lightning.loggers.logger import Logger
from pytorch_lightning.plugins.io import TorchCheckpointIO
from torch.utils.data import DataLoader

Progress = Callable[[int, int], None]  # (done, total)
AnyLearner = TypeVar("AnyLearner", bound="Learner")


@dataclass(frozen=True)
class Standing:
    """What a learner is worth so far by a metric of the search, on data that it does not learn from."""

    value: float
    error: float


class Learner(pl.LightningModule, ABC):
    """A learner: made of a problem and plain arguments, trained round by round, asked for its result.

    All that it needs to go on from a checkpoint to the same bits it puts into the checkpoint itself. It steps with
    `own_optimizers` and records with `note`, which also work where it is a part of another learner.
    """

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self._host: tuple[Learner, str] | None = None  # no child of this module
        self._lent: list[Any] = []

    def lend(self, host: Learner, name: str, optimizers: list[Any]) -> None:
        """Make rounds as a part of `host`, with those of its optimizers that belong to this part."""
        object.__setattr__(self, "_host", (host, name))
        self._lent = optimizers

    def own_optimizers(self) -> list[Any]:
        """Lightning's wrappers, in the order of `configure_optimizers`."""
        if self._host is not None:
            return self._lent
        found = self.optimizers()
        return found if isinstance(found, list) else [found]

    def renew_optimizers(self) -> None:
        """Step with those of `configure_optimizers` as they are now, after what is trained has changed."""
        if self._host is None:
            self.trainer.optimizers = listed(self.configure_optimizers())
        else:
            self._host[0].renew_optimizers()

    def seconds(self) -> float:
        """About how long all rounds will take here, from one of them; the learner is spoilt by it."""
        bare = [_Bare(optimizer) for optimizer in listed(self.configure_optimizers())]
        object.__setattr__(self, "note", lambda name, value: None)
        self.lend(self, "", bare)
        started = time.perf_counter()
        self.round(self.rounds // 2)
        return (time.perf_counter() - started) * self.rounds

    def note(self, name: str, value: Any) -> None:
        """Record a figure of the round."""
        if self._host is None:
            self.log(name, value)
        else:
            host, part = self._host
            host.note(f"{part}.{name}", value)

    def latest(self) -> dict[str, float]:
        """The figures that were recorded last; none before training."""
        if getattr(self, "_trainer", None) is None:
            return {}
        return {name: float(value) for name, value in self.trainer.logged_metrics.items() if name != "epoch"}

    @property
    @abstractmethod
    def rounds(self) -> int:
        """How many rounds there can be at most."""

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do, also where `rounds` would allow more."""
        return False

    @abstractmethod
    def round(self, number: int) -> None:
        """Make the updates of one round."""

    @abstractmethod
    def standing(self, metric: str, at_last: bool) -> Standing | None:
        """How far it is, after the round that was just made; None where that says nothing yet.

        at_last: it is to be said all the same.
        """

    @abstractmethod
    def notes(self) -> dict[str, Any]:
        """What was tried and why it stopped, as plain JSON; for the summary and the records."""

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader([0])  # type: ignore[arg-type]

    def training_step(self, _: object) -> None:
        if not self.finished:  # as a checkpoint of the very end may say
            self.round(self.current_epoch)


class Parts(torch.nn.ModuleDict, Generic[AnyLearner]):
    """Learners that make their rounds as parts of another one, which holds them as its attribute `parts`."""

    @property
    def learners(self) -> dict[str, AnyLearner]:
        return {name: cast(AnyLearner, part) for name, part in self.items()}

    @property
    def rounds(self) -> int:
        return sum(part.rounds for part in self.learners.values())

    def state(self) -> dict[str, Any]:
        """What each part adds to a checkpoint beside its weights."""
        kept = {}
        for name, part in self.learners.items():
            own: dict[str, Any] = {}
            part.on_save_checkpoint(own)
            kept[name] = own["learner"]
        return kept

    def resume(self, state: Mapping[str, Any], weights: dict[str, Any]) -> None:
        """Go on from `state`. weights: of the whole learner, about to be loaded; parts may correct their own."""
        for name, part in self.learners.items():
            prefix = f"parts.{name}."
            own = {
                key.removeprefix(prefix): value for key, value in weights.items() if key.startswith(prefix)
            }
            part.on_load_checkpoint({"learner": state[name], "state_dict": own})
            weights.update({f"{prefix}{key}": value for key, value in own.items()})


class _Bare:
    """An optimizer as Lightning wraps it, outside of a training."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer, self.param_groups = optimizer, optimizer.param_groups
        self.step, self.zero_grad = optimizer.step, optimizer.zero_grad


def listed(optimizers: Any) -> list[torch.optim.Optimizer]:
    """What `configure_optimizers` returned, as a list."""
    return list(optimizers) if isinstance(optimizers, list | tuple) else [optimizers]


class _AtomicCheckpoints(TorchCheckpointIO):
    """A checkpoint appears whole or not at all, also when the process is killed while it is written."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        draft = draft_of(Path(path))
        try:
            super().save_checkpoint(checkpoint, draft, storage_options)
            draft.replace(path)
        except OSError as error:  # of a full disk it tells no name
            draft.unlink(missing_ok=True)
            raise OSError(error.errno, error.strerror or str(error), str(path)) from error


def draft_of(checkpoint: Path) -> Path:
    """What a checkpoint is called while it is written."""
    return checkpoint.with_name(f"{checkpoint.name}.tmp")


class _Report(Callback):
    def __init__(self, progress: Progress, total: int) -> None:
        self.progress, self.total = progress, total

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        done = trainer.current_epoch + 1
        if pl_module.finished:
            trainer.should_stop = True
            done = self.total
        self.progress(done, self.total)


def fit(
    learner: Learner,
    *,
    accelerator: str,
    devices: int,
    precision: str,
    checkpoint: Path,
    logger: Logger,
    progress: Progress,
    until: int | None = None,
    checkpoint_every: int = 5,
) -> bool:
    """Train through all rounds, or through so many (`until`); go on from `checkpoint` where one was left.

    Returns whether training is complete. The checkpoint then holds where training is, also at the end: who asked
    removes it, once what was learned is kept elsewhere. One that cannot be written ends the training with OSError,
    and the former one stays.
    """
    rounds = learner.rounds
    stop = rounds if until is None else min(until, rounds)
    done = _rounds_done(checkpoint)
    if stop < rounds and done >= stop and checkpoint.is_file():
        return False
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    keep = ModelCheckpoint(
        checkpoint.parent,
        filename=checkpoint.stem,
        every_n_epochs=checkpoint_every,
        save_on_train_epoch_end=True,
        enable_version_counter=False,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = pl.Trainer(
            accelerator=accelerator,
            devices=devices,
            precision=precision,  # type: ignore[arg-type]
            max_epochs=stop,
            logger=logger,
            log_every_n_steps=1,
            callbacks=[keep, _Report(progress, rounds)],
            plugins=[_AtomicCheckpoints()],
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
        trainer.fit(learner, ckpt_path=str(checkpoint) if done else None, weights_only=True)
        written = trainer.current_epoch % checkpoint_every == 0 or trainer.current_epoch == done
        if not written or not checkpoint.is_file():
            trainer.save_checkpoint(checkpoint)
    return learner.finished or stop == rounds


def _rounds_done(checkpoint: Path) -> int:
    """What a checkpoint has behind it; 0 where there is none."""
    if not checkpoint.is_file():
        return 0
    stored = torch.load(checkpoint, map_location="cpu", weights_only=True)
    # not `completed`, which counts a round only after the checkpoint at its end was written
    return int(stored["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"])
