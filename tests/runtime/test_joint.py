"""A policy of several nodes without torch: with numpy and as ONNX it does what torch does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from revive import runtime
from revive.deploy import load_policy, save_policy
from revive.runtime.onnx_file import export_onnx, feed
from tests.runtime.plants import Arrays, joint_policy, remembered

ROWS = 4000


def same(mine: Arrays, theirs: Arrays, policy: runtime.Policy, atol: float) -> None:
    """Node by node. A choice that single precision turned over is followed by the nodes that see it."""
    kept = np.ones(len(mine["u"]), dtype=bool)
    for node in policy.decided:
        codec = policy.codecs[node]
        for number, column in enumerate(codec.columns):
            if column.choices:
                kept &= mine[node][:, number] == theirs[node][:, number]
    assert kept.mean() > 0.995
    for node in policy.decided:
        codec = policy.codecs[node]
        one, other = (codec.encode(array[node][kept]) for array in (mine, theirs))
        np.testing.assert_allclose(one, other, atol=atol)


def exported(folder: Path, **options: Any) -> tuple[runtime.Policy, Any]:
    pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    save_policy(joint_policy(**options), folder / "policy", {})
    policy = runtime.load_policy(folder / "policy")
    assert "run at export with onnxruntime" in export_onnx(policy, folder / "policy.onnx")
    return policy, onnxruntime.InferenceSession(folder / "policy.onnx", providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("activation", ["silu", "gelu"])
@pytest.mark.parametrize("backbone", ["mlp", "gru"])
def test_numpy_and_onnx_say_what_torch_says(tmp_path: Path, backbone: str, activation: str) -> None:
    policy, session = exported(tmp_path, backbone=backbone, activation=activation)
    seen = remembered(policy.graph, ROWS, seed=1)
    wanted = load_policy(tmp_path / "policy").act({name: seen[name] for name in policy.inputs})
    same(policy.act(seen), wanted, policy, 1e-4)
    given = feed(policy, np.hstack([seen[name] for name in policy.inputs]))
    found = session.run(["u", "w"], {entry.name: given[entry.name] for entry in session.get_inputs()})
    same(dict(zip(("u", "w"), found, strict=True)), wanted, policy, 1e-4)


def test_the_memory_of_onnx_is_that_of_a_session(tmp_path: Path) -> None:
    policy, session = exported(tmp_path)
    other, state = policy.session(plants=3), dict[str, np.ndarray]()
    names = [entry.name for entry in session.get_outputs()]
    assert names[:2] == ["u", "w"]
    for step in range(5):
        x = remembered(policy.graph, 3, seed=step)["x"]
        if not state:
            middle = {f"past_ts_{n}": np.tile(other.memory.middle(n), (3, 2)) for n in ("u", "w")}
            state = {"past_ts_x": np.tile(x, 2), **middle, "step_node_": np.zeros((3, 1))}
        found = dict(zip(names, session.run(names, {"x": x, **state}), strict=True))
        done = other.act({"x": x})
        same({n: found[n] for n in ("u", "w")}, done, policy, 1e-4)
        state = {name: found[f"{name}_next"] for name in state}


def test_declared_bounds_of_every_node_hold(tmp_path: Path) -> None:
    policy, session = exported(tmp_path)
    seen = remembered(policy.graph, ROWS, seed=2)
    given = feed(policy, 100.0 * np.hstack([seen[name] for name in policy.inputs]))
    u, w = session.run(["u", "w"], {entry.name: given[entry.name] for entry in session.get_inputs()})
    for array, node in ((u, "u"), (w, "w")):
        for number, column in enumerate(policy.graph.columns(node)):
            if column.min is not None and column.max is not None:
                assert column.min <= array[:, number].min() <= array[:, number].max() <= column.max
            else:
                assert set(array[:, number]) <= set(column.values or ())
