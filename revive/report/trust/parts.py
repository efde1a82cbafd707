"""What the sections of the page are made of: headings, tables, pictures, numbers as words."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from revive.errors import first_few
from revive.graph.units import labelled, with_unit
from revive.report.data_page import svg
from revive.report.tables import LEAST_SHARE

Array = NDArray[np.float64]
BAND, SHADE = "#cc79a7", "#ead9b0"
LEFT, RIGHT, TOP, BOTTOM, GAP = 0.72, 0.12, 0.12, 0.5, 0.22  # inches, of one panel; TOP of the whole


def grid(count: int, width: float, height: float, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """So many panels in rows of `columns`; width of all and height of one row in inches, labels included.

    The margins are fixed: a layout that measures every label first takes as long as drawing.
    """
    rows = -(-count // columns)
    figure = Figure(figsize=(width, height * rows + TOP))
    across, down = width / columns, height * rows + TOP
    axes = []
    for i in range(count):
        row, column = divmod(i, columns)
        corner = (column * across + LEFT) / width, ((rows - 1 - row) * height + BOTTOM) / down
        size = (across - LEFT - RIGHT) / width, (height - BOTTOM - GAP) / down
        axis = figure.add_axes((*corner, *size))
        axis.spines[["top", "right"]].set_visible(False)
        axis.locator_params(nbins=5)
        axis.tick_params(labelsize=7)
        axes.append(axis)
    return figure, axes


def numbers(values: Any) -> Array:
    """Nested lists of numbers and nulls as an array; null is NaN."""
    return np.array(values, dtype=np.float64)


def named(name: str, units: str | None, between: str = " ") -> str:
    """A column with its unit, for an axis; dollar signs are no mathematics."""
    label = f"{between}[".join(labelled(name, units).rsplit(" [", 1))
    return label.replace("$", r"\$")


def picture(figure: Figure, caption: str = "") -> str:
    """A figure as SVG with its caption; text stays text, which keeps the page small and searchable."""
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        drawn = svg(figure)
    told = f"<figcaption>{caption}</figcaption>" if caption else ""
    return f"<figure>{drawn}{told}</figure>"


def picture_or_nothing(figure: Figure | None) -> str:
    """A figure as `picture` draws it; nothing where there is none."""
    return "" if figure is None else picture(figure)


def section(key: str, title: str, *parts: str) -> str:
    """A section with an anchor; nothing where all parts are empty but the first, which explains."""
    explained, *shown = parts
    if not any(shown):
        return ""
    return f"<section id='{key}'><h2>{escape(title)}</h2>{paragraph(explained)}{''.join(shown)}</section>"


def paragraph(text: str) -> str:
    """Text that may hold tags of ours."""
    return f"<p>{text}</p>" if text else ""


def listed(lines: Sequence[str]) -> str:
    """An unordered list; nothing without lines."""
    return f"<ul>{''.join(f'<li>{line}</li>' for line in lines)}</ul>" if lines else ""


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Cells are escaped; all but the first column are numbers."""
    if not rows:
        return ""
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    lines = [
        "<tr>"
        + "".join(f"<td{'' if i == 0 else ' class=number'}>{escape(c)}</td>" for i, c in enumerate(row))
        + "</tr>"
        for row in rows
    ]
    return f"<table><tr>{head}</tr>{''.join(lines)}</table>"


def escape(text: object) -> str:
    """For HTML."""
    return html.escape(str(text))


def number(value: float | None, digits: int = 3) -> str:
    """A number to read; a dash where there is none."""
    return "–" if value is None or not np.isfinite(value) else f"{value:.{digits}g}"


def percent(value: float | None) -> str:
    """A share to read."""
    if value is None or not np.isfinite(value):
        return "–"
    if 0 < value < LEAST_SHARE:
        return f"under {100 * LEAST_SHARE:g} %"
    return f"{100 * value:.0f} %" if value == 0 or value >= 0.02 else f"{100 * value:.1f} %"


def valued(values: Mapping[str, float], units: Mapping[str, str], most: int = 12) -> str:
    """Columns and what they hold, `level = 3.2 m, flow = 5 l/h`, for HTML; an earlier frame has the column's unit."""
    told = (
        f"{name} = {with_unit(number(value), units.get(name) or units.get(name.partition(',')[0], ''))}"
        for name, value in list(values.items())[:most]
    )
    return escape(", ".join(told))


def quoted(names: Sequence[str], most: int = 4) -> str:
    """Names in quotes, no more than so many."""
    return first_few([f"'{name}'" for name in names], most)
