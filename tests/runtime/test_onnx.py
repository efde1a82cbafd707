"""Policies as ONNX, where onnx and onnxruntime are installed: equal to numpy, with a memory that goes in and out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from revive import runtime
from revive.deploy import save_policy
from revive.runtime.onnx_file import export_onnx, feed
from tests.runtime.plants import Kind, policy_of
from tests.runtime.test_policy import observations

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


def exported(folder: Path, kind: Kind, activation: str = "silu") -> tuple[runtime.Policy, Any]:
    save_policy(policy_of(kind, activation=activation), folder / "policy", {})
    policy = runtime.load_policy(folder / "policy")
    said = export_onnx(policy, folder / "policy.onnx")
    assert "run at export with onnxruntime" in said
    return policy, onnxruntime.InferenceSession(folder / "policy.onnx", providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("activation", ["silu", "tanh", "relu", "gelu"])
@pytest.mark.parametrize("kind", ["plain", "mixed", "history", "category", "recurrent"])
def test_it_acts_as_numpy_does(tmp_path: Path, kind: Kind, activation: str) -> None:
    policy, session = exported(tmp_path, kind, activation)
    seen = observations(kind, 10_000)
    full = np.hstack([seen[name] for name in policy.inputs])
    given = feed(policy, full)
    (found,) = session.run(["u"], {entry.name: given[entry.name] for entry in session.get_inputs()})
    wanted, span = policy.act(seen)["u"], policy.codecs["u"].scale.max()
    for number, column in enumerate(policy.graph.columns("u")):
        if (
            column.choices
        ):  # two choices that are as likely as each other may change places in single precision
            assert (found[:, number] == wanted[:, number]).mean() > 0.998
        else:
            np.testing.assert_allclose(found[:, number] / span, wanted[:, number] / span, atol=1e-5)


def test_its_memory_is_that_of_a_session(tmp_path: Path) -> None:
    policy, session = exported(tmp_path, "history")
    other, state = policy.session(plants=3), {}
    for step in range(5):
        x = observations("history", 3, seed=step)["x"]
        if step == 0:
            middle = other.memory.middle("u")
            state = {
                "past_ts_x": np.tile(x, 2),
                "past_ts_u": np.tile(middle, (3, 2)),
                "step_node_": np.zeros((3, 1)),
            }
        names = [entry.name for entry in session.get_outputs()]
        found = dict(zip(names, session.run(names, {"x": x, **state}), strict=True))
        np.testing.assert_allclose(found["u"], other.act({"x": x})["u"], atol=1e-3)
        state = {name: found[f"{name}_next"] for name in state}


def test_the_file_says_its_columns_and_its_check(tmp_path: Path) -> None:
    exported(tmp_path, "plain")
    said = {entry.key: entry.value for entry in onnx.load(tmp_path / "policy.onnx").metadata_props}
    assert [column["name"] for column in json.loads(said["revive.columns"])["x"]] == ["level", "flow"]
    assert "differs from numpy by at most" in said["revive.check"]
