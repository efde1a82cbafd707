"""The logs' controller with a memory: for controllers that act on more than they see in a row, as one with an integral.

It sees the row and, since the start of the trajectory, traces of what was seen and done: with z = (1, seen, action),

    trace_k(t + 1) = (1 - 1 / tau_k) trace_k(t) + z(t) / tau_k,    trace_k(0) = 0,

leaky averages over tau_k = 2, 8, 32 and 128 steps (the gamma memory of de Vries and Principe 1992, at order one). The
constant's trace tells how old the trajectory is. An integral of the error follows linearly from them, an earlier action
too. Only an explanation of the logs: it is never a candidate.
"""

from __future__ import annotations

import torch
from torch import Tensor

from revive.nn.ensemble import LinearSkipNet, ridge
from revive.policy.clone import difference
from revive.policy.policy import Policy
from revive.policy.problem import PolicyProblem
from revive.venv.virtual_env import Actor

MEMORIES = (2.0, 8.0, 32.0, 128.0)  # steps
UPDATES, BATCH, LR, DECAY = 600, 512, 3e-3, 0.1


class Remembering:
    """One controller for each half, fitted to that half's rows; values in model space.

    It acts with the noise that its fit leaves, because what a controller earns depends on that too.
    """

    def __init__(self, problem: PolicyProblem) -> None:
        rows, clone = problem.rows, problem.clone
        self.plain = clone.actor()
        row = rows.at(torch.arange(rows.count, device=rows.device), self.plain.inputs)
        self.seen = torch.cat([row[name] for name in self.plain.inputs], -1)  # (N, i)
        self.done = rows.values[problem.target]  # (N, width)
        self.traces = self._of_logs(rows.starts, rows.lengths)  # (N, K, 1 + i + width)
        self.policy = self._fitted(problem)

    def _of_logs(self, starts: Tensor, lengths: Tensor) -> Tensor:
        """What has been seen and done before every row; all trajectories advance together."""
        shape = (len(self.seen), len(MEMORIES), 1 + self.seen.shape[1] + self.done.shape[1])
        traces = self.seen.new_zeros(shape)
        for t in range(int(lengths.max()) - 1):
            at = starts[lengths > t + 1] + t
            traces[at + 1] = advanced(traces[at], self.seen[at], self.done[at])
        return traces

    def _fitted(self, problem: PolicyProblem) -> Policy:
        policy = problem.clone.widened(1)
        x = torch.cat([self.seen, self.traces.flatten(1)], -1)
        policy.net = LinearSkipNet(policy.copies, x.shape[1], policy.layout.width, (32, 32)).to(x.device)
        generator, ordered = problem.generator(), policy.layout.ordered
        pools = [torch.arange(part.start, part.stop, device=x.device) for part in problem.rows.parts]
        with torch.no_grad():
            policy.net.last.zero_()
            policy.net.skip.weight.zero_()
            for copy, pool in enumerate(pools if ordered else []):
                weight, bias = ridge(x[None, pool], self.done[None, pool, :ordered])
                policy.net.skip.weight[copy, :, :ordered] = weight[0]
                policy.net.skip.bias[copy, :, :ordered] = bias[0]
        policy.requires_grad_(True)
        optimizer = torch.optim.AdamW(policy.net.parameters(), lr=LR, weight_decay=DECAY)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, UPDATES)
        for _ in range(UPDATES):
            index = torch.stack([pool[_some(len(pool), generator)] for pool in pools])
            optimizer.zero_grad(set_to_none=True)
            difference(policy, x[index], self.done[index]).sum().backward()
            optimizer.step()
            schedule.step()
        policy.requires_grad_(False)
        if c := policy.layout.continuous:
            wrong = (self.done - policy(x.expand(policy.copies, -1, -1)))[..., :c].square().mean(-1)  # (2, N)
            own = [wrong[copy, pool].mean() for copy, pool in enumerate(pools)]
            policy.noise = torch.stack(own).sqrt().reshape(-1, 1, 1)
        return policy

    def actor(self, first: Tensor, generator: torch.Generator) -> Actor:
        """For one rollout that begins in the rows `first` (M, B), with what was remembered there."""
        traces = self.traces[first]

        def decide(x: Tensor) -> Tensor:
            nonlocal traces
            seen = self.policy.by_copy(torch.cat([x, traces.flatten(-2)], -1))
            action = self.policy.by_branch(self.policy(seen, generator), x.shape[0])
            traces = advanced(traces, x, action)
            return action

        plain = self.plain
        return Actor(plain.node, plain.inputs, decide, plain.graph, plain.codec)


def advanced(traces: Tensor, seen: Tensor, done: Tensor) -> Tensor:
    """The traces (..., K, 1 + i + width) one step later."""
    z = torch.cat([torch.ones_like(seen[..., :1]), seen, done], -1).unsqueeze(-2)
    share = 1.0 / torch.tensor(MEMORIES, device=traces.device, dtype=traces.dtype).unsqueeze(-1)
    return traces + share * (z - traces)


def _some(count: int, generator: torch.Generator) -> Tensor:
    return torch.randint(0, count, (BATCH,), generator=generator, device=generator.device)
