from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import norm
from torch import Tensor

from revive.data.layout import Layout
from revive.venv.node_model import NetworkSpec, NodeModel

ONE = Layout(1)
CONSTANT, CONDITIONED = NetworkSpec(hidden=(8,)), NetworkSpec(hidden=(8,), std="conditioned")


def regression(rows: int = 400) -> tuple[Tensor, Tensor, Tensor]:
    """Inputs (M, N, 2), current (M, N, 1) and target (M, N, 1), with noise of another size per member."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, rows, 2, generator=generator)
    current = x[..., :1]
    noise = torch.randn(2, rows, 1, generator=generator) * torch.tensor([0.01, 0.05]).view(2, 1, 1)
    return x, current, current + 0.1 * x[..., 1:] - 0.02 + noise


@pytest.mark.parametrize("spec", [CONSTANT, CONDITIONED], ids=["constant", "conditioned"])
def test_after_refitting_standardised_residuals_have_an_rms_of_one(spec: NetworkSpec) -> None:
    torch.manual_seed(0)
    model = NodeModel(2, 2, ONE, spec, [0.1])
    x, current, target = regression()
    model.refit_std(x, current, target, torch.ones_like(target))
    mean, log_std, *_ = model(x, current)
    rms = ((target - mean) / log_std.exp()).square().mean((1, 2)).sqrt()
    torch.testing.assert_close(rms.detach(), torch.ones(2), rtol=1e-3, atol=0)


@pytest.mark.parametrize("spec", [CONSTANT, CONDITIONED], ids=["constant", "conditioned"])
def test_a_linear_start_finds_the_line_and_the_noise_of_each_member(spec: NetworkSpec) -> None:
    torch.manual_seed(0)
    model = NodeModel(2, 2, ONE, spec, [0.1])
    x, current, target = regression()
    model.start_linear(x, current, target, torch.ones_like(target))
    truth = current + 0.1 * x[..., 1:] - 0.02
    assert (model.mode(x, current) - truth).abs().max() < 0.02
    std = model(x, current).log_std.exp().mean((1, 2)).detach()
    torch.testing.assert_close(std, torch.tensor([0.01, 0.05]), rtol=0.15, atol=0)


def test_a_node_that_is_no_transition_is_predicted_itself() -> None:
    torch.manual_seed(0)
    model = NodeModel(1, 2, ONE, CONSTANT, [1.0])
    x = torch.randn(1, 300, 2)
    target = 2.0 * x[..., :1] + 5.0
    model.start_linear(x, None, target, torch.ones_like(target))
    assert (model.mode(x, None) - target).abs().max() < 0.1


def test_likelihood_is_that_of_scipy_per_unit_of_the_change() -> None:
    torch.manual_seed(0)
    model = NodeModel(2, 2, ONE, CONDITIONED, [0.1])
    x, current, target = regression(50)
    mean, log_std = (part.detach().numpy() for part in model(x, current)[:2])
    density = -norm.logpdf(target.numpy(), mean, np.exp(log_std)) + np.log(0.1)
    mine = model.cost(x, current, target).detach().numpy()
    np.testing.assert_allclose(mine, density, rtol=1e-3, atol=1e-4)


def test_a_perfect_fit_keeps_a_finite_std() -> None:
    model = NodeModel(1, 1, ONE, CONSTANT, [1.0])
    x = torch.zeros(1, 20, 1)
    with torch.no_grad():
        model.net.last.zero_()
        model.net.skip.bias.zero_()
    model.refit_std(x, None, torch.zeros(1, 20, 1), torch.ones(1, 20, 1))
    assert torch.isfinite(model(x, None).log_std).all()


def test_a_spec_says_itself_in_json() -> None:
    spec = NetworkSpec(hidden=(16, 8), activation="tanh", std="conditioned")
    assert NetworkSpec.from_json({**spec.to_json(), "hidden": [16, 8]}) == spec
