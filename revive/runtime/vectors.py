"""Inputs and actions of a policy that an export is held against."""

from __future__ import annotations

from typing import Final

import numpy as np

from revive.runtime.codec import Array
from revive.runtime.policy import Policy

_ROWS: Final = 16


def drawn_vector(policy: Policy) -> tuple[Array, Array]:
    """Inputs around the logged values, (rows, columns), and what numpy makes of them, both in physical units.

    A node that is seen beside its own history has one present value in both.
    """
    rng, parts, present = np.random.default_rng(0), [], dict[str, Array]()
    for node in policy.inputs:
        codec, kept = policy.codecs[node], policy.graph[node].history
        frames, one = policy.graph[node].width // len(codec.columns), len(codec.columns)
        part = codec.decode(rng.normal(size=(_ROWS, frames * codec.layout.width)))
        if kept is None or kept.delay == 0:
            now = present.setdefault(node if kept is None else kept.source, part[:, -one:])
            part[:, -one:] = now
        parts.append(part)
    full = np.concatenate(parts, axis=1)
    return full, policy.answer(full)


def span_of(policy: Policy) -> Array:
    """What a difference is measured by: one unit of model space of each column of the action, or 1."""
    codec = policy.codecs[policy.target]
    span = np.ones(len(codec.columns))
    for where, i in zip(codec.slices, codec.order, strict=True):
        if codec.columns[i].type != "category" and codec.columns[i].scale not in (
            "log",
            "quantile",
            "cyclic",
        ):
            span[i] = codec.scale[where.start]
    return span
