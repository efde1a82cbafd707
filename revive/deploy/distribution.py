"""What the networks of a model say of one node: a distribution by each of them, with its values in physical units."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from revive.data.codec import NodeCodec
from revive.nn.distribution import NodeDistribution


@dataclass(frozen=True, repr=False)
class MemberDistribution(NodeDistribution):
    """The distribution of a node's value by each of M members, for B rows.

    `mean`, `std` and `probabilities` are in the model space of `codec`, (M, B, ...); `mode` and `sample()` in physical
    units, (M, B, d).
    """

    node: str
    codec: NodeCodec

    def told(self, value: Tensor) -> Tensor:
        return self.codec.decode(self.codec.project(value).double())

    def __repr__(self) -> str:
        members, rows = self.mean.shape[:2]
        return f"NodeDistribution({self.node}: {rows} rows by {members} members)"
