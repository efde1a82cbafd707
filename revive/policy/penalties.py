"""What steps of imagined rollouts may pay for: the published measures of how far the members of a venv disagree.

    doubt    || std_m mu_m(s, a) ||, estimated from two members (doubt.py), less what the logs themselves show
    mopo     max_m || mu_m(s, a) - mean_m mu_m(s, a) ||: MOPO (Yu et al. 2020, arXiv:2005.13239) in the form that takes
             the means, as the noise that a member states is no disagreement
    mobile   std_m E V(s'), s' ~ member m: MOBILE (Sun et al. 2023, ICML, "Model-Bellman Inconsistency"), V the
             learner's own value, min Q(s', pi(s')) where it has critics; only what changes the value is charged

    morec    softplus(-D(s, a, s')) / log 2 - 1, where that is positive, D a matcher that tells logged steps from the
             venv's (consistency.py): what the logs would not have done

The first three are zero where the members are identical; the first two are in units of the logs' own disagreement
(`Doubt.unit`), the third in spreads of the logged reward. The fourth asks no other member.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor

from revive.policy.consistency import Consistency
from revive.policy.doubt import Doubt
from revive.policy.policy import Policy
from revive.policy.problem import PolicyProblem

Measure = Literal["doubt", "mopo", "mobile", "morec"]
Values = Mapping[str, Tensor]
Worth = Callable[[Values], Tensor]
"""What states are worth to each copy, in spreads of the reward: node -> (T, M, B, d) in model space, to (T, P, n)."""

DRAWS = 10  # of the next state, that its value is a mean over
SMALLEST = 1e-6


class Penalty:
    """One measure in one venv. free: how much of it costs nothing. matchers: of `morec` alone."""

    def __init__(
        self, measure: Measure, doubt: Doubt, policy: Policy, matchers: Consistency | None = None
    ) -> None:
        self.measure, self.doubt, self.policy, self.matchers = measure, doubt, policy, matchers
        self.free = 1.0 if measure == "doubt" else 0.0

    def name(self, weight: float) -> str:
        """What a variant that pays so much is called."""
        return f"{'penalty' if self.measure == 'doubt' else self.measure} {weight:g}"

    def of(
        self,
        taken: Values,
        later: Values,
        worth: Worth,
        generator: torch.Generator,
        paying: Sequence[int] | None = None,
    ) -> Tensor:
        """node -> (T, M, B, d) of the steps, and of the steps after them, to (T, P, n); differentiable.

        paying: the variants that pay; None: all of them. Of others no member is asked, and what they get is 0 (all
        but `mobile`).
        """
        if self.measure == "mobile":
            return self._of_values(taken, later, worth, generator)
        count = self.policy.variants
        if paying is None or len(paying) == count:
            found = self._of_steps(taken, generator)
        else:  # every variant has its own share of a member's branches
            index = torch.tensor(paying, device=generator.device)
            asked = {k: v.unflatten(-2, (count, -1)).index_select(-3, index) for k, v in taken.items()}
            some = self._of_steps({k: v.flatten(-3, -2) for k, v in asked.items()}, generator)
            parts = some.unflatten(-1, (len(paying), -1))
            shape = (*parts.shape[:-2], count, parts.shape[-1])
            found = parts.new_zeros(shape).index_copy(-2, index, parts).flatten(-2)
        return self.policy.by_copy(found.unsqueeze(-1)).squeeze(-1)

    def _of_steps(self, taken: Values, generator: torch.Generator) -> Tensor:
        """Node -> (T, M, B, d) to (T, M, B), of the measures that ask no value."""
        if self.matchers is not None:
            return self.matchers.unlikely(taken)
        return self.doubt.of_pairs(taken, generator) if self.measure == "doubt" else self._farthest(taken)

    def _farthest(self, taken: Values) -> Tensor:
        """MOPO's measure, (T, M, B)."""
        venv = self.doubt.venv
        total: Tensor | float = 0.0
        for name in self.doubt.nodes:
            scale = venv.model(name).scale
            means = torch.stack([answer / scale for answer in self._answers(name, taken, None)])
            means = means - means[0]  # equal ones differ by exactly nothing
            total = total + (means - means.mean(0)).square().sum(-1)  # (E, T, M, B)
        if not isinstance(total, Tensor):
            return torch.zeros(next(iter(taken.values())).shape[:-1], device=venv.device)
        return _root(total.amax(0)) / self.doubt.unit_per_branch

    def _of_values(self, taken: Values, later: Values, worth: Worth, generator: torch.Generator) -> Tensor:
        """MOBILE's measure, (T, P, n): the noise is the same for all members, and so is what else happens."""
        venv, graph = self.doubt.venv, self.policy.graph
        count = venv.members // venv.halves
        total: list[Tensor | float] = [0.0] * count
        for _ in range(DRAWS if self.doubt.nodes else 1):
            noise = {
                name: torch.randn(*taken[name].shape, generator=generator, device=generator.device)
                for name in self.doubt.nodes
            }
            answers = {name: self._answers(name, taken, noise[name]) for name in self.doubt.nodes}
            for member in range(count):
                state = dict(later)
                for name, each in answers.items():
                    state[graph.state_of(name)] = next(each)
                for history in graph.histories & state.keys():
                    state[history] = self._renewed(state, history)
                total[member] = total[member] + worth(state) / DRAWS
        means = torch.stack([torch.as_tensor(value) for value in total])
        means = means - means[0]
        return _root((means - means.mean(0)).square().mean(0))

    def _renewed(self, state: Values, history: str) -> Tensor:
        """Frames whose newest one is that of a member."""
        spec = self.policy.graph[history].history
        assert spec is not None
        newest = state[spec.source]
        return torch.cat([state[history][..., : -newest.shape[-1]], newest], dim=-1)

    def _answers(self, name: str, values: Values, noise: Tensor | None) -> Iterator[Tensor]:
        """What each member in turn makes of every row, (T, M, B, d): a sample, or without noise the mean."""
        venv = self.doubt.venv
        model, time = venv.model(name), len(values[name])

        def flat(x: Tensor) -> Tensor:  # (T, M, B, d) -> (M, T B, d)
            return x.transpose(0, 1).flatten(1, 2)

        x = flat(torch.cat([values[source] for source in venv.graph[name].inputs], dim=-1))
        current, eps = flat(values[venv.graph.state_of(name)]), None if noise is None else flat(noise)
        for shift in range(venv.members // venv.halves):
            moved = venv.hand_on(x, shift)
            if eps is None:
                answer = model.mean(moved)
            else:
                answer = model.value(moved, venv.hand_on(current, shift), venv.hand_on(eps, shift))
            answer = venv.hand_on(answer, -shift)
            yield answer.unflatten(1, (time, -1)).transpose(0, 1)


def penalty_of(problem: PolicyProblem, measure: Measure, policy: Policy) -> Penalty:
    """The measure in the problem's venv; matchers, where it needs some, are trained now."""
    matchers = Consistency.trained(problem) if measure == "morec" else None
    return Penalty(measure, Doubt(problem.venv, problem.rows), policy, matchers)


def _root(square: Tensor) -> Tensor:
    """The square root, exactly zero with a gradient of zero where the square is."""
    return torch.where(square > SMALLEST**2, square.clamp_min(SMALLEST**2).sqrt(), torch.zeros_like(square))
