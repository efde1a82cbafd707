"""How well steps of rollouts agree with the logs: matchers that tell logged steps from those of the venv.

MOREC (Luo et al. 2024, ICLR, arXiv:2310.05422) learns a reward of dynamics by adversarial training, and keeps rollouts
to where it is high. Here the matchers of `revive.venv.learners.matching` are trained on the spot: on logged rows and
rollouts of the finished venv, under the clone of the logs' controller and wide exploration. They learn D, the logarithm
of the ratio of the two densities. A step that is likelier in the venv than in the logs is charged

    u = max(0, softplus(-D) / log 2 - 1),

which is 0 where a step is at least as likely in the logs, and grows like -D where it is not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor
from torch.nn.functional import softplus

from revive.data.windows import Rows
from revive.graph.decision_graph import DecisionGraph
from revive.nn.ensemble import clip_gradient_by_member
from revive.policy.problem import PolicyProblem
from revive.venv.learners.matching import Matchers, flat, groups_of, known_rows

HIDDEN: Final = (32, 32)
ROUNDS, UPDATES = 10, 30
STEPS, BRANCHES = 20, 32  # of the rollouts of a round
LR, PENALTY, CLIP = 3e-3, 1.0, 1.0
WIDE: Final = 0.5  # of exploration, in spreads of the logged action


@dataclass(frozen=True)
class _Evidence:
    graph: DecisionGraph
    rows: Rows
    members: int
    device: torch.device


class Consistency:
    """Trained matchers, one for each member of the venv."""

    def __init__(self, matchers: Matchers) -> None:
        self.matchers = matchers.requires_grad_(False)

    @classmethod
    def trained(cls, problem: PolicyProblem) -> Consistency:
        """Matchers of the problem's rows and venv, by the problem's seed."""
        venv, rows = problem.venv, problem.rows
        evidence = _Evidence(venv.graph, rows, venv.members // venv.halves, problem.device)
        generator = problem.generator()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(problem.seed)  # the weights that are drawn now
            groups = groups_of(evidence, None)
            matchers = Matchers(evidence, groups, HIDDEN)
        optimizer = torch.optim.Adam(matchers.parameters(), lr=LR)
        for _ in range(ROUNDS):
            made = matchers.features(_rolled(problem, generator))
            for _ in range(UPDATES):
                index = _logged(problem, made[0].shape[1], generator)
                real = matchers.features(rows.at(index))
                inside = torch.ones(1, *index.shape, device=problem.device)
                known = [known_rows(evidence, group, index.unsqueeze(0), inside) for group in groups]
                loss, _ = matchers.loss(
                    real, made, known, penalty=PENALTY, smoothing=0.0, generator=generator
                )
                optimizer.zero_grad(set_to_none=True)
                loss.sum().backward()
                clip_gradient_by_member(list(matchers.parameters()), CLIP)
                optimizer.step()
        return cls(matchers)

    def unlikely(self, taken: Mapping[str, Tensor]) -> Tensor:
        """u of every step, node -> (T, M, B, d) in model space -> (T, M, B); differentiable."""
        steps = len(next(iter(taken.values())))
        said = self.matchers.logits(self.matchers.features(flat(taken))).mean(0)  # (M, T B)
        return torch.relu(softplus(-said) / math.log(2.0) - 1.0).unflatten(1, (steps, -1)).transpose(0, 1)


@torch.no_grad()
def _rolled(problem: PolicyProblem, generator: torch.Generator) -> dict[str, Tensor]:
    """Steps of the venv from logged rows, node -> (M, N, d): each member's own."""
    venv, clone = problem.venv, problem.clone.widened(1)
    clone.noise = torch.tensor(WIDE, device=problem.device)
    begin = problem.starts.draw(BRANCHES, STEPS, generator)
    others = tuple(name for name in venv.graph.learned if name != problem.target)
    noise = venv.noise(STEPS, BRANCHES, generator, others)
    rolled = venv.rollout(
        begin.state, begin.given, STEPS, past=begin.past, actor=clone.actor(generator=generator), noise=noise
    )
    return flat({**begin.given, **rolled})


def _logged(problem: PolicyProblem, count: int, generator: torch.Generator) -> Tensor:
    """Rows of every member's own half, (M, count)."""
    per_half = problem.venv.members // problem.venv.halves
    draws = [
        torch.randint(p.start, p.stop, (per_half, count), generator=generator, device=generator.device)
        for p in problem.rows.parts
    ]
    return torch.cat(draws)
