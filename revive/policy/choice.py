"""Which policy is taken: all learners' candidates on the same starts and noise, each in the half it never saw.

Rewards are asked at states that are off by the venv's error beyond its noise, so that a limit counts before it is
reached.
A candidate's gain is paired: member by member, its mean reward minus that of the logs' controller under common random
numbers, `G = mean_m - c * std_m`. From it the excess of its doubt over the clone's is taken off, in spreads of the
logged reward: where members disagree more than they do about the logs' controller, a promise is worth less, and where
they disagree much more it is worth nothing. A candidate that promises more than the logs ever saw is out, too. If none
gains, a clone is taken, and it is said why: the one whose trajectories earned most in the logs, where there are
several, because a venv in which nothing gains is no judge of clones; else one whose half holds nearly all that was
logged (coverage.py), because what it does elsewhere is a guess.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor

from revive.policy.candidate import Candidate
from revive.policy.coverage import covering
from revive.policy.doubt import Doubt
from revive.policy.evaluation import mean_reward
from revive.policy.policy import Policy
from revive.policy.problem import PolicyProblem

STEPS_AT_ONCE = 1600  # of the variants of each half in one rollout: they take its memory
LOOKS = 16  # steps of a rollout at which doubt is looked at
MOST_EXCESS = 0.3  # of doubt, beyond which a candidate is out; see docs/decisions.md


@dataclass(frozen=True)
class Score:
    """What a candidate is worth in the half that it did not learn in.

    per_member: mean reward per step with each member. over_clone: the same minus the clone's.
    doubt, clone_doubt: mean disagreement of the members along its rollouts, and along the clone's; 1 is the 90 %
    quantile of the logs. penalty: what is taken off for it. rejected: why it may not be taken.
    exceeded: of each limit, the share of the steps in which it is exceeded.
    """

    candidate: Candidate
    per_member: tuple[float, ...]
    over_clone: tuple[float, ...]
    doubt: float
    clone_doubt: float
    penalty: float
    caution: float
    rejected: str | None
    exceeded: tuple[float, ...] = ()

    @property
    def mean(self) -> float:
        return sum(self.per_member) / len(self.per_member)

    @property
    def pessimistic(self) -> float:
        """Mean minus `caution` standard deviations over members."""
        return self.mean - self.caution * _std(self.per_member)

    @property
    def gain(self) -> float:
        """Pessimistic paired gain over the clone, less the penalty for doubt."""
        return self.mean_gain - self.caution * _std(self.over_clone) - self.penalty

    @property
    def mean_gain(self) -> float:
        """Paired gain over the clone, mean over members."""
        return sum(self.over_clone) / len(self.over_clone)

    @property
    def standard_error(self) -> float:
        return _std(self.per_member) / math.sqrt(len(self.per_member))

    def by(self, metric: str) -> float:
        """One of the search's metrics."""
        return {
            "pessimistic_score": self.pessimistic,
            "pessimistic_gain": self.gain,
            "mean_reward": self.mean,
        }[metric]


@dataclass(frozen=True)
class Choice:
    """The policy that is taken. fallback: why it is a clone, where that is so. judged: scores it was chosen from."""

    score: Score
    fallback: str | None
    judged: int = 0

    @property
    def candidate(self) -> Candidate:
        return self.score.candidate


class Court:
    """Scores candidates, each one once.

    caution: c above. doubt_weight: spreads of the logged reward that are taken off for each unit of excess doubt.
    Both count up to twice where the logs do not tell what an action does (causal grades C and D).
    """

    def __init__(self, problem: PolicyProblem, caution: float = 1.0, doubt_weight: float = 1.0) -> None:
        self.problem = problem
        self.caution, self.doubt_weight = caution * problem.pessimism, doubt_weight * problem.pessimism
        self.doubt = Doubt(problem.venv, problem.rows)
        self._known: dict[str, Score] = {}
        self._clone_reward, self._clone_doubt, _ = self._run(problem.clone)

    def clone_scores(self) -> list[Score]:
        """The clone that learning starts from, in the other half each."""
        started = self.problem.started(1)
        clones = [
            Candidate("clone", "of the venv", half, 0, started.single(half), is_clone=True)
            for half in range(self.problem.venv.halves)
        ]
        return self.scores(clones)

    def scores(self, candidates: Sequence[Candidate]) -> list[Score]:
        """In the order of the candidates."""
        fresh = {c.key: c for c in candidates if c.key not in self._known}
        by_shape = sorted(fresh.values(), key=_shape)
        at_once = max(1, STEPS_AT_ONCE // self.problem.contest.horizon)
        for _, group in groupby(by_shape, key=_shape):
            alike = list(group)
            halves = [[c for c in alike if c.half == h] for h in range(self.problem.venv.halves)]
            for start in range(0, max(map(len, halves)), at_once):
                self._judge([half[start : start + at_once] for half in halves])
        return [self._known[candidate.key] for candidate in candidates]

    def choose(
        self,
        candidates: Sequence[Candidate],
        distrust: str | None = None,
        without: Collection[str] = (),
        *,
        clone_at_fault: bool = False,
    ) -> Choice:
        """The admissible candidate that gains most; a clone where none gains, or where `distrust` says why none may.

        without: keys of candidates that may not be chosen. clone_at_fault: clones are not what the logs' controller
        was (imitation.py); then what they promise is nothing that a learned policy has to gain over.
        """
        candidates = [candidate for candidate in candidates if candidate.key not in without]
        scores = [*self.clone_scores(), *self.scores(candidates)]
        clones = [score for score in scores if score.candidate.is_clone and score.rejected is None]
        others = [score for score in scores if not score.candidate.is_clone and score.rejected is None]
        fallback = distrust
        best = max(others, key=lambda score: score.gain, default=None)
        clone = max(clones or scores[:1], key=lambda score: score.gain)
        repeated = [score for score in clones if score.candidate.earned is not None]
        if fallback is None and best is None:
            fallback = "no learned policy was admissible"
        elif (
            fallback is None
            and best is not None
            and best.gain <= (0.0 if clone_at_fault else max(clone.gain, 0.0))
        ):
            fallback = "no learned policy gains over the best clone in the other half's venv"
        if (
            fallback is not None and repeated
        ):  # then the plant's word on what clones earn counts more than the venv's
            clone = max(repeated, key=lambda score: (score.candidate.earned, score.gain))
        elif fallback is not None:
            clone = max(self._informed(clones) or [clone], key=lambda score: score.gain)
        taken = clone if fallback is not None or best is None else best
        return Choice(taken, fallback, len(scores))

    def _informed(self, clones: Sequence[Score]) -> list[Score]:
        """Those whose half holds nearly all that was logged: the others guess what to do in the rest."""
        told = covering(self.problem)
        return [score for score in clones if told[score.candidate.half]]

    def shortlist(self, candidates: Sequence[Candidate], taken: Candidate) -> list[Score]:
        """What is worth a trial on the plant: what was taken, then the best of each half, learned ones and clones."""
        found = {taken.key: self.scores([taken])[0]}
        scores = [
            score for score in (*self.clone_scores(), *self.scores(candidates)) if score.rejected is None
        ]
        for is_clone in (False, True):
            for half in range(self.problem.venv.halves):
                alike = [s for s in scores if s.candidate.is_clone is is_clone and s.candidate.half == half]
                if alike:
                    best = max(alike, key=lambda score: score.gain)
                    found.setdefault(best.candidate.key, best)
        return list(found.values())

    def _judge(self, halves: Sequence[Sequence[Candidate]]) -> None:
        """Run some candidates of each half side by side."""
        count = max(map(len, halves))
        filled = [
            [*half, *[self._stand_in(halves, i)] * (count - len(half))] for i, half in enumerate(halves)
        ]
        policies = Policy.stacked([c.policy for half in filled for c in half])
        # (halves, variants, E), (halves, variants), (halves, variants, limits); rows: of the policy
        reward, doubt, exceeded = self._run(policies)
        for i, half in enumerate(halves):
            for j, candidate in enumerate(half):
                self._known[candidate.key] = self._score(
                    candidate, reward[i, j], float(doubt[i, j]), tuple(exceeded[i, j].tolist())
                )

    def _stand_in(self, halves: Sequence[Sequence[Candidate]], which: int) -> Candidate:
        return next(iter(halves[which]), None) or next(c for half in halves for c in half)

    @torch.no_grad()
    def _run(self, policies: Policy) -> tuple[Tensor, Tensor, Tensor]:
        """Of every copy elsewhere the mean reward per step (halves, variants, E), the mean doubt (halves, variants),
        and the share of the steps that exceed each limit (halves, variants, limits)."""
        variants, halves = policies.variants, self.problem.venv.halves
        world = self.problem.contest.repeated(variants)
        actor = policies.actor(swap=True)
        rolled = world.roll(actor)
        reward = mean_reward(self.problem.venv, world.reward, rolled, actor, world.mistaken(rolled))
        alive = self.problem.venv.alive(rolled)
        steps = torch.linspace(0, world.horizon - 1, min(LOOKS, world.horizon), device=reward.device).long()
        looked = torch.stack([self.doubt.of({k: v[t] for k, v in rolled.items()}) for t in steps.tolist()])
        weight = torch.ones_like(looked) if alive is None else alive[:-1][steps]
        doubt = (looked * weight).sum(0) / weight.sum(0).clamp_min(1.0)

        def by_copy(x: Tensor) -> Tensor:  # (M, V * B) -> (halves of the policies, V, E)
            table = x.reshape(halves, -1, variants, x.shape[-1] // variants).mean(-1)
            return table.transpose(1, 2).flip(0)

        exceeded = self._exceeded(policies, rolled, alive)
        shares = torch.stack([by_copy(share).mean(-1) for share in exceeded], -1) if len(exceeded) else None
        doubts = by_copy(doubt).mean(-1)
        return by_copy(reward), doubts, doubts.new_zeros(*doubts.shape, 0) if shares is None else shares

    def _exceeded(self, policies: Policy, rolled: dict[str, Tensor], alive: Tensor | None) -> Tensor:
        """The share of a branch's steps that exceed each limit, (limits, M, B); the steps after an end do not."""
        if self.problem.constraints is None:
            return torch.zeros(0)
        exceeded = self.problem.constraints.exceeded(policies.codec.decode(rolled)).float()
        taken = torch.ones_like(exceeded[0]) if alive is None else alive[:-1]
        return (exceeded * taken).sum(1) / taken.sum(0).clamp_min(1.0)

    def _score(
        self, candidate: Candidate, reward: Tensor, doubt: float, exceeded: tuple[float, ...]
    ) -> Score:
        clone, clone_doubt = (
            self._clone_reward[candidate.half, 0],
            float(self._clone_doubt[candidate.half, 0]),
        )
        mean, rejected = float(reward.mean()), None
        if not math.isfinite(mean):
            rejected = "its rollouts diverge"
        elif mean > self.problem.reward_limit:
            rejected = "it promises more than the logs ever saw"
        excess = max(0.0, doubt - max(1.0, clone_doubt)) if math.isfinite(doubt) else math.inf
        if rejected is None and excess > MOST_EXCESS:
            rejected = "the members of the venv disagree about where it leads"
        if rejected is None and not candidate.is_clone:
            rejected = self._too_often(exceeded)
        penalty = self.doubt_weight * self.problem.reward_spread * excess
        return Score(
            candidate,
            tuple(reward.tolist()),
            tuple((reward - clone).tolist()),
            doubt,
            clone_doubt,
            penalty,
            self.caution,
            rejected,
            exceeded,
        )

    def _too_often(self, exceeded: tuple[float, ...]) -> str | None:
        """Why a policy may not be taken that exceeds the limits in these shares of its steps."""
        limits = self.problem.constraints
        for limit, share in zip(limits.limits if limits else (), exceeded, strict=True):
            if limits and share > limits.allowed:
                return f"it exceeds '{limit.text}' in {share:.1%} of the steps"
        return None


def _shape(candidate: Candidate) -> str:
    return str(candidate.policy.to_json()["network"])


def _std(values: Sequence[float]) -> float:
    mean = sum(values) / len(values)
    return math.sqrt(sum((value - mean) ** 2 for value in values) / len(values))
