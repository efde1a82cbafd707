"""Nodes: the parts they play in a time step, and the frozen specs of those that nothing has to learn."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Literal

from revive.graph.columns import Column


class NodeKind(StrEnum):
    """The part a node plays in a time step."""

    STATE = "state"  # a leaf that its transition replaces at the next step
    EXOGENOUS = "exogenous"  # a leaf that is replayed from data
    TUNABLE = "tunable"  # an exogenous leaf, constant over a trajectory, that parameter tuning searches
    STEP = "step"  # a leaf that counts the steps of the trajectory, from 0
    TRAJECTORY = "trajectory"  # a leaf that holds the number of the trajectory
    HISTORY = "history"  # the last values of another node, kept by the rollout itself
    DECISION = "decision"  # learned, no transition; the policy to be improved is one
    TRANSITION = "transition"  # learned, becomes its state at the next step
    CHANGE = "change"  # learned, by how much something changes until the next step; no policy
    TERMINATION = "termination"  # ends the trajectory; learned, or a leaf that only the logs know
    FUNCTION = "function"  # computed by a function: a built-in one or the user's


LONGEST_HISTORY: Final = 10_000
"""Time steps that a history may reach back."""

LEARNED: Final = frozenset({NodeKind.DECISION, NodeKind.TRANSITION, NodeKind.CHANGE, NodeKind.TERMINATION})
"""Kinds that are networks where the node has inputs."""


class Origin(StrEnum):
    """How the data of a node come out of the logs."""

    LOGGED = "logged"  # the array of this name
    NEXT = "next"  # `of`, one row later
    STACK = "stack"  # the last rows of `of`, side by side
    CHANGE = "change"  # `of` one row later, minus `of`
    STEP = "step"  # the number of the row in its trajectory, from 0
    TRAJECTORY = "trajectory"  # the number of the trajectory
    NONE = "none"  # there are no data


@dataclass(frozen=True)
class DataOrigin:
    """How the data of a node come out of the logs, and which node `of` they come from."""

    how: Origin
    of: str | None = None


Builtin = Literal["add", "push", "step", "newest", "part"]
Direction = Literal["increasing", "decreasing"]


@dataclass(frozen=True)
class HistorySpec:
    """The last values of `source`: `length` frames side by side, oldest first, the newest `delay` steps ago.

    Of an array (N, d) the node has (N, length * d). At the start of a trajectory its first frame stands for
    the ones before it. With `delay` 0 the newest frame is the value in the present step.
    """

    source: str
    length: int
    delay: int = 0

    @property
    def lookback(self) -> int:
        """How many steps before the present one the oldest frame lies."""
        return self.length - 1 + self.delay


@dataclass(frozen=True)
class CodeRef:
    """A function or class of the user: `name` in `file`, a Python file beside the description.

    `library` is what the definition says it works with, None where it does not say.
    """

    file: str
    name: str
    library: Literal["numpy", "torch"] | None = None


@dataclass(frozen=True)
class FunctionSpec:
    """What computes a function node: one of the built-in functions, or `code` of the user (physical units).

    add: the sum of the two inputs, `X + delta_X`.
    push: the history with its oldest frame dropped and the other input put at its end.
    step: the input plus one.
    newest: the newest frame of the history that is its input.
    part: its own columns of the joint decision that is its input (see `joint`).
    """

    builtin: Builtin | None = None
    code: CodeRef | None = None


@dataclass(frozen=True)
class FreeParameter:
    """A number in a function of the user that is fitted to the logs: where it starts and its bounds, in its units."""

    name: str
    start: float
    min: float
    max: float
    units: str | None = None


@dataclass(frozen=True)
class FirstPrinciples:
    """What is known of a learned node: `code` says its value in physical units, a network what the code leaves open.

    With `parameters` the function takes them as a second argument. residual: the inputs that the network sees; None for
    all of them, none at all for no network.
    """

    code: CodeRef
    parameters: tuple[FreeParameter, ...] = ()
    residual: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Effect:
    """What the user knows about one input column and one output column of a node.

    Where `input_column` of the input node `input` rises, `output_column` does what `direction` says (None:
    either); `max_slope` bounds its absolute slope, in physical units of the output per unit of the input.
    """

    input: str
    input_column: str
    output_column: str
    direction: Direction | None = None
    max_slope: float | None = None


@dataclass(frozen=True)
class Copy:
    """A column of a transition that is, as it is, the column `source_column` of its input `source`."""

    column: str
    source: str
    source_column: str


@dataclass(frozen=True)
class Node:
    """A named vector of columns; `inputs` in the order the user wrote, empty for a leaf.

    history: set where the node holds the last values of another one, whether it is kept or learned.
    function: what computes a function node. custom: the user's network class of a learned node. principles: a
    function of the user to which the network of a learned node only adds.
    freeze: a learned node stays as it was loaded. loss_type: log_prob, mae, mse, or user_module.<function>.
    circles: pairs of column indices with x^2 + y^2 = 1. logged: false where there are no data of the node.
    unseen: (input, column of it) that the network of the node does not see.
    copies: columns of a learned transition that are taken over from an input in place of what the network says.
    parts: of a joint decision, each node that is a part of it and what that one sees, in the order of decision.
    """

    name: str
    kind: NodeKind
    columns: tuple[Column, ...]
    inputs: tuple[str, ...] = ()
    history: HistorySpec | None = None
    function: FunctionSpec | None = None
    custom: CodeRef | None = None
    principles: FirstPrinciples | None = None
    freeze: bool = False
    loss_type: str | None = None
    effects: tuple[Effect, ...] = ()
    circles: tuple[tuple[int, int], ...] = ()
    logged: bool = True
    unseen: tuple[tuple[str, str], ...] = ()
    copies: tuple[Copy, ...] = ()
    parts: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def width(self) -> int:
        """The number of columns, d of an array (N, d)."""
        return len(self.columns)

    @property
    def is_leaf(self) -> bool:
        """Whether the node is given at the start of a time step rather than computed in it."""
        return not self.inputs

    @property
    def is_learned(self) -> bool:
        """Whether the node is a network."""
        return self.kind in LEARNED and not self.is_leaf


def history_columns(name: str, spec: HistorySpec, columns: Iterable[Column]) -> tuple[Column, ...]:
    """The `length * d` columns of the history node `name` of a node with `columns`, oldest frame first.

    They are called `ts-<steps ago>_<column>`; only those of the newest frame count in judging a model.
    """
    return tuple(
        replace(column, name=f"ts-{age}_{column.name}", node=name, fit=column.fit and age == spec.delay)
        for age in range(spec.lookback, spec.delay - 1, -1)
        for column in columns
    )


def history_circles(
    spec: HistorySpec, circles: Iterable[tuple[int, int]], width: int
) -> tuple[tuple[int, int], ...]:
    """The circles of a history of a node with `circles` and `width` columns: those of every frame."""
    pairs = tuple(circles)
    return tuple((x + frame * width, y + frame * width) for frame in range(spec.length) for x, y in pairs)
