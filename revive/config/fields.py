"""What sections of the config are made of: the kinds of values, and a section in which every key is known."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field


def _word(value: object) -> object:
    """A name such as 20261122 arrives from YAML as a number."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _no_blank(value: object) -> object:
    if isinstance(value, str) and not value.strip():
        raise ValueError("must not be empty")
    return value


def _absolute(path: Path) -> Path:
    return Path.cwd() / path.expanduser()


def _no_file_of_ours(name: str) -> str:
    """MLflow's database and artifacts, and the folders of -m, lie beside the runs."""
    if name.startswith("mlflow.db") or name in ("mlartifacts", "mlruns", "multirun"):
        raise ValueError(f"must be another name: '{name}' lies beside the runs and is none")
    return name


Word = Annotated[str, BeforeValidator(_word), Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=200)]
RunId = Annotated[Word, AfterValidator(_no_file_of_ours)]
AnyPath = Annotated[Path, BeforeValidator(_no_blank), BeforeValidator(_word), AfterValidator(_absolute)]
"""A path; a relative one starts at the working directory, because experiments have made theirs absolute."""
Count = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]


class Section(BaseModel):
    """A part of the config in which every key is known."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
