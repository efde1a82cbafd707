"""What a user holds: a policy and a virtual environment on numpy arrays in physical units."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from revive.data.scenario import Scenario
from revive.deploy.reading import Arrays, legal, nodes_of_frame, read
from revive.errors import Problem, Problems, UserError
from revive.graph.found import stand_ins
from revive.graph.limits import Outside, clipped
from revive.policy.memory import Controller, controller, memory_of
from revive.policy.policy import Policy
from revive.policy.reward import Reward
from revive.runtime.session import Session
from revive.venv.modes import check_mode, roll
from revive.venv.virtual_env import Actor, VirtualEnv


class PolicySession:
    """A policy, from what it sees to what it does.

    `inputs` are the nodes that it needs, `target` is the node that it decides.
    """

    def __init__(self, policy: Policy) -> None:
        self.model = policy
        self.inputs = policy.inputs
        self.target = policy.target
        self._generator = torch.Generator().manual_seed(0)

    def act(self, observation: Mapping[str, ArrayLike], deterministic: bool = True) -> Arrays:
        """node -> (B, d) or (d,), in physical units; returns {target: (B, d) or (d,)}, inside its declared limits.

        observation may also be a frame (pandas, polars) with a column of each name. Nodes that the policy does not
        see are ignored. With deterministic False the policy explores as it did in training. Raises UserError for
        missing nodes, wrong shapes and values that are not finite.
        """
        try:
            arrays, single = read(observation, self.inputs, self.model.graph, lead=1)
        except UserError as error:
            raise self._explained(error, observation) from None
        parts = [self.model.codec[name].encode(_tensor(arrays[name])) for name in self.inputs]
        with torch.no_grad():
            x = torch.cat(parts, dim=-1)[None]
            action = self.model(x, None if deterministic else self._generator)[0]
            physical = self.model.codec[self.target].decode(action.double())
        out = clipped(self.model.graph.columns(self.target), physical.numpy())
        return {self.target: out[0] if single else out}

    def _explained(self, error: UserError, observation: Mapping[str, ArrayLike]) -> UserError:
        """What to do about missing histories and counters, which a controller keeps by itself."""
        graph = self.model.graph
        kept = [
            n
            for n in self.inputs
            if n not in observation and (graph[n].history is not None or n == graph.step)
        ]
        if not kept:
            return error
        what = (
            f"this policy sees what was before ({', '.join(kept)}), which a single call of act does not know"
        )
        remedy = (
            "controller = policy.start(), once for each run; then controller({node: (B, d)}) in each step"
        )
        return UserError(Problem(what, remedy=remedy))

    def start(self) -> Controller:
        """A controller for one run of a plant (or B at once), which remembers what the policy needs of the past.

        It takes what is seen in a step, node -> (B, d) or (d,), or a frame, and returns {target: (B, d) or (d,)};
        histories and step counters among the inputs are kept by itself. It raises UserError as `act` does.
        """
        act, graph = controller(self.model), self.model.graph
        shown = memory_of(self.model).shown(self.target)
        own = tuple(name for name in self.inputs if name not in shown)

        def controlled(seen: Mapping[str, ArrayLike]) -> Arrays:
            seen = nodes_of_frame(seen, shown, graph)
            arrays, single = read(seen, (*shown, *(name for name in own if name in seen)), graph, lead=1)
            action = act(arrays)[self.target]
            return {self.target: action[0] if single else action}

        return controlled

    def session(self, plants: int = 1) -> Session:
        """A controller of so many plants, which keeps histories and step counters, on arrays or frames."""
        return Session(self.act, memory_of(self.model), self.model.graph, self.target, plants)

    def __repr__(self) -> str:
        return f"PolicySession({self.target} <- {', '.join(self.inputs)})"


class VenvSession:
    """A virtual environment that steps and rolls out."""

    def __init__(
        self, venv: VirtualEnv, scenario: Scenario | None = None, reward: Reward | None = None
    ) -> None:
        self.model = venv
        self.graph = venv.graph
        self.scenario, self.reward = scenario, reward

    def step(
        self,
        values: Mapping[str, ArrayLike],
        deterministic: bool = True,
        seed: int | None = None,
        outside: Outside = "refuse",
    ) -> Arrays:
        """One time step: every leaf, node -> (B, d) or (d,), or a frame, to every node that is computed.

        outside: whether values beyond a declared limit are refused, or the limit is taken in their place.
        Histories are optional: without one, the present value stands for the earlier ones.
        A decision node among `values` is taken as given; otherwise the behaviour policy decides it.
        deterministic: the members' mean; otherwise each row is answered by a random member, with noise.
        Raises UserError for missing nodes, wrong shapes and values that are not finite or not legal.
        """
        named, optional = (
            (*self.graph.leaves, *self.graph.decisions),
            (*self.graph.decisions, self.graph.step, *stand_ins(self.graph.found)),
        )
        values = self._undisturbed(nodes_of_frame(values, named, self.graph, optional), 1)
        kept = self._kept(values)
        replayed = (*self.model.replayed_nodes, *(name for name in self.graph.decisions if name in values))
        arrays, single = read(values, (*kept, *replayed), self.graph, lead=1)
        arrays = legal(arrays, self.graph, outside)
        given = {name: arrays[name][None] for name in replayed}
        start = {name: arrays[name] for name in kept}
        rolled = self._run(start, given, 1, None, deterministic, seed)
        return {name: rolled[name][0, 0] if single else rolled[name][0] for name in self.graph.order}

    def rollout(
        self,
        start: Mapping[str, ArrayLike],
        given: Mapping[str, ArrayLike] | None = None,
        horizon: int | None = None,
        policy: PolicySession | None = None,
        deterministic: bool = True,
        seed: int | None = None,
        mode: str | None = None,
        outside: Outside = "refuse",
        reward: Callable[[Mapping[str, torch.Tensor]], torch.Tensor] | str | Path | None = None,
    ) -> Arrays:
        """Many time steps from `start`: state node -> (B, d); a history among them -> (B, frames * d), optional.

        given: exogenous node -> (T, B, d) (needed for each), or decision node whose actions are recorded; or a frame
        with a row for each step of a lone branch, where columns that nobody needs are ignored.
        horizon: number of steps; the length of `given` where there is one.
        policy: decides its target node; otherwise the behaviour policy does.
        mode: what is drawn and who answers, in place of `deterministic`: `mean` the members together without noise,
        `sample` together with noise, `member` one member drawn for each branch, `mixture` another one at every step.
        reward: a reward file, or its get_reward; what it pays then stands beside the nodes as `reward`, (T, B, 1).
        Returns every node, (T, B, d). Raises UserError as `step` does.
        """
        given = {} if given is None else self._series_of_frame(given, policy)
        given = self._undisturbed(given, horizon or 1, start)
        replayed = (*self.model.replayed_nodes, *(name for name in self.graph.decisions if name in given))
        series, _ = read(given, replayed, self.graph, lead=2)
        arrays, _ = read(start, self._kept(start), self.graph, lead=1)
        steps = (next(iter(series.values())).shape[0] if series else 1) if horizon is None else horizon
        problems = Problems()
        if steps < 1:
            problems.add(f"is {steps}, but a rollout has at least one step", place="horizon")
        if policy is not None and policy.target in series:
            problems.add(
                f"'{policy.target}' is both given and decided by the policy", remedy="drop one of them"
            )
        rows = {value.shape[0] for value in arrays.values()}
        for name, value in series.items():
            if value.shape[0] < steps:
                problems.add(f"has {value.shape[0]} steps, {steps} are needed", place=f"given['{name}']")
            if rows and value.shape[1] not in rows:
                problems.add(
                    f"has {value.shape[1]} branches, the start has {rows.pop()}", place=f"given['{name}']"
                )
        problems.raise_if_any()
        if mode is not None:
            check_mode(mode)
        arrays, series = legal(arrays, self.graph, outside), legal(series, self.graph, outside)
        rolled = self._run(arrays, series, steps, policy, deterministic, seed, mode)
        return rolled if reward is None else {**rolled, "reward": self._rewards(rolled, series, reward)}

    def _series_of_frame(
        self, given: Mapping[str, ArrayLike], policy: PolicySession | None
    ) -> Mapping[str, ArrayLike]:
        decisions = [name for name in self.graph.decisions if policy is None or name != policy.target]
        read_from = nodes_of_frame(
            given,
            (*self.model.replayed_nodes, *decisions),
            self.graph,
            [*decisions, *stand_ins(self.graph.found)],
        )
        if read_from is given:
            return given
        return {name: np.asarray(value)[:, np.newaxis] for name, value in read_from.items()}

    def _undisturbed(
        self, given: Mapping[str, ArrayLike], steps: int, start: Mapping[str, ArrayLike] | None = None
    ) -> Mapping[str, ArrayLike]:
        """What is given, with 0 for stand-ins for hidden causes that are not: nothing hidden happens.

        start: of a rollout of so many steps, (B, d); None for a single step, whose values lack the time axis.
        """
        missing = [name for name in stand_ins(self.graph.found) if name not in given]
        if not missing:
            return given
        lead = next(iter((given if start is None else start).values()), np.zeros((1, 1)))
        batch = np.shape(lead)[:-1]
        if start is not None:
            steps = max(
                (np.shape(series)[0] for series in given.values() if np.ndim(series) == 3), default=steps
            )
            batch = (steps, *batch)
        return {**given, **{name: np.zeros((*batch, 1)) for name in missing}}

    def _rewards(self, rolled: Arrays, series: Arrays, reward: Any) -> NDArray[np.float64]:
        """What a rollout earns at each step, (T, B, 1)."""
        pay = Reward.of(reward)
        steps = next(iter(rolled.values())).shape[0]
        known = {name: _tensor(value[:steps]) for name, value in {**series, **rolled}.items()}
        with torch.no_grad():
            return pay(known).double().numpy()[..., np.newaxis]

    def _kept(self, values: Mapping[str, ArrayLike]) -> tuple[str, ...]:
        """What a rollout is started with: states, and the step counter and histories that are given."""
        optional = (*self.graph.histories, *((self.graph.step,) if self.graph.step else ()))
        return (*self.graph.states, *(name for name in optional if name in values))

    @torch.no_grad()
    def _run(
        self,
        start: Arrays,
        given: Arrays,
        horizon: int,
        policy: PolicySession | None,
        deterministic: bool,
        seed: int | None,
        mode: str | None = None,
    ) -> Arrays:
        venv, members = self.model, self.model.members
        batch = next(iter(start.values())).shape[0] if start else next(iter(given.values())).shape[1]
        first = {name: self._everywhere(name, value, 0) for name, value in start.items()}
        series = {name: self._everywhere(name, value, 1) for name, value in given.items()}
        if venv.graph.step and venv.graph.step not in first:
            first[venv.graph.step] = self._everywhere(venv.graph.step, np.zeros((batch, 1)), 0)
        past = {name: self._past(name, first.pop(name)) for name in venv.graph.histories if name in first}
        generator = torch.Generator()
        if seed is None:
            generator.seed()
        else:
            generator.manual_seed(seed)
        actor = self._actor(policy) if policy else None
        codec = (actor.codec if actor else None) or venv.codec
        if mode is None:
            noise = None if deterministic else venv.noise(horizon, batch, generator)
            rolled = venv.rollout(first, series, horizon, past=past, actor=actor, noise=noise)
        else:
            deterministic = mode == "mean"
            rolled = roll(venv, first, series, horizon, mode, generator, past=past, actor=actor)
        if deterministic:
            picked = {name: value.mean(1) for name, value in rolled.items()}
        else:
            who = torch.randint(members, (batch,), generator=generator)
            picked = {name: value[:, who, torch.arange(batch)] for name, value in rolled.items()}
        found = {name: codec[name].decode(value.double()).numpy() for name, value in picked.items()}
        plain = [name for name in found if name in self.graph and self.graph[name].history is None]
        return found | {name: clipped(self.graph.columns(name), found[name]) for name in plain}

    def _actor(self, policy: PolicySession) -> Actor:
        """The policy as a part of this venv: the two may have scales of their own."""
        model, venv = policy.model, self.model
        foreign = [n for n in (policy.target, *policy.inputs) if model.graph.source_of(n) not in self.graph]
        if foreign:
            raise UserError(f"this venv has no {', '.join(foreign)}, which the policy needs")
        codec = venv.codec.for_graph(model.graph)
        widths = [codec.width(name) for name in policy.inputs]

        def decide(x: torch.Tensor) -> torch.Tensor:
            parts = zip(policy.inputs, x.double().split(widths, dim=-1), strict=True)
            own = torch.cat([model.codec[n].encode(codec[n].decode(part)) for n, part in parts], dim=-1)
            action = model(own.reshape(1, -1, own.shape[-1])).reshape(*x.shape[:-1], -1)
            return codec[policy.target].encode(model.codec[policy.target].decode(action.double()))

        return Actor(policy.target, policy.inputs, decide, model.graph, codec)

    def _everywhere(self, name: str, value: NDArray[np.float64], axis: int) -> torch.Tensor:
        """Encoded, and under every member: a member axis is put at `axis`."""
        encoded = self.model.codec[name].encode(_tensor(value)).unsqueeze(axis)
        return encoded.expand(*encoded.shape[:axis], self.model.members, *encoded.shape[axis + 1 :])

    def _past(self, name: str, frames: torch.Tensor) -> torch.Tensor:
        """The frames before the present step out of a history as the user gives it, (M, B, ...)."""
        spec = self.graph[name].history
        assert spec is not None
        width = frames.shape[-1] // spec.length
        if spec.delay == 0:
            return frames[..., : (spec.length - 1) * width]
        newest = frames[..., -width:]
        return torch.cat([frames, *[newest] * (spec.delay - 1)], dim=-1)

    def __repr__(self) -> str:
        return f"VenvSession({self.model.members} members of {self.graph!r})"


def _tensor(value: NDArray[np.float64]) -> torch.Tensor:
    return torch.as_tensor(value, dtype=torch.float64)
