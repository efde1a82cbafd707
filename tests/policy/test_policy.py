from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from revive.data.codec import Codec
from revive.graph.columns import Column
from revive.graph.decision_graph import DecisionGraph
from revive.policy.bounds import soft_clip
from revive.policy.policy import Policy, action_range
from revive.venv.node_model import NetworkSpec
from tests.policy.conftest import Plant
from tests.venv.plants import columns, equal_weights, hand_set, scaled, weights_of

LOW, HIGH = torch.tensor(-3.0), torch.tensor(5.0)


def test_soft_clip_is_the_identity_well_inside() -> None:
    x = torch.linspace(-1.0, 3.0, 50)
    torch.testing.assert_close(soft_clip(x, LOW, HIGH), x, rtol=0, atol=1e-3)


def test_soft_clip_rises_everywhere_near_the_bounds_and_stays_between_them() -> None:
    x = torch.linspace(-30, 30, 3001, dtype=torch.float64, requires_grad=True)
    y = soft_clip(x, LOW.double(), HIGH.double())
    assert y.min() >= -3.0 - 1e-9
    assert y.max() <= 5.0 + 1e-9
    assert (y.diff() >= -1e-12).all()
    y.sum().backward()
    assert x.grad is not None
    near = (x > -4) & (x < 6)
    assert (x.grad[near] > 0.03).all()
    torch.testing.assert_close(soft_clip(torch.tensor([-50.0, 50.0]), LOW, HIGH), torch.stack([LOW, HIGH]))


def test_soft_clip_keeps_its_promise_far_outside_in_single_precision() -> None:
    x = torch.linspace(-1000, 1000, 20001)
    y = soft_clip(x, LOW, HIGH)
    assert y.min() >= LOW
    assert y.max() <= HIGH


@pytest.mark.parametrize("high", [1.0, 0.3])
def test_soft_clip_stays_inside_a_narrow_range(high: float) -> None:
    y = soft_clip(torch.linspace(-9, 9, 100), torch.tensor(0.0), torch.tensor(high))
    assert y.min() >= -1e-6
    assert y.max() <= high + 1e-6


def test_actions_stay_inside_column_by_column(plant: Plant) -> None:
    graph = DecisionGraph.build(columns(x=1, u=2), {"u": ["x"], "next_x": ["x", "u"]})
    low, high = torch.tensor([-3.0, 0.0]), torch.tensor([3.0, 9.0])
    policy = Policy(graph, Codec.empty(graph), "u", NetworkSpec(hidden=(4,)), 1, low, high, noise=5.0)
    with torch.no_grad():
        action = policy(torch.randn(1, 500, 1), torch.Generator().manual_seed(0))[0]
    assert (action >= low - 1e-5).all()
    assert (action <= high).all()
    assert (action.amax(0) - action.amin(0) > torch.tensor([4.0, 6.0])).all()


def test_exploration_is_of_the_stated_size_and_only_asked_for(plant: Plant) -> None:
    policy = plant.linear_policy(0.0, noise=0.3)
    x = torch.zeros(1, 4000, 1)
    assert (policy(x).abs() < 1e-4).all()
    explored = policy(x, torch.Generator().manual_seed(0)).detach()
    assert float(explored.std()) == pytest.approx(0.3, rel=0.05)
    assert torch.equal(explored, policy(x, torch.Generator().manual_seed(0)))


def test_each_copy_acts_under_its_own_half_and_swapped_under_the_other(plant: Plant) -> None:
    policy = plant.linear_policy(1.0, 10.0)
    x = torch.tensor([0.1, 0.2, 0.3, 0.4]).view(4, 1, 1).expand(4, 3, 1)
    gains = (policy.actor().decide(x) / x).detach()[:, 0, 0]
    torch.testing.assert_close(gains, torch.tensor([1.0, 1.0, 10.0, 10.0]), rtol=1e-3, atol=0)
    swapped = (policy.actor(swap=True).decide(x) / x).detach()[:, 0, 0]
    torch.testing.assert_close(swapped, torch.tensor([10.0, 10.0, 1.0, 1.0]), rtol=1e-3, atol=0)


def test_one_copy_acts_under_all_members(plant: Plant) -> None:
    actor = plant.linear_policy(-0.5).actor()
    assert (actor.node, actor.inputs) == ("u", ("x",))
    still = {"wind": torch.zeros(5, 4, 3, 1)}
    rolled = plant.venv.rollout({"x": torch.ones(4, 3, 1)}, still, 5, actor=actor)
    torch.testing.assert_close(rolled["u"], -0.5 * rolled["x"], rtol=1e-3, atol=1e-4)
    assert rolled["next_x"][-1, 0, 0, 0].item() == pytest.approx(0.65**5, rel=1e-3)


def test_single_takes_one_copy_and_what_it_is_given(plant: Plant) -> None:
    policy = plant.linear_policy(1.0, 10.0, noise=0.3)
    earlier = weights_of(policy.net)
    with torch.no_grad():
        policy.net.skip.weight.zero_()
    x = torch.tensor([[[0.5]]])
    assert float(policy.single(1)(x).detach()) == pytest.approx(0.0, abs=1e-5)
    one = policy.single(1, earlier)
    assert one.copies == 1
    assert float(one(x).detach()) == pytest.approx(5.0, rel=1e-3)
    assert (float(one.noise), float(one.low), float(one.high)) == (pytest.approx(0.3), -20.0, 20.0)


# -- several variants of each half ---------------------------------------------------------------

VARIANTS = (1.0, 2.0, 10.0, 20.0)  # gains: two of half 0, two of half 1


def test_variants_share_the_members_of_their_half_and_split_the_branches(plant: Plant) -> None:
    policy = plant.linear_policy(*VARIANTS)
    assert policy.variants == 2
    x = torch.full((4, 6, 1), 0.1)
    gains = (policy.actor().decide(x) / x).detach()[..., 0]
    wanted = torch.tensor([[1.0] * 3 + [2.0] * 3] * 2 + [[10.0] * 3 + [20.0] * 3] * 2)
    torch.testing.assert_close(gains, wanted, rtol=1e-3, atol=0)
    swapped = (policy.actor(swap=True).decide(x) / x).detach()[..., 0]
    torch.testing.assert_close(swapped, wanted.flip(0), rtol=1e-3, atol=0)


@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize("gains", [(1.0,), (1.0, 2.0), VARIANTS])
def test_sorting_by_copy_and_back_changes_nothing(plant: Plant, gains: tuple[float, ...], swap: bool) -> None:
    policy = plant.linear_policy(*gains)
    x = torch.randn(3, 4, 6, 2)  # (T, M, B, d)
    sorted_ = policy.by_copy(x, swap)
    assert sorted_.shape == (3, len(gains), 24 // len(gains), 2)
    assert torch.equal(policy.by_branch(sorted_, 4, swap), x)
    assert torch.equal(policy.by_copy(x[0], swap), sorted_[0])  # with and without an axis of time


def test_a_copys_branches_stand_member_by_member(plant: Plant) -> None:
    x = torch.arange(24.0).view(4, 6, 1)  # member m, branch b: 6 m + b
    found = plant.linear_policy(*VARIANTS).by_copy(x)[..., 0].tolist()
    assert found[0] == [0, 1, 2, 6, 7, 8]
    assert found[1] == [3, 4, 5, 9, 10, 11]
    assert found[3] == [15, 16, 17, 21, 22, 23]
    assert plant.linear_policy(*VARIANTS).by_copy(x, swap=True)[0, :, 0].tolist() == [12, 13, 14, 18, 19, 20]


def test_widening_gives_every_half_as_many_alike(plant: Plant) -> None:
    wide = plant.linear_policy(1.0, 10.0, noise=0.3).widened(3)
    assert (wide.copies, wide.variants, float(wide.noise)) == (6, 3, pytest.approx(0.3))
    slopes = wide.net.skip.weight.detach().flatten()
    torch.testing.assert_close(slopes, torch.tensor([1.0] * 3 + [10.0] * 3))
    original = plant.linear_policy(1.0, 10.0)
    with torch.no_grad():
        original.widened(1).net.skip.weight.zero_()
    assert float(original.net.skip.weight.detach().abs().sum()) > 0


def test_stacked_policies_act_as_each_one_did(plant: Plant) -> None:
    policy = plant.linear_policy(*VARIANTS, noise=0.2)
    singles = [policy.single(copy) for copy in (2, 0, 3)]
    stacked = Policy.stacked(singles)
    x = torch.randn(1, 7, 1)
    with torch.no_grad():
        one_by_one = torch.cat([single(x) for single in singles])
        together = stacked(x.expand(3, -1, -1))
    torch.testing.assert_close(together, one_by_one)
    assert float(stacked.noise) == pytest.approx(0.2)


def test_a_policy_comes_back_from_json_and_weights(plant: Plant) -> None:
    policy = plant.linear_policy(1.5, noise=0.2)
    again = Policy.from_json(policy.to_json())
    again.load_state_dict(policy.state_dict())
    assert equal_weights(weights_of(again), weights_of(policy))
    assert again.inputs == policy.inputs
    x = torch.randn(1, 9, 1)
    assert torch.equal(again(x), policy(x))


def bounded(low: float | None, high: float | None) -> DecisionGraph:
    action = Column("u0", "u", "continuous", min=low, max=high)
    free = Column("u1", "u", "continuous")
    return DecisionGraph.build([*columns(x=1), action, free], {"u": ["x"], "next_x": ["x", "u"]})


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [
        (0.0, 10.0, (-1.0, 4.0)),
        (0.0, None, (-1.0, 1.5)),
        (None, 10.0, (-0.5, 4.0)),
        (None, None, (-0.5, 1.5)),
    ],
)
def test_declared_bounds_count_and_else_the_logged_range(
    low: float | None, high: float | None, wanted: tuple[float, float]
) -> None:
    graph = bounded(low, high)
    codec = Codec.empty(graph)
    codec.nodes["u"] = scaled(graph.columns("u"), [2.0, 0.0], [2.0, 1.0])
    logged = torch.tensor([-0.5, -0.7]), torch.tensor([1.5, 1.7])  # model space
    lowest, highest = action_range(graph, codec, "u", *logged)
    torch.testing.assert_close(lowest, torch.tensor([wanted[0], -0.7]))
    torch.testing.assert_close(highest, torch.tensor([wanted[1], 1.7]))


def test_a_policy_may_see_more_than_the_logs_controller_did(plant: Plant) -> None:
    graph = DecisionGraph.build(columns(x=1, wind=1, u=1), {"u": ["x"], "next_x": ["x", "u", "wind"]})
    seeing = graph.with_inputs("u", ["wind", "x"])
    venv = hand_set(graph, {"u": ([[0.0]], [0.0]), "next_x": ([[0.0], [1.0], [1.0]], [0.0])})
    edge = torch.tensor([20.0])
    policy = Policy(seeing, venv.codec, "u", NetworkSpec(hidden=(4,)), 1, -edge, edge)
    assert policy.inputs == ("wind", "x")
    with torch.no_grad():
        policy.net.last.zero_()
    policy.net.put_linear(torch.tensor([[[-1.0], [0.0]]]), torch.zeros(1, 1, 1))
    blows = torch.randn(6, 2, 3, 1)
    rolled = venv.rollout({"x": torch.zeros(2, 3, 1)}, {"wind": blows}, 6, actor=policy.actor())
    assert rolled["next_x"].abs().max() < 1e-3
    assert replace(policy.actor(), node="u").inputs == ("wind", "x")
