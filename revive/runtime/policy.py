"""A policy that acts on numpy arrays in physical units, without torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from revive.bundles.opened import Bundle
from revive.data.memory import Memory
from revive.errors import Problem, Problems, UserError, nearest
from revive.graph.decision_graph import DecisionGraph
from revive.graph.joint import decided_by, split
from revive.graph.limits import limits
from revive.runtime.codec import Array, NodeCodec, below, codec_of
from revive.runtime.envelope import Envelope
from revive.runtime.frames import framed, is_frame, nodes_of
from revive.runtime.joint import JointNetwork, frames_of, likeliest
from revive.runtime.network import Bounds, Network
from revive.runtime.session import Session


def load_policy(path: str | Path, *, accept_failed_gate: bool = False) -> Policy:
    """A policy bundle, ready to act.

    accept_failed_gate: also load what did not pass its gate.

    Raises UserError where the folder holds no policy bundle, or one that was changed.
    """
    bundle = Bundle.open("policy", path)
    bundle.require_gate(accept_failed_gate)
    return policy_of(bundle)


def policy_of(bundle: Bundle) -> Policy:
    """The policy of an opened bundle. Raises UserError where it cannot act."""
    spec = bundle.spec
    policy = Policy(bundle.graph, bundle.target, spec["network"]["activation"], bundle.tensors())
    with np.errstate(all="ignore"):
        action = policy.decide(np.zeros((1, policy.width)))
    if not np.isfinite(action).all():
        raise UserError(Problem("this policy decides nothing finite", bundle.folder, remedy="train it again"))
    policy.repeat = spec.get("repeat", 1)
    if spec.get("envelope") is not None:
        try:
            policy.envelope = Envelope.from_json(spec["envelope"], policy)
        except ValueError as error:
            raise UserError(Problem(str(error), bundle.file, remedy="make the bundle again")) from None
    return policy


class Policy:
    """From what a policy sees to what it does.

    `inputs` are the nodes that it needs, `target` is the node that it decides, `decided` that one, or the nodes of
    which `target` is the joint decision; `width` the number of model-space inputs. `envelope` says what was logged of
    what it sees; None where the bundle does not know. A decision holds for `repeat` steps in sessions and in C; `act`
    decides whenever it is asked.
    """

    def __init__(
        self, graph: DecisionGraph, target: str, activation: str, tensors: Mapping[str, np.ndarray]
    ) -> None:
        self.graph, self.target, self.inputs = graph, target, graph[target].inputs
        self.decided = decided_by(graph, target)
        own = (target, *self.decided, *self.inputs)
        self.codecs = {name: codec_of(graph, name, tensors) for name in dict.fromkeys(own)}
        self.network = self._network(activation, tensors)
        self.bounds = Bounds(tensors["low"], tensors["high"])
        self.layout = self.codecs[target].layout
        self.width = sum(
            graph[n].width // len(c.columns) * c.layout.width for n in self.inputs for c in (self.codecs[n],)
        )
        self.least, self.most = limits(graph.columns(target))
        self.envelope: Envelope | None = None
        self.repeat = 1
        self._widths = tuple((name, graph[name].width) for name in self.inputs)
        codecs = [self.codecs[name] for name in self.inputs]
        self._affine = all(codec.is_affine for codec in codecs)
        if self._affine:  # one subtraction and one division for all inputs together
            frames = [width // len(self.codecs[name].columns) for name, width in self._widths]
            self._center = np.concatenate([np.tile(c.center, n) for c, n in zip(codecs, frames, strict=True)])
            self._scale = np.concatenate([np.tile(c.scale, n) for c, n in zip(codecs, frames, strict=True)])

    def _network(self, activation: str, tensors: Mapping[str, np.ndarray]) -> Network | JointNetwork:
        if len(self.decided) > 1:
            return JointNetwork.of(self.graph, self.target, activation, tensors, self.codecs)
        return Network(below("net.", tensors), activation, frames_of(self.graph, self.target, self.codecs))

    def act(self, observation: Any) -> Any:
        """node -> (B, d) or (d,), in physical units; returns the same of what is decided.

        A frame (pandas, polars) with a column of each name is answered by one of the decided columns.
        Nodes that the policy does not see are ignored. Raises UserError for missing nodes, wrong shapes and
        values that are not finite.
        """
        if type(observation) is not dict and is_frame(observation):
            nodes = nodes_of(observation, self.inputs, self.graph)
            return framed(observation, self.act(nodes), self.graph)
        try:
            parts = [np.asarray(observation[name], dtype=np.float64) for name, _ in self._widths]
        except (KeyError, TypeError, ValueError):
            raise self._refused(observation) from None
        single = parts[0].ndim == 1
        for (_, width), part in zip(self._widths, parts, strict=True):
            if part.ndim != 2 - single or part.shape[-1] != width:
                raise self._refused(observation)
        x = parts[0] if len(parts) == 1 else self._joined(parts, observation)
        if not np.isfinite(x).all():
            raise self._refused(observation)
        action = self.answer(x[None] if single else x)
        return split(self.graph, self.target, action[0] if single else action)

    def _joined(self, parts: list[Array], observation: Mapping[str, ArrayLike]) -> Array:
        try:
            return np.concatenate(parts, axis=-1)
        except ValueError:
            raise self._refused(observation) from None

    def answer(self, x: Array) -> Array:
        """(B, all columns of the inputs, side by side) -> (B, d), both physical; declared limits are hard."""
        action = self.codecs[self.target].decode(self.decide(self.encode(x)))
        return np.minimum(np.maximum(action, self.least), self.most)

    def encode(self, x: Array) -> Array:
        """(B, all columns of the inputs) physical -> (B, width) in model space."""
        if self._affine:
            return (x - self._center) / self._scale
        stops = np.cumsum([width for _, width in self._widths])[:-1]
        pairs = zip(self.inputs, np.split(x, stops, axis=-1), strict=True)
        return np.concatenate([self.codecs[name].encode(part) for name, part in pairs], axis=-1)

    def decide(self, z: Array) -> Array:
        """(B, width) -> the likeliest action inside its bounds, (B, dimensions), both in model space."""
        return likeliest(self.network(z), self.layout, self.bounds)

    def _refused(self, observation: Mapping[str, ArrayLike]) -> UserError:
        """Everything that is wrong with an observation."""
        problems, rows = Problems(), {}
        for name, width in self._widths:
            place = f"node '{name}'"
            if name not in observation:
                close = nearest(name, observation)
                remedy = f"did you mean it by '{close}'?" if close else f"needed: {', '.join(self.inputs)}"
                problems.add(f"{place} is missing", remedy=remedy)
                continue
            try:
                array = np.asarray(observation[name], dtype=np.float64)
            except (TypeError, ValueError):
                problems.add("holds values that are no numbers", place=place)
                continue
            if array.ndim not in (1, 2) or array.shape[-1] != width:
                problems.add(f"has shape {array.shape}, not (B, {width}) or ({width},)", place=place)
            elif not np.isfinite(array).all():
                problems.add("holds values that are not finite", place=place)
            rows[name] = array.shape[:-1]
        if not problems:
            shown = ", ".join(f"{name} {lead}" for name, lead in rows.items())
            problems.add(f"the nodes differ in their number of rows: {shown}")
        return UserError(*problems)

    def require_each_step(self, what: str) -> None:
        """Raises UserError where a decision holds for several steps; `what` cannot count them."""
        if self.repeat > 1:
            said = f"a decision of this policy holds for {self.repeat} steps, which {what} does not count"
            raise UserError(
                Problem(said, place=self.target, remedy="use policy.session(), or export it as C99")
            )

    @property
    def seen(self) -> tuple[str, ...]:
        """The nodes whose present values it has to be shown; histories of them, and the step counter, follow."""
        return self.session().seen

    def codecs_of(self, nodes: Sequence[str]) -> tuple[NodeCodec, ...]:
        """The codecs of a frame of each of the nodes, which are seen or decided."""
        owners = {self.graph.source_of(name): codec for name, codec in self.codecs.items()}
        return tuple(owners[self.graph.source_of(node)] for node in nodes)

    def memory(self) -> Memory:
        """What has to be remembered between calls of `act`, of any number of plants."""
        return Memory(self.graph, self.inputs, self.middle, self.repeat)

    def session(self, plants: int | None = 1, before: Any = None) -> Session:
        """A controller of so many plants, which keeps histories and step counters by itself.

        before: where the actuator stands, {target: (d,)}, or what else was before the first step; see `Session.reset`.
        """
        return Session(self.act, self.memory(), self.graph, self.target, plants, before)

    def middle(self, node: str) -> Array:
        """The middle of the logged values, (d,), physical."""
        (codec,) = self.codecs_of([node])
        return codec.decode(np.zeros((1, codec.layout.width)))[0]

    def __repr__(self) -> str:
        return f"Policy({', '.join(self.decided)} <- {', '.join(self.inputs)})"
