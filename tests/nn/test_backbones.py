"""What every backbone is: features beside a line, for any activation."""

from __future__ import annotations

from typing import get_args

import pytest
import torch

from revive.data.layout import Frames
from revive.nn.backbones import Backbone, make_net
from revive.nn.ensemble import ACTIVATIONS, SkipNet

BACKBONES = get_args(Backbone)
MEMBERS, OUTPUTS = 2, 2
FRAMES = [Frames(0, 3, 1), Frames(3, 2, 1)]
INPUTS = 6  # two histories and another one


def net_of(backbone: str, activation: str = "silu", frames: list[Frames] = FRAMES) -> SkipNet:
    torch.manual_seed(0)
    return make_net(
        backbone,  # type: ignore[arg-type]
        MEMBERS,
        INPUTS,
        OUTPUTS,
        hidden=(8, 6),
        activation=activation,  # type: ignore[arg-type]
        norm=False,
        frames=frames,
        signs=[(1, 0, 0, -1, 0, 0), (0,) * INPUTS],
    )


def drawn(rows: int, seed: int) -> torch.Tensor:
    return torch.randn(MEMBERS, rows, INPUTS, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("backbone", BACKBONES)
def test_without_its_features_it_is_a_line(backbone: str) -> None:
    net = net_of(backbone)
    with torch.no_grad():
        net.last.zero_()
        one, other, nothing = drawn(5, 1), drawn(5, 2), torch.zeros(MEMBERS, 5, INPUTS)
        torch.testing.assert_close(
            net(one) + net(other), net(one + other) + net(nothing), rtol=1e-4, atol=1e-5
        )
        assert not torch.allclose(net(one), net(other))


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
@pytest.mark.parametrize("backbone", BACKBONES)
def test_its_features_bend_it_by_any_activation_and_learn(backbone: str, activation: str) -> None:
    net = net_of(backbone, activation)
    with torch.no_grad():
        net.last.copy_(torch.randn(net.last.shape, generator=torch.Generator().manual_seed(3)))
    one, other, nothing = drawn(5, 1), drawn(5, 2), torch.zeros(MEMBERS, 5, INPUTS)
    out = net(one)
    assert out.shape == (MEMBERS, 5, OUTPUTS)
    assert not torch.allclose(net(one) + net(other), net(one + other) + net(nothing), rtol=1e-3, atol=1e-3)
    out.square().sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in net.parameters() if p.grad is not None)
    assert sum(p.grad is not None and bool((p.grad != 0).any()) for p in net.residual_parameters()) > 1


@pytest.mark.parametrize("backbone", BACKBONES)
def test_without_a_history_it_still_answers(backbone: str) -> None:
    """What runs over time is a perceptron then, attention goes over columns."""
    assert torch.isfinite(net_of(backbone, frames=[])(drawn(5, 1))).all()
