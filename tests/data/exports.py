"""Tables as plants, loggers and programs export them, each made by hand: what they hold, and what is right for them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

ROWS = 96
BEGIN = datetime(2024, 3, 4, 22, 0, tzinfo=UTC)
Make = Callable[[Path], Path]


@dataclass(frozen=True)
class Export:
    """A kind of table. `columns`: name of a node's column -> the signal that it holds; action: which of them it is.

    time, step: the column of times, and the seconds from row to row. refused: what the message says instead.
    others: more columns that may be nodes. trajectories: how many there are, of the same length.
    """

    make: Make
    columns: dict[str, str]
    action: str = ""
    time: str | None = None
    step: float = 60.0
    refused: str = ""
    others: tuple[str, ...] = ()
    trajectories: int = 1


EXPORTS: dict[str, Export] = {}


def export(
    columns: str = "",
    action: str = "",
    time: str | None = None,
    step: float = 60.0,
    refused: str = "",
    others: Sequence[str] = (),
    trajectories: int = 1,
) -> Callable[[Make], Make]:
    """Registers a table; columns: `name=signal` for each node, with bars between."""

    def register(make: Make) -> Make:
        pairs = [pair.rsplit("=", 1) for pair in re.split(r"(?<! )\|", columns) if pair]
        EXPORTS[make.__name__] = Export(
            make, dict(pairs), action, time, step, refused, (*others,), trajectories
        )
        return make

    return register


def signals(seed: int = 0) -> dict[str, np.ndarray]:
    """A heated tank: level, temperature, the valve and the heater that act on them, and the air outside."""
    rng = np.random.default_rng(seed)
    valve = np.round(np.clip(45 + np.cumsum(rng.normal(0, 4, ROWS)), 2, 98), 2)
    heat = np.round(np.clip(30 + np.cumsum(rng.normal(0, 3, ROWS)), 1, 99), 2)
    air = np.round(12 + 5 * np.sin(np.arange(ROWS) / 15) + rng.normal(0, 0.2, ROWS), 2)
    level, temp = np.empty(ROWS), np.empty(ROWS)
    level[0], temp[0] = 1.5, 41.0
    for k in range(ROWS - 1):
        level[k + 1] = level[k] + 0.01 * (valve[k] - 45) - 0.05 * (level[k] - 1.5) + 0.01 * rng.normal()
        temp[k + 1] = temp[k] + 0.05 * (heat[k] - 30) - 0.04 * (temp[k] - air[k] - 29) + 0.02 * rng.normal()
    return {"level": np.round(level, 3), "temp": np.round(temp, 2), "valve": valve, "air": air}


S = signals()
THREE = ("level", "temp", "valve")


def held(signal: str) -> np.ndarray:
    """The values (ROWS,) of a signal, of `name-41` or `name*1e6` of it, or of `name>45`: a switch."""
    name, mark, number = re.fullmatch(r"(\w+?)(?:([-*>])([\d.e+]+))?", signal).groups()  # type: ignore[union-attr]
    values = S[name]
    if not mark:
        return values
    return {"-": values - float(number), "*": values * float(number), ">": (values > float(number)) * 1.0}[
        mark
    ]


def times(step: float = 60.0) -> list[datetime]:
    return [BEGIN + timedelta(seconds=step * number) for number in range(ROWS)]


def cells(row: int, *names: str, form: str = "{:g}", comma: bool = False) -> list[str]:
    texts = [form.format(S[name][row]) for name in names]
    return [text.replace(".", ",") for text in texts] if comma else texts


def body(
    stamp: str | Callable[[datetime], str],
    *names: str,
    sep: str = ",",
    form: str = "{:g}",
    step: float = 60.0,
    comma: bool = False,
) -> list[str]:
    """A line for each row: its time, and the signals `names`."""
    return [
        sep.join(
            [
                time.strftime(stamp) if isinstance(stamp, str) else stamp(time),
                *cells(row, *names, form=form, comma=comma),
            ]
        )
        for row, time in enumerate(times(step))
    ]


def write(folder: Path, name: str, head: Sequence[str], rows: Sequence[str], encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(("\n".join([*head, *rows]) + "\n").encode(encoding))
    return path
