"""The causal card of one decision column and one output column: what the logs can teach about it, and a grade.

A  the action was moved a good deal on its own (overlap above 10 %), and what it does is known
B  what it does is known, from smaller moves
C  what it does cannot be told from these logs: hardly any moves of its own, or an interval that is too wide
D  something that is not logged moves both, or the logs contradict what was declared
-  not asked: too few rows

What is known is an effect whose interval leaves out zero, or one that is too small to matter.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Grade = Literal["A", "B", "C", "D", "-"]


@dataclass(frozen=True)
class Remark:
    """Something that was found. code: for machines; sentence: what it is; remedy: what to do about it."""

    code: str
    sentence: str
    remedy: str = ""


@dataclass(frozen=True)
class Reference:
    """What one logged column explains of the moves and of the response, given all other columns; shares."""

    column: str
    moves: float
    response: float


@dataclass(frozen=True)
class CausalCard:
    """See the module's docstring; `action` is a column of the decision node `node`.

    Effects are in units of the output per unit of the decision, per step; units: these, as far as they are declared.
    overlap: share of the variance of the decision that nothing logged explains. moved: its standard deviation.
    effect, low, high: of the move at `dead_time` (steps until it shows, 1: at once), and an interval that misses the
    effect of any card of the run in one run of twenty. fast, fast_se: as fresh moves alone tell it; shift: the
    difference of the two in standard errors. share: of the unexplained response that the effect explains.
    lasts: share of the decision's own moves that their past foretells. declared: the direction in the description.
    moves_acf, rest_acf: autocorrelations of the moves and of what the model leaves, at lags 1 ..; cross: correlation of
    the moves with what is left k steps later, k = -10 .. 30. rest: sd of what the model leaves. noise: sd of the
    measurement, where it shows. references: what logged columns explain, where they are few.
    """

    node: str
    action: str
    output: str
    grade: Grade
    overlap: float
    moved: float
    effect: float
    low: float
    high: float
    dead_time: int
    fast: float
    fast_se: float
    shift: float
    share: float
    lasts: float
    declared: str | None
    noise: float | None
    moves_acf: tuple[float, ...]
    rest_acf: tuple[float, ...]
    cross: tuple[float, ...]
    rest: float
    reasons: tuple[str, ...]
    remarks: tuple[Remark, ...] = ()
    references: tuple[Reference, ...] = ()
    units: str = ""

    @property
    def alarm(self) -> bool:
        """Whether something that is not logged seems to move both."""
        return any(remark.code == "hidden-driver" for remark in self.remarks)

    @property
    def is_late(self) -> bool:
        """Whether moves show only later than the transition sees."""
        return any(remark.code == "dead-time" for remark in self.remarks)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**asdict(self), "alarm": self.alarm}


@dataclass(frozen=True)
class Cards:
    """All cards of a run. rows: that they read; blocks: of rows that count as independent; needed: rows at least.

    skipped: what no card was made for, in words.
    """

    cards: tuple[CausalCard, ...]
    rows: int
    blocks: int
    rate: float
    needed: int
    skipped: tuple[str, ...] = field(default=())

    @property
    def grade(self) -> Grade:
        """The worst of all cards."""
        return max((card.grade for card in self.cards), default="-", key="-ABCD".index)

    @property
    def doubtful(self) -> float:
        """The share of cards with grade C or D."""
        return sum(card.grade in ("C", "D") for card in self.cards) / max(1, len(self.cards))

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "grade": self.grade,
            "rows": self.rows,
            "blocks": self.blocks,
            "false_alarms": self.rate,
            "rows_needed": self.needed,
            "skipped": list(self.skipped),
            "cards": [card.as_dict() for card in self.cards],
        }
