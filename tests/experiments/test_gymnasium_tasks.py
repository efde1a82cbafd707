"""The experiments whose plants are gymnasium's: hopper and half_cheetah."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from revive.__main__ import main
from revive.config.experiments import find_experiment
from revive.policy.reward import Reward
from revive.user_code import load_module

pytest.importorskip("mujoco")
pytest.importorskip("gymnasium")

TASKS = ("hopper", "half_cheetah")


class Plant(NamedTuple):
    """An experiment; its logs were made once. `own`: gymnasium's return of each logged trajectory."""

    name: str
    folder: Path
    simulator: ModuleType
    reward: Reward
    logs: dict[str, np.ndarray]
    own: np.ndarray


@pytest.fixture(scope="module", params=TASKS)
def plant(request: pytest.FixtureRequest) -> Plant:
    folder = find_experiment(request.param).folder
    simulator = load_module(folder / "simulator.py")
    return Plant(request.param, folder, simulator, Reward.load(folder / "reward.py"), *simulator.make_logs())


def rewards(plant: Plant, data: dict[str, np.ndarray]) -> np.ndarray:
    """Of each row of `data`, (N,)."""
    return plant.reward({name: torch.as_tensor(data[name]) for name in ("action", "next_obs")}).numpy()


def returns(plant: Plant) -> np.ndarray:
    """The return of each logged trajectory by the experiment's reward."""
    starts = np.concatenate([[0], plant.logs["index"][:-1]])
    return np.add.reduceat(rewards(plant, plant.logs), starts)


def test_the_reward_is_that_of_gymnasium_but_for_where_the_velocity_is_taken(plant: Plant) -> None:
    """With the mean velocity of the period in the velocity's column it is gymnasium's, step by step."""
    robots, random = plant.simulator.Simulator(4, seed=3), np.random.default_rng(0)
    column = load_module(plant.folder / "reward.py").FORWARD
    for _ in range(100):
        before, going = distances(robots), ~robots.done
        action = {"action": random.uniform(-1, 1, (4, robots.plants[0].action_space.shape[0]))}
        seen = {**action, **robots.step(action)}
        seen["next_obs"][:, column] = (distances(robots) - before) / robots.plants[0].dt
        upright = going & ~robots.done  # gymnasium pays nothing for staying alive in the step of the fall
        assert rewards(plant, seen).ravel()[upright] == pytest.approx(robots.rewards[upright], abs=1e-5)


def distances(robots: Any) -> np.ndarray:
    """How far each robot of the batch has come, m."""
    return np.array([robot.data.qpos[0] for robot in robots.plants])


def test_the_velocity_at_the_end_of_a_period_stands_for_its_mean(plant: Plant) -> None:
    """Logs of other seeds: 17 to 20 between the two returns of a cheetah, 3 of a hopper, root mean square."""
    between = returns(plant) - plant.own
    assert np.sqrt(np.mean(between**2)) < {"hopper": 5, "half_cheetah": 25}[plant.name]
    assert returns(plant).mean() == pytest.approx(plant.own.mean(), rel=0.01)


def test_the_logs_earn_what_the_readme_says(plant: Plant) -> None:
    """Whatever the processor, as long as MuJoCo itself rounds alike."""
    said = {"hopper": 1445, "half_cheetah": 1800}[plant.name]
    assert returns(plant).mean() == pytest.approx(said, rel=0.001)


def test_the_columns_are_positions_and_then_their_velocities(plant: Plant) -> None:
    """The change of a position over a control period is the mean of its velocities at both ends, nearly."""
    positions = plant.logs["obs"].shape[1] // 2  # one less than velocities: the distance is not observed
    period = plant.simulator.Simulator(1, seed=0).plants[0].dt
    before, after = (plant.logs[name] for name in ("obs", "next_obs"))
    change = (after - before)[:, :positions]
    for column in range(positions):
        speed = (before + after)[:, positions + 1 + column] / 2
        assert np.corrcoef(change[:, column] / period, speed)[0, 1] > 0.85, column


def test_a_hopper_has_fallen_where_gymnasium_says_so() -> None:
    folder = find_experiment("hopper").folder
    hoppers = load_module(folder / "simulator.py").Simulator(8, seed=3)
    fallen, random = load_module(folder / "rules.py").fallen, np.random.default_rng(0)
    for _ in range(200):
        followed = hoppers.step({"action": random.uniform(-1, 1, (8, 3))})
        rule = fallen({"next_obs": torch.as_tensor(followed["next_obs"])})
        assert np.array_equal(rule.numpy(), followed["done"])
    assert followed["done"].all()


def test_most_logs_of_the_hopper_end_in_a_fall(plant: Plant) -> None:
    if plant.name != "hopper":
        assert "done" not in plant.logs
        return
    last = plant.logs["index"] - 1
    assert plant.logs["done"][last].mean() > 0.6
    assert plant.logs["done"].sum() == plant.logs["done"][last].sum()


def test_a_branch_that_has_ended_stands_still() -> None:
    simulator = load_module(find_experiment("hopper").folder / "simulator.py")
    hopper = simulator.Simulator(1, seed=0)
    push = {"action": np.ones((1, 3))}
    while not hopper.step(push)["done"].all():
        pass
    lying = hopper.observe()["obs"]
    assert np.array_equal(hopper.step(push)["next_obs"], lying)
    assert hopper.rewards == 0.0


def test_branches_start_apart_and_seeds_repeat(plant: Plant) -> None:
    one, same, other = (plant.simulator.Simulator(3, seed).observe()["obs"] for seed in (0, 0, 1))
    assert np.array_equal(one, same)
    assert not np.isclose(one, other).all(axis=1).any()
    assert len(np.unique(one, axis=0)) == 3


def test_a_better_controller_earns_far_more_than_the_logs(plant: Plant) -> None:
    tasks = plant.simulator.tasks
    better = tasks.Controller.load(plant.folder / "controllers" / f"{plant.simulator.BETTER}.safetensors")
    robots = plant.simulator.Simulator(3, seed=5)
    earned = np.zeros(3)
    for _ in range(plant.simulator.EPISODE):
        action = {"action": better.act(robots.observe()["obs"])}
        going = ~robots.done
        earned += going * rewards(plant, {**action, **robots.step(action)})
    assert earned.min() > 1.5 * returns(plant).mean()


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("unrendered")
def test_it_runs_on_the_same_logs_as_ever_and_they_give_no_warning(
    plant: Plant, elsewhere: Path, capsys: pytest.CaptureFixture[Any]
) -> None:
    assert main([f"experiment={plant.name}", "debug=fast", "tracking=none", "run_id=r"]) == 0
    assert not re.search(r"[1-9]\d* warning", capsys.readouterr().out)
    assert [entry.name for entry in elsewhere.iterdir()] == ["runs"]
    with np.load(elsewhere / "runs" / "r" / "data.npz") as again:  # made anew
        assert set(again) == set(plant.logs)
        assert all(np.array_equal(again[name], plant.logs[name]) for name in again)


@pytest.mark.parametrize("name", TASKS)
def test_without_mujoco_it_says_what_to_install(
    name: str, elsewhere: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[Any]
) -> None:
    monkeypatch.setitem(sys.modules, "mujoco", None)
    assert main([f"experiment={name}", "debug=fast", "tracking=none"]) == 2
    assert f"experiment '{name}' needs gymnasium with MuJoCo: pip install" in capsys.readouterr().err
