"""Data files whose paths hold what Hydra, YAML or a shell would read as something else."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

import revive.__main__
from revive.config.launch import launch
from revive.errors import UserError

NAMES = (
    "plain", "a b", "a#b", "a # b", "Füllstand", "a=b", "a,b", "[a]", "{a}", "(a)", "$HOME", "${seed}", "a'b", 'a"b',
    "~a", "a;b",    "a&b", "100%", "a*b", "a:b", "-a", "@a", "!a", "`a`", "日本", "a\\b",
    "null", "true", "1e3", "a\u00a0b", "<a>", "a|b", "+a", ".a",
)  # fmt: skip


def _write(folder: Path, name: str) -> Path:
    home = folder / name
    home.mkdir()
    rows = [f"{20 + 0.37 * (k % 17)},{k % 7}.5" for k in range(40)]
    (home / f"{name}.csv").write_text("\n".join(["level,valve", *rows]) + "\n")
    return home / f"{name}.csv"


HARD = ("a#b", "Füllstand", "a=b", "a,b", "[a]", "${seed}", "a'b", "a b")


def _taken(*arguments: str) -> Path:
    """The data file of a run."""
    taken: list[str] = []
    launch(["experiment=made", *arguments], lambda settings: taken.append(str(settings.dataset.path)))
    return Path(taken[0])


def _made(name: str, path: Path, folder: Path, patch: pytest.MonkeyPatch) -> None:
    patch.chdir(folder)
    patch.setenv("REVIVE_EXPERIMENTS", str(folder / "experiments"))
    assert revive.__main__.main(["new", "made", "--data", str(path)]) == 0


def _check(name: str, folder: Path, patch: pytest.MonkeyPatch) -> None:
    """`new` writes the path so that it is read; an override is read too, or the message has a line that works."""
    path = _write(folder, name)
    _made(name, path, folder, patch)
    assert _taken().samefile(path)
    if "${" in name:  # on the command line that is meant
        return
    try:
        assert _taken(f"dataset.path={path}").samefile(path)
    except UserError as error:
        said = str(error)
        assert len(said) < 3000
        written = re.search(r"quotes inside those of the shell: (?P<line>.*)$", said, re.M)
        assert written is not None, said
        assert _taken(shlex.split(written["line"])[0]).samefile(path), said


@pytest.mark.parametrize("name", HARD)
def test_paths_that_hydra_would_read_as_something_else(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _check(name, tmp_path, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NAMES if name not in HARD])
def test_more_such_paths(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _check(name, tmp_path, monkeypatch)
