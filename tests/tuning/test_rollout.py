"""Segments join without a seam."""

from __future__ import annotations

from pathlib import Path

import torch

from revive.data.codec import Codec
from revive.graph.description import parse_description
from revive.tuning.initial import InitialState
from revive.tuning.rollout import segments
from revive.venv.node_model import NetworkSpec
from revive.venv.virtual_env import VirtualEnv

DESCRIPTION = {
    "metadata": {
        "columns": [{name: {"dim": name, "type": "continuous"}} for name in ("x", "a", "w", "k")],
        "tunable": ["k"],
        "nodes": {"x": {"ts": 3}, "a": {"ts": 2, "step_input": True}},
        "graph": {"a": ["ts_x", "w"], "next_x": ["x", "ts_a", "k"]},
    }
}


def test_histories_and_counters_go_on_from_segment_to_segment(tmp_path: Path) -> None:
    graph = parse_description(DESCRIPTION, "test", tmp_path)
    torch.manual_seed(0)
    spec = NetworkSpec(hidden=(4,))
    venv = VirtualEnv(graph, Codec.empty(graph), 2, spec, {name: [1.0] for name in graph.learned})
    state = InitialState.of(graph, {"x": [0.5], "w": [[0.1], [0.2], [0.3], [0.4], [0.5], [0.6], [0.7]]})
    usual = {"a": torch.tensor([0.3])}
    scene = state.scene(venv, graph, draws=3, horizon=5, seed=0, usual=usual)
    tuned = {"k": torch.tensor([[0.2], [0.9]])}
    with torch.no_grad():
        (whole,) = segments(venv, scene, tuned, None, None)
        parts = list(segments(venv, scene, tuned, None, 3))
    assert [len(part["x"]) for part in parts] == [3, 3, 1]
    for name, values in whole.items():
        torch.testing.assert_close(torch.cat([part[name] for part in parts]), values, msg=name)
    assert set(graph.histories) <= whole.keys()
