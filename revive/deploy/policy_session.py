"""A policy as its user holds it: what it sees goes in, what it does comes out, in physical units."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from revive.data.joint import places_of
from revive.deploy.distribution import MemberDistribution
from revive.deploy.values import Form, Tensors, read, within
from revive.errors import Problem, UserError, suggestion
from revive.graph.joint import decided_by, split
from revive.nn.heads import Outputs
from revive.policy.memory import memory_of
from revive.policy.policy import Policy
from revive.runtime.session import Session

Arrays = dict[str, NDArray[np.float64]]


class PolicySession:
    """A policy, from what it sees to what it does.

    `inputs` are the nodes that it needs, `decided` those that it decides; `target` is the one that it decides, or the
    joint decision of several. `post_process`, where it is set, is
    called with what `infer` was given and with its action, and its answer is returned in the action's place.
    """

    def __init__(self, policy: Policy) -> None:
        self.model = policy
        self.inputs = policy.inputs
        self.target, self.decided = policy.target, decided_by(policy.graph, policy.target)
        self.post_process: Callable[[Any, Any], Any] | None = None
        self._generator = torch.Generator().manual_seed(0)

    def inputs_of(self, name: str) -> tuple[str, ...]:
        """What one of the nodes sees that it decides, earlier ones of them included."""
        return dict(self.model.graph[self.target].parts).get(name, self.inputs)

    def act(self, observation: Mapping[str, ArrayLike], deterministic: bool = True) -> Any:
        """node -> (B, d) or (d,), in physical units; returns {target: (B, d) or (d,)}, inside its declared limits.

        A frame (pandas, polars) with a column of each name is answered by one of the target's columns.
        Nodes that the policy does not
        see are ignored. Tensors are answered by tensors, through which gradients flow. With deterministic False the
        policy explores as it did in training. Raises UserError for missing nodes, wrong shapes and values that are not
        finite.
        """
        action, form = self._decided(observation, deterministic, True)
        return form.nodes(split(self.model.graph, self.target, action), self.model.graph)

    def infer(
        self, state: Mapping[str, ArrayLike], deterministic: bool = True, clip: bool = True
    ) -> NDArray[np.float64] | Any:
        """The action alone, as what was given: an array or a tensor (B, d) or (d,), or a frame of the target's columns.

        clip: keep it inside the declared limits. state, deterministic and errors: as of `act`.
        """
        action, form = self._decided(state, deterministic, clip)
        if form.kind == "frame":
            answer = form.nodes(split(self.model.graph, self.target, action), self.model.graph)
        else:
            answer = form.node(action)
        return answer if self.post_process is None else self.post_process(state, answer)

    def node_dist(self, state: Mapping[str, ArrayLike], node: str | None = None) -> MemberDistribution:
        """What the action is drawn from where the policy explores; of one of several nodes with `node`.

        A node sees what an earlier one was decided to be without exploration, so that it is drawn by itself. Raises
        UserError as `act` does, and for a node that is not decided.
        """
        model, name = self.model, node or self.target
        if name not in (self.target, *self.decided):
            remedy = suggestion(name, self.decided)
            raise UserError(Problem(f"this policy does not decide '{name}'", place="node", remedy=remedy))
        values, form = read(state, self.inputs, model.graph, lead=1)
        with torch.set_grad_enabled(form.with_gradients and torch.is_grad_enabled()):
            outputs = model.distribution(self._seen(values))
        layout = model.layout if name == self.target else model.codec.layout(name)
        if name != self.target:
            outputs = _part_of(outputs, places_of(model.graph, self.target)[name], layout.ordered)
        return MemberDistribution(outputs, layout, name, model.codec[name])

    def _decided(self, observation: Any, deterministic: bool, clip: bool) -> tuple[Tensor, Form]:
        """The action, (B, d), physical."""
        try:
            values, form = read(observation, self.inputs, self.model.graph, lead=1)
        except UserError as error:
            raise self._explained(error, observation) from None
        with torch.set_grad_enabled(form.with_gradients and torch.is_grad_enabled()):
            action = self.decide(values, None if deterministic else self._generator)
            return within(action, self.target, self.model.graph) if clip else action, form

    def decide(self, values: Tensors, generator: torch.Generator | None = None) -> Tensor:
        """node -> (B, d) to the action (B, d), both physical; not clipped. generator: explore with it."""
        action = self.model(self._seen(values), generator)[0]
        return self.model.codec[self.target].decode(action.double())

    def _seen(self, values: Tensors) -> Tensor:
        """node -> (B, d), physical, to (1, B, inputs) in model space."""
        codec, device = self.model.codec, self.model.low.device
        return torch.cat([codec[name].encode(values[name].to(device)) for name in self.inputs], dim=-1)[None]

    def _explained(self, error: UserError, observation: Any) -> UserError:
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

    def start(self, before: Any = None) -> Session:
        """A controller for one run of a plant (or N at once), which remembers what the policy needs of the past.

        It is called with what is seen in a step, node -> (N, d) or (d,), or a frame, and answers as `Session.act` does;
        the first call says how many plants there are. before: as of `session`.
        """
        return self.session(None, before)

    def session(self, plants: int | None = 1, before: Any = None) -> Session:
        """A controller of so many plants, which keeps histories and step counters, on arrays or frames.

        before: where the actuator stands, {target: (d,)}, or what else was before the first step; see `Session.reset`.
        """
        return Session(self.act, memory_of(self.model), self.model.graph, self.target, plants, before)

    @property
    def target_policy_name(self) -> str:
        """`decided`, as REVIVE names it: with commas between several nodes."""
        return ",".join(self.decided)

    def reset(self) -> None:
        """Begin the random draws of exploration anew. What a policy remembers is kept by `session` and `start`."""
        self._generator.manual_seed(0)

    def to(self, device: str | torch.device) -> Self:
        """The same policy, computed there."""
        self.model.to(device)
        self._generator = torch.Generator(device).manual_seed(0)
        return self

    def __repr__(self) -> str:
        return f"PolicySession({', '.join(self.decided)} <- {', '.join(self.inputs)})"


def _part_of(whole: Outputs, place: Sequence[int], ordered: int) -> Outputs:
    """Those of one node out of a joint decision; place: of its dimensions, the first of which are `ordered`."""
    first, rest = [*place[:ordered]], [at - whole.mean.shape[-1] for at in place[ordered:]]
    logits = None if whole.logits is None or not rest else whole.logits[..., rest]
    return Outputs(whole.mean[..., first], whole.log_std[..., first], logits)
