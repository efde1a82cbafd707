"""Acting without torch: the same as with it, fast to import, and sessions of many plants."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from revive import runtime
from revive.bundles import Gate, set_gate
from revive.deploy import PolicySession, load_policy, save_policy
from revive.errors import UserError
from tests.runtime.plants import Kind, arrays_of, graph_of, policy_of

KINDS: tuple[Kind, ...] = ("plain", "mixed", "history", "category", "recurrent")


def both(folder: Path, kind: Kind, **options: Any) -> tuple[runtime.Policy, PolicySession]:
    save_policy(policy_of(kind, **options), folder / kind, {"run_id": "r"})
    return runtime.load_policy(folder / kind), load_policy(folder / kind)


def observations(kind: Kind, rows: int, seed: int = 1) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    graph = graph_of(kind)
    arrays = arrays_of(graph, rows, rng)
    if kind in ("history", "recurrent"):
        frames = [arrays_of(graph, rows, rng) for _ in range(3)]
        arrays["ts_x"] = np.hstack([frame["x"] for frame in frames])
        arrays["ts_u"] = np.hstack([frame["u"] for frame in frames[:2]])
        arrays["step_node_"] = rng.integers(0, 50, (rows, 1)).astype(float)
    return arrays


@pytest.mark.parametrize("activation", ["silu", "tanh", "relu", "gelu"])
@pytest.mark.parametrize("kind", KINDS)
def test_it_says_what_torch_says(tmp_path: Path, kind: Kind, activation: str) -> None:
    mine, theirs = both(tmp_path, kind, activation=activation)
    seen = observations(kind, 2000)
    assert mine.inputs == theirs.inputs
    own, other = mine.act(seen)["u"], theirs.act(seen)["u"]
    span = theirs.model.codec["u"].scale.max().item()
    for number, column in enumerate(mine.graph.columns("u")):
        if (
            column.choices
        ):  # where two choices are as likely as each other, single precision may take the other one
            assert (own[:, number] == other[:, number]).mean() > 0.998
        else:
            np.testing.assert_allclose(own[:, number] / span, other[:, number] / span, atol=1e-6)


def test_one_row_and_many(tmp_path: Path) -> None:
    mine, _ = both(tmp_path, "plain")
    seen = observations("plain", 3)
    many = mine.act(seen)["u"]
    np.testing.assert_allclose(mine.act({"x": seen["x"][1]})["u"], many[1])
    assert mine.act({"x": seen["x"][1]})["u"].shape == (1,)


@pytest.mark.parametrize("kind", KINDS)
def test_its_arithmetic_is_that_of_torch_in_double_precision(tmp_path: Path, kind: Kind) -> None:
    mine, theirs = both(tmp_path, kind, spread=0.3)
    z = np.random.default_rng(0).normal(size=(500, mine.width))
    wanted = theirs.model.double()(torch.as_tensor(z)[None])[0].numpy()
    np.testing.assert_allclose(mine.decide(z), wanted, atol=1e-7)  # softplus of torch is cut off at 20


@pytest.mark.parametrize(
    ("observation", "said"),
    [
        ({}, "node 'x' is missing"),
        ({"xs": [1.0, 2.0]}, "did you mean it by 'xs'"),
        ({"x": [1.0]}, r"has shape \(1,\), not \(B, 2\) or \(2,\)"),
        ({"x": [[[1.0, 2.0]]]}, "has shape"),
        ({"x": ["a", "b"]}, "no numbers"),
        ({"x": [1.0, np.nan]}, "not finite"),
        ({"x": [1.0, None]}, "not finite|no numbers"),
    ],
)
def test_a_wrong_observation_is_refused(tmp_path: Path, observation: dict[str, Any], said: str) -> None:
    mine, _ = both(tmp_path, "plain")
    with pytest.raises(UserError, match=said):
        mine.act(observation)


def test_a_failed_gate_is_refused(tmp_path: Path) -> None:
    both(tmp_path, "plain")
    set_gate("policy", tmp_path / "plain", Gate(status="fail", reasons=["too good"]))
    with pytest.raises(UserError, match="did not pass its gate: too good"):
        runtime.load_policy(tmp_path / "plain")
    assert runtime.load_policy(tmp_path / "plain", accept_failed_gate=True).target == "u"


@pytest.mark.parametrize("kind", ["plain", "history"])
def test_a_session_keeps_histories_as_a_started_policy_does(tmp_path: Path, kind: Kind) -> None:
    mine, theirs = both(tmp_path, kind)
    started, light, heavy = theirs.start(), mine.session(plants=5), theirs.session(plants=5)
    assert light.seen == ("x",)
    for step in range(6):
        x = observations(kind, 5, seed=step)["x"]
        wanted = started({"x": x})["u"]
        np.testing.assert_allclose(light.act({"x": x})["u"], wanted, atol=1e-4)
        np.testing.assert_allclose(heavy.act({"x": x})["u"], wanted, atol=1e-4)


def test_plants_that_are_started_again_forget(tmp_path: Path) -> None:
    mine, _ = both(tmp_path, "history")
    session, fresh = mine.session(plants=2), mine.session(plants=2)
    for step in range(4):
        session.act({"x": observations("history", 2, seed=step)["x"]})
    session.reset([1])
    x = observations("history", 2, seed=9)["x"]
    again, first = session.act({"x": x})["u"], fresh.act({"x": x})["u"]
    np.testing.assert_array_equal(again[1], first[1])
    assert not np.array_equal(again[0], first[0])


def test_frames_come_in_and_go_out(tmp_path: Path) -> None:
    mine, _ = both(tmp_path, "plain")
    x = observations("plain", 3)["x"]
    frame = pd.DataFrame({"other": 1, "flow": x[:, 1], "level": x[:, 0]}, index=["a", "b", "c"])
    action = mine.session(plants=3).act(frame)
    assert isinstance(action, pd.DataFrame)
    assert (list(action.columns), list(action.index)) == (["valve"], ["a", "b", "c"])
    np.testing.assert_array_equal(action.to_numpy(), mine.act({"x": x})["u"])
    with pytest.raises(UserError, match="the frame has no column 'level' of the node 'x'"):
        mine.session(plants=3).act(frame.drop(columns="level"))


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_frame_is_answered_by_a_frame(tmp_path: Path, library: str) -> None:
    frames = pytest.importorskip(library)
    mine, theirs = both(tmp_path, "plain")
    x = observations("plain", 3)["x"]
    frame = frames.DataFrame({"flow": x[:, 1], "level": x[:, 0]})
    for policy in (mine, theirs):
        action = policy.act(frame)
        assert type(action) is frames.DataFrame
        np.testing.assert_allclose(action["valve"], mine.act({"x": x})["u"][:, 0], atol=1e-4)
    with pytest.raises(UserError, match="the frame has no column 'level' of the node 'x'"):
        mine.act(frame[["flow"]])


def test_a_session_of_another_number_of_plants_is_refused(tmp_path: Path) -> None:
    mine, _ = both(tmp_path, "plain")
    with pytest.raises(UserError, match=r"has shape \(2, 2\), not \(3, 2\)"):
        mine.session(plants=3).act({"x": np.zeros((2, 2))})
    with pytest.raises(UserError, match="at least one plant"):
        mine.session(plants=0)


def test_importing_it_is_light() -> None:
    code = (
        "import sys, revive.runtime; status = open('/proc/self/status');"
        "peak = next(line for line in status if line.startswith('VmHWM')); print(int(peak.split()[1]) / 1024,"
        "*(m for m in ('torch', 'scipy', 'pandas', 'safetensors', 'hydra') if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    megabytes, *heavy = done.stdout.split()
    assert not heavy
    assert float(megabytes) < 60
