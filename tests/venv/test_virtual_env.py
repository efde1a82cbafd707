from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from revive.data.codec import Codec
from revive.graph.columns import Column
from revive.graph.decision_graph import DecisionGraph
from revive.venv.node_model import NetworkSpec
from revive.venv.virtual_env import Actor, VirtualEnv
from tests.venv.plants import SMALL, columns, equal_weights, hand_set, plant_graph, weights_of

A, B, W, K = 0.9, 0.5, 0.3, -0.4  # x' = A x + B u + W wind, u = K x
LINEAR = {"next_x": ([[A - 1.0], [B], [W]], [0.0]), "u": ([[K]], [0.0])}


def same_start(venv: VirtualEnv, batch: int) -> dict[str, Tensor]:
    value = torch.randn(1, batch, 1, generator=torch.Generator().manual_seed(0))
    return {"x": value.expand(venv.members, -1, -1)}


def wind(venv: VirtualEnv, horizon: int, batch: int) -> Tensor:
    drawn = torch.randn(horizon, 1, batch, 1, generator=torch.Generator().manual_seed(1))
    return drawn.expand(-1, venv.members, -1, -1)


def test_a_linear_graph_rolls_out_as_its_closed_form() -> None:
    venv = hand_set(plant_graph(), LINEAR)
    start, blows = same_start(venv, 4), wind(venv, 30, 4)
    rolled = venv.rollout(start, {"wind": blows}, 30)
    closed = A + B * K
    for t in range(30):
        x = closed**t * start["x"] + sum(closed ** (t - 1 - i) * W * blows[i] for i in range(t))
        torch.testing.assert_close(rolled["x"][t], x, rtol=0, atol=1e-5)
        torch.testing.assert_close(rolled["u"][t], K * x, rtol=0, atol=1e-5)
    torch.testing.assert_close(rolled["next_x"][:-1], rolled["x"][1:])
    assert torch.equal(rolled["wind"], blows)
    assert rolled.keys() == set(venv.graph.nodes)


def test_several_columns_and_a_codec_make_no_difference_in_physical_units() -> None:
    graph = DecisionGraph.build(columns(x=2, u=1), {"u": ["x"], "next_x": ["x", "u"]})
    matrix = np.array([[0.9, 0.2], [-0.1, 0.8]])  # x' = x M + u b
    b = np.array([[0.0, 1.0]])
    rng = np.random.default_rng(0)
    logs = {"x": rng.normal([5, -3], [2, 10], (500, 2)), "u": rng.normal(1, 4, (500, 1))}
    codec = Codec.fit(graph, logs)
    scale, center = codec["x"].scale.numpy(), codec["x"].center.numpy()
    u_scale, u_center = float(codec["u"].scale), float(codec["u"].center)
    weight = np.vstack([scale[:, None] * (matrix - np.eye(2)), u_scale * b]) / scale
    bias = (center @ (matrix - np.eye(2)) + u_center * b) / scale
    venv = hand_set(graph, {"next_x": (weight, bias), "u": ([[0.0], [0.0]], [0.0])}, codec=codec)
    x = np.array([[4.0, 1.0]])
    start = {"x": codec["x"].encode(torch.as_tensor(x).float()).expand(2, 1, 2)}
    actions = rng.normal(size=(20, 1))
    given = codec["u"].encode(torch.as_tensor(actions).float())[:, None, None].expand(20, 2, 1, 1)
    rolled = codec.decode(venv.rollout(start, {"u": given}, 20))
    for t in range(20):
        x = x @ matrix + actions[t] * b
        np.testing.assert_allclose(rolled["next_x"][t, 0].detach(), x, atol=1e-3)


def test_step_i_sees_the_ith_exogenous_value_and_the_ith_recorded_decision() -> None:
    graph = plant_graph()
    venv = hand_set(graph, {"next_x": ([[-1.0], [1.0], [100.0]], [0.0]), "u": ([[0.0]], [0.0])})
    numbers = torch.arange(6.0).view(6, 1, 1, 1).expand(6, 2, 3, 1)
    rolled = venv.rollout({"x": torch.zeros(2, 3, 1)}, {"wind": numbers, "u": numbers + 7}, 6)
    for t in range(6):
        assert (rolled["next_x"][t] == 100.0 * t + (t + 7)).all()
        assert (rolled["u"][t] == t + 7).all()


def test_a_recorded_decision_takes_precedence_over_the_behaviour_policy() -> None:
    venv = hand_set(plant_graph(), LINEAR)
    start, blows = same_start(venv, 2), wind(venv, 5, 2)
    free = venv.rollout(start, {"wind": blows}, 5)
    again = venv.rollout(start, {"wind": blows, "u": free["u"]}, 5)
    torch.testing.assert_close(again["next_x"], free["next_x"])
    held = venv.rollout(start, {"wind": blows, "u": torch.zeros_like(blows)}, 5)
    assert not torch.allclose(held["next_x"], free["next_x"])


def test_an_actor_decides_in_place_of_the_model_and_may_see_other_nodes() -> None:
    venv = hand_set(plant_graph(), LINEAR)
    start, blows = same_start(venv, 4), wind(venv, 10, 4)
    actor = Actor("u", ("wind", "x"), lambda seen: -2.0 * seen[..., :1] + 0.0 * seen[..., 1:])
    rolled = venv.rollout(start, {"wind": blows}, 10, actor=actor)
    torch.testing.assert_close(rolled["u"], -2.0 * blows)
    torch.testing.assert_close(rolled["next_x"], A * rolled["x"] + (W - 2.0 * B) * blows)


def test_an_actor_may_see_a_node_that_was_computed_after_its_own() -> None:
    graph = DecisionGraph.build(columns(x=1, u=1, v=1), {"u": ["x"], "v": ["x"], "next_x": ["x", "u", "v"]})
    linear = {"u": ([[1.0]], [0.0]), "v": ([[3.0]], [0.0]), "next_x": ([[0.0], [0.0], [0.0]], [0.0])}
    venv = hand_set(graph, linear)
    actor = Actor("u", ("v",), lambda v: v + 1.0)
    rolled = venv.rollout({"x": torch.full((2, 1, 1), 2.0)}, {}, 3, actor=actor)
    assert (rolled["v"] == 6.0).all()
    assert (rolled["u"] == 7.0).all()


def test_two_decisions_and_two_transitions_in_one_step() -> None:
    graph = DecisionGraph.build(
        columns(x=1, y=1, u=1, v=1),
        {"u": ["x"], "v": ["u", "y"], "next_x": ["x", "u"], "next_y": ["y", "v", "next_x"]},
    )
    linear = {
        "u": ([[2.0]], [1.0]),
        "v": ([[1.0], [-1.0]], [0.0]),
        "next_x": ([[-0.5], [0.1]], [0.0]),
        "next_y": ([[0.0], [1.0], [0.5]], [0.0]),
    }
    rolled = hand_set(graph, linear).rollout({"x": torch.ones(2, 1, 1), "y": torch.zeros(2, 1, 1)}, {}, 4)
    x, y = 1.0, 0.0
    for t in range(4):
        u = 2.0 * x + 1.0
        v = u - y
        next_x = 0.5 * x + 0.1 * u
        next_y = y + v + 0.5 * next_x
        for name, value in (("u", u), ("v", v), ("next_x", next_x), ("next_y", next_y)):
            assert rolled[name][t, 0, 0, 0].item() == pytest.approx(value, rel=1e-5)
        x, y = next_x, next_y


def test_without_noise_a_node_takes_its_mean_and_with_it_its_stated_std() -> None:
    venv = hand_set(plant_graph(), LINEAR, std=0.25)
    start, blows = same_start(venv, 3), wind(venv, 4, 3)
    torch.testing.assert_close(
        venv.rollout(start, {"wind": blows}, 4)["next_x"],
        hand_set(plant_graph(), LINEAR).rollout(start, {"wind": blows}, 4)["next_x"],
    )
    eps = torch.randn(4, 2, 3, 1)
    rolled = venv.rollout(start, {"wind": blows}, 4, noise={"next_x": eps})
    mean = A * rolled["x"] + B * rolled["u"] + W * blows
    torch.testing.assert_close(rolled["next_x"] - mean, 0.25 * eps, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(rolled["u"], K * rolled["x"])


def test_a_conditioned_std_follows_the_inputs() -> None:
    torch.manual_seed(0)
    venv = hand_set(plant_graph(), LINEAR, spec=replace(SMALL, std="conditioned"), std=1.0)
    with torch.no_grad():
        venv.model("next_x").net.skip.weight[:, 0, 1] = 1.0  # the log std rises with x
    x = torch.tensor([-3.0, -2.0]).view(1, 2, 1).expand(2, -1, -1)
    still = {"wind": torch.zeros(1, 2, 2, 1), "u": torch.zeros(1, 2, 2, 1)}
    mean = venv.rollout({"x": x}, still, 1)["next_x"]
    torch.testing.assert_close(mean[0], A * x)
    spread = venv.rollout({"x": x}, still, 1, noise={"next_x": torch.ones(1, 2, 2, 1)})["next_x"] - mean
    torch.testing.assert_close(spread[0].log(), x, rtol=0.05, atol=0)


def different_members() -> VirtualEnv:
    """Four members; member m moves x by 10 to the power of m each step."""
    graph = DecisionGraph.build(columns(x=1), {"next_x": ["x"]})
    return hand_set(graph, {"next_x": ([[0.0]], [[[1.0]], [[10.0]], [[100.0]], [[1000.0]]])}, members=4)


def test_without_shifts_every_branch_stays_with_its_member() -> None:
    start = torch.arange(8.0).view(4, 2, 1) / 10
    rolled = different_members().rollout({"x": start}, {}, 3)
    step = torch.tensor([1.0, 10.0, 100.0, 1000.0]).view(4, 1, 1)
    torch.testing.assert_close(rolled["next_x"][-1], start + 3 * step)


def test_shifts_change_who_answers_but_not_where_a_branch_stands() -> None:
    start = torch.arange(8.0).view(4, 2, 1) / 10
    rolled = different_members().rollout({"x": start}, {}, 3, shifts=[0, 1, 1])
    change = (rolled["next_x"] - rolled["x"]).round()[..., 0, 0]  # (T, M)
    assert change.tolist() == [[1, 10, 100, 1000], [10, 1, 1000, 100], [10, 1, 1000, 100]]
    torch.testing.assert_close(rolled["x"][0], start)
    torch.testing.assert_close(rolled["x"][1:], rolled["next_x"][:-1])


def test_with_shifts_a_branch_meets_every_member_of_its_half_and_none_of_the_other() -> None:
    graph = DecisionGraph.build(columns(x=1), {"next_x": ["x"]})
    bias = [[[float(10**m)]] for m in range(6)]
    venv = hand_set(graph, {"next_x": ([[0.0]], bias)}, members=6)
    rolled = venv.rollout({"x": torch.zeros(6, 1, 1)}, {}, 3, shifts=[0, 1, 2])
    assert rolled["next_x"][-1, :, 0, 0].tolist() == [111, 111, 111, 111000, 111000, 111000]


def test_members_of_a_half_lie_side_by_side() -> None:
    venv = different_members()
    assert [list(range(4))[venv.members_of(half)] for half in (0, 1)] == [[0, 1], [2, 3]]


def test_a_subset_keeps_the_chosen_members() -> None:
    venv = different_members()
    few = venv.subset(torch.tensor([1, 2]))
    assert few.members == 2
    rolled = few.rollout({"x": torch.zeros(2, 1, 1)}, {}, 1)
    assert rolled["next_x"].flatten().tolist() == [10.0, 100.0]
    with torch.no_grad():
        few.model("next_x").net.skip.bias.zero_()
    assert venv.rollout({"x": torch.zeros(4, 1, 1)}, {}, 1)["next_x"].flatten().tolist() == [1, 10, 100, 1000]


@pytest.mark.parametrize("std", ["constant", "conditioned"])
def test_a_venv_comes_back_from_json_and_weights(std: str) -> None:
    graph = DecisionGraph.build(
        [Column("x", "x", "continuous", min=-1.0, units="m"), Column("u", "u", "continuous")],
        {"u": ["x"], "next_x": ["x", "u"]},
    )
    spec = NetworkSpec(hidden=(5, 3), activation="tanh", std=std)  # type: ignore[arg-type]
    venv = VirtualEnv(graph, Codec.empty(graph), 4, spec, {"u": [1.0], "next_x": [0.2]})
    again = VirtualEnv.from_json(venv.to_json())
    again.load_state_dict(venv.state_dict())
    assert again.graph == graph
    assert equal_weights(weights_of(again), weights_of(venv))
    start = {"x": torch.randn(4, 2, 1)}
    assert torch.equal(again.rollout(start, {}, 3)["next_x"], venv.rollout(start, {}, 3)["next_x"])


def test_gradients_reach_the_first_action_through_the_whole_rollout() -> None:
    venv = hand_set(plant_graph(), LINEAR)
    actions = torch.zeros(5, 2, 1, 1, requires_grad=True)
    rolled = venv.rollout({"x": torch.zeros(2, 1, 1)}, {"wind": torch.zeros(5, 2, 1, 1), "u": actions}, 5)
    rolled["next_x"][-1].sum().backward()
    assert actions.grad is not None
    wanted = torch.tensor([B * A ** (4 - t) for t in range(5)]).view(5, 1, 1, 1).expand(5, 2, 1, 1)
    torch.testing.assert_close(actions.grad, wanted)
