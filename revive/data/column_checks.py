"""Warnings about single columns: constant, the same as another, far-off values, category values, missing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from revive.data.finding import Evidence, Finding, counted, warning
from revive.data.sentinels import sentinels
from revive.data.trajectories import FloatArray

_FAR: Final = 10.0  # interquartile ranges away from the quartiles
_FAR_SHARE: Final = 0.01  # of the rows; what is more frequent is no outlier
_MANY_MISSING: Final = 0.2


def constant_columns(evidence: Evidence) -> Iterator[Finding]:
    """Columns with one value in all rows."""
    for node, number, column in evidence.logged():
        if evidence.is_constant(node, number):
            value = evidence.ranges[node][0][number]
            what = f"'{column.name}' is {value:g} in all rows"
            remedy = "leave it out of the description, or log what varies it"
            if node in evidence.graph.decisions:
                what += ", so nothing can be learned about what it does"
                remedy = "leave it out of the description, or add logs in which it varies"
            yield warning("constant-column", what, remedy, node, column.name)


def duplicated_columns(evidence: Evidence) -> Iterator[Finding]:
    """Columns that are equal to an earlier one in all rows."""
    first: dict[bytes, list[tuple[str, int, str]]] = {}
    arrays, sample = evidence.trajectories.arrays, evidence.sample.arrays
    for node, number, column in evidence.logged():
        if evidence.is_constant(node, number):
            continue
        alike = first.setdefault(np.ascontiguousarray(sample[node][:, number]).tobytes(), [])
        for other, other_number, other_name in alike:
            if np.array_equal(arrays[node][:, number], arrays[other][:, other_number]):
                what = f"'{column.name}' is the same as '{other}.{other_name}' in all rows"
                yield warning("duplicated-column", what, "describe one of them alone", node, column.name)
                break
        else:
            alike.append((node, number, column.name))


def outliers(evidence: Evidence) -> Iterator[Finding]:
    """Rare values far away from nearly all others; what an operator seldom does is a move, and no fault."""
    for node, number, column in evidence.logged():
        set_by_hand = node in evidence.graph.decisions
        if column.type != "continuous" or set_by_hand or evidence.is_constant(node, number):
            continue
        low, high = _usual(evidence.sample.arrays[node][:, number])
        least, most = (bound[number] for bound in evidence.ranges[node])
        if low <= least and most <= high:
            continue
        values = evidence.trajectories.arrays[node][:, number]
        far = np.flatnonzero((values < low) | (values > high))
        far = far[~np.isin(values[far], [sentinel.value for sentinel in sentinels(values)])]
        if 0 < len(far) <= _FAR_SHARE * len(values):
            worst = far[np.argmax(np.abs(values[far] - (low + high) / 2))]
            what = f"'{column.name}' is far from all its other values in {counted(len(far), 'row')}, e.g. "
            what += f"{values[worst]:g} in row {worst} where {low:.4g} to {high:.4g} would be wide"
            yield warning(
                "outliers", what, "correct or drop these rows if they are faults", node, column.name
            )


def number_for_nothing(evidence: Evidence) -> Iterator[Finding]:
    """Numbers such as -9999 that seem to stand for "no value"."""
    for node, number, column in evidence.logged():
        if column.type != "continuous" or evidence.is_constant(node, number):
            continue
        bounds = [bound[number] for bound in evidence.ranges[node]]
        leaps = node in evidence.graph.decisions
        if not sentinels(np.append(evidence.sample.arrays[node][:, number], bounds), leaps):
            continue  # all rows are looked at only where something is there to be found
        for sentinel in sentinels(evidence.trajectories.arrays[node][:, number], leaps):
            what = f"'{column.name}' is {sentinel.value:g} in {counted(sentinel.count, 'row')}, "
            what += f"first in row {sentinel.first}, "
            what += "far from all its other values"
            remedy = f"if it stands for 'no value': dataset.missing_values=[{sentinel.value:.15g}]"
            yield warning("no-value", what, remedy, node, column.name)


def _usual(values: FloatArray) -> tuple[float, float]:
    low, high = np.percentile(values, [25, 75])
    spread = max(high - low, 0.2 * values.std())
    return float(low - _FAR * spread), float(high + _FAR * spread)


def category_values(evidence: Evidence) -> Iterator[Finding]:
    """Declared values of categories that never occur, or once."""
    for node, number, column in evidence.logged():
        if column.type != "category" or not column.values:
            continue
        counts = {value: _count(evidence, node, number, value) for value in column.values}
        for times, code, said in ((0, "category-never", "never occurs"), (1, "category-once", "occurs once")):
            values = [value for value, count in counts.items() if count == times]
            if values:
                shown = ", ".join(f"{value:g}" for value in values[:10])
                verb = said if len(values) == 1 else said.replace("occurs", "occur")
                what = f"of the declared values of '{column.name}', {shown} {verb}"
                remedy = "a model can only guess there: remove the value, or add logs that have it"
                yield warning(code, what, remedy, node, column.name)


def _count(evidence: Evidence, node: str, number: int, value: float) -> int:
    """How often `value` occurs, at least if it is rare: all rows are looked at only if the sample has few."""
    close = 1e-6 * abs(value)
    few = int((np.abs(evidence.sample.arrays[node][:, number] - value) <= close).sum())
    if few > 1:
        return few
    return int((np.abs(evidence.trajectories.arrays[node][:, number] - value) <= close).sum())


def missing_values(evidence: Evidence) -> Iterator[Finding]:
    """Columns of which much was not logged."""
    masks = evidence.trajectories.missing or {}
    for node, number, column in evidence.logged():
        if node not in masks:
            continue
        share = float(masks[node][:, number].mean())
        if share > _MANY_MISSING:
            what = f"{share:.0%} of the values of '{column.name}' are missing"
            yield warning("much-missing", what, "leave the column out, or log it better", node, column.name)
