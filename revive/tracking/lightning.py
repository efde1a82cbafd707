"""Lightning's metrics, handed on to a stage's tracker."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from typing import Any

from pytorch_lightning.loggers.logger import Logger
from pytorch_lightning.utilities import rank_zero_only

from revive.tracking.base import StageTracker


class StageLogger(Logger):
    """A Lightning logger that forwards metrics and leaves the run's end to the stage."""

    def __init__(self, tracker: StageTracker, name: str = "revive") -> None:
        super().__init__()
        self._tracker = tracker
        self._name = name

    @property
    def name(self) -> str:
        return self._name

    @property
    def version(self) -> str:
        return ""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Forward numbers; Lightning's own count of epochs is no news."""
        kept = {key: value for key, value in metrics.items() if key != "epoch"}
        if kept:
            self._tracker.metrics(kept, step or 0)

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """The composed config is recorded already."""

    def finalize(self, status: str) -> None:
        """Nothing: Lightning also calls this when a stage goes on."""
