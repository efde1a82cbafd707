"""Measures of disagreement that steps may pay for."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from revive.policy.doubt import Doubt
from revive.policy.penalties import DRAWS, Measure, Penalty
from revive.policy.policy import Policy
from revive.venv.node_model import NetworkSpec
from revive.venv.virtual_env import VirtualEnv
from tests.contract import made_by, small_settings
from tests.policy.conftest import Plant
from tests.policy.problems import problem_of
from tests.policy.test_doubt import MEMBERS, plants
from tests.policy.toys import cart, seen_with
from tests.venv.plants import train

MEASURES: tuple[Measure, ...] = ("doubt", "mopo", "mobile")


def policy_in(venv: VirtualEnv) -> Policy:
    edge = torch.tensor([20.0])
    return Policy(venv.graph, venv.codec, "u", NetworkSpec(hidden=(4,)), 2, -edge, edge)


def rollout(steps: int = 3, branches: int = 5) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(4)
    shape = (steps, MEMBERS, branches, 1)
    return {name: torch.randn(shape, generator=generator) for name in ("x", "u", "next_x")}


def worth_in(policy: Policy, slope: float) -> object:
    return lambda known: slope * policy.by_copy(known["x"]).squeeze(-1)


@pytest.mark.parametrize("measure", MEASURES)
def test_identical_members_cost_nothing(measure: Measure) -> None:
    venv, rows = plants(*[0.5] * 3, *[0.7] * 3)  # the halves differ, and that is no disagreement
    policy, values = policy_in(venv), rollout()
    penalty = Penalty(measure, Doubt(venv, rows), policy)
    u = values["u"].requires_grad_()
    found = penalty.of(values, values, worth_in(policy, 3.0), torch.Generator().manual_seed(0))  # type: ignore[arg-type]
    assert found.shape == (3, 2, 15)
    paid = torch.relu(found - penalty.free)
    assert float(paid.detach().max()) < 1e-5
    (slope,) = torch.autograd.grad(found.sum(), u, allow_unused=True)
    assert slope is None or bool(torch.isfinite(slope).all())


def test_mopo_is_the_farthest_mean() -> None:
    slopes = (0.1, 0.4, 1.0)
    venv, rows = plants(*slopes, *slopes)
    policy, values, doubt = policy_in(venv), rollout(), Doubt(venv, rows)
    found = Penalty("mopo", doubt, policy).of(values, values, worth_in(policy, 1.0), torch.Generator())  # type: ignore[arg-type]
    farthest = max(abs(slope - 0.5) for slope in slopes) * values["u"].abs()  # (T, M, B, 1)
    wanted = policy.by_copy(farthest / doubt.unit_per_branch.unsqueeze(-1)).squeeze(-1)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("measure", ["doubt", "mopo"])
def test_of_variants_that_pay_nothing_no_member_is_asked(measure: Measure) -> None:
    slopes = (0.1, 0.4, 1.0)
    venv, rows = plants(*slopes, *slopes)
    policy, values = policy_in(venv).widened(5), rollout()  # five branches: one of each variant
    penalty, no_worth = Penalty(measure, Doubt(venv, rows), policy), worth_in(policy, 1.0)
    every, some = (
        penalty.of(values, values, no_worth, torch.Generator().manual_seed(0), paying)  # type: ignore[arg-type]
        for paying in (None, [1, 4])
    )
    pays = torch.tensor([0.0, 1.0, 0.0, 0.0, 1.0]).repeat(2).view(-1, 1)  # copies: half by half
    assert bool((every > 0).any(-1).all())
    torch.testing.assert_close(some, every * pays)


def test_mobile_is_the_spread_of_the_members_values() -> None:
    """Of a linear value the noise, which all members share, cancels."""
    slopes = (0.1, 0.4, 1.0)
    venv, rows = plants(*slopes, *slopes)
    policy, values = policy_in(venv), rollout()
    found = Penalty("mobile", Doubt(venv, rows), policy).of(
        values,
        values,
        worth_in(policy, 3.0),  # type: ignore[arg-type]
        torch.Generator().manual_seed(0),
    )
    spread = 3.0 * torch.tensor(slopes).std(unbiased=False) * values["u"].abs()
    torch.testing.assert_close(found, policy.by_copy(spread).squeeze(-1), rtol=1e-3, atol=1e-3)


def test_mobile_charges_only_what_the_value_depends_on() -> None:
    venv, rows = plants(0.1, 0.4, 1.0, 0.1, 0.4, 1.0)
    policy, values, asked = policy_in(venv), rollout(), []

    def flat(known: dict[str, Tensor]) -> Tensor:
        asked.append(known)
        return 0.0 * policy.by_copy(known["x"]).squeeze(-1)

    found = Penalty("mobile", Doubt(venv, rows), policy).of(values, values, flat, torch.Generator())  # type: ignore[arg-type]
    assert torch.equal(found, torch.zeros_like(found))
    assert len(asked) == DRAWS * MEMBERS // 2


def test_the_newest_frame_of_a_history_is_that_of_the_member() -> None:
    venv, plain = cart()
    graph, rows = seen_with(venv, plain, 3)
    (history,) = graph["u"].inputs
    edge = torch.tensor([5.0])
    policy = Policy(graph, venv.codec.for_graph(graph), "u", NetworkSpec(hidden=(4,)), 2, -edge, edge)
    shape = (2, venv.members, 4, 1)
    taken = {name: torch.randn(shape) for name in ("x", "speed", "u", "next_x", "next_speed")}
    later = {**taken, history: torch.randn(2, venv.members, 4, 3)}
    seen: list[dict[str, Tensor]] = []

    def worth(known: dict[str, Tensor]) -> Tensor:
        seen.append(known)
        return policy.by_copy(known["x"]).squeeze(-1)

    Penalty("mobile", Doubt(venv, rows), policy).of(taken, later, worth, torch.Generator())  # type: ignore[arg-type]
    assert torch.equal(seen[0][history][..., :2], later[history][..., :2])
    assert torch.equal(seen[0][history][..., 2:], seen[0]["x"])
    error = seen[0]["x"] - (taken["x"] + 0.3 * taken["speed"])
    assert math.isclose(float(error.std()), 0.05, rel_tol=0.5)  # the noise of the plant


@pytest.mark.parametrize("measure", [*MEASURES[1:], "morec"])
@pytest.mark.parametrize("name", ["first_order", "ppo", "sac"])
def test_learners_that_simulate_can_be_charged_by_it(
    plant: Plant, tmp_path: Path, name: str, measure: Measure
) -> None:
    settings = small_settings("policy", name)
    settings.policy.learner["measure"] = measure
    learner = made_by(settings, "policy", problem_of(plant, budget=4000))
    train(learner, tmp_path)
    for candidate in learner.candidates():
        assert all(bool(torch.isfinite(weight).all()) for weight in candidate.policy.parameters())
    if name != "first_order":
        assert {c.variant.split()[0] for c in learner.candidates()} == {measure}
