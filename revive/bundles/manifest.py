"""The manifest: which files a bundle has, how large they are, their SHA-256, and the verdict of the gate.

It is the first file that is read, and the only one that is parsed before a checksum has vouched for it; its own
checksum covers every other field, and its bytes must be those that this module would write.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from revive.errors import Problem, UserError

FORMAT: Final = 3
READABLE: Final = (2, 3)  # a venv of format 2 has no scenario; nothing else differs
MANIFEST: Final = "manifest.json"
WEIGHTS: Final = "model.safetensors"
SCENARIO: Final = "scenario.safetensors"
CODE: Final = "code"
READS: Final = f"formats {' and '.join(map(str, READABLE))}"
Kind = Literal["venv", "policy"]

_FILE: Final = r"^(code/)?[\w][\w-]*\.(py|json|safetensors)$"
M = TypeVar("M", bound=BaseModel)
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Strict(BaseModel):
    """A part of a bundle in which every key is known and nothing is converted."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Entry(Strict):
    """One file."""

    size: Annotated[int, Field(ge=0)]
    sha256: Digest

    @classmethod
    def of(cls, content: bytes) -> Entry:
        """The entry of a file with this content."""
        return cls(size=len(content), sha256=hashlib.sha256(content).hexdigest())


class Gate(Strict):
    """Whether the run passed its gate. overridden: somebody accepted it in spite of `fail`, knowing the reasons."""

    status: Literal["pass", "warn", "fail"]
    reasons: Annotated[list[Annotated[str, Field(max_length=2000)]], Field(max_length=100)] = Field(
        default_factory=list
    )
    overridden: bool = False


class Manifest(Strict):
    """What stands in manifest.json; `gate` is None where nothing has judged the run yet."""

    format: Literal[2, 3]
    kind: Kind
    written_by: Annotated[str, Field(max_length=100)]
    files: Annotated[dict[Annotated[str, Field(pattern=_FILE, max_length=200)], Entry], Field(max_length=100)]
    gate: Gate | None = None

    def to_bytes(self) -> bytes:
        """The file, its own checksum included."""
        fields = self.model_dump(mode="json")
        return _text({**fields, "sha256": _digest(fields)}).encode()


def parse_manifest(content: bytes, file: Path) -> Manifest:
    """The manifest that `Manifest.to_bytes` wrote. Raises UserError for anything else."""
    fields = parse_json(content, file)
    if not isinstance(fields, dict):
        raise UserError(Problem("holds no manifest", file))
    said = fields.get("format")
    if said not in READABLE:
        raise UserError(Problem(f"format {said!r} cannot be read, this release reads {READS}", file))
    fields.pop("sha256", None)
    manifest = validated(Manifest, fields, file)
    if manifest.to_bytes() != content:
        remedy = "copy the bundle again, or make it again"
        raise UserError(Problem("was changed: its own checksum does not fit", file, remedy=remedy))
    return manifest


def parse_json(content: bytes, file: Path) -> Any:
    """JSON as plain values; neither NaN nor infinity, and no more than some 200 levels. Raises UserError."""
    try:
        return from_json(content, allow_inf_nan=False)
    except (ValueError, RecursionError) as error:
        raise UserError(Problem(f"is no JSON: {error}", file)) from None


def validated(model: type[M], fields: Any, file: Path) -> M:
    """`fields` as `model`. Raises UserError with the first few places that are wrong."""
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False, include_context=False)
    except RecursionError:
        raise UserError(Problem("is nested too deeply", file)) from None
    problems = []
    for fault in faults[:5]:
        place = ".".join(str(part)[:60] for part in fault["loc"][:8])
        problems.append(Problem(_said(fault["msg"]), file, place or None))
    raise UserError(*problems)


def _said(message: str) -> str:
    text = (
        message.removeprefix("Value error, ").replace("Input should be", "must be").replace("should", "must")
    )
    return text[:200]


def _text(fields: Mapping[str, Any]) -> str:
    return json.dumps(fields, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _digest(fields: Mapping[str, Any]) -> str:
    return hashlib.sha256(_text(fields).encode()).hexdigest()
