"""Maximum-entropy policies: how a copy explores, how likely what it drew was, and what its entropy is worth.

Soft actor-critic (Haarnoja et al. 2018, arXiv:1812.05905). The temperature alpha is learned, so that the entropy comes
to its target; exploration has one spread for each ordered dimension. A choice among values passes a gradient as if it
were soft (straight through), and its entropy is exact.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from revive.nn import heads
from revive.policy.bounds import soft_clip_slope
from revive.policy.policy import Policy

STD_RANGE = (-4.0, 0.5)  # of the logarithm of exploration's spread
ENTROPY = -1.0  # wanted of each ordered dimension, in spreads of the logged action
CHOICE = 0.2  # of the largest entropy, wanted of each category
COLD = -2.0  # logarithm of the temperature at the start


class SoftActor(nn.Module):
    """Exploration and temperature of every copy of a policy.

    noise: the spread of exploration at the start, in spreads of the logged action.
    """

    def __init__(self, policy: Policy, noise: float, generator: torch.Generator) -> None:
        super().__init__()
        layout, device = policy.layout, policy.low.device
        self.generator = generator
        self.log_std = nn.Parameter(
            torch.full((policy.copies, 1, layout.ordered), noise, device=device).log()
        )
        self.log_alpha = nn.Parameter(torch.full((policy.copies, 1), COLD, device=device))
        choices = sum(math.log(size) for size in layout.choices)
        self.wanted_entropy = ENTROPY * layout.ordered + CHOICE * choices

    @property
    def alpha(self) -> Tensor:
        """The temperature, (P, 1), without a gradient."""
        return self.log_alpha.detach().exp()

    def act(self, policy: Policy, x: Tensor) -> tuple[Tensor, Tensor]:
        """Draw an action: x (P, n, d) -> (P, n, width), and its log-density (for categories: expected), (P, n)."""
        layout = policy.layout
        out = policy.distribution(x)._replace(log_std=self.log_std.clamp(*STD_RANGE))
        eps = torch.randn(*x.shape[:-1], layout.width, generator=self.generator, device=x.device)
        raw = heads.sample(out, layout, eps)
        c, o = layout.continuous, layout.ordered
        log_prob = -heads.terms(out, layout, raw)[..., :o].sum(-1)
        log_prob = log_prob - soft_clip_slope(raw[..., :c], policy.low[:c], policy.high[:c]).log().sum(-1)
        for start, stop in layout.blocks:
            assert out.logits is not None
            likely = out.logits[..., start - o : stop - o].log_softmax(-1)
            log_prob = log_prob + (likely.exp() * likely).sum(-1)
        return policy.bounded(raw), log_prob

    def temperature_loss(self, entropy: Tensor) -> Tensor:
        """Its gradient warms a copy whose entropy (P,) is below what is wanted, and cools one above."""
        return (self.log_alpha * (entropy - self.wanted_entropy).unsqueeze(1)).sum()
