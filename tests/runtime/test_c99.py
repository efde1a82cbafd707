"""Policies as C: compiled here, and equal to numpy, with their memory and without."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from revive import runtime
from revive.deploy import save_policy
from revive.errors import UserError
from revive.runtime.c99 import export_c99
from tests.runtime.plants import Kind, policy_of
from tests.runtime.test_policy import observations

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no gcc")


class Compiled:
    """The library that the exported source compiles to."""

    def __init__(self, policy: runtime.Policy, folder: Path) -> None:
        self.policy, self.said = policy, export_c99(policy, folder, "pump")
        flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-O2", "-shared", "-fPIC"]
        subprocess.run(["gcc", *flags, "-o", "pump.so", "pump.c", "-lm"], cwd=folder, check=True)
        self.library = ctypes.CDLL(str(folder / "pump.so"))
        self.library.pump_selftest.restype = ctypes.c_double
        self.state = ctypes.create_string_buffer(100_000)
        self.library.pump_reset(self.state)

    def call(self, name: str, values: np.ndarray, *first: object) -> tuple[int, np.ndarray]:
        row, out = (
            np.ascontiguousarray(values, dtype=float),
            np.zeros(self.policy.graph[self.policy.target].width),
        )
        pointers = [array.ctypes.data_as(ctypes.POINTER(ctypes.c_double)) for array in (row, out)]
        if name == "pump_begin":
            return self.library.pump_begin(*first, pointers[0]), out
        return getattr(self.library, name)(*first, *pointers), out

    def track(self, seen: np.ndarray, action: list[float]) -> int:
        given = [np.array(values, dtype=float) for values in (seen, action)]
        pointers = [array.ctypes.data_as(ctypes.POINTER(ctypes.c_double)) for array in given]
        return int(self.library.pump_track(self.state, *pointers))


def compiled(folder: Path, kind: Kind, activation: str = "silu") -> Compiled:
    save_policy(policy_of(kind, activation=activation), folder / "policy", {})
    return Compiled(runtime.load_policy(folder / "policy"), folder)


@pytest.mark.parametrize("activation", ["silu", "gelu"])
@pytest.mark.parametrize("kind", ["plain", "mixed", "history", "category", "recurrent"])
def test_it_acts_as_numpy_does(tmp_path: Path, kind: Kind, activation: str) -> None:
    made = compiled(tmp_path, kind, activation)
    seen = observations(kind, 200)
    full = np.hstack([seen[name] for name in made.policy.inputs])
    acted = [made.call("pump_act", row) for row in full]
    assert {code for code, _ in acted} == {0}
    np.testing.assert_allclose([action for _, action in acted], made.policy.act(seen)["u"], atol=1e-9)
    assert made.library.pump_selftest() < 1e-9
    assert "differs from numpy by at most" in made.said
    assert made.said in (tmp_path / "pump.c").read_text()


@pytest.mark.parametrize("kind", ["plain", "history", "recurrent"])
def test_its_memory_is_that_of_a_session(tmp_path: Path, kind: Kind) -> None:
    made = compiled(tmp_path, kind)
    for _ in range(2):
        session = made.policy.session()
        made.library.pump_reset(made.state)
        for step in range(6):
            x = observations(kind, 1, seed=step)["x"]
            code, action = made.call("pump_step", x[0], made.state)
            assert code == 0
            np.testing.assert_allclose(action, session.act({"x": x})["u"][0], atol=1e-9)


def test_values_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    made = compiled(tmp_path, "plain")
    for bad in (np.nan, np.inf, -np.inf):
        assert made.call("pump_act", np.array([bad, 1.0]))[0] == 1


def test_it_needs_neither_heap_nor_files(tmp_path: Path) -> None:
    compiled(tmp_path, "mixed")
    told = subprocess.run(
        ["nm", "-D", "--undefined-only", "pump.so"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert not {"malloc", "calloc", "realloc", "fopen", "printf"} & {
        word.split("@")[0] for word in told.stdout.split()
    }


def test_a_name_that_is_none_is_refused(tmp_path: Path) -> None:
    save_policy(policy_of("plain"), tmp_path / "policy", {})
    with pytest.raises(UserError, match="cannot be the name of C functions"):
        export_c99(runtime.load_policy(tmp_path / "policy"), tmp_path, "a b; #include")


def test_it_begins_where_the_actuator_stands_and_tracks_an_operator(tmp_path: Path) -> None:
    made = compiled(tmp_path, "history")
    x, done = [observations("history", 1, seed=step)["x"] for step in range(5)], [[8.0], [3.0], [9.0]]
    begun = made.policy.session(before={"u": [8.0]})
    assert made.call("pump_begin", np.array([8.0]), made.state)[0] == 0
    for step in range(4):
        _, action = made.call("pump_step", x[step][0], made.state)
        np.testing.assert_allclose(action, begun.act({"x": x[step]})["u"][0], atol=1e-9)
    tracked = made.policy.session()
    made.library.pump_reset(made.state)
    for seen, action in zip(x, done, strict=False):
        tracked.track({"x": seen}, {"u": action})
        assert made.track(seen[0], action) == 0
    _, action = made.call("pump_step", x[3][0], made.state)
    np.testing.assert_allclose(action, tracked.act({"x": x[3]})["u"][0], atol=1e-9)


def test_a_position_that_is_not_finite_begins_nothing(tmp_path: Path) -> None:
    made = compiled(tmp_path, "history")
    assert made.call("pump_begin", np.array([np.nan]), made.state)[0] == 1
    assert made.track(np.array([5.0, np.inf]), [1.0]) == 1
    _, action = made.call("pump_step", np.array([5.0, 5.0]), made.state)
    np.testing.assert_allclose(action, made.policy.session().act({"x": [5.0, 5.0]})["u"], atol=1e-9)
    said = (tmp_path / "pump.h").read_text()
    assert "Of u the middle of the logged values (valve " in said
