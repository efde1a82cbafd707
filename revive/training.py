"""Lightning's Trainer as every learner here uses it: quiet, resumable, one chunk of updates per epoch."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, ModelCheckpoint
from pytorch_lightning.loggers.logger import Logger
from pytorch_lightning.plugins.io import TorchCheckpointIO

Progress = Callable[[int, int], None]  # (done, total)


class Learner(Protocol):
    """A LightningModule that names its chunks."""

    @property
    def chunks(self) -> list[Any]:
        """What there is to do, one entry per epoch."""


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
        self.progress(trainer.current_epoch + 1, self.total)


def fit(
    learner: pl.LightningModule,
    chunks: int,
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
    """Train through all chunks, or through so many (`until`); go on from `checkpoint` where one was left.

    Returns whether training is complete. The checkpoint then holds where training is, also at the end: who asked
    removes it, once what was learned is kept elsewhere. One that cannot be written ends the training with OSError,
    and the former one stays.
    """
    stop = chunks if until is None else min(until, chunks)
    if stop < chunks and checkpoint.is_file() and _chunks_done(checkpoint) >= stop:
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
            callbacks=[keep, _Report(progress, chunks)],
            plugins=[_AtomicCheckpoints()],
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
        trainer.fit(learner, ckpt_path=str(checkpoint) if checkpoint.is_file() else None, weights_only=True)
        if not checkpoint.is_file() or _chunks_done(checkpoint) < stop:
            trainer.save_checkpoint(checkpoint)
    return stop == chunks


def _chunks_done(checkpoint: Path) -> int:
    stored = torch.load(checkpoint, map_location="cpu", weights_only=True)
    return int(stored["loops"]["fit_loop"]["epoch_progress"]["current"]["completed"])
