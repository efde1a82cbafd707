"""Families of continuous columns: densities against scipy, samples by counting, gradients of samples."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from revive.data.layout import Layout
from revive.nn import heads
from revive.nn.families import FREEDOM, Mixture, StudentT, ZeroInflated
from revive.nn.family_heads import FamilyHead, MixtureHead, Said, StudentTHead, ZeroInflatedHead

MEAN, STD, ATOM = 0.7, 0.4, -0.3


def heads_of(continuous: int = 1) -> dict[str, FamilyHead]:
    return {
        "student_t": StudentTHead(),
        "mixture": MixtureHead(1, continuous, 3),
        "zero_inflated": ZeroInflatedHead(torch.full((continuous,), ATOM)),
    }


def said(name: str, rows: int = 1, seed: int = 3) -> Said:
    """One dimension, what the network adds drawn at random, the same for all rows."""
    head = heads_of()[name]
    extra = torch.randn(1, 1, head.outputs, generator=torch.Generator().manual_seed(seed)).expand(1, rows, -1)
    with torch.no_grad():
        return head.said(torch.full((1, rows, 1), MEAN), torch.full((1, rows, 1), float(np.log(STD))), extra)


NAMES = sorted(heads_of())


@pytest.mark.parametrize("name", NAMES)
def test_the_density_integrates_to_one_and_has_the_stated_mean_and_spread(name: str) -> None:
    out = said(name)
    grid = torch.linspace(-40.0, 40.0, 400_001).view(1, -1, 1)
    off = grid + 1e-4 * (grid - ATOM).abs().lt(2e-4)  # beside the atom
    density = (
        -out.family.mapped(lambda p: p.expand(1, len(grid[0]), 1)).cost(off, out.mean, out.log_std)
    ).exp()[0, :, 0]
    x, f = grid[0, :, 0].double(), density.double()
    mass, first, second = (float(torch.trapezoid(f * x**k, x)) for k in range(3))
    if name == "zero_inflated":
        stuck = float((-out.family.cost(torch.full((1, 1, 1), ATOM), out.mean, out.log_std)).exp())
        assert 0.05 < stuck < 0.95
        mass, first, second = mass + stuck, first + stuck * ATOM, second + stuck * ATOM**2
    assert mass == pytest.approx(1.0, abs=1e-4)
    assert first == pytest.approx(float(out.mean), abs=1e-3)
    assert second - first**2 == pytest.approx(float((2 * out.log_std).exp()), rel=2e-2)


def test_student_t_is_that_of_scipy() -> None:
    x = torch.linspace(-5, 5, 21)
    cost = StudentT().cost(x, torch.tensor(MEAN), torch.tensor(np.log(STD)))
    wanted = -stats.t.logpdf(x.numpy(), FREEDOM, loc=MEAN, scale=STD * np.sqrt(0.5))
    np.testing.assert_allclose(cost, wanted, rtol=1e-4, atol=1e-5)


def test_a_mixture_is_that_of_scipy() -> None:
    shifts, ratios, logits = (torch.tensor([-1.0, 0.2]), torch.tensor([-0.5, 0.1]), torch.tensor([0.3, -0.4]))
    x = torch.linspace(-3, 3, 13)
    family = Mixture(*(tuple(part.expand(13) for part in parts) for parts in (shifts, ratios, logits)))
    cost = family.cost(x, torch.tensor(MEAN), torch.tensor(np.log(STD)))
    weight = torch.softmax(logits, 0).numpy()
    density = sum(
        weight[k] * stats.norm.pdf(x.numpy(), MEAN + float(shifts[k]), STD * float(ratios[k].exp()))
        for k in range(2)
    )
    np.testing.assert_allclose(cost, -np.log(density), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_samples_have_the_stated_distribution(name: str) -> None:
    count = 60_000
    out = said(name, count)
    eps = torch.randn(1, count, 1, generator=torch.Generator().manual_seed(1))
    drawn = out.family.sample(out.mean, out.log_std, eps)[0, :, 0].double()
    std = float(out.log_std[0, 0].exp())
    assert float(drawn.mean()) == pytest.approx(float(out.mean[0, 0]), abs=4 * std / count**0.5)
    assert float(drawn.std()) == pytest.approx(std, rel=0.05)
    if name == "student_t":
        assert stats.kstest(drawn.numpy(), stats.t(FREEDOM, MEAN, STD * 0.5**0.5).cdf).pvalue > 1e-3
    if name == "mixture":  # bins hold what the density says
        edges = torch.linspace(float(drawn.min()), float(drawn.max()), 400)
        middles = (0.5 * (edges[1:] + edges[:-1])).float().view(1, -1, 1)
        one = out.family.mapped(lambda p: p[:, :1].expand(1, 399, 1))
        wanted = (-one.cost(middles, out.mean[:, :1], out.log_std[:, :1])).exp()[0, :, 0] * float(
            edges[1] - edges[0]
        )
        share = torch.histogram(drawn.float(), edges.float())[0] / count
        assert float((share - wanted).abs().sum()) < 0.1
    if name == "zero_inflated":
        stuck = float((-out.family.cost(torch.full((1, count, 1), ATOM), out.mean, out.log_std))[0, 0].exp())
        assert float((drawn.float() == ATOM).double().mean()) == pytest.approx(stuck, abs=0.01)


def test_the_gradient_of_a_mixtures_samples_is_that_of_its_moments() -> None:
    """Also in the weights, which choose the component."""
    count = 200_000
    logits = torch.tensor([0.4, -0.2], requires_grad=True)
    shifts = torch.tensor([-1.0, 0.8], requires_grad=True)
    ratios = torch.tensor([-0.6, -0.2])
    eps = torch.randn(count, generator=torch.Generator().manual_seed(5))
    whole = Mixture(
        tuple(s.expand(count) for s in shifts),
        tuple(r.expand(count) for r in ratios),
        tuple(w.expand(count) for w in logits),
    )
    mean, log_std = torch.zeros(count), torch.zeros(count)
    found = torch.autograd.grad(whole.sample(mean, log_std, eps).square().mean(), (logits, shifts))
    second = (logits.softmax(0) * (shifts.square() + (2 * ratios).exp())).sum()
    wanted = torch.autograd.grad(second, (logits, shifts))
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=0.03, atol=0.01)


@pytest.mark.parametrize("name", NAMES)
def test_samples_and_modes_have_a_gradient(name: str) -> None:
    head = heads_of()[name]
    mean = torch.full((1, 7, 1), MEAN, requires_grad=True)
    extra = torch.zeros(1, 7, head.outputs, requires_grad=True)
    out = head.said(mean, torch.zeros(1, 7, 1), extra + 0.1 + 0.1 * torch.arange(head.outputs))
    eps = torch.randn(1, 7, 1, generator=torch.Generator().manual_seed(2))
    drawn, likely = out.family.sample(out.mean, out.log_std, eps), out.family.mode(out.mean, out.log_std)
    for value in (drawn, likely):
        (slope,) = torch.autograd.grad(value.sum(), mean, retain_graph=True)
        assert torch.isfinite(slope).all()
        assert (slope != 0).any()


def test_where_a_mixture_has_two_humps_the_likelier_one_is_its_mode() -> None:
    family = Mixture(
        (torch.tensor(-2.0), torch.tensor(3.0)),
        (torch.zeros(()),) * 2,
        (torch.tensor(1.0), torch.tensor(0.0)),
    )
    assert float(family.mode(torch.tensor(MEAN), torch.zeros(()))) == pytest.approx(MEAN - 2.0)


def test_a_stuck_actuator_stays_where_it_is_stuck_unless_it_rather_moves() -> None:
    for logit, wanted in ((-1.0, ATOM), (1.0, MEAN)):
        out = heads_of()["zero_inflated"].said(
            torch.full((1, 1, 1), MEAN), torch.zeros(1, 1, 1), torch.full((1, 1, 1), logit)
        )
        assert isinstance(out.family, ZeroInflated)
        assert float(out.family.mode(out.mean, out.log_std)) == pytest.approx(wanted)


def outliers() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    target = torch.randn(1, 4000, 1, generator=generator)
    return torch.where(torch.rand(target.shape, generator=generator) < 0.01, 50.0 * target, target)


def test_outliers_hardly_widen_a_student_t() -> None:
    head, target = StudentTHead(), outliers()
    out = head.said(torch.zeros_like(target), torch.zeros_like(target), target.new_zeros(1, 4000, 0))
    wider = float(head.spread(out, target, torch.ones_like(target)).exp())
    assert float(target.std()) > 4.0
    assert 1.0 < wider < 1.7  # whose middle is that of a standard normal


def test_levels_and_categories_beside_another_family_stay_as_they_are() -> None:
    layout = Layout(1, levels=(5,), choices=(3,))
    mean, log_std = torch.zeros(2, 4, 2), torch.zeros(2, 4, 2)
    logits = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(0))
    plain, other = heads.Outputs(mean, log_std, logits), heads.Outputs(mean, log_std, logits, StudentT())
    eps = torch.randn(2, 4, layout.width, generator=torch.Generator().manual_seed(1))
    assert torch.equal(heads.sample(plain, layout, eps)[..., 1:], heads.sample(other, layout, eps)[..., 1:])
    target = heads.sample(plain, layout, eps)
    assert torch.equal(
        heads.terms(plain, layout, target)[..., 1:], heads.terms(other, layout, target)[..., 1:]
    )
    assert not torch.equal(
        heads.terms(plain, layout, target)[..., :1], heads.terms(other, layout, target)[..., :1]
    )
