"""What commands about a finished run are given: arguments key=value, and the run folder that they name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml

from revive.config.settings import Settings
from revive.errors import Problem, UserError, suggestion


def read_arguments(verb: str, keys: Sequence[str], arguments: Sequence[str]) -> dict[str, str]:
    """key -> value. Raises UserError for others than `keys`, and where no run is named."""
    given = dict(text.split("=", 1) for text in arguments if "=" in text)
    wrong = [text for text in arguments if "=" not in text] + [key for key in given if key not in keys]
    if wrong:
        raise UserError(
            Problem(f"'{wrong[0]}' is no argument of {verb}", remedy=suggestion(wrong[0], list(keys)))
        )
    if not given.get("run"):
        raise UserError(Problem("no run is named", remedy=f"{verb} run=NAME"))
    return given


def number(given: dict[str, str], key: str, usual: float, low: float, high: float) -> float:
    """The value of a key, `usual` where it is not given. Raises UserError where it is no number in the range."""
    try:
        value = float(given.get(key, usual))
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise UserError(
            Problem(f"is {given.get(key)}", place=key, remedy=f"a number from {low:g} to {high:g}")
        )
    return value


def folder_of(given: dict[str, str]) -> Path:
    """The run folder that is named."""
    return Path(given.get("log_dir", "runs")).expanduser() / given["run"]


def settings_of(folder: Path) -> Settings:
    """Those of the last command of a run; logs that its simulator made are read from the run folder."""
    try:
        values = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
        values.pop("data", None)
        if (folder / "data.npz").is_file() and values["dataset"]["path"] is None:
            values["dataset"]["path"] = str((folder / "data.npz").absolute())
    except (FileNotFoundError, NotADirectoryError):
        there = [p.parent.name for p in folder.parent.glob("*/config.yaml")] if folder.parent.is_dir() else []
        raise UserError(
            Problem("there is no run", folder, remedy=suggestion(folder.name, there[-20:]))
        ) from None
    except (yaml.YAMLError, OSError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise UserError(Problem(f"is damaged: {error}", folder / "config.yaml")) from error
    return Settings.check(values)
