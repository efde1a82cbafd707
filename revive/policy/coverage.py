"""Whether a half holds what the other half met too; beyond that, its policies were never shown what to do."""

from __future__ import annotations

import torch

from revive.policy.problem import PolicyProblem

LACKS = 0.25  # share of the logged range of an input that a half may lack at either end


def covering(problem: PolicyProblem) -> tuple[bool, ...]:
    """Of each half, whether its rows span nearly all that was logged of each input of the policy."""
    rows, names = problem.rows, problem.clone.inputs
    index = torch.arange(rows.count, device=rows.device)
    row = rows.at(index, names)
    seen = torch.cat([row[name] for name in names], dim=-1)
    low, high = seen.amin(0), seen.amax(0)
    room = LACKS * (high - low)
    found = []
    for part in rows.parts:
        own = seen[part.start : part.stop]
        found.append(bool(((own.amin(0) <= low + room) & (own.amax(0) >= high - room)).all()))
    return tuple(found)
