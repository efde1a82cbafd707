"""Several controllers in one set of logs: told by a label of each row, or by how the trajectories act.

Clusters: of every trajectory a ridge regression of the action on what the controller sees is asked what it would do
in the same 64 logged rows; these answers are what trajectories are compared by (k-means, two to five kinds). The
number of kinds is that with the largest mean silhouette (Rousseeuw 1987); below 0.4 the logs hold one controller as
far as can be seen.
"""

from __future__ import annotations

import itertools

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2
from torch import Tensor

from revive.data.trajectories import Trajectories
from revive.nn.ensemble import SkipNet, ridge
from revive.policy.clone import difference
from revive.policy.policy import Policy

Array = NDArray[np.float64]
ROWS, MOST_KINDS, CLEAR, RIDGE = 64, 5, 0.4, 1e-2
SHORTEST = 20  # rows of a piece under one controller that is used


def pieces_by_label(logs: Trajectories, label: Array) -> dict[float, list[tuple[int, int]]]:
    """Label (N,) -> the runs of rows (first, behind) that hold it, within trajectories, of `SHORTEST` rows or more."""
    found: dict[float, list[tuple[int, int]]] = {}
    for start, stop in zip(logs.starts.tolist(), logs.ends.tolist(), strict=True):
        edges = [start, *(start + 1 + np.flatnonzero(np.diff(label[start:stop]))).tolist(), stop]
        for first, behind in itertools.pairwise(edges):
            if behind - first >= SHORTEST:
                found.setdefault(float(label[first]), []).append((first, behind))
    return dict(sorted(found.items()))


def pieces_by_behaviour(logs: Trajectories, seen: Array, action: Array) -> dict[float, list[tuple[int, int]]]:
    """Number of the kind -> its trajectories; a single kind where none can be told apart.

    seen (N, i) what the controller sees, action (N, o) what it does, both in spreads of their own.
    """
    spans = [s for s in zip(logs.starts.tolist(), logs.ends.tolist(), strict=True) if s[1] - s[0] >= SHORTEST]
    if len(spans) < 4:
        return {0.0: spans}
    answers = _answers(spans, seen, action)
    best, kinds = CLEAR, np.zeros(len(spans), dtype=int)
    for k in range(2, min(MOST_KINDS, len(spans) // 2) + 1):
        _, label = kmeans2(answers, k, minit="++", rng=np.random.default_rng(0))
        if np.bincount(label, minlength=k).min() < 2:
            continue
        clear = silhouette(answers, label)
        if clear > best:
            best, kinds = clear, label
    return {float(k): [s for s, own in zip(spans, kinds, strict=True) if own == k] for k in np.unique(kinds)}


def _answers(spans: list[tuple[int, int]], seen: Array, action: Array) -> Array:
    """(n, 64 o) what each trajectory's regression would do in the same rows."""
    asked = _with_one(seen[np.linspace(0, len(seen) - 1, ROWS).astype(int)])
    found = []
    for start, stop in spans:
        x = _with_one(seen[start:stop])
        gram = x.T @ x / len(x) + RIDGE * np.eye(x.shape[1])
        found.append((asked @ np.linalg.solve(gram, x.T @ action[start:stop] / len(x))).ravel())
    return np.stack(found)


def _with_one(x: Array) -> Array:
    return np.concatenate([np.ones((len(x), 1)), x], axis=1)


def silhouette(points: Array, label: NDArray[np.int_]) -> float:
    """Mean of `(b - a) / max(a, b)`: a the mean distance to one's own kind, b that to the nearest other one."""
    distance = np.sqrt(np.square(points[:, None] - points[None]).mean(-1))
    kinds = np.unique(label)
    to = np.stack([distance[:, label == k].sum(1) for k in kinds], axis=1)
    count = np.array([(label == k).sum() for k in kinds], dtype=np.float64)
    own = np.searchsorted(kinds, label)
    at = np.arange(len(points))
    a = to[at, own] / np.maximum(count[own] - 1.0, 1.0)
    others = to / count
    others[at, own] = np.inf
    b = others.min(1)
    return float(((b - a) / np.maximum(np.maximum(a, b), 1e-12)).mean())


def fit_controller(
    policy: Policy, seen: Tensor, action: Tensor, updates: int = 300, lr: float = 1e-2
) -> Policy:
    """A policy of one copy that repeats what was done: seen (N, i), action (N, width), model space.

    Starts at the ridge solution and is trained on all rows (Huber, cross-entropy for categories); its exploration is
    the standard deviation of what it misses, because a controller's noise is part of what it earns.
    """
    x, y = seen[None], action[None]
    ordered = policy.layout.ordered
    with torch.no_grad():
        if isinstance(policy.net, SkipNet):
            policy.net.last.zero_()
        if isinstance(policy.net, SkipNet) and ordered:
            weight, bias = ridge(x, y[..., :ordered])
            policy.net.skip.weight.zero_()
            policy.net.skip.weight[..., :ordered], policy.net.skip.bias[..., :ordered] = weight, bias
    policy.requires_grad_(True)
    optimizer = torch.optim.Adam(policy.net.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, updates)
    generator = torch.Generator().manual_seed(0)
    for _ in range(updates):
        index = torch.randint(0, len(seen), (min(512, len(seen)),), generator=generator)
        optimizer.zero_grad(set_to_none=True)
        difference(policy, x[:, index], y[:, index]).sum().backward()
        optimizer.step()
        schedule.step()
    policy.requires_grad_(False)
    with torch.no_grad():
        if policy.layout.continuous:
            missed = (y - policy(x))[..., : policy.layout.continuous]
            policy.noise.fill_(float(missed.square().mean().sqrt()))
    return policy
