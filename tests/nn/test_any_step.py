"""The any-step network: which inputs an opinion is made of, and what they are together."""

from __future__ import annotations

import pytest
import torch

from revive.data.layout import Frames
from revive.nn.any_step import AnyStepNet

LENGTH = 3
FRAMES = [
    Frames(0, LENGTH, 2, state=True, own=True),
    Frames(6, LENGTH, 1),
]  # x over time, u over time, one more


@pytest.fixture
def net() -> AnyStepNet:
    torch.manual_seed(0)
    made = AnyStepNet(2, 10, 2, (8, 6), "silu", FRAMES)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.normal_()
    return made


def asked(net: AnyStepNet, back: int | None, x: torch.Tensor) -> torch.Tensor:
    net.steps_back = back
    return net(x)


@pytest.mark.parametrize(("back", "seen"), [(1, {4, 5, 8, 9}), (2, {2, 3, 7, 8, 9}), (3, {0, 1, 6, 7, 8, 9})])
def test_an_opinion_sees_the_state_it_begins_with_and_all_that_was_done_since(
    net: AnyStepNet, back: int, seen: set[int]
) -> None:
    x = torch.randn(2, 5, 10, requires_grad=True)
    (slope,) = torch.autograd.grad(asked(net, back, x).sum(), x)
    assert set((slope.abs().sum((0, 1)) > 0).nonzero().flatten().tolist()) == seen


def test_the_answer_is_the_mean_of_all_opinions_and_so_is_what_it_is_added_to(net: AnyStepNet) -> None:
    x = torch.randn(2, 5, 10)
    each = torch.stack([asked(net, back, x) for back in (1, 2, 3)])
    torch.testing.assert_close(asked(net, None, x), each.mean(0), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(net.base(x, x[..., :2]), (x[..., 0:2] + x[..., 2:4] + x[..., 4:6]) / 3)
    net.steps_back = 2
    torch.testing.assert_close(net.base(x, x[..., :2]), x[..., 2:4])


def test_a_linear_part_belongs_to_the_opinion_that_it_was_fitted_for(net: AnyStepNet) -> None:
    with torch.no_grad():
        net.last.zero_()
    x, bias = torch.randn(2, 5, 10), torch.ones(2, 1, 2)
    for back in (1, 2, 3):
        net.steps_back = back
        net.put_linear(torch.zeros(2, 10, 2), back * bias)
    for back in (1, 2, 3):
        torch.testing.assert_close(asked(net, back, x), torch.full((2, 5, 2), float(back)))
