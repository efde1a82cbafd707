"""Running the trials of a search one after the other in this process, and what every runner shares."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any, Protocol

from revive.runs import disk_trouble
from revive.search.conductor import DONE, Conductor
from revive.search.trials import Order, Report

Tell = Callable[[Report], None]


class Work(Protocol):
    """What a trial does. It leaves its model in `order.folder` and goes on from the checkpoint it finds there.

    payload: the data, the same for all trials. cpus: how many threads it may use.
    """

    def __call__(self, order: Order, payload: Any, tell: Tell, cpus: int) -> None: ...


def run_here(conductor: Conductor, work: Work, payload: Any, cpus: int = 1) -> None:
    """Run all trials in this process. A trial that raises is noted, and the others go on.

    A disk that is full or broken ends the search instead, as OSError: no other trial would fare better, and this one
    is to be gone on with.
    """
    while (order := conductor.next()) not in (DONE, None):
        assert isinstance(order, Order)
        number = order.id
        try:
            work(order, payload, lambda report, number=number: conductor.heard(number, report), cpus)  # type: ignore[misc]
        except Exception as error:
            if disk_trouble(error):
                raise
            conductor.ended(order.id, "failed", error_text(error))
        else:
            conductor.ended(order.id, "finished")


def error_text(error: BaseException) -> str:
    """A traceback as text."""
    return "".join(traceback.format_exception(error)).rstrip()
