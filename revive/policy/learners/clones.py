"""Clones of the logs' controller: of all trajectories, of good ones above all, and of each kind of behaviour in them.

`L = mean Huber(pi(s) - a)` on logged rows (behaviour cloning; cross-entropy for categories). Logs of several
controllers are averaged by one clone, so trajectories that act differently get clones of their own: each trajectory is
described by the moments of its residual action, `mean (a - a_all(s)) [1, s]`, and split in two where that explains most
of them.

The clone of the good ones draws trajectory i in proportion to `w_i = exp(tilt z_i)`, z_i its return in standard
deviations from the mean (return-weighted regression; Peters and Schaal 2007): more rows than the best few hold.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from scipy.cluster.vq import kmeans2
from torch import Tensor

from revive.data.windows import Rows
from revive.policy.candidate import Snapshots
from revive.policy.clone import difference
from revive.policy.learners.base import SnapshotLearner
from revive.policy.problem import PolicyProblem
from revive.policy.transitions import known_rows
from revive.policy.updates import cosine, set_step_size, step

FEWEST = 6  # trajectories of a half, from which the best of them are a set of their own
EXPLAINED = 0.5  # share of the variance between trajectories that two kinds must explain
RIDGE = 1e-3
SHARES = 10  # the finest step of a trajectory's weight


class Clones(SnapshotLearner):
    """All variants of both halves learn side by side.

    Args:
        problem: what is to be learned.
        tilt: how much more the weighted clone repeats trajectories that earned more.
        updates, batch, lr: Adam, cosine to zero; rows per update and clone.
        weight_decay: of AdamW, on all weights.
        snapshots: moments at which the clones are handed in.
        clip: limit of each clone's gradient norm.
        chunk: updates per round.
    """

    simulates = False

    def __init__(
        self,
        problem: PolicyProblem,
        *,
        tilt: float,
        updates: int,
        batch: int,
        lr: float,
        weight_decay: float,
        snapshots: int,
        clip: float,
        chunk: int,
    ) -> None:
        super().__init__()
        self.problem, self.updates, self.batch, self.lr = problem, updates, batch, lr
        self.weight_decay, self.clip, self.chunk = weight_decay, clip, chunk
        self.every = max(1, updates // snapshots)
        halves = [_kinds(problem, part, tilt) for part in problem.rows.parts]
        self.variants = [name for name in halves[0] if all(name in half for half in halves)]
        pools = [half[name] for half in halves for name in self.variants]
        earned = [_earned(problem, pool) for pool in pools]
        pools = [_known(problem, pool) for pool in pools]
        self.counts = torch.tensor([len(pool) for pool in pools], device=problem.device)
        self.pools = torch.nn.utils.rnn.pad_sequence(pools, batch_first=True)  # (P, n) rows
        self.policy = problem.started(len(self.variants)).requires_grad_(True)
        self.generator = problem.generator()
        self.taken = Snapshots(self.policy, "clone", self.variants, True, earned)

    @property
    def rounds(self) -> int:
        return math.ceil(self.updates / self.chunk)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(
            self.policy.net.parameters(), lr=self.lr, weight_decay=self.weight_decay, fused=True
        )

    def round(self, number: int) -> None:
        (optimizer,) = self.own_optimizers()
        loss = torch.zeros((), device=self.problem.device)
        for update in range(number * self.chunk, min((number + 1) * self.chunk, self.updates)):
            set_step_size(optimizer, cosine(self.lr, update, self.updates))
            x, answer = self._draw()
            loss = difference(self.policy, x, answer).sum()
            step(optimizer, loss, self.policy.net.parameters(), self.clip)
            if (update + 1) % self.every == 0:
                self.taken.take(update + 1)
        self.watch(loss, update + 1)
        self.note("loss", loss.detach() / self.policy.copies)

    def _draw(self) -> tuple[Tensor, Tensor]:
        """What the policies see and what was done, (P, batch, ...)."""
        shape = (len(self.pools), self.batch)
        share = torch.rand(shape, generator=self.generator, device=self.generator.device, dtype=torch.float64)
        index = self.pools.gather(1, (share * self.counts.unsqueeze(1)).long())
        return _seen(self.problem, index), self.problem.rows.values[self.problem.target][index]

    def notes(self) -> dict[str, Any]:
        return self.told({"updates": self.updates, "variants": list(self.variants)})


def _seen(problem: PolicyProblem, index: Tensor) -> Tensor:
    """The policy's inputs in the rows `index` (...,), side by side (..., d)."""
    names = problem.clone.inputs
    row = problem.rows.at(index, names)
    return torch.cat([row[name] for name in names], dim=-1)


def _known(problem: PolicyProblem, pool: Tensor) -> Tensor:
    """Those rows of a pool in which nothing is missing that the policy sees or did; all where that leaves none."""
    part = next(part for part in problem.rows.parts if int(pool[0]) in part)
    known = pool[torch.isin(pool, known_rows(problem, part, problem.clone.inputs))]
    return known if len(known) else pool


def _kinds(problem: PolicyProblem, part: range, tilt: float) -> dict[str, Tensor]:
    """Name of a set of trajectories -> its rows, for one half."""
    rows = problem.rows
    spans = _spans(rows, part)
    found = {"all": _rows_of(spans, rows.device)}
    if len(spans) < FEWEST:
        return found
    returns = torch.stack([problem.row_reward[start:stop].sum() for start, stop in spans])
    repeats = _repeats(returns, tilt)
    good = [span for span, count in zip(spans, repeats, strict=True) for _ in range(count)]
    found["of good trajectories"] = _rows_of(good, rows.device)
    groups = _groups(_moments(problem, spans))
    for i, group in enumerate(groups):
        if not _earns_more(returns[group], returns):
            continue  # what earns no more than the rest is no example
        found[f"kind {i + 1}"] = _rows_of([spans[j] for j in group], rows.device)
    return found


def _earned(problem: PolicyProblem, pool: Tensor) -> float | None:
    """The mean return of the trajectories of the rows `pool`; None where their half has too few to compare."""
    part = next(part for part in problem.rows.parts if int(pool[0]) in part)
    if len(_spans(problem.rows, part)) < FEWEST:
        return None
    begins = int(torch.isin(pool, problem.rows.starts).sum())  # a trajectory may be in it several times
    return float(problem.row_reward[pool].sum()) / max(1, begins)


def _repeats(returns: Tensor, tilt: float) -> list[int]:
    """How often each trajectory stands in the pool of the weighted clone: its weight in `SHARES` of the largest one."""
    z = (returns - returns.mean()) / returns.std().clamp_min(1e-12)
    return (SHARES * torch.exp(tilt * (z - z.max()))).round().int().tolist()


def _earns_more(some: Tensor, every: Tensor) -> bool:
    """Whether the returns of some trajectories are above the mean of all by two standard errors."""
    error = float(some.std()) / math.sqrt(len(some)) if len(some) > 1 else math.inf
    return float(some.mean() - every.mean()) > 2.0 * error


def _spans(rows: Rows, part: range) -> list[tuple[int, int]]:
    pairs = zip(rows.starts.tolist(), (rows.starts + rows.lengths).tolist(), strict=True)
    return [(start, stop) for start, stop in pairs if start in part]


def _rows_of(spans: Sequence[tuple[int, int]], device: torch.device) -> Tensor:
    return torch.cat([torch.arange(start, stop, device=device) for start, stop in spans])


def _moments(problem: PolicyProblem, spans: Sequence[tuple[int, int]]) -> np.ndarray:
    """What each trajectory does differently from all of them: (n, (1 + inputs) * width)."""
    every = _rows_of(spans, problem.device)
    x = _seen(problem, every).double()
    x = torch.cat([torch.ones_like(x[:, :1]), x], dim=1)
    action = problem.rows.values[problem.target][every].double()
    gram = x.mT @ x / len(x) + RIDGE * torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
    residual = action - x @ torch.linalg.solve(gram, x.mT @ action / len(x))
    pieces, start = [], 0
    for first, stop in spans:
        rows = slice(start, start + stop - first)
        pieces.append((x[rows].mT @ residual[rows] / (stop - first)).flatten())
        start = rows.stop
    return torch.stack(pieces).cpu().numpy()


def _groups(moments: np.ndarray) -> list[list[int]]:
    """Two kinds of trajectories, larger first, where they explain most of the variance between them; else none."""
    total = float(np.square(moments - moments.mean(0)).sum())
    if total <= 0:
        return []
    center, label = kmeans2(moments, 2, minit="++", rng=np.random.default_rng(0))
    groups = [np.flatnonzero(label == i).tolist() for i in range(2)]
    within = float(np.square(moments - center[label]).sum())
    if min(map(len, groups)) < 2 or 1.0 - within / total < EXPLAINED:
        return []
    return sorted(groups, key=len, reverse=True)
