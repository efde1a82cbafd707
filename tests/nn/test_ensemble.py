from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from revive.nn.ensemble import LinearSkipNet, clip_gradient_by_member, decay_by_member, keep_where, ridge


def data(members: int, rows: int = 64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(members, rows, 3, generator=generator)
    return x, torch.sin(x[..., :2]) + 0.1 * torch.randn(members, rows, 2, generator=generator)


def member_of(net: LinearSkipNet, member: int) -> LinearSkipNet:
    """A network of that member alone."""
    alone = LinearSkipNet(1, 3, 2, (8, 8))
    alone.load_state_dict({k: v[member : member + 1].clone() for k, v in net.state_dict().items()})
    return alone


def fitted(net: LinearSkipNet, x: Tensor, y: Tensor, updates: int = 30) -> dict[str, Tensor]:
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    for _ in range(updates):
        loss = (net(x) - y).square().mean((1, 2)).sum()
        optimizer.zero_grad()
        loss.backward()
        clip_gradient_by_member(net.parameters(), 0.5)
        optimizer.step()
    return {name: value.detach() for name, value in net.state_dict().items()}


def test_training_members_together_equals_training_each_alone() -> None:
    torch.manual_seed(0)
    net = LinearSkipNet(2, 3, 2, (8, 8))
    x, y = data(2)
    y[1] *= 10  # the clipping of one member must not reach the other
    alone = [member_of(net, m) for m in range(2)]
    together = fitted(net, x, y)
    for m in range(2):
        for name, value in fitted(alone[m], x[m : m + 1], y[m : m + 1]).items():
            torch.testing.assert_close(together[name][m], value[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("activation", ["silu", "tanh", "relu", "gelu"])
def test_a_members_loss_reaches_no_other_member(activation: str) -> None:
    net = LinearSkipNet(3, 3, 2, (8,), activation)  # type: ignore[arg-type]
    x, y = data(3)
    (net(x) - y)[1].square().sum().backward()
    for parameter in net.parameters():
        assert parameter.grad is not None
        assert parameter.grad[1].abs().sum() > 0
        assert parameter.grad[[0, 2]].abs().sum() == 0


def test_each_member_answers_its_own_rows() -> None:
    net = LinearSkipNet(2, 3, 2, (8, 8))
    x, _ = data(2)
    for m in range(2):
        torch.testing.assert_close(net(x)[m], member_of(net, m)(x[m : m + 1])[0], rtol=1e-5, atol=1e-6)


def test_a_new_network_is_almost_a_line() -> None:
    """So that a linear start is not spoilt by random features."""
    torch.manual_seed(0)
    net = LinearSkipNet(2, 3, 2, (32, 32))
    x, _ = data(2)
    weight, bias = torch.randn(2, 3, 2), torch.randn(2, 1, 2)
    net.put_linear(weight, bias)
    difference = net(x) - (x @ weight + bias)
    assert difference.abs().max() < 0.1
    assert difference.abs().max() > 0


def test_weight_decay_is_offered_everything_but_the_line() -> None:
    net = LinearSkipNet(2, 3, 2, (8, 8))
    linear, residual = net.linear_parameters(), net.residual_parameters()
    assert {id(p) for p in linear} == {id(net.skip.weight), id(net.skip.bias)}
    assert {id(p) for p in [*linear, *residual]} == {id(p) for p in net.parameters()}
    assert len(linear) + len(residual) == len(list(net.parameters()))


def test_ridge_is_least_squares_up_to_its_strength() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(3.0, 2.0, (2, 200, 3))
    y = x @ rng.normal(size=(2, 3, 2)) + 5.0 + 0.3 * rng.normal(size=(2, 200, 2))
    weight, bias = ridge(torch.as_tensor(x).float(), torch.as_tensor(y).float(), strength=1e-9)
    for m in range(2):
        design = np.hstack([x[m], np.ones((200, 1))])
        solution = np.linalg.lstsq(design, y[m], rcond=None)[0]
        np.testing.assert_allclose(weight[m], solution[:3], atol=2e-4)
        np.testing.assert_allclose(bias[m, 0], solution[3], atol=2e-3)


def test_ridge_with_more_inputs_than_rows_is_the_same() -> None:
    rng = torch.Generator().manual_seed(0)
    x, y = torch.randn(2, 30, 50, generator=rng), torch.randn(2, 30, 3, generator=rng)
    rows = torch.rand(2, 30, 1, generator=rng)
    weight, bias = ridge(x, y, rows=rows)
    copies = [
        torch.cat([value, value]) for value in (x[0], y[0], rows[0])
    ]  # the same rows twice: 60 for 50 inputs
    twice, level = ridge(*(copy.unsqueeze(0) for copy in copies[:2]), rows=copies[2].unsqueeze(0))
    torch.testing.assert_close(weight[:1], twice, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(bias[:1], level, rtol=1e-3, atol=1e-4)


def test_ridge_shrinks_the_slope_but_not_the_intercept() -> None:
    x = torch.linspace(-1, 1, 101).view(1, -1, 1) + 4.0
    y = 2.0 * x + 1.0
    weight, bias = ridge(x, y, strength=0.3)
    spread = float(x.var(1, unbiased=False))
    assert float(weight) == pytest.approx(2.0 * spread / (spread + 0.3), rel=1e-4)
    assert float(weight * x.mean() + bias) == pytest.approx(float(y.mean()), rel=1e-5)


def test_ridge_survives_a_constant_input() -> None:
    x = torch.cat([torch.ones(1, 50, 1), torch.randn(1, 50, 1)], -1)
    weight, _ = ridge(x, 3.0 * x[..., 1:], strength=1e-6)
    torch.testing.assert_close(weight[0, :, 0], torch.tensor([0.0, 3.0]), rtol=1e-3, atol=1e-3)


def two_parameters(gradients: list[list[float]]) -> list[nn.Parameter]:
    """One parameter (M, n) and one (M, 1, n), with those gradients."""
    grad = torch.tensor(gradients)
    parameters = [nn.Parameter(torch.zeros_like(grad)), nn.Parameter(torch.zeros_like(grad[:, None]))]
    parameters[0].grad, parameters[1].grad = grad.clone(), grad[:, None].clone()
    return parameters


def test_only_members_above_the_limit_are_clipped() -> None:
    parameters = [*two_parameters([[0.3, 0.4], [30.0, 40.0]]), nn.Parameter(torch.ones(2, 1))]
    norms = clip_gradient_by_member(parameters, 1.0)
    torch.testing.assert_close(norms, torch.tensor([0.5, 50.0]) * 2**0.5)
    first, second = parameters[0].grad, parameters[1].grad
    assert first is not None
    assert second is not None
    torch.testing.assert_close(first[0], torch.tensor([0.3, 0.4]))
    clipped = torch.cat([first[1], second[1, 0]])
    assert float(clipped.norm()) == pytest.approx(1.0, rel=1e-5)
    torch.testing.assert_close(clipped / clipped[0], torch.tensor([3.0, 4.0, 3.0, 4.0]) / 3.0)


@pytest.mark.parametrize("broken", [float("nan"), float("inf"), -float("inf")])
def test_a_member_whose_gradient_is_not_finite_stands_still(broken: float) -> None:
    parameters = two_parameters([[0.3, 0.4], [broken, 1.0]])
    norms = clip_gradient_by_member(parameters, 10.0)
    assert torch.isfinite(norms).tolist() == [True, False]
    for parameter in parameters:
        assert parameter.grad is not None
        assert (parameter.grad[1] == 0).all()
        torch.testing.assert_close(parameter.grad[0].flatten(), torch.tensor([0.3, 0.4]))


def test_a_zero_gradient_stays_zero() -> None:
    parameters = two_parameters([[0.0, 0.0]])
    assert float(clip_gradient_by_member(parameters, 1.0)) == 0.0
    assert parameters[0].grad is not None
    assert (parameters[0].grad == 0).all()


def test_keep_where_puts_back_the_other_members() -> None:
    net = LinearSkipNet(3, 3, 2, (8,))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(1.0)
    keep_where(net, torch.tensor([True, False, True]), before)
    for name, value in net.state_dict().items():
        torch.testing.assert_close(value[[0, 2]], before[name][[0, 2]] + 1.0)
        assert torch.equal(value[1], before[name][1])


def test_a_wider_network_says_the_same_and_its_new_units_can_learn() -> None:
    torch.manual_seed(0)
    narrow, wide = LinearSkipNet(3, 4, 2, (5, 6)), LinearSkipNet(3, 4, 2, (9, 11))
    x = torch.randn(3, 7, 4)
    wide.widen_from(narrow)
    torch.testing.assert_close(wide(x), narrow(x))
    wide(x).square().sum().backward()
    assert wide.last.grad is not None
    assert (wide.last.grad[:, 6:].abs().sum(1) > 0).all()


def test_each_member_decays_by_its_own_share() -> None:
    parameter = torch.nn.Parameter(torch.ones(2, 3, 1))
    idle = torch.nn.Parameter(torch.ones(2))
    parameter.grad = torch.zeros_like(parameter)
    decay_by_member([parameter, idle], torch.tensor([0.1, 0.5]))
    torch.testing.assert_close(parameter[:, 0, 0].detach(), torch.tensor([0.9, 0.5]))
    assert (idle == 1).all()
