"""Gradients of every density against finite differences, in double precision."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from revive.data.layout import Layout
from revive.nn import heads
from revive.nn.families import Mixture, StudentT, ZeroInflated
from revive.nn.heads import Outputs

COMPONENTS = 3


def drawn(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def mixed(mean: Tensor, log_std: Tensor, logits: Tensor) -> Tensor:
    """Two continuous columns, one of five levels, a category of three."""
    layout = Layout(2, levels=(5,), choices=(3,))
    target = torch.cat([drawn(4, 2, seed=7), torch.tensor([[-1.0], [-0.5], [0.0], [1.0]]).double()], dim=-1)
    chosen = torch.nn.functional.one_hot(torch.tensor([0, 1, 2, 1]), 3).double()
    return heads.terms(Outputs(mean, log_std, logits), layout, torch.cat([target, chosen], dim=-1))


def student_t(mean: Tensor, log_std: Tensor, extra: Tensor) -> Tensor:
    return StudentT().cost(drawn(4, 3, seed=7), mean, log_std)


def mixture(mean: Tensor, log_std: Tensor, extra: Tensor) -> Tensor:
    parts = torch.stack([extra, extra.flip(0), 0.5 * extra, extra.roll(1, 0)])
    family = Mixture((parts[0], -parts[1]), (0.1 * parts[2], -0.1 * parts[3]), (parts[1], parts[3]))
    return family.cost(drawn(4, 3, seed=7), mean, log_std)


def zero_inflated(mean: Tensor, log_std: Tensor, extra: Tensor) -> Tensor:
    """Every second row is stuck."""
    atom = torch.zeros(4, 3, dtype=torch.float64)
    target = drawn(4, 3, seed=7)
    target[::2] = 0.0
    return ZeroInflated(atom, extra, 0.3 * extra, 0.1 * extra).cost(target, mean, log_std)


@pytest.mark.parametrize("cost", [mixed, student_t, mixture, zero_inflated])
def test_gradients_are_those_of_finite_differences(cost: Callable[..., Tensor]) -> None:
    inputs = [drawn(4, 3, seed=0), 0.3 * drawn(4, 3, seed=1), drawn(4, 3, seed=2)]
    assert torch.autograd.gradcheck(
        lambda *given: cost(*given).sum(-1), [part.requires_grad_() for part in inputs], eps=1e-6, atol=1e-5
    )
