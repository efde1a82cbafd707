from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import norm

from revive.nn.gaussian import LOG_STD_RANGE, negative_log_likelihood, soft_clamp


def test_likelihood_is_that_of_scipy() -> None:
    rng = np.random.default_rng(0)
    target, mean, log_std = rng.normal(size=(3, 50)) * 2
    mine = negative_log_likelihood(*(torch.as_tensor(v) for v in (target, mean, log_std)))
    np.testing.assert_allclose(mine, -norm.logpdf(target, mean, np.exp(log_std)), rtol=1e-12)


def test_likelihood_is_best_at_the_true_spread() -> None:
    target = torch.randn(20_000, generator=torch.Generator().manual_seed(0)) * 0.5
    log_std = torch.zeros((), requires_grad=True)
    optimizer = torch.optim.Adam([log_std], lr=0.05)
    for _ in range(150):
        loss = negative_log_likelihood(target, torch.zeros(()), log_std).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(log_std.detach().exp()) == pytest.approx(float(target.std()), rel=0.01)


def test_soft_clamp_stays_near_the_bounds_and_rises() -> None:
    x = torch.linspace(-30, 30, 2001, dtype=torch.float64)
    y = soft_clamp(x)
    low, high = LOG_STD_RANGE
    assert y.min() >= low
    assert y.max() <= high + 1e-3
    assert (y.diff() >= 0).all()
    inside = (x > low + 1) & (x < high - 1)
    assert (y.diff()[inside[1:]] > 0).all()


def test_soft_clamp_hardly_moves_what_is_inside_and_keeps_a_gradient_outside() -> None:
    x = torch.tensor([-3.0, 4.0, -10.0], dtype=torch.float64, requires_grad=True)
    y = soft_clamp(x)
    y.sum().backward()
    assert x.grad is not None
    assert float(y[0].detach()) == pytest.approx(-3.0, abs=0.05)
    assert (x.grad > 0).all()
