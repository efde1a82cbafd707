"""The verbs of REVIVE's virtual environment: single steps, chains of them, single nodes, another policy.

Whatever takes nodes takes arrays, tensors, or a data frame (pandas, polars) with a column of each name; tensors are
answered by tensors, through which gradients flow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from revive.data.scenario import Scenario
from revive.deploy.distribution import MemberDistribution
from revive.deploy.policy_session import PolicySession
from revive.deploy.rolling import Answers, Rollout, actor_of, look_at
from revive.deploy.values import Form, Tensors, legal, read, within
from revive.errors import Problem, UserError, suggestion
from revive.graph.found import stand_ins
from revive.graph.limits import Outside
from revive.policy.reward import Reward
from revive.runtime.frames import is_frame, joined, nodes_in
from revive.venv.virtual_env import VirtualEnv

Values = Mapping[str, ArrayLike]


class Verbs:
    """A venv that is asked. policy: decides its node in the behaviour policy's place, where it is set."""

    def __init__(self, venv: VirtualEnv, scenario: Scenario | None = None) -> None:
        self.model = venv
        self.graph = venv.graph
        self.scenario = scenario
        self.policy: PolicySession | None = None
        self._generator = torch.Generator(venv.device).manual_seed(0)

    def infer_one_step(
        self, state: Values, deterministic: bool = True, clip: bool = True, outside: Outside = "refuse"
    ) -> Any:
        """One time step: `state` with every node that is computed, as what was given.

        Nodes that are in `state` already, decisions or others, are taken as they are. clip: keep what is computed
        inside the declared limits. deterministic, outside, errors: as of `step`; draws go on from call to call, see
        `reset`.
        """
        nodes = nodes_in(state, self.graph)
        found, form = self._one_step(nodes, self._forced(nodes), deterministic, None, outside, clip)
        if is_frame(state):
            form = Form("frame", form.single, state)
        fresh = {name: found[name] for name in self.graph.order if name not in nodes}
        return _joined(state, form.nodes(fresh, self.graph))

    def infer_k_steps(
        self,
        states: Sequence[Values] | Values,
        k: int | None = None,
        deterministic: bool = True,
        clip: bool = True,
        outside: Outside = "refuse",
    ) -> list[Any]:
        """k time steps, as a list of what `infer_one_step` returns.

        states: a list with a dict or frame for each step: states stand in the first one, exogenous nodes, and decisions
        that are to be taken as given, in all of them. Or one dict and k, where nothing has to be given later.
        One member answers a row in all steps where deterministic is False. Raises UserError as `step` does.
        """
        lone = isinstance(states, Mapping) or is_frame(states)
        every = [states] * (1 if k is None else k) if lone else list(states)[:k]
        if not every or (k is not None and len(every) != k):
            raise UserError(Problem(f"{len(every)} states are given for {k} steps", place="states"))
        nodes = [self._undisturbed(nodes_in(state, self.graph)) for state in every]
        forced = self._forced(nodes[0])
        replayed = (*self.model.replayed_nodes, *forced)
        late = [name for name in replayed if name not in stand_ins(self.graph.found)]
        if lone and len(every) > 1 and late:
            what = f"'{late[0]}' has to be given in each of the {len(every)} steps"
            raise UserError(Problem(what, place="states", remedy="give a list with a dict for each step"))
        first, form = read(nodes[0], (*self._kept(nodes[0]), *replayed), self.graph, lead=1)
        later = [read(row, replayed, self.graph, lead=1)[0] for row in nodes[1:] if replayed]
        series = {name: torch.stack([first.pop(name), *(row[name] for row in later)]) for name in replayed}
        rolled = self._rolled(first, series, len(every), form, deterministic, outside=outside, clip=clip)
        told = [name for name in (*self.graph.states, *self.graph.order) if name not in forced]
        found = []
        for t, state in enumerate(every):
            like = Form("frame", form.single, state) if is_frame(state) else form
            fresh = like.nodes({name: rolled[name][t] for name in told}, self.graph)
            found.append(_joined({} if lone and t else state, fresh))
        return found

    def node_infer(self, name: str, state: Values, deterministic: bool = True, clip: bool = True) -> Any:
        """One node, (B, d) or (d,), or a frame, from what it follows from, as what was given.

        Nodes in `state` are taken as they are, the node itself left out, and what a policy decides together with it;
        nothing else has to be there. Raises UserError as `step` does.
        """
        nodes = self._decided_apart(name, self._without(name, state))
        with torch.set_grad_enabled(_asks_for_gradients(nodes)):
            generator = None if deterministic else self._generator
            branches, form = look_at(self.model, [name], nodes, policy=self.policy, generator=generator)
            value = branches.codec[name].decode(branches.value(name).double())
            value = within(value, name, branches.graph) if clip else value
        if is_frame(state):
            return Form("frame", form.single, state).nodes({name: value}, self.graph)
        return form.node(value)

    def node_dist(self, name: str, state: Values) -> MemberDistribution:
        """What the members say of one learned node in `state`. Raises UserError as `step` does."""
        nodes = self._without(name, state)
        if name not in self.graph.learned:
            what = f"'{name}' is no learned node"
            raise UserError(Problem(what, remedy=suggestion(name, self.graph.learned)))
        if self.policy is not None and name in self.policy.decided:
            return self.policy.node_dist(nodes, name)
        wanted = [*self.graph[name].inputs]
        if name in self.graph.transitions:
            wanted.append(self.graph.state_of(name))
        with torch.set_grad_enabled(_asks_for_gradients(nodes)):
            branches, _ = look_at(self.model, wanted, nodes, policy=self.policy)
            outputs = branches.distribution(name)
        codec = self.model.codec
        return MemberDistribution(outputs, codec.layout(name), name, codec[name])

    def _without(self, name: str, state: Values) -> dict[str, Any]:
        """The nodes of `state` but one. Raises UserError where there is no such node."""
        if name not in self.graph:
            raise UserError(Problem(f"there is no node '{name}'", remedy=suggestion(name, self.graph.nodes)))
        nodes = self._undisturbed(nodes_in(state, self.graph))
        return {n: v for n, v in nodes.items() if n != name and n in self.graph}

    def _decided_apart(self, name: str, nodes: dict[str, Any]) -> dict[str, Any]:
        """The nodes without those that the policy decides together with `name`.

        Raises UserError where `name` sees one of them that is given: the policy would not answer to it.
        """
        if self.policy is None or name not in self.policy.decided:
            return nodes
        others = [other for other in self.policy.decided if other != name and other in nodes]
        seen = [other for other in others if other in self.policy.inputs_of(name)]
        if seen:
            what = f"'{name}' sees '{seen[0]}', which the policy decides together with it"
            raise UserError(Problem(what, place="state", remedy=f"leave '{seen[0]}' out"))
        return {other: value for other, value in nodes.items() if other not in others}

    def replace_policy(self, policy: PolicySession | None) -> Self:
        """Let this policy decide its node wherever that is not given; with None the behaviour policy again.

        Raises UserError where the venv lacks what the policy needs.
        """
        if policy is not None:
            actor_of(policy, self.model)
        self.policy = policy
        return self

    @property
    def target_policy_name(self) -> str:
        """What a policy decides: that of the policy in place, else the run's, else the graph's first one.

        Several nodes have commas between them.
        """
        if self.policy is not None:
            return self.policy.target_policy_name
        told = self.scenario.targets if self.scenario is not None else ()
        return ",".join(told) or self.graph.default_target

    def reset(self) -> None:
        """Begin the random draws anew. What a plant remembers is kept by `start`."""
        self._generator.manual_seed(0)

    def to(self, device: str | torch.device) -> Self:
        """The same venv, computed there."""
        self.model.to(device)
        self._generator = torch.Generator(device).manual_seed(0)
        if self.policy is not None:
            self.policy.to(device)
        return self

    def _one_step(
        self,
        nodes: Values,
        forced: Sequence[str],
        deterministic: bool,
        seed: int | None,
        outside: Outside,
        clip: bool,
    ) -> tuple[Tensors, Form]:
        nodes = self._undisturbed(nodes)
        kept = self._kept(nodes)
        replayed = (*self.model.replayed_nodes, *forced)
        values, form = read(nodes, (*kept, *replayed), self.graph, lead=1)
        start = {name: values[name] for name in kept}
        given = {name: values[name][None] for name in replayed}
        rolled = self._rolled(start, given, 1, form, deterministic, seed=seed, outside=outside, clip=clip)
        return {name: value[0] for name, value in rolled.items()}, form

    def _rolled(
        self,
        start: Tensors,
        given: Tensors,
        horizon: int,
        form: Form,
        deterministic: bool,
        *,
        policy: PolicySession | None = None,
        seed: int | None = None,
        mode: Answers = None,
        outside: Outside = "refuse",
        clip: bool = True,
        reward: Reward | None = None,
        nodes: Sequence[str] | None = None,
    ) -> Tensors:
        start, given = legal(start, self.graph, outside), legal(given, self.graph, outside)
        policy = policy or self.policy
        if policy is not None and any(name in given for name in policy.decided):
            policy = None
        if mode is None and not deterministic:
            mode = "member"
        with torch.set_grad_enabled(form.with_gradients and torch.is_grad_enabled()):
            rollout = Rollout(
                self.model,
                start,
                given,
                policy=policy,
                mode=mode,
                generator=self._draws(seed),
                clip=clip,
            )
            return rollout.record(horizon, nodes, reward)

    def _draws(self, seed: int | None) -> torch.Generator:
        """A fresh generator of this seed; without one, draws go on where the last call ended."""
        return self._generator if seed is None else torch.Generator(self.model.device).manual_seed(seed)

    def _kept(self, values: Any) -> tuple[str, ...]:
        """What a rollout is started with: states, and the step counter and histories that are given."""
        optional = (*self.graph.histories, *((self.graph.step,) if self.graph.step else ()))
        return (*self.graph.states, *(name for name in optional if name in values))

    def _undisturbed(self, given: Values, steps: int = 1, start: Values | None = None) -> Values:
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

    def _forced(self, nodes: Values) -> list[str]:
        """The computed nodes among `nodes`, which are taken as they are."""
        return [n for n in self.graph.order if n in nodes and self.graph[n].history is None]


def _asks_for_gradients(nodes: Mapping[str, Any]) -> bool:
    return torch.is_grad_enabled() and any(isinstance(value, Tensor) for value in nodes.values())


def _joined(state: Any, fresh: Any) -> Any:
    """`state` and what was computed, as one dict or frame; what was computed comes first where both have it."""
    if not is_frame(state):
        return {**state, **fresh}
    return joined(state, fresh)
