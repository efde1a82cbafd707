"""The points of an action's legal range among which a guard searches."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import islice, product
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from revive.data.codec import NodeCodec
from revive.graph.columns import Column
from revive.graph.limits import limits
from revive.policy.policy import Policy

Array = NDArray[np.float64]
POINTS: Final = 64  # that cover the range, and as many corners at most
MOST_COMBINATIONS: Final = 256  # of choices, of which all are asked about
ALONG: Final = 5  # values of a number that are tried while all other columns stay


class ActionPoints:
    """What may be done in the place of an action, (d,), physical.

    low, high: (d,) the legal range. choices: of each column its legal values, None for a number.
    """

    def __init__(
        self, columns: Sequence[Column], low: Array, high: Array, choices: Sequence[Array | None]
    ) -> None:
        self.low, self.high, self.choices = low, high, tuple(choices)
        self.moves = np.array(
            [values is None for values in choices]
        )  # (d,) by less than from choice to choice
        self._named = np.array([column.type == "category" for column in columns])
        self._span = np.where(high > low, high - low, 1.0)
        self._cover = self._covering()  # (K, d)

    @classmethod
    def of(cls, policy: Policy) -> ActionPoints:
        """Of the policy's own range, within the declared limits."""
        codec, columns = policy.codec[policy.target], policy.graph.columns(policy.target)
        low, high = (edge.copy() for edge in limits(columns))
        edges = np.stack([edge.double().cpu().numpy() for edge in (policy.low, policy.high)])  # (2, ordered)
        choices = [_choices(codec, i, column) for i, column in enumerate(columns)]
        for i, (column, values) in enumerate(zip(columns, choices, strict=True)):
            at = codec.dimensions(i)
            if values is not None:
                low[i], high[i] = values.min(), values.max()
            elif column.scale == "cyclic":
                low[i] = column.min or 0.0
                high[i] = low[i] + (column.cycle or 1.0)
            else:
                own = _decoded(codec, i, at.start, edges[:, at.start])
                low[i], high[i] = (np.clip(edge, low[i], high[i]) for edge in (own.min(), own.max()))
        return cls(columns, low, high, choices)

    def around(self, wanted: Array) -> Array:
        """wanted (B, d) -> (B, K, d): points that cover the range, and those that leave most of `wanted` as it is."""
        cover = np.broadcast_to(self._cover, (len(wanted), *self._cover.shape))
        some = [cover]
        if self.moves.any() and not self.moves.all():
            some.append(np.where(self.moves, cover, wanted[:, None]))
        if len(self.moves) > 1:
            some += [self._along(wanted, i) for i in range(len(self.moves))]
        return np.concatenate(some, axis=1)

    def distance(self, points: Array, wanted: Array) -> Array:
        """points (B, K, d), wanted (B, d) -> (B, K) squares of spans; another category is as far as a whole span."""
        off = (points - wanted[:, None]) / self._span
        off = np.where(self._named, points != wanted[:, None], off)
        return np.square(off).sum(-1)

    def _along(self, wanted: Array, i: int) -> Array:
        """`wanted` with other values of column i alone."""
        own = self.choices[i]
        values = np.linspace(self.low[i], self.high[i], ALONG) if own is None else own
        points = np.repeat(wanted[:, None], len(values), axis=1)
        points[:, :, i] = values
        return points

    def _covering(self) -> Array:
        known = [values for values in self.choices if values is not None]
        if len(known) == len(self.choices) and math.prod(map(len, known)) <= MOST_COMBINATIONS:
            return np.array([*product(*known)], dtype=np.float64)
        from scipy.stats import qmc  # takes a second, and whoever loads a policy imports this module

        d = len(self.low)
        corners = np.array([*islice(product((0.0, 1.0), repeat=d), POINTS)])
        unit = np.concatenate([qmc.Sobol(d, scramble=False).random(POINTS), corners])
        points = self.low + unit * (self.high - self.low)
        for i, values in enumerate(self.choices):
            if values is not None:
                points[:, i] = values[np.minimum((unit[:, i] * len(values)).astype(int), len(values) - 1)]
        return points


def _choices(codec: NodeCodec, i: int, column: Column) -> Array | None:
    """The legal values of a column in ascending order; None for a number."""
    if column.type == "continuous":
        return None
    if column.type == "category":
        return np.sort(np.array(column.values, dtype=np.float64))
    levels = np.linspace(-1.0, 1.0, int(column.num or 2))
    return _decoded(codec, i, codec.dimensions(i).start, levels)


def _decoded(codec: NodeCodec, i: int, dimension: int, z: Array) -> Array:
    """Column i, (n,) physical, of values (n,) of one of its dimensions in model space."""
    full = torch.zeros(len(z), codec.width, dtype=torch.float64, device=codec.center.device)
    full[:, dimension] = torch.as_tensor(z)
    return codec.decode(full)[:, i].cpu().numpy()
