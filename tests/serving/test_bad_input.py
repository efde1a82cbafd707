"""Bundles and calls that are wrong, on the command line: one message that says what and what to do, exit code 2."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from revive.__main__ import main
from revive.deploy import save_venv
from revive.outcome import WRONG
from revive.venv.node_model import NetworkSpec
from revive.venv.virtual_env import VirtualEnv
from tests.deploy.conftest import codec
from tests.runtime.plants import Kind
from tests.venv.plants import plant_graph

Bundle = Callable[[Kind], Path]


def truncated(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])


def changed(folder: Path) -> None:
    file = folder / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-3] ^= 1
    file.write_bytes(content)


def foreign(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()
    (folder / "MLmodel").write_text("flavors: {sklearn: {pickled_model: model.pkl}}\n")


def half_copied(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def no_json(folder: Path) -> None:
    (folder / "policy.json").write_text("{")


def a_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_bytes(b"\x80\x04K*.")


def nothing(folder: Path) -> None:
    shutil.rmtree(folder)


@pytest.mark.parametrize("verb", ["serve", "export", "show"])
@pytest.mark.parametrize("harm", [truncated, changed, foreign, half_copied, no_json, a_file, nothing])
def test_a_bundle_that_is_none(
    bundle: Bundle, capsys: pytest.CaptureFixture[str], verb: str, harm: Callable[[Path], None]
) -> None:
    folder = bundle("plain")
    harm(folder)
    assert main([verb, str(folder)]) == WRONG
    said = capsys.readouterr().err
    assert str(folder) in said
    assert "\n    -> " in said
    assert "Traceback" not in said
    assert len(said.strip().splitlines()) == 2


def test_what_cannot_be_exported_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnx")
    graph = plant_graph()
    scales = {name: [1.0] for name in graph.learned}
    mixed = VirtualEnv(graph, codec(), 2, NetworkSpec((4,), head="mixture"), scales)
    save_venv(mixed, tmp_path / "venv", {})
    for words, said in (
        (["--to", "c99"], "a venv cannot be written as C99"),
        (["--to", "onnx"], "the node 'next_x' is a mixture, which is not written as ONNX"),
    ):
        assert main(["export", str(tmp_path / "venv"), *words, "--out", str(tmp_path / "made")]) == WRONG
        assert said in capsys.readouterr().err
    assert not (tmp_path / "made").exists()


def test_a_folder_that_cannot_be_written(
    bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    taken = tmp_path / "taken"
    taken.write_text("a file")
    assert main(["export", str(bundle("plain")), "--out", str(taken)]) == WRONG
    assert str(taken) in capsys.readouterr().err
    assert main(["serve", str(bundle("category")), "--shadow", str(taken / "log.csv")]) == WRONG
    assert str(taken) in capsys.readouterr().err
