from __future__ import annotations

import pytest
import torch

from revive.policy.critic import Critic, lambda_returns


@pytest.mark.parametrize("mix", [0.0, 0.6, 1.0])
def test_lambda_returns_are_the_mixture_of_n_step_returns(mix: float) -> None:
    """Against the definition: weights (1 - mix) mix^(n - 1), the rest on the longest return."""
    generator = torch.Generator().manual_seed(0)
    h, gamma = 5, 0.9
    reward, value = torch.randn(2, h, 3, generator=generator, dtype=torch.float64)
    mine = lambda_returns(reward, value, gamma, mix)
    for k in range(h):
        total, longest = torch.zeros(3, dtype=torch.float64), h - k
        for n in range(1, longest + 1):
            n_step = sum(gamma**i * reward[k + i] for i in range(n)) + gamma**n * value[k + n - 1]
            weight = mix ** (n - 1) * (1.0 if n == longest else 1.0 - mix)
            total = total + weight * n_step
        torch.testing.assert_close(mine[k], total)


def test_a_constant_reward_is_its_own_bootstrap() -> None:
    """The end of a rollout is a time-out: with V = r / (1 - gamma) nothing changes."""
    gamma = 0.95
    value = torch.full((30, 2), 3.0 / (1.0 - gamma))
    returns = lambda_returns(torch.full((30, 2), 3.0), value, gamma, 0.9)
    torch.testing.assert_close(returns, value)


def test_returns_do_not_write_into_what_they_are_given() -> None:
    reward, value = torch.ones(4, 1), torch.ones(4, 1)
    lambda_returns(reward, value, 0.9, 0.9)
    assert (reward == 1).all()
    assert (value == 1).all()


def test_a_copys_critic_sees_its_own_rows() -> None:
    torch.manual_seed(0)
    critic = Critic(2, 3, (8,))
    x = torch.randn(2, 5, 3)
    values = critic(x)
    assert values.shape == (2, 5)
    changed = x.clone()
    changed[1] += 1.0
    assert torch.equal(critic(changed)[0], values[0])
    assert not torch.allclose(critic(changed)[1], values[1])
