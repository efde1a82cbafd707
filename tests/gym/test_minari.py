"""Logs and rollouts as Minari data sets, read back by Minari and by our own reader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

minari = pytest.importorskip("minari")
pytest.importorskip("gymnasium")

import revive  # noqa: E402
from revive.data.readers import read_trajectories  # noqa: E402
from revive.deploy import PolicySession  # noqa: E402
from revive.errors import UserError  # noqa: E402
from revive.graph.description import read_description  # noqa: E402
from revive.gym.minari_export import export_logs, export_rollouts  # noqa: E402
from revive.policy.policy import Policy  # noqa: E402
from revive.venv.node_model import NetworkSpec  # noqa: E402
from tests.deploy.test_joint import session_of  # noqa: E402
from tests.policy.toys import pair  # noqa: E402

DESCRIPTION = """\
metadata:
  columns:
    - level: {dim: tank, type: continuous, units: m}
    - demand: {dim: demand, type: continuous}
    - valve: {dim: valve, type: category, values: [0, 5, 7]}
    - done: {dim: done, type: category, values: [0, 1]}
  graph:
    valve: [tank, demand]
    next_tank: [tank, valve, demand]
    done: [next_tank]
"""


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "datasets"))


def logs() -> dict[str, np.ndarray]:
    """Two trajectories of 4 and 3 rows; the first one ends in `done`."""
    level = np.arange(7.0)
    return {
        "tank": level[:, None],
        "next_tank": np.array([1, 2, 3, 3.5, 5, 6, 6.5])[:, None],
        "demand": level[:, None] / 10,
        "valve": np.array([0.0, 5, 7, 5, 7, 7, 0])[:, None],
        "done": np.array([0.0, 0, 0, 1, 0, 0, 0])[:, None],
        "index": np.array([4, 7]),
    }


def written(tmp_path: Path, **options: Any) -> Any:
    np.savez(tmp_path / "logs.npz", **logs())  # type: ignore[arg-type]
    (tmp_path / "description.yaml").write_text(DESCRIPTION)
    return export_logs("test/tank-v0", tmp_path / "logs.npz", tmp_path / "description.yaml", **options)


def test_logs_are_episodes_of_transitions(tmp_path: Path) -> None:
    written(tmp_path, reward=lambda data: data["next_tank"] * 2.0)
    first, second = minari.load_dataset("test/tank-v0").iterate_episodes()
    np.testing.assert_allclose(first.observations[:, 0], [0, 1, 2, 3, 3.5])
    np.testing.assert_allclose(first.observations[:, 1], [0, 0.1, 0.2, 0.3, 0.3], rtol=1e-6)
    assert first.actions.tolist() == [0, 1, 2, 1]
    np.testing.assert_allclose(first.rewards, [2, 4, 6, 7])
    assert first.terminations.tolist() == [False, False, False, True]
    assert not first.truncations.any()
    assert second.truncations.tolist() == [False, False, True]
    assert not second.terminations.any()


def test_spaces_and_units_are_told(tmp_path: Path) -> None:
    made = written(tmp_path, author="somebody")
    assert made.spec.action_space.n == 3
    assert made.spec.observation_space.shape == (2,)
    assert "level (m), demand; action: valve" in made.storage.metadata["description"]
    assert (minari.load_dataset("test/tank-v0")[0].rewards == 0).all()


def test_histories_are_seen_as_the_venv_sees_them(tmp_path: Path) -> None:
    written(tmp_path, observe=["tank"], history=3)
    first = minari.load_dataset("test/tank-v0")[0]
    np.testing.assert_allclose(
        first.observations, [[0, 0, 0], [0, 0, 1], [0, 1, 2], [1, 2, 3], [2, 3, 3.5]], atol=1e-6
    )


def test_our_own_reader_reads_them(tmp_path: Path, runs: Path) -> None:
    made = export_rollouts("test/fridge-v0", runs / "refrigerator" / "venv", trust=True, episodes=3, seed=1)
    text = """\
metadata:
  columns:
    - temperature: {dim: observations, type: continuous}
    - power: {dim: actions, type: continuous, min: 0, max: 10}
  graph:
    actions: [observations]
    next_observations: [observations, actions]
"""
    (tmp_path / "minari.yaml").write_text(text)
    graph = read_description(tmp_path / "minari.yaml")
    back = read_trajectories(tmp_path / "datasets" / "test" / "fridge-v0", graph)
    assert back.count == 3
    assert back.lengths.tolist() == [100, 100, 100]
    np.testing.assert_allclose(back.arrays["actions"][:100], made[0].actions)
    np.testing.assert_allclose(back.arrays["next_observations"][:100], made[0].observations[1:])


@pytest.mark.parametrize("policy", ["learned", "logged", "own"])
def test_rollouts_are_episodes_of_the_venv(runs: Path, policy: str) -> None:
    bundle = runs / "lander_hover"
    chosen: Any = None
    if policy == "learned":
        chosen = revive.load_policy(bundle / "policy")
    elif policy == "own":
        chosen = lambda seen: {"action": np.zeros((len(seen["obs"]), 1))}  # noqa: E731
    for name in ("test/lander-v0", "test/again-v0"):
        export_rollouts(name, bundle / "venv", chosen, trust=True, episodes=8, horizon=60, seed=3)
    made, again = minari.load_dataset("test/lander-v0"), minari.load_dataset("test/again-v0")
    assert made.total_episodes == 8
    ends = [(e.terminations[-1], e.truncations[-1], len(e.rewards)) for e in made]
    assert all(over != cut for over, cut, _ in ends)
    assert all(cut == (steps == 60 and not over) for over, cut, steps in ends)
    for one, other in zip(made, again, strict=True):
        np.testing.assert_array_equal(one.observations, other.observations)
        np.testing.assert_array_equal(one.actions, other.actions)
        assert one.observations.shape == (len(one.rewards) + 1, 4)


# -- several nodes that are decided together ---------------------------------------------------


def test_logs_of_two_nodes_are_one_action(tmp_path: Path) -> None:
    (tmp_path / "two.yaml").write_text(
        DESCRIPTION.replace(
            "    - done", "    - pump: {dim: pump, type: continuous, min: 0, max: 9}\n    - done"
        ).replace("    next_tank: [tank,", "    pump: [tank, valve]\n    next_tank: [tank, pump,")
    )
    np.savez(tmp_path / "logs.npz", **logs(), pump=np.arange(7.0)[:, None])  # type: ignore[arg-type]
    both = ["pump", "valve"]
    made = export_logs("test/two-v0", tmp_path / "logs.npz", tmp_path / "two.yaml", target=both)
    first = minari.load_dataset("test/two-v0")[0]
    np.testing.assert_allclose(first.observations[:, 0], [0, 1, 2, 3, 3.5])
    assert first.observations.shape == (5, 2)  # tank and demand: what the valve is, is decided
    assert first.actions["valve"].tolist() == [0, 1, 2, 1]
    np.testing.assert_allclose(first.actions["pump"][:, 0], [0, 1, 2, 3])
    assert "action: valve, pump" in made.storage.metadata["description"]


@pytest.mark.parametrize("who", ["policy", "logged", "own"])
def test_rollouts_of_two_nodes_come_back_as_they_were(tmp_path: Path, who: str) -> None:
    venv = session_of()
    policy: Any = None
    if who == "policy":
        policy = joint_session()
        venv = session_of(("a",))  # the policy says itself what it decides
    elif who == "own":
        policy = lambda seen: {"a": -seen["x"], "b": 0.5 * seen["y"]}  # noqa: E731
    made = [
        export_rollouts(name, venv, policy, episodes=3, horizon=20, seed=5)
        for name in ("test/pair-v0", "test/again-v0")
    ]
    for one, other in zip(*made, strict=True):
        np.testing.assert_array_equal(one.actions, other.actions)
    text = """\
metadata:
  columns:
    - x: {dim: observations, type: continuous}
    - y: {dim: observations, type: continuous}
    - a: {dim: actions, type: continuous, min: -2, max: 2}
    - b: {dim: actions, type: continuous, min: -2, max: 2}
  graph:
    actions: [observations]
    next_observations: [observations, actions]
"""
    (tmp_path / "minari.yaml").write_text(text)
    graph = read_description(tmp_path / "minari.yaml")
    back = read_trajectories(tmp_path / "datasets" / "test" / "pair-v0", graph)
    assert back.lengths.tolist() == [20, 20, 20]
    seen, done = back.arrays["observations"], back.arrays["actions"]
    np.testing.assert_allclose(back.arrays["next_observations"][:20], made[0][0].observations[1:])
    if who == "policy":
        wanted = policy.act({"x": seen[:, :1], "y": seen[:, 1:]})
        np.testing.assert_allclose(done, np.hstack([wanted["a"], wanted["b"]]), atol=1e-5)
    elif who == "own":
        wanted = np.clip(np.hstack([-seen[:, :1], 0.5 * seen[:, 1:]]), -2, 2)
        np.testing.assert_allclose(done, wanted, atol=1e-5)
    else:  # b answers what a really is: -0.2 y - 0.5 a, give or take 0.5
        left = np.linalg.lstsq(np.hstack([seen[:, 1:], done[:, :1]]), done[:, 1], rcond=None)[0]
        assert left == pytest.approx([-0.2, -0.5], abs=0.35)
    moved = back.arrays["next_observations"][:, 1] - 0.8 * seen[:, 1] - 0.5 * done.sum(1)
    assert np.abs(moved).max() < 0.3  # the venv's noise is 0.05


def test_what_a_policy_does_not_decide_is_not_recorded() -> None:
    with pytest.raises(UserError, match="the policy decides a, b, the episodes record a"):
        export_rollouts("test/one-v0", session_of(), joint_session(), target="a", horizon=3)


def joint_session() -> PolicySession:
    joint, _, target = pair()
    edge = torch.full((2,), 1.5)
    policy = Policy(joint.graph, joint.codec, target, NetworkSpec(hidden=(4,)), 1, -edge, edge)
    torch.manual_seed(0)
    with torch.no_grad():
        for weight in policy.net.parameters():
            weight.normal_(0.0, 0.7)
    return PolicySession(policy)


def test_a_name_that_minari_does_not_take_is_explained(tmp_path: Path) -> None:
    written(tmp_path)
    with pytest.raises(UserError, match="minari says"):
        written(tmp_path)
