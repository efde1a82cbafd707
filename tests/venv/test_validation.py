from __future__ import annotations

import numpy as np
import pytest
import torch

from revive.data.codec import Codec
from revive.graph.decision_graph import DecisionGraph
from revive.venv.validation import replay, rollout_error, unseen_windows
from tests.venv.plants import columns, hand_set, plant_graph, rows_of

LINEAR = {"next_x": ([[-0.1], [0.5], [0.3]], [0.0]), "u": ([[0.0]], [0.0])}


def plant_logs(rows: int, seed: int) -> dict[str, np.ndarray]:
    """What `LINEAR` does under random actions and wind, without noise."""
    rng = np.random.default_rng(seed)
    u, wind = rng.normal(size=(2, rows, 1))
    x = np.zeros((rows + 1, 1))
    for t in range(rows):
        x[t + 1] = 0.9 * x[t] + 0.5 * u[t] + 0.3 * wind[t]
    return {"x": x[:-1], "wind": wind, "u": u, "next_x": x[1:]}


def test_a_perfect_venv_has_no_error_and_persistence_has_one() -> None:
    venv = hand_set(plant_graph(), LINEAR, members=4)
    errors = rollout_error(
        venv, rows_of(venv.graph, venv.codec, plant_logs(120, 0), plant_logs(120, 1)), horizon=50
    )
    assert errors.horizon == 50
    assert errors.venv["next_x"].shape == (2, 50, 1)
    assert errors.mean_until(50, half=None) < 1e-5
    assert errors.mean_until(50, of="persistence") > 0.3
    assert errors.by_horizon().keys() == {"1", "10", "50"}


def test_errors_are_in_physical_units_and_grow_as_the_bias_says() -> None:
    logs = plant_logs(120, 0), plant_logs(120, 1)
    graph = plant_graph()
    codec = Codec.fit(graph, logs[0])
    scale, center = float(codec["x"].scale), float(codec["x"].center)
    u, wind = codec["u"], codec["wind"]
    weight = [[-0.1], [0.5 * float(u.scale) / scale], [0.3 * float(wind.scale) / scale]]
    offset = (-0.1 * center + 0.5 * float(u.center) + 0.3 * float(wind.center)) / scale
    biased = [[[offset + 0.2 / scale]]] * 2 + [[[offset]]] * 2  # half 0 adds 0.2 per step
    venv = hand_set(graph, {**LINEAR, "next_x": (weight, biased)}, members=4, codec=codec)
    errors = rollout_error(venv, rows_of(graph, codec, *logs), horizon=30)
    wanted = [0.2 * (1 - 0.9 ** (t + 1)) / 0.1 for t in range(30)]
    np.testing.assert_allclose(errors.venv["next_x"][0, :, 0], wanted, atol=1e-3)
    np.testing.assert_allclose(errors.venv["next_x"][1], 0, atol=1e-3)
    assert errors.mean_until(10) == pytest.approx(np.mean(wanted[:10]), abs=1e-3)
    assert errors.spread["next_x"] == pytest.approx(np.vstack([part["x"] for part in logs]).std(), rel=0.01)
    by_column = errors.by_column({"next_x": ["position"]})["position"]
    assert by_column["venv"] == pytest.approx(np.mean(wanted), abs=1e-3)


def test_each_half_is_judged_on_the_rows_of_the_other() -> None:
    venv = hand_set(plant_graph(), LINEAR, members=4)
    rows = rows_of(venv.graph, venv.codec, plant_logs(60, 0), plant_logs(90, 1))
    windows = unseen_windows(venv, rows, 20)
    for m in range(4):
        assert set(windows.first[m].tolist()) <= set(rows.parts[1 - m // 2])
    assert windows.valid.all()
    assert windows.first.shape[1] > 30


def test_windows_do_not_leave_their_trajectory() -> None:
    venv = hand_set(plant_graph(), LINEAR)
    rows = rows_of(venv.graph, venv.codec, plant_logs(60, 0), plant_logs(60, 1), ends=[[20, 60], [25, 60]])
    windows = unseen_windows(venv, rows, 20)
    last = windows.first + 19
    assert (last < rows.ends[windows.first]).all()
    torch.testing.assert_close(windows.data["x"][1:], windows.data["next_x"][:-1])


def test_the_members_mean_is_judged() -> None:
    """Members that err in opposite directions are right together."""
    bias = [[[0.5]], [[-0.5]]] * 2
    graph = DecisionGraph.build(columns(x=1), {"next_x": ["x"]})
    venv = hand_set(graph, {"next_x": ([[0.0]], bias)}, members=4)
    still = {"x": np.ones((40, 1)), "next_x": np.ones((40, 1))}
    errors = rollout_error(venv, rows_of(venv.graph, venv.codec, still, still), horizon=10)
    assert errors.mean_until(10, half=None) == pytest.approx(0.0, abs=1e-6)


def test_replay_with_a_seed_samples_and_repeats() -> None:
    venv = hand_set(plant_graph(), LINEAR, std=0.2)
    windows = unseen_windows(venv, rows_of(venv.graph, venv.codec, plant_logs(60, 0), plant_logs(60, 1)), 10)
    mean, one, same, other = (replay(venv, windows, noise_seed=seed)["next_x"] for seed in (None, 1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert 0.1 < float((one - mean)[0].std()) < 0.3


def test_steps_that_the_judging_half_cannot_show_do_not_dilute_the_error() -> None:
    graph = DecisionGraph.build(columns(x=1), {"next_x": ["x"]})
    venv = hand_set(graph, {"next_x": ([[0.0]], [1.0])})
    still = {"x": np.ones((100, 1)), "next_x": np.ones((100, 1))}
    rows = rows_of(venv.graph, venv.codec, still, still, ends=[[100], list(range(10, 101, 10))])
    errors = rollout_error(venv, rows, horizon=50)
    assert errors.mean_until(50) >= errors.mean_until(10)
