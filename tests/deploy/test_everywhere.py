"""A policy of shipped experiments (numbers, categories, histories) says the same wherever it runs, and fast enough."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from revive import runtime
from revive.bundles import Bundle
from revive.deploy import load_policy
from revive.runtime.c99 import export_c99
from revive.runtime.table import PolicyTable, example
from revive.runtime.vectors import drawn_vector as drawn
from tests.made_runs import EXPERIMENTS, made_run


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_numpy_torch_and_a_table_agree(name: str) -> None:
    folder = made_run(name) / "policy"
    light, heavy = runtime.load_policy(folder), load_policy(folder)
    full, wanted = drawn(light)
    parts = np.split(full, np.cumsum([light.graph[node].width for node in light.inputs])[:-1], axis=1)
    seen = dict(zip(light.inputs, parts, strict=True))
    span = np.maximum(1.0, np.abs(wanted).max(0))
    np.testing.assert_allclose(light.act(seen)[light.target] / span, wanted / span, atol=1e-9)
    np.testing.assert_allclose(heavy.act(seen)[light.target] / span, wanted / span, atol=1e-5)
    assert PolicyTable(light)(example(Bundle.open("policy", folder)))


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_c_and_onnx_are_compared_at_export(name: str, tmp_path: Path) -> None:
    policy = runtime.load_policy(made_run(name) / "policy")
    if shutil.which("cc"):
        assert "differs from numpy by at most" in export_c99(policy, tmp_path)
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from revive.runtime.onnx_file import export_onnx

    assert "differs from numpy by at most" in export_onnx(policy, tmp_path / "policy.onnx")


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_thousand_plants_step_in_one_batch(name: str) -> None:
    policy = runtime.load_policy(made_run(name) / "policy")
    calls = []

    def act(seen):  # type: ignore[no-untyped-def]
        calls.append({node: value.shape for node, value in seen.items()})
        return policy.act(seen)

    session = policy.session(1000)
    session._act = act
    seen = {node: np.tile(policy.middle(node), (1000, 1)) for node in session.seen}
    for _ in range(3):
        assert session.act(seen)[policy.target].shape == (1000, policy.graph[policy.target].width)
    assert len(calls) == 3
    assert all(shape[0] == 1000 for call in calls for shape in call.values())


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["plain", "category", "history"])
def test_an_action_takes_microseconds(kind: str, tmp_path: Path) -> None:
    """50 in numpy, 10 in C: two layers of 64. The machine may be busy, so the best of a few rounds counts."""
    from revive.deploy import save_policy
    from tests.benchmarks.bench_runtime import microseconds, of_c
    from tests.runtime.plants import policy_of

    save_policy(policy_of(kind), tmp_path / "policy", {})  # type: ignore[arg-type]
    policy = runtime.load_policy(tmp_path / "policy")
    full = drawn(policy)[0][0]
    parts = np.split(full, np.cumsum([policy.graph[node].width for node in policy.inputs])[:-1])
    seen = dict(zip(policy.inputs, parts, strict=True))
    assert microseconds(lambda: policy.act(seen)) <= 50.0
    in_c = of_c(policy, tmp_path)
    assert in_c is None or in_c <= 10.0
