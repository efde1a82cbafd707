"""Rules of the user about what the venv says: a file `venv.rules` with `get_reward(data, graph)`, larger is better.

The penalty of a member is `-weight * mean reward` of its own one-step outputs on logged rows. Where the reward is
differentiable in the outputs, autograd gives its gradient. A reward of comparisons (a constant where a sign is
wrong) has none; then every output m that the rule sees is smoothed to `y = m + s e`, e ~ N(0, 1), and

    d E[r(y)] / dm = E[(r(y) - b) e / s]

with the pair e, -e sharing all other randomness and b the pair's mean (Gaussian smoothing with antithetic draws;
Nesterov & Spokoiny 2017, doi:10.1007/s10208-015-9296-2; the score function of a normal distribution).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from revive.data.codec import Codec
from revive.data.windows import Rows, Segments
from revive.errors import Problem, Problems, UserError, suggestion
from revive.graph.decision_graph import DecisionGraph
from revive.user_code import load_module, raised_in, require_function
from revive.venv.functions import UserCode
from revive.venv.node_model import NetworkSpec
from revive.venv.rule_graph import RuleGraph
from revive.venv.virtual_env import VirtualEnv

ROWS = 64  # of each member, at an update
JUDGED = 256  # of each member, where members are compared


@dataclass(frozen=True)
class Rule:
    """The user's file: the function, and what its module says of it.

    weight: of the reward. normalize: whether learning divides the reward by its spread over the rows.
    nodes: learned nodes that are to mend their ways; all of them where the file names none.
    """

    function: Callable[[dict[str, Tensor], RuleGraph], Any]
    path: Path
    weight: float
    normalize: bool
    nodes: tuple[str, ...]

    @classmethod
    def load(cls, path: Path, graph: DecisionGraph) -> Rule:
        """Run the file. Raises UserError with all that is wrong with it."""
        module = load_module(path)
        require_function(module, "get_reward", path)
        problems = Problems()
        weight, normalize = getattr(module, "weight", 1.0), getattr(module, "normalize", False)
        if not isinstance(weight, int | float) or isinstance(weight, bool) or not 0 <= weight < float("inf"):
            problems.add(f"is {weight!r}", file=path, place="weight", remedy="a number of at least 0")
        if not isinstance(normalize, bool | int):
            problems.add(f"is {normalize!r}", file=path, place="normalize", remedy="True or False")
        named = getattr(module, "matching_nodes", [])
        if not isinstance(named, list | tuple):
            problems.add(f"is {named!r}", file=path, place="matching_nodes", remedy="a list of nodes")
            named = []
        for name in named:
            if name not in graph:
                remedy = suggestion(str(name), graph.nodes)
                problems.add(f"there is no node '{name}'", file=path, place="matching_nodes", remedy=remedy)
        problems.raise_if_any()
        nodes = tuple(name for name in graph.learned if name in named) or tuple(graph.learned)
        return cls(module.get_reward, path, float(weight), bool(normalize), nodes)

    def reward(self, data: Mapping[str, Tensor], graph: RuleGraph, seed: int) -> Tensor:
        """data: node -> (N, d) in model space -> (N,). Raises UserError for what the file does wrong.

        seed: of what the file draws from torch's and numpy's global generators, which are left as they were.
        """
        rows = len(next(iter(data.values())))
        try:
            with _seeded(seed):
                reward = self.function(dict(data), graph)
        except (Exception, SystemExit) as error:
            raise UserError(raised_in(self.path, error)) from error
        if not isinstance(reward, Tensor) or tuple(reward.shape) not in {(rows, 1), (rows,)}:
            shape = (
                f"shape {tuple(reward.shape)}" if isinstance(reward, Tensor) else f"a {type(reward).__name__}"
            )
            remedy = f"return a tensor ({rows}, 1) or ({rows},)"
            raise UserError(Problem(f"get_reward returned {shape} for {rows} rows", self.path, remedy=remedy))
        reward = reward.as_subclass(Tensor).to(torch.float32).reshape(rows)
        if not bool(torch.isfinite(reward).all()):
            row = int((~torch.isfinite(reward)).nonzero()[0])
            raise UserError(
                Problem("get_reward returned a value that is not finite", self.path, f"row {row}")
            )
        return reward


class RulePenalty:
    """What a rule charges the members of a venv. The file is tried at once. Raises UserError where it is faulty.

    rows, seen: the data, and what each member learns from.
    """

    def __init__(self, venv: VirtualEnv, rule: Rule, rows: Rows, seen: Segments) -> None:
        self.venv, self.rule, self.rows, self.seen = venv, rule, rows, seen
        self.has_gradient = self._find_gradient()

    def loss(self, generator: torch.Generator) -> Tensor:
        """The members' penalties on drawn rows, with a gradient to their models: (M,)."""
        batch = self._draw(self.seen, ROWS, generator)
        seed = int(torch.randint(2**31, (), generator=generator, device=generator.device))
        if self.has_gradient:
            reward, _ = self._reward(batch, seed)
            return -self._by_member(reward / self._unit(reward))
        (up, above), (down, below) = (self._reward(batch, seed, sign) for sign in (1.0, -1.0))
        unit = self._unit(torch.stack([up, down]))
        gain = 0.25 * (up - down).detach() / unit
        climb = torch.zeros_like(gain)
        for tap in above.taps:
            climb = climb + tap.ascent(gain)
        for tap in below.taps:
            climb = climb + tap.ascent(-gain)
        value = (0.5 * (up + down) / unit).detach()
        return -self._by_member(value + climb - climb.detach())

    @torch.no_grad()
    def judged(self, unseen: Segments, generator: torch.Generator) -> Tensor:
        """The members' penalties on rows they did not learn from, not smoothed and not normalised: (M,)."""
        reward, _ = self._reward(self._draw(unseen, JUDGED, generator), seed=0)
        return -self._by_member(reward)

    def _reward(self, batch: Mapping[str, Tensor], seed: int, sign: float = 0.0) -> tuple[Tensor, RuleGraph]:
        """The reward of every row of every member, (N,), and the graph that the file was given.

        sign: of the noise that smooths; 0 for none.
        """
        smooth = torch.Generator(self.venv.device).manual_seed(seed) if sign else None
        graph = RuleGraph(self.venv, self.rule.nodes, smooth, sign)
        recorded = [name for name in self.venv.graph.decisions if name in batch]
        return self.rule.reward(graph.step(batch, recorded), graph, seed), graph

    def _find_gradient(self) -> bool:
        """Whether autograd leads from the reward to what the models say."""
        batch = self._draw(self.seen, ROWS, torch.Generator(self.venv.device).manual_seed(3))
        with torch.enable_grad():
            reward, graph = self._reward(batch, seed=3)
            answers = [answer for answer in graph.answers if answer.requires_grad]
            if not reward.requires_grad or not answers:
                return False
            found = torch.autograd.grad(reward.sum(), answers, allow_unused=True)
        return any(part is not None and bool((part != 0).any()) for part in found)

    @torch.no_grad()
    def _draw(self, segments: Segments, count: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Logged rows of every member, (M, B, d)."""
        index, _ = segments.sample(count, 1, generator)
        return self.venv.completed(self.rows.at(index))

    def _by_member(self, reward: Tensor) -> Tensor:
        return self.rule.weight * reward.view(self.venv.members, -1).mean(1)

    def _unit(self, reward: Tensor) -> Tensor:
        """What the reward is divided by: its spread where the file says `normalize`."""
        spread = reward.detach().std()
        wanted = self.rule.normalize and float(spread) > 1e-6
        return spread if wanted else torch.ones_like(spread)


def try_rule(rule: Rule, graph: DecisionGraph, codec: Codec, rows: Rows, code: UserCode) -> None:
    """Ask the file about a venv that has learned nothing. Raises UserError where it is faulty."""
    scales = {name: [1.0] * codec.layout(name).ordered for name in graph.learned}
    venv = VirtualEnv(graph, codec, VirtualEnv.halves, NetworkSpec(hidden=(4,)), scales, code)
    every = torch.full((venv.members, 1), rows.count)
    RulePenalty(venv, rule, rows, Segments(torch.zeros_like(every), every))


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """torch and numpy draw from `seed` meanwhile."""
    before = np.random.get_state()
    np.random.seed(seed % 2**32)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        np.random.set_state(before)
