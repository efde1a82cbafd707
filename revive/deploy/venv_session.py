"""A virtual environment as its user holds it: steps and rollouts, in physical units."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from revive.data.scenario import Scenario
from revive.deploy.policy_session import PolicySession
from revive.deploy.simulation import Simulation, Starts, View
from revive.deploy.values import Form, Tensors, read
from revive.deploy.verbs import Values, Verbs
from revive.errors import Problem, Problems, UserError, suggestion
from revive.graph.found import stand_ins
from revive.graph.limits import Outside
from revive.policy.reward import Reward
from revive.runtime.frames import is_frame, nodes_of
from revive.venv.modes import Mode, check_mode
from revive.venv.virtual_env import VirtualEnv

Arrays = dict[str, NDArray[np.float64]]
RewardOf = Callable[[Mapping[str, Tensor]], Tensor] | str | Path


class VenvSession(Verbs):
    """A virtual environment that steps and rolls out.

    scenario: what its bundle carries to start from; reward: what it pays; None where there is none, or where the
    bundle's source was not trusted.

    Beside `step` and `rollout` it knows REVIVE's verbs (see `Verbs`), and `start` makes plants of it that keep their
    state.
    """

    def __init__(
        self, venv: VirtualEnv, scenario: Scenario | None = None, reward: Reward | None = None
    ) -> None:
        super().__init__(venv, scenario)
        self.reward = reward

    # -- one step --------------------------------------------------------------------------------

    def step(
        self,
        values: Values,
        deterministic: bool = True,
        seed: int | None = None,
        outside: Outside = "refuse",
    ) -> Any:
        """One time step: every leaf, node -> (B, d) or (d,), or a frame, to every node that is computed, as what came.

        outside: whether values beyond a declared limit are refused, or the limit is taken in their place.
        Histories are optional: without one, the present value stands for the earlier ones.
        A decision node among `values` is taken as given; otherwise the behaviour policy decides it.
        deterministic: the members' mean; otherwise each row is answered by a random member, with noise.
        Raises UserError for missing nodes, wrong shapes and values that are not finite or not legal.
        """
        named = (*self.graph.leaves, *self.graph.decisions)
        optional = (*self.graph.decisions, self.graph.step, *stand_ins(self.graph.found))
        nodes = nodes_of(values, named, self.graph, optional)
        forced = [name for name in self.graph.decisions if name in nodes]
        found, form = self._one_step(nodes, forced, deterministic, seed, outside, True)
        if is_frame(values):
            form = Form("frame", form.single, values)
        return form.nodes({name: found[name] for name in self.graph.order}, self.graph)

    # -- many steps ------------------------------------------------------------------------------

    def rollout(
        self,
        start: Values,
        given: Values | None = None,
        horizon: int | None = None,
        policy: PolicySession | None = None,
        deterministic: bool = True,
        seed: int | None = None,
        mode: str | None = None,
        outside: Outside = "refuse",
        reward: RewardOf | bool | None = None,
        nodes: Sequence[str] | None = None,
    ) -> Any:
        """Many time steps from `start`: state node -> (B, d); a history among them -> (B, frames * d), optional.

        A decision node in `start`, unless that is a frame, is what was done before the first step: where the actuator
        stands, for histories of it.
        given: exogenous node -> (T, B, d) (needed for each), or decision node whose actions are recorded; or a frame
        with a row for each step of a lone branch, where columns that nobody needs are ignored.
        horizon: number of steps; the length of `given` where there is one.
        policy: decides its target node; otherwise the behaviour policy does, or what `replace_policy` put there.
        deterministic: the members' mean; otherwise one member answers each branch, with noise.
        mode: what is drawn and who answers, in place of `deterministic`: `mean` the members together without noise,
        `sample` together with noise, `member` one member drawn for each branch, `mixture` another one at every step.
        reward: a reward file, its get_reward, or True for the bundle's; what it pays then stands beside the nodes as
        `reward`, (T, B, 1).
        nodes: what is to be returned, all nodes without it; a long rollout of many branches takes the less memory.
        Returns node -> (T, B, d); or, where `start` is a frame, one with a row for each step of each branch, and with
        `branch` and `step` in front. Raises UserError as `step` does.
        """
        policy = policy or self.policy
        given = {} if given is None else self._series_of_frame(given, policy)
        given = self._undisturbed(given, horizon or 1, start)
        forced = [name for name in self.graph.decisions if name in given]
        if policy is self.policy and policy is not None and any(name in forced for name in policy.decided):
            policy = None  # recorded actions come before what was put in the behaviour's place
        replayed = (*self.model.replayed_nodes, *forced)
        series, late = read(given, replayed, self.graph, lead=2)
        done = () if is_frame(start) else tuple(name for name in self.graph.decisions if name in start)
        kept, form = read(start, (*self._kept(start), *done), self.graph, lead=1)
        form = late if late.kind == "tensors" else Form(form.kind, False, form.like)
        steps = (len(next(iter(series.values()))) if series else 1) if horizon is None else horizon
        self._require_rollout(kept, series, steps, policy, nodes)
        if mode is not None:
            check_mode(mode)
        pay = self._pays(reward)
        rolled = self._rolled(
            kept,
            {name: value[:steps] for name, value in series.items()},
            steps,
            form,
            deterministic,
            policy=policy,
            seed=seed,
            mode=cast(Mode | None, mode),
            outside=outside,
            reward=pay,
            nodes=nodes,
        )
        return form.series(rolled, self.graph)

    def _series_of_frame(self, given: Values, policy: PolicySession | None) -> Values:
        """The steps of a lone branch out of a frame, (T, 1, d); anything else as it is."""
        decisions = [name for name in self.graph.decisions if policy is None or name not in policy.decided]
        named = (*self.model.replayed_nodes, *decisions)
        optional = [*decisions, *stand_ins(self.graph.found)]
        found = nodes_of(given, named, self.graph, optional)
        if found is given:
            return given
        return {name: np.asarray(value)[:, np.newaxis] for name, value in found.items()}

    def _require_rollout(
        self,
        start: Tensors,
        series: Tensors,
        steps: int,
        policy: PolicySession | None,
        nodes: Sequence[str] | None,
    ) -> None:
        problems = Problems()
        if steps < 1:
            problems.add(f"is {steps}, but a rollout has at least one step", place="horizon")
        for name in () if policy is None else policy.decided:
            if name in series:
                problems.add(f"'{name}' is both given and decided by the policy", remedy="drop one of them")
        rows = {value.shape[0] for value in start.values()}
        for name, value in series.items():
            if value.shape[0] < steps:
                problems.add(f"has {value.shape[0]} steps, {steps} are needed", place=f"given['{name}']")
            if rows and value.shape[1] not in rows:
                what = f"has {value.shape[1]} branches, the start has {rows.pop()}"
                problems.add(what, place=f"given['{name}']")
        for name in nodes or ():
            if name not in self.graph:
                problems.add(
                    f"there is no node '{name}'", place="nodes", remedy=suggestion(name, self.graph.nodes)
                )
        problems.raise_if_any()

    # -- plants that keep their state ------------------------------------------------------------

    def start(
        self,
        plants: int = 1,
        *,
        target: str | Sequence[str] | None = None,
        observe: Sequence[str] | None = None,
        history: int | None = None,
        starts: Starts = "any",
        noise: bool = True,
        reward: RewardOf | None = None,
        seed: int | None = None,
    ) -> Simulation:
        """Plants that start from logged rows and keep their state: `observe()`, `step(action)`, `reset(rows)`.

        target: the node that is decided from outside, or several nodes. observe, history: what is seen before, and how
        many of the last values; all three as the run's policy has them, else as the graph. reward: in place of the
        bundle's. For the rest see `Simulation`. Raises UserError where the bundle carries nothing to start from.
        """
        scenario = self._scenario()
        view = View.of(self.graph, scenario, target, observe, history)
        pay = self.reward if reward is None else Reward.of(reward)
        return Simulation(
            self.model, scenario, view, reward=pay, plants=plants, starts=starts, noise=noise, seed=seed
        )

    def starts(
        self, count: int, horizon: int = 1, *, which: Starts = "any", seed: int | None = None
    ) -> tuple[Arrays, Arrays]:
        """Logged rows for `rollout`: what it starts from, (B, d), histories too, and what is given, (T, B, d).

        Raises UserError where the bundle carries none.
        """
        rng = np.random.default_rng(seed)
        scenario = self._scenario()
        rows = scenario.starts(self.graph, which)
        first = rng.choice(rows, count)
        names = (*self.model.start_nodes, *self.graph.histories)
        start = {name: scenario.values(self.graph, name, first) for name in dict.fromkeys(names)}
        later = scenario.ahead(first, np.arange(horizon)[:, None])
        given = {name: scenario.values(self.graph, name, later) for name in self.model.replayed_nodes}
        return start, given

    def _scenario(self) -> Scenario:
        if self.scenario is None:
            what = "this venv bundle carries no logged rows to start from"
            remedy = "it was written by an earlier release: learn the venv again, with resume=fresh"
            raise UserError(Problem(what, remedy=remedy))
        return self.scenario

    def _pays(self, reward: RewardOf | bool | None) -> Reward | None:
        if reward is None or reward is False:
            return None
        if reward is not True:
            return Reward.of(reward)
        if self.reward is None:
            remedy = "load_venv(path, trust=True), where the bundle carries one; or reward=FILE"
            raise UserError(Problem("this venv has no reward", place="reward", remedy=remedy))
        return self.reward

    def __repr__(self) -> str:
        return f"VenvSession({self.model.members} members of {self.graph!r})"
