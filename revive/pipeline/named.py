"""What a verb's BUNDLE or RUN names: a folder, a run below log_dir, or a version in MLflow's registry."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from revive.bundles import Kind
from revive.errors import Problem, UserError, suggestion

if TYPE_CHECKING:
    from revive.tracking.fetching import Fetched

_SCHEME = "models:"


@dataclass(frozen=True)
class Named:
    """folder: of a bundle, or of a run. said: what it is called, where the folder is but a copy of it."""

    folder: Path
    said: str | None = None


@contextmanager
def named_bundle(given: argparse.Namespace, kinds: Sequence[Kind] = ()) -> Iterator[Named]:
    """The bundle that the arguments of a `BundleParser` name; a copy from the registry is there as long as the context.

    kinds: of the bundles that a run's name stands for, the one that is wanted most first; none for the run itself.
    Raises UserError where there is nothing of that name, and for a registry that is away.
    """
    if not given.bundle.startswith(_SCHEME):
        yield Named(_bundle_of(local_folder(given.bundle, given.log_dir), kinds))
        return
    with tempfile.TemporaryDirectory(prefix="revive-model-") as made:
        copied = Path(made)
        fetched = _fetched(given.bundle, given.log_dir, given.tracking_uri, copied)
        assert fetched.bundle is not None
        try:
            yield Named(fetched.bundle, str(fetched))
        except UserError as error:  # what is wrong with the copy is wrong with the model
            raise UserError(*(_of_model(p, copied, str(fetched)) for p in error.problems)) from error


def named_run(text: str, log_dir: Path, uri: str | None) -> str:
    """The name of a run; of `models:/...` the run that the version came from. Raises UserError as `named_bundle`."""
    text = text.removeprefix("run=") if text.startswith(f"run={_SCHEME}") else text
    if not text.startswith(_SCHEME):
        return text
    fetched = _fetched(text, log_dir, uri, None)
    if fetched.run is None:
        raise UserError(Problem(f"{fetched} does not say which run it came from", remedy="name the run"))
    return fetched.run


def local_folder(text: str, log_dir: Path) -> Path:
    """A path that exists, else what is called so below log_dir. Raises UserError where a mere name is neither."""
    path = Path(text).expanduser()
    below = log_dir / text
    if path.exists() or not below.exists():
        if path.exists() or len(path.parts) > 1:
            return path
        known = [entry.name for entry in log_dir.iterdir() if entry.is_dir()] if log_dir.is_dir() else []
        remedy = (
            suggestion(text, known) if known else "name the folder of a bundle, or log_dir=DIR of the runs"
        )
        raise UserError(Problem(f"there is no bundle and no run '{text}'", log_dir, remedy=remedy))
    return below


def _bundle_of(folder: Path, kinds: Sequence[Kind]) -> Path:
    """The bundle in a run's folder; the folder itself where it is one, or is none at all."""
    if any((folder / f"{kind}.json").is_file() for kind in ("policy", "venv")):
        return folder
    inside = [folder / kind for kind in kinds if (folder / kind / f"{kind}.json").is_file()]
    return inside[0] if inside else folder


def _fetched(text: str, log_dir: Path, uri: str | None, into: Path | None) -> Fetched:
    from revive.tracking.fetching import Reference
    from revive.tracking.promotion import Registry

    reference = Reference.parse(text)
    with Registry(log_dir, uri) as registry:
        return registry.fetch(reference, into)


def _of_model(problem: Problem, copied: Path, said: str) -> Problem:
    inside = problem.file is not None and Path(problem.file).is_relative_to(copied)
    return replace(problem, file=said) if inside else problem
