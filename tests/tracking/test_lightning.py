"""Lightning's numbers on their way to a stage."""

from __future__ import annotations

from typing import Any

from revive.tracking.lightning import StageLogger


class Recorder:
    """Remembers what it is given."""

    def __init__(self) -> None:
        self.seen: list[tuple[dict[str, float], int]] = []

    def metrics(self, values: dict[str, float], step: int = 0) -> None:
        self.seen.append((values, step))


def test_metrics_are_forwarded_without_the_epoch_count() -> None:
    recorder: Any = Recorder()
    logger = StageLogger(recorder)
    logger.log_metrics({"loss": 0.5, "epoch": 3}, step=7)
    logger.log_metrics({"epoch": 4}, step=8)
    logger.finalize("failed")
    assert recorder.seen == [({"loss": 0.5}, 7)]
