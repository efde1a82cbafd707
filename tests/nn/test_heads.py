"""Distributions of ordered and of unordered dimensions, against scipy and by counting."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import softmax
from scipy.stats import logistic, norm
from torch import Tensor

from revive.data.layout import Layout
from revive.nn import heads
from revive.nn.heads import Outputs

MIXED = Layout(2, levels=(5, 3), choices=(2, 4))


def grid(levels: int) -> Tensor:
    return torch.linspace(-1.0, 1.0, levels, dtype=torch.float64)


def outputs(layout: Layout, *lead: int, seed: int = 0) -> Outputs:
    """Random ones, the standard deviations between 0.1 and 1."""
    generator = torch.Generator().manual_seed(seed)
    unordered = layout.width - layout.ordered
    return Outputs(
        torch.randn(*lead, layout.ordered, generator=generator) * 0.5,
        torch.rand(*lead, layout.ordered, generator=generator) * 2.3 - 2.3,
        torch.randn(*lead, unordered, generator=generator) if unordered else None,
    )


def values(layout: Layout, *lead: int) -> Tensor:
    """Legal ones: any number, then levels, then one-hot."""
    generator = torch.Generator().manual_seed(9)
    parts = [torch.randn(*lead, layout.continuous, generator=generator)]
    for levels in layout.levels:
        parts.append(grid(levels).float()[torch.randint(levels, (*lead, 1), generator=generator)])
    for size in layout.choices:
        chosen = torch.randint(size, lead, generator=generator)
        parts.append(torch.nn.functional.one_hot(chosen, size).float())
    return torch.cat(parts, dim=-1)


def many(out: Outputs, layout: Layout, count: int = 100_000) -> Tensor:
    """(count, width) samples of one distribution."""
    eps = torch.randn(count, layout.width, generator=torch.Generator().manual_seed(1))
    return heads.sample(Outputs(*(p if p is None else p.expand(count, -1) for p in out)), layout, eps)


# -- levels ------------------------------------------------------------------------------------


@pytest.mark.parametrize("levels", [2, 3, 7, 64])
@pytest.mark.parametrize("log_scale", [-7.0, -3.0, 0.0, 3.0])
@pytest.mark.parametrize("mean", [-40.0, -0.9, 0.0, 0.31, 1.5])
def test_the_probabilities_of_all_levels_sum_to_one(levels: int, log_scale: float, mean: float) -> None:
    target = grid(levels).float()
    cost = heads.level_cost(target, torch.tensor(mean), torch.tensor(log_scale), levels)
    assert torch.isfinite(cost).all()
    assert float(cost.neg().exp().sum()) == pytest.approx(1.0, abs=1e-5)


def test_a_level_is_as_likely_as_scipy_says() -> None:
    for levels in (2, 5, 11):
        edges = np.concatenate([[-np.inf], (grid(levels)[1:] + grid(levels)[:-1]) / 2, [np.inf]])
        for mean, scale in ((0.0, 0.3), (0.7, 0.05), (-1.4, 1.0)):
            wanted = np.diff(logistic.cdf(edges, loc=mean, scale=scale))
            cost = heads.level_cost(grid(levels), torch.tensor(mean), torch.tensor(np.log(scale)), levels)
            np.testing.assert_allclose(cost, -np.log(wanted), rtol=1e-4, atol=1e-6)


def test_a_level_far_from_the_mean_keeps_a_gradient() -> None:
    """Where the probability itself is nothing in single precision."""
    mean = torch.tensor([-9.0, 9.0], requires_grad=True)
    heads.level_cost(torch.tensor([1.0, -1.0]), mean, torch.tensor(-4.0), 5).sum().backward()
    assert mean.grad is not None
    assert torch.isfinite(mean.grad).all()
    assert mean.grad[0] < -1.0
    assert mean.grad[1] > 1.0


@pytest.mark.parametrize("mean", [-1.3, 0.2, 0.95])
def test_levels_are_drawn_as_often_as_they_are_likely(mean: float) -> None:
    layout, levels = Layout(0, levels=(5,)), grid(5)
    out = Outputs(torch.tensor([mean]), torch.tensor([-1.0]), None)
    drawn = many(out, layout)[:, 0]
    wanted = heads.level_cost(levels.float(), out.mean, out.log_std, 5).neg().exp()
    counts = [(drawn - level).abs().lt(1e-6).float().mean().item() for level in levels]
    assert sum(counts) == pytest.approx(1.0)
    np.testing.assert_allclose(counts, wanted, atol=0.006)


def test_the_likeliest_level_is_the_nearest() -> None:
    mean = torch.tensor([[-7.0], [-0.3], [-0.2], [0.24], [0.8], [5.0]])
    found = heads.mode(Outputs(mean, torch.zeros(1), None), Layout(0, levels=(5,)))
    assert found[:, 0].tolist() == [-1.0, -0.5, 0.0, 0.0, 1.0, 1.0]


# -- categories --------------------------------------------------------------------------------


def test_a_category_costs_its_logarithm_under_softmax() -> None:
    layout = Layout(0, choices=(3, 2))
    out = outputs(layout, 6)
    target = values(layout, 6)
    assert out.logits is not None
    found = heads.terms(out, layout, target)
    for column, (start, stop) in enumerate(layout.blocks):
        likely = np.log(softmax(out.logits[:, start:stop].numpy(), axis=-1))
        np.testing.assert_allclose(
            found[:, column], -(likely * target[:, start:stop].numpy()).sum(-1), rtol=1e-5
        )


def test_categories_are_drawn_as_often_as_they_are_likely_and_one_at_a_time() -> None:
    layout = Layout(0, choices=(4, 2))
    out = outputs(layout, seed=3)
    assert out.logits is not None
    drawn = many(out, layout)
    assert set(drawn.unique().tolist()) == {0.0, 1.0}
    for start, stop in layout.blocks:
        assert (drawn[:, start:stop].sum(-1) == 1).all()
        wanted = out.logits[start:stop].softmax(-1)
        torch.testing.assert_close(drawn[:, start:stop].mean(0), wanted, rtol=0, atol=0.006)
    both = (drawn[:, 0] * drawn[:, 4]).mean()  # the columns are independent of each other
    assert float(both) == pytest.approx(float(drawn[:, 0].mean() * drawn[:, 4].mean()), abs=0.006)


def test_the_likeliest_category_is_chosen() -> None:
    out = Outputs(torch.zeros(2, 0), torch.zeros(0), torch.tensor([[0.1, 3.0, -1.0], [0.0, -2.0, 0.4]]))
    assert heads.mode(out, Layout(0, choices=(3,))).tolist() == [[0, 1, 0], [0, 0, 1]]


# -- gradients ---------------------------------------------------------------------------------


@pytest.mark.parametrize("sampled", [False, True])
def test_what_is_hard_passes_the_gradient_of_what_is_soft(sampled: bool) -> None:
    layout = Layout(0, levels=(5,), choices=(3,))
    mean = torch.tensor([[0.3]], requires_grad=True)
    logits = torch.tensor([[0.5, -0.2, 1.0]], requires_grad=True)
    out, weight = Outputs(mean, torch.tensor([-2.0]), logits), torch.tensor([2.0, -1.0, 4.0])
    if sampled:
        value = heads.sample(out, layout, torch.zeros(1, 4))  # the same noise for all choices: none
    else:
        value = heads.mode(out, layout)
    assert set(value[0, 1:].tolist()) == {0.0, 1.0}
    (3.0 * value[0, 0] + (weight * value[0, 1:]).sum()).backward()
    torch.testing.assert_close(mean.grad, torch.tensor([[3.0]]))
    soft = logits.detach().clone().requires_grad_()
    (weight * soft.softmax(-1)).sum().backward()
    torch.testing.assert_close(logits.grad, soft.grad)


def test_the_noise_of_a_sample_reaches_the_spread() -> None:
    log_std = torch.zeros(1, 1, requires_grad=True)
    drawn = heads.sample(Outputs(torch.zeros(1, 1), log_std, None), Layout(1), torch.tensor([[1.7]]))
    drawn.sum().backward()
    torch.testing.assert_close(log_std.grad, torch.tensor([[1.7]]))


# -- several kinds side by side ----------------------------------------------------------------


def test_a_mixed_node_is_the_sum_of_its_parts() -> None:
    out, target = outputs(MIXED, 3, 8), values(MIXED, 3, 8)
    found = heads.terms(out, MIXED, target)
    assert found.shape == (3, 8, 2 + 2 + 2)
    assert out.logits is not None
    density = -norm.logpdf(target[..., :2], out.mean[..., :2], out.log_std[..., :2].exp())
    np.testing.assert_allclose(found[..., :2], density, rtol=1e-4, atol=1e-5)
    for i, levels in enumerate(MIXED.levels):
        alone = Outputs(out.mean[..., 2 + i : 3 + i], out.log_std[..., 2 + i : 3 + i], None)
        one = heads.terms(alone, Layout(0, levels=(levels,)), target[..., 2 + i : 3 + i])
        torch.testing.assert_close(found[..., 2 + i : 3 + i], one)
    for i, (start, stop) in enumerate(MIXED.blocks):
        alone = Outputs(out.mean[..., :0], out.log_std[..., :0], out.logits[..., start - 4 : stop - 4])
        one = heads.terms(alone, Layout(0, choices=(stop - start,)), target[..., start:stop])
        torch.testing.assert_close(found[..., 4 + i : 5 + i], one)


def test_every_sample_of_a_mixed_node_is_legal() -> None:
    out = outputs(MIXED, 400)
    eps = torch.randn(400, MIXED.width, generator=torch.Generator().manual_seed(0))
    for value in (heads.sample(out, MIXED, eps), heads.mode(out, MIXED)):
        for i, levels in enumerate(MIXED.levels):
            distance = (value[:, 2 + i, None] - grid(levels).float()).abs().amin(-1)
            assert float(distance.max()) < 1e-6
        for start, stop in MIXED.blocks:
            assert (value[:, start:stop].sum(-1) == 1).all()
            assert set(value[:, start:stop].unique().tolist()) == {0.0, 1.0}
    drawn = heads.sample(out, MIXED, eps)
    torch.testing.assert_close(drawn[:, :2], out.mean[:, :2] + out.log_std[:, :2].exp() * eps[:, :2])


def test_the_same_noise_gives_the_same_sample_and_extreme_noise_a_finite_one() -> None:
    out = outputs(MIXED, 5)
    eps = torch.full((5, MIXED.width), 30.0)
    eps[::2] = -30.0
    drawn = heads.sample(out, MIXED, eps)
    assert torch.equal(drawn, heads.sample(out, MIXED, eps))
    assert torch.isfinite(drawn).all()
