"""A venv at work as a plant would be: it keeps its state, shows what a controller sees, takes actions, and pays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from revive.data.scenario import Scenario
from revive.data.windows import Rows
from revive.errors import Problem, Problems, UserError, suggestion
from revive.graph.decision_graph import DecisionGraph
from revive.graph.joint import decided_by, deciding, seen_by, side_by_side
from revive.graph.limits import clipped
from revive.policy.reward import Reward
from revive.venv.branches import Branches, Carried
from revive.venv.cells import OneEach
from revive.venv.virtual_env import VirtualEnv

Starts = Literal["any", "first"]
Arrays = dict[str, NDArray[np.float64]]


@dataclass(frozen=True)
class View:
    """Who decides what from what. graph: in which `target` has the inputs that it sees; see `revive.graph.joint`."""

    graph: DecisionGraph
    target: str

    @classmethod
    def of(
        cls,
        graph: DecisionGraph,
        scenario: Scenario,
        target: str | Sequence[str] | None = None,
        seen: Sequence[str] | None = None,
        history: int | None = None,
    ) -> View:
        """As asked, else as the run's policy, else as the graph has it. Raises UserError for unknown nodes."""
        own = scenario.targets or graph.decisions[:1]
        targets = (
            own if target is None else (target,) if isinstance(target, str) else (*dict.fromkeys(target),)
        )
        if not targets:
            raise UserError(Problem("this venv has no decision", place="target"))
        problems = Problems()
        for name in targets:
            if name not in graph.decisions:
                remedy = suggestion(name, graph.decisions)
                problems.add(f"'{name}' is no decision node", place="target", remedy=remedy)
        problems.raise_if_any()
        is_own = {*targets} == {*scenario.targets}
        if seen is None and is_own:
            seen = scenario.seen
        if history is None:
            history = scenario.history if is_own else 1
        decides, acting = deciding(seen_by(graph, targets, seen, history), targets)
        return cls(acting, decides)

    @property
    def seen(self) -> tuple[str, ...]:
        """What is seen, in the order of the observation."""
        return self.graph[self.target].inputs

    @property
    def decided(self) -> tuple[str, ...]:
        """The nodes that are decided: the target, or those of which it is the joint decision."""
        return decided_by(self.graph, self.target)


class Simulation:
    """B plants, each answered by one member of the venv, which is drawn anew at every start.

    Args:
        venv: the model.
        scenario: what it starts from.
        view: who decides what from what.
        reward: what is paid; None leaves it out.
        plants: B.
        starts: `any` logged row, or the `first` one of a logged trajectory.
        noise: whether what the venv does not know for certain is drawn; False takes the likeliest values.
        seed: of starts, members and noise; None for an arbitrary one.

    Raises UserError where the scenario lacks what a start needs.
    """

    def __init__(
        self,
        venv: VirtualEnv,
        scenario: Scenario,
        view: View,
        *,
        reward: Reward | None = None,
        plants: int = 1,
        starts: Starts = "any",
        noise: bool = True,
        seed: int | None = None,
    ) -> None:
        if plants < 1:
            raise UserError(Problem(f"is {plants}, but there is at least one plant", place="plants"))
        if starts not in get_args(Starts):
            raise UserError(Problem(f"cannot be {starts!r}", place="starts", remedy="'any' or 'first'"))
        self.venv, self.scenario, self.view = venv, scenario, view
        self.reward, self.plants = reward, plants
        self.graph, self.target, self.decided = view.graph, view.target, view.decided
        self.codec = venv.codec.for_graph(view.graph)
        self.rows = Rows.of(self.codec, view.graph, scenario.trajectories).to(venv.device)
        self.starts = torch.as_tensor(scenario.starts(view.graph, starts), device=venv.device)
        self._given = venv.replayed_nodes
        self._branches = Branches(
            venv, self._given, watched=view.seen, decided=self.target, graph=view.graph, codec=self.codec
        )
        self._require_starts()
        self._noise = noise
        self.generator = torch.Generator(venv.device)
        self.seed(seed)
        self.reset()

    def _require_starts(self) -> None:
        have = {*self.rows.at(self.starts[:1]), *self.rows.past(self.starts[:1])}
        lacking = [n for n in (*self.venv.start_nodes, *self._given, *self.graph.histories) if n not in have]
        if lacking:
            what = f"the bundle's sample of the logs says nothing about '{lacking[0]}', which a start needs"
            raise UserError(Problem(what, remedy="learn the venv again with this release"))

    def seed(self, seed: int | None) -> None:
        """Begin the random draws anew."""
        if seed is None:
            self.generator.seed()
        else:
            self.generator.manual_seed(seed)

    @torch.no_grad()
    def reset(self, rows: ArrayLike | None = None) -> None:
        """Start all plants anew, or those with these numbers."""
        index = (
            torch.arange(self.plants) if rows is None else torch.as_tensor(np.asarray(rows, dtype=np.int64))
        )
        index = index.to(self.venv.device)
        if not len(index):
            return
        first = self.starts[self._drawn(len(self.starts), len(index))]
        who = self._drawn(self.venv.members, len(index))
        self._begin(None if rows is None else index, first, who)

    @torch.no_grad()
    def place(self, first: ArrayLike, members: ArrayLike) -> None:
        """Start all plants anew from these rows of the sample, under these members; both (B,)."""
        chosen = [
            torch.as_tensor(np.asarray(v, dtype=np.int64), device=self.venv.device) for v in (first, members)
        ]
        self._begin(None, *chosen)

    def _begin(self, index: Tensor | None, first: Tensor, who: Tensor) -> None:
        fresh = Carried(self.rows.at(first, self.venv.start_nodes), self.rows.past(first), {})
        if index is None:
            self.first, self.members = first, who
            self.steps = torch.zeros(self.plants, dtype=torch.long, device=self.venv.device)
            carried = fresh
        else:
            carried = self._branches.carried().replaced(index, self._with_latents(fresh))
            self.first, self.members = (
                self.first.index_copy(0, index, first),
                self.members.index_copy(0, index, who),
            )
            self.steps = self.steps.index_fill(0, index, 0)
        self._branches.begin(carried, OneEach.of(self.members))
        self._look()

    def observe(self, nodes: Sequence[str] | None = None) -> Arrays:
        """What is seen before the next action: node -> (B, d), physical units.

        nodes: others that are known by then, as a controller wants them that keeps histories by itself. Raises
        UserError for nodes that are not.
        """
        asked = self.view.seen if nodes is None else tuple(nodes)
        if unknown := [name for name in asked if name not in self._branches.known()]:
            what = f"'{unknown[0]}' is not known before '{', '.join(self.decided)}' is decided"
            raise UserError(Problem(what, remedy=suggestion(unknown[0], self._branches.known())))
        return self._physical(asked)

    def before(self, rows: ArrayLike | None = None, steps: int | None = None) -> Arrays:
        """What was logged before the start of the plants: node -> (T, B, d), physical units, the oldest row first.

        It is what a policy's session is told: `policy.session(B, before=plants.before())`. rows: of these plants alone.
        steps: T; as many as the graph looks back without it. Where a trajectory began, its first row stands for those
        before it.
        """
        count = max(1, self.graph.lookback if steps is None else steps)
        first = self.first.cpu().numpy()
        chosen = first if rows is None else first[np.asarray(rows, dtype=np.int64)]
        at = self.scenario.behind(chosen, np.arange(count, 0, -1)[:, None])
        return {name: values[at] for name, values in self.scenario.arrays.items()}

    @torch.no_grad()
    def step(self, action: Mapping[str, ArrayLike]) -> Arrays:
        """One time step of all plants. action: {node: (B, d)} of all that is decided, physical units; beyond a limit,
        the limit is taken.

        Returns every node of this step, (B, d), and what was earned in it as `reward` (B, 1), where the reward is
        known. Raises UserError for an action of another shape, or one that is not finite.
        """
        decided = self._action(action)
        self._branches.act({self.target: decided}, self._draws)
        found = self._physical([n for n in self._branches.known() if not self.graph[n].parts])
        if self.reward is not None:
            data = {name: torch.as_tensor(value, dtype=torch.float32) for name, value in found.items()}
            found["reward"] = self._paid(self.reward(data).double().numpy())[:, None]
        self._branches.move_on()
        self.steps = self.steps + 1
        self._look()
        return found

    def _paid(self, reward: NDArray[np.float64]) -> NDArray[np.float64]:
        """(B,), the lowest logged reward where it is no number, which no learner could go on from."""
        worst = self.scenario.worst
        return reward if worst is None else np.where(np.isfinite(reward), reward, worst)

    def ended(self, found: Arrays) -> NDArray[np.bool_]:
        """Which plants a step has ended, (B,), by the graph's `done`."""
        done = self.graph.done
        return found[done][:, 0] > 0.5 if done in found else np.zeros(self.plants, dtype=bool)

    @property
    def _draws(self) -> torch.Generator | None:
        return self.generator if self._noise else None

    def _look(self) -> None:
        given = self.rows.at(self.rows.ahead(self.first, self.steps), self._given)
        self._branches.look(given, self._draws)

    def _with_latents(self, carried: Carried) -> Carried:
        """A start in which what was read is the state."""
        states = {name: carried.values[self.graph.state_of(name)] for name in self.venv.observed}
        return Carried(carried.values, carried.pasts, states)

    def _drawn(self, among: int, count: int) -> Tensor:
        return torch.randint(among, (count,), generator=self.generator, device=self.generator.device)

    def _physical(self, names: Sequence[str]) -> Arrays:
        found = {}
        for name in names:
            value = self.codec[name].decode(self._branches.value(name).double()).cpu().numpy()
            plain = self.graph[name].history is None
            found[name] = clipped(self.graph.columns(name), value) if plain else value
        return found

    def _action(self, action: Mapping[str, ArrayLike]) -> Tensor:
        """What is decided, (B, width) in model space."""
        values, problems = {}, Problems()
        for node in self.decided:
            place, shape = f"node '{node}'", (self.plants, self.graph[node].width)
            if node not in action:
                problems.add(f"{place} is missing", remedy=f"needed: {', '.join(self.decided)}")
                continue
            try:
                value = np.asarray(action[node], dtype=np.float64)
            except (TypeError, ValueError):
                problems.add("holds values that are no numbers", place=place)
                continue
            if value.shape != shape:
                problems.add(f"has shape {value.shape}, not {shape}", place=place)
            elif not np.isfinite(value).all():
                problems.add("holds values that are not finite", place=place)
            values[node] = value
        problems.raise_if_any()
        whole = clipped(self.graph.columns(self.target), side_by_side(self.graph, self.target, values))
        return self.codec[self.target].encode(torch.as_tensor(whole, device=self.venv.device))
