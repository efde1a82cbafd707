"""What a service has counted since it began; `/metrics` shows it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from revive.runtime.codec import Array
from revive.runtime.envelope import Judgement


@dataclass
class Counts:
    """refused: requests by kind of fault. below, above: steps by column. distance: of actions, summed by column."""

    answered: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    steps: int = 0
    judged: int = 0
    unlike: int = 0
    far: int = 0
    below: Counter[str] = field(default_factory=Counter)
    above: Counter[str] = field(default_factory=Counter)
    compared: int = 0
    distance: Counter[str] = field(default_factory=Counter)
    agreed: Counter[str] = field(default_factory=Counter)

    def note_judged(self, names: Sequence[str], judged: Judgement) -> None:
        """Rows that were held against what was logged; `names` of its columns."""
        self.judged += len(judged.far)
        self.unlike += int(judged.unlike.sum())
        self.far += int(judged.far.sum())
        for name, low, high in zip(names, judged.below.sum(0), judged.above.sum(0), strict=True):
            self.below[name] += int(low)
            self.above[name] += int(high)

    def note_compared(self, names: Sequence[str], proposed: Array, done: Array, span: Array) -> None:
        """Proposals and what the operator did, (N, d) each; they agree where they differ by 1 % of `span` at most."""
        self.compared += len(proposed)
        apart = np.abs(proposed - done)
        for number, name in enumerate(names):
            self.distance[name] += float(apart[:, number].sum())  # type: ignore[assignment]
            self.agreed[name] += int((apart[:, number] <= 0.01 * span[number]).sum())
