"""Code of the user in a venv bundle: it travels as source, is shown, and runs only where that is allowed."""

from __future__ import annotations

import py_compile
from pathlib import Path

import numpy as np
import pytest

from revive.bundles.show import show
from revive.data.codec import Codec
from revive.deploy import load_venv, save_venv
from revive.errors import UserError
from revive.graph.description import read_description
from revive.venv.functions import UserCode
from revive.venv.node_model import NetworkSpec
from revive.venv.virtual_env import VirtualEnv
from tests.bundles.forging import rewrite

DESCRIPTION = """\
metadata:
  columns:
    - x: {dim: x, type: continuous}
    - u: {dim: u, type: continuous}
  graph: {u: [x], next_x: [x, u]}
  expert_functions: {next_x: {node_function: physics.step}}
"""
CODE = """\
import pathlib
pathlib.Path(__file__).with_name("RAN").write_text("")
def step(data):
    return data["x"] + 2 * data["u"]
"""
START = {"x": [[1.0]], "u": [[0.5]]}


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A venv bundle whose physics is a function of the user."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "description.yaml").write_text(DESCRIPTION)
    (home / "physics.py").write_text(CODE)
    graph = read_description(home / "description.yaml")
    venv = VirtualEnv(
        graph, Codec.empty(graph), 2, NetworkSpec((4,)), {"u": [1.0]}, UserCode.load(graph, home)
    )
    save_venv(venv, tmp_path / "venv", {"run_id": "r"})
    (home / "RAN").unlink()
    return tmp_path / "venv"


def _ran(bundle: Path) -> bool:
    return any(bundle.parent.rglob("RAN"))


def test_without_trust_nothing_runs(bundle: Path) -> None:
    with pytest.raises(UserError, match=r"runs code of yours: physics\.py\n.*show.*trust=True.*code=FOLDER"):
        load_venv(bundle)
    assert "return data" in show(bundle)
    assert not _ran(bundle)


def test_with_trust_the_source_in_the_bundle_runs(bundle: Path) -> None:
    (bundle.parent / "home" / "physics.py").unlink()
    np.testing.assert_allclose(load_venv(bundle, trust=True).step(START)["next_x"], [[2.0]])
    assert _ran(bundle)


def test_the_files_of_ones_own_folder_run_instead(bundle: Path) -> None:
    home = bundle.parent / "home"
    (home / "physics.py").write_text(CODE.replace("2 *", "4 *"))
    np.testing.assert_allclose(load_venv(bundle, code=home).step(START)["next_x"], [[3.0]])


def test_a_changed_source_is_refused(bundle: Path) -> None:
    (bundle / "code" / "physics.py").write_text(CODE.replace("2 *", "3 *"))
    with pytest.raises(UserError, match="its checksum is not that of the manifest"):
        load_venv(bundle, trust=True)
    assert not _ran(bundle)


def test_a_cached_compilation_is_not_run_in_place_of_the_source_that_is_shown(bundle: Path) -> None:
    source = bundle / "code" / "physics.py"
    text = source.read_text()
    source.write_text(CODE.replace("2 *", "9 *"))
    py_compile.compile(str(source), invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    source.write_text(text)
    np.testing.assert_allclose(load_venv(bundle, trust=True).step(START)["next_x"], [[2.0]])


@pytest.mark.parametrize("where", ["../evil.py", "evil/../../evil.py", "{absolute}"])
def test_code_outside_is_not_run(bundle: Path, where: str) -> None:
    evil = bundle.parent / "evil.py"
    evil.write_text(CODE)
    file = where.format(absolute=evil)
    rewrite(bundle, lambda spec: _point_at(spec, file))
    for options in ({"code": bundle.parent / "home"}, {"trust": True}):
        with pytest.raises(UserError, match="must match pattern"):
            load_venv(bundle, **options)  # type: ignore[arg-type]
    assert not _ran(bundle)


def test_a_link_that_leads_out_of_the_folder_is_not_followed(bundle: Path) -> None:
    home = bundle.parent / "home"
    (home / "physics.py").rename(bundle.parent / "physics.py")
    (home / "physics.py").symlink_to(bundle.parent / "physics.py")
    with pytest.raises(UserError, match=r"'physics\.py' lies outside this folder"):
        load_venv(bundle, code=home)
    assert not _ran(bundle)


def test_what_is_shown_cannot_steer_the_terminal(bundle: Path) -> None:
    assert "\x1b" not in show(bundle)
    from revive.bundles.show import plain

    assert plain("a\x1b[2Kb\u202e") == "a\\x1b[2Kb\\u202e"


def _point_at(spec: dict, file: str) -> None:
    node = next(node for node in spec["graph"]["nodes"] if "function" in node)
    node["function"]["code"]["file"] = file
