"""The user's functions and network classes: looked up by reading their files, never by importing them."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final, Literal

from revive.errors import nearest, suggestion
from revive.graph.nodes import CodeRef

_LARGEST: Final = 4_000_000
Wanted = Literal["function", "class"]


class CodeError(Exception):
    """Why a function or class of the user cannot be used: `what`, and its `remedy`."""

    def __init__(self, what: str, remedy: str | None = None) -> None:
        super().__init__(what)
        self.what, self.remedy = what, remedy


class CodeFolder:
    """The Python files beside a description; `folder` is None where a description has no place of its own."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._read: dict[str, dict[str, ast.stmt] | CodeError] = {}

    def find(self, reference: CodeRef, wanted: Wanted, arguments: int = 1) -> CodeRef:
        """`reference` with the library it names. Raises CodeError where the file does not define it.

        arguments: of a function, the inputs and, where there are two, its parameters.
        """
        if reference.file not in self._read:
            try:
                self._read[reference.file] = self._defined(reference.file)
            except CodeError as error:
                self._read[reference.file] = error
        defined = self._read[reference.file]
        if isinstance(defined, CodeError):
            raise CodeError(defined.what, defined.remedy)
        statement = defined.get(reference.name)
        if statement is None and "*" not in defined:
            what = f"'{reference.file}' defines no {wanted} '{reference.name}'"
            raise CodeError(what, suggestion(reference.name, defined))
        if isinstance(statement, ast.ClassDef) and wanted == "function":
            raise CodeError(f"'{reference.name}' in '{reference.file}' is a class, not a function")
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            if wanted == "class" or isinstance(statement, ast.AsyncFunctionDef):
                kind = "an async function" if isinstance(statement, ast.AsyncFunctionDef) else "a function"
                raise CodeError(f"'{reference.name}' in '{reference.file}' is {kind}, not a {wanted}")
            _check_arguments(reference, statement.args, arguments)
            return replace(reference, library=_library(statement))
        return reference

    def _defined(self, file: str) -> dict[str, ast.stmt]:
        if self._folder is None:
            remedy = "write the description into a file beside it, and name that file"
            raise CodeError(f"'{file}' is looked for beside the description, which has no folder", remedy)
        path = self._folder / file
        if not path.is_file():
            close = nearest(file, sorted(other.name for other in self._folder.glob("*.py")))
            remedy = f"did you mean '{close}'?" if close else "write the function into this file"
            raise CodeError(f"there is no file '{file}' beside the description", remedy)
        try:
            if path.stat().st_size > _LARGEST:
                raise CodeError(f"'{file}' is too large for a Python file")
            return dict(_definitions(ast.parse(path.read_bytes(), file).body))
        except SyntaxError as error:
            raise CodeError(f"'{file}' is no valid Python (line {error.lineno}): {error.msg}") from None
        except (OSError, ValueError, RecursionError, MemoryError) as error:
            raise CodeError(f"'{file}' cannot be read: {error}") from None


def _definitions(body: Iterable[ast.stmt]) -> Iterator[tuple[str, ast.stmt]]:
    """The names that the statements bind, those below `if`, `try` and `with` among them."""
    for statement in body:
        match statement:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield statement.name, statement
            case ast.Import() | ast.ImportFrom():
                for alias in statement.names:
                    yield alias.asname or alias.name.partition(".")[0], statement
            case ast.Assign():
                for target in statement.targets:
                    if isinstance(target, ast.Name):
                        yield target.id, statement
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name, statement
            case ast.If() | ast.Try() | ast.With():
                for field in ("body", "orelse", "finalbody"):
                    yield from _definitions(getattr(statement, field, ()))
                for handler in getattr(statement, "handlers", ()):
                    yield from _definitions(handler.body)


def _check_arguments(reference: CodeRef, arguments: ast.arguments, count: int) -> None:
    positional = [*arguments.posonlyargs, *arguments.args]
    required = len(positional) - len(arguments.defaults)
    keyword_only = any(default is None for default in arguments.kw_defaults)
    enough = len(positional) >= count or arguments.vararg
    if required > count or keyword_only or not enough:
        said = "one argument" if count == 1 else "two arguments"
        what = f"'{reference.name}' in '{reference.file}' cannot be called with {said}"
        if count == 1:
            raise CodeError(what, f"write def {reference.name}(data): data holds the inputs by node name")
        remedy = f"write def {reference.name}(data, parameters): inputs by node name, parameters by theirs"
        raise CodeError(what, remedy)


def _library(function: ast.FunctionDef) -> Literal["numpy", "torch"] | None:
    """What the annotations of the definition speak of, None where they are silent or speak of both."""
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    notes = [note for note in (*(argument.annotation for argument in every), function.returns) if note]
    spoken = " ".join(map(ast.unparse, notes))
    torch, numpy = "Tensor" in spoken, "ndarray" in spoken
    return None if torch == numpy else "torch" if torch else "numpy"
