"""What a detector proposes, and the lines of a description that accept it."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

Kind = Literal["circle", "clamp", "shift", "exogenous", "cumulative", "termination"]

_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*$")
_WORDS: Final = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})


@dataclass(frozen=True)
class Proposal:
    """Something that holds in the data and that a model should be told rather than have to learn.

    columns: `node.column` of each one it is about; evidence: the figure it rests on, which `message` names;
    yaml: the line of the description that accepts it.
    """

    kind: Kind
    columns: tuple[str, ...]
    evidence: float
    message: str
    yaml: str

    def to_json(self) -> dict[str, Any]:
        """All fields as plain JSON values."""
        return {**asdict(self), "columns": list(self.columns)}


def quoted(name: str) -> str:
    """`name` as YAML reads it back as text."""
    return name if _PLAIN.match(name) and name.lower() not in _WORDS else json.dumps(name, ensure_ascii=False)
