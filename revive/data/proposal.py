"""What a detector proposes, the lines of a description that accept it, and what is applied without being asked."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from revive.graph.found import Amendment, Bound, Circle, Copied, Unseen, amendment_to_json

Kind = Literal["circle", "clamp", "shift", "exogenous", "cumulative", "termination", "dead_time"]

_SUBJECTS: Final = {"circle": 2, "dead_time": 2}
_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*$")
_WORDS: Final = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})


@dataclass(frozen=True)
class Proposal:
    """Something that holds in the data and that a model should be told rather than have to learn.

    columns: `node.column` of each one it is about; evidence: the figure it rests on, which `message` names;
    yaml: the line of the description that accepts it; change: what it becomes in the graph, where it is exact.
    """

    kind: Kind
    columns: tuple[str, ...]
    evidence: float
    message: str
    yaml: str
    change: Amendment | None = None

    @property
    def is_exact(self) -> bool:
        """Whether it holds in every row, so that it can be applied without being asked for."""
        return self.change is not None

    def applied(self) -> str:
        """One line about what is done about it."""
        return f"{', '.join(self.columns[: _SUBJECTS.get(self.kind, 1)])}: {_done(self.change)}"

    def to_json(self) -> dict[str, Any]:
        """All fields as plain JSON values."""
        change = {} if self.change is None else {"change": amendment_to_json(self.change)}
        plain = {key: value for key, value in asdict(self).items() if key != "change"}
        return {**plain, "columns": list(self.columns), **change}


def _done(change: Amendment | None) -> str:
    if isinstance(change, Circle):
        return "kept on the unit circle"
    if isinstance(change, Bound):
        ends = (("at or above", change.min), ("at or below", change.max))
        said = " and ".join(f"{word} {value:.6g}" for word, value in ends if value is not None)
        return f"kept {said}, where the data pile up"
    if isinstance(change, Copied):
        return f"taken from {change.source}.{change.source_column} of the step before, not learned"
    if isinstance(change, Unseen):
        return f"adds up and acts on nothing, so it is no input of {', '.join(change.models)}"
    return "left alone"


def quoted(name: str) -> str:
    """`name` as YAML reads it back as text."""
    return name if _PLAIN.match(name) and name.lower() not in _WORDS else json.dumps(name, ensure_ascii=False)
