"""Python that the user wrote, run only from a file that the experiment names."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from revive.errors import Problem, Problems, UserError, nearest


def load_module(path: Path, source: bytes | None = None) -> ModuleType:
    """Execute the file as a module of its own. Raises UserError where it is missing or fails.

    source: what to execute in place of what the file holds now (or of a cached compilation of it).
    """
    if source is None and not path.is_file():
        close = nearest(path.name, (entry.name for entry in path.parent.glob("*.py")))
        hint = f"did you mean '{close}'?" if close else None
        raise UserError(Problem("no such file", path, remedy=hint))
    name = f"revive_user_{path.stem}_{abs(hash(path.resolve())):x}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UserError(Problem("this is no Python file", path, remedy="give a file that ends in .py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        if source is None:
            spec.loader.exec_module(module)
        else:
            exec(compile(source, str(path), "exec"), vars(module))
    except (Exception, SystemExit) as error:  # sys.exit() in it does not end the program, least of all well
        raise UserError(raised_in(path, error)) from error
    return module


def require_inside(folder: Path, files: Iterable[str]) -> None:
    """Raises UserError for files that lie, or lead by a link, outside `folder`."""
    home, problems = folder.resolve(), Problems()
    for file in files:
        if not (folder / file).resolve().is_relative_to(home):
            problems.add(f"'{file}' lies outside this folder, so it is not run", file=folder)
    problems.raise_if_any()


def annotated_library(function: Callable[..., Any]) -> Literal["numpy", "torch"] | None:
    """Which arrays the annotations of a function speak of; None where they are silent or speak of both."""
    spoken = " ".join(str(note) for note in getattr(function, "__annotations__", {}).values())
    torch, numpy = "Tensor" in spoken, "ndarray" in spoken
    return None if torch == numpy else "torch" if torch else "numpy"


def raised_in(path: Path, error: BaseException) -> Problem:
    """What the user's code raised, with the line of the user's file it came from."""
    own = path.resolve()
    if isinstance(error, SyntaxError) and error.filename:
        file = Path(error.filename).resolve()
        place = f"line {error.lineno}" if error.lineno else None
        return Problem(f"{type(error).__name__}: {error.msg}", path if file == own else file, place)
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if Path(frame.filename).resolve() == own]
    place = f"line {lines[-1]}" if lines else None
    return Problem(f"{type(error).__name__}: {error}", path, place)


def require_function(module: ModuleType, name: str, path: Path) -> None:
    """Raises UserError where the module has no callable of that name; says which ones it has."""
    if not callable(getattr(module, name, None)):
        own = [k for k, v in vars(module).items() if callable(v) and not k.startswith("_")]
        has = f"it defines {', '.join(own)}" if own else "it defines no function"
        raise UserError(Problem(f"no function '{name}'", path, remedy=f"define {name}(...); {has}"))
