"""One step of a venv as an ONNX graph: all members in it, their mean as the answer, as `VenvSession.step` gives it.

Inputs are the leaves and the decisions, outputs every node that follows, (batch, columns) each, in physical units and
double precision; networks are computed in single precision. A history X of the graph goes in as `past_X`, its frames
before this step, oldest first, and comes out as `past_X_next`. Where the values of a state X are noisy readings,
`predicted_X` is what the step before said of it (`next_X`; X itself at the first step), and the state behind the
reading is estimated from both.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import torch

from revive.data.codec import NodeCodec as TorchCodec
from revive.graph.limits import limits
from revive.graph.nodes import Copy
from revive.nn.ensemble import LinearSkipNet
from revive.nn.family_heads import ZeroInflatedHead
from revive.runtime.codec import Array, NodeCodec
from revive.runtime.onnx_graph import OnnxGraph, columns_json
from revive.venv.node_model import NodeModel
from revive.venv.plan import ComputedStep, HistoryStep, LearnedStep, compile_plan
from revive.venv.virtual_env import VirtualEnv


class StepGraph(OnnxGraph):
    """The graph of one step. Values of the plan's slots are (members, batch, width), model space, single precision."""

    def __init__(self, venv: VirtualEnv) -> None:
        super().__init__()
        self.venv, self.graph, self.codec = venv, venv.graph, venv.codec
        self.decided = venv.graph.decisions
        self.plan = compile_plan(venv.graph, venv.codec, {}, self.decided, None, venv.observed)
        state = {name: value.cpu().numpy() for name, value in venv.codec.state_dict().items()}
        self.codecs = {name: self._numpy_codec(name, state) for name in venv.graph.nodes}
        used = {i for step in self.plan.steps if not isinstance(step, HistoryStep) for i in step.inputs}
        used |= {kept.source for kept in self.plan.histories}
        names = {slot: name for name, slot in self.plan.slots.items()}
        histories = {kept.slot for kept in self.plan.histories}
        wanted = (*venv.start_nodes, *venv.replayed_nodes, *self.decided)
        given = [n for n in dict.fromkeys(wanted) if self.plan.slots[n] not in histories]
        self.given = [n for n in given if self.plan.slots[n] in used or n in self.graph.states]
        self.histories = {names[kept.slot]: kept for kept in self.plan.histories}
        self.predicted = {name: f"predicted_{self.graph.state_of(name)}" for name in venv.observed}
        hidden = {*self.decided, *self.histories}
        self.outputs = [name for name in self.graph.order if name not in hidden]

    def _numpy_codec(self, name: str, state: dict[str, np.ndarray]) -> NodeCodec:
        owner = self.graph.source_of(name)
        prefix = f"nodes.{owner}."
        own = {k.removeprefix(prefix): v.astype(np.float64) for k, v in state.items() if k.startswith(prefix)}
        return NodeCodec(self.graph.columns(owner), own)

    def past_width(self, history: str) -> int:
        """Columns before the present step, physical."""
        spec = self.histories[history].spec
        return self.graph[history].width // spec.length * spec.lookback

    # -- the whole -----------------------------------------------------------------------------

    def finished(self) -> Any:
        """The model."""
        plan = self.plan
        slots: list[str] = [""] * plan.size
        for name in self.given:
            slots[plan.slots[name]] = self._member_wise(name, name, self.graph[name].width)
        for name, (behind, _) in plan.latents.items():
            slots[behind] = self._estimated(name, slots[plan.slots[self.graph.state_of(name)]])
        pasts = {
            kept.slot: self._member_wise(name, f"past_{name}", self.past_width(name))
            for name, kept in self.histories.items()
            if self.past_width(name)
        }
        for kept in plan.before:
            slots[kept.slot] = self.part(pasts[kept.slot], 0, kept.spec.length * kept.width)
        for step in plan.steps:
            if isinstance(step, HistoryStep):
                before = [pasts[step.slot]] if step.slot in pasts else []
                slots[step.slot] = (
                    self.joined([*before, slots[step.source]])
                    if step.spec.delay == 0
                    else self.part(pasts[step.slot], 0, step.spec.length * step.width)
                )
            elif isinstance(step, LearnedStep):
                slots[step.slot] = self._learned(step, slots)
                if step.latent is not None:
                    slots[step.latent] = slots[step.slot]
            else:
                slots[step.slot] = self._computed(step, slots)
        physical = {name: self._answer(name, slots[plan.slots[name]]) for name in self.outputs}
        return self.model("venv_step", self._inputs(), [*self._outputs(), *self._remembered(physical)])

    def _inputs(self) -> list[Any]:
        made = [self.value(name, self.graph.columns(name)) for name in self.given]
        made += [
            self.value(name, self.graph.columns(self.graph.state_of(t))) for t, name in self.predicted.items()
        ]
        widths = {f"past_{name}": self.past_width(name) for name in self.histories if self.past_width(name)}
        return made + [self.value(name, (), width) for name, width in widths.items()]

    def _outputs(self) -> list[Any]:
        return [self.value(name, self.graph.columns(name)) for name in self.outputs]

    def notes(self) -> dict[str, str]:
        """What stands in the file's metadata."""
        said = {name: columns_json(self.graph.columns(name)) for name in (*self.given, *self.outputs)}
        following = {self.graph.state_of(name): name for name in self.graph.transitions}
        told = {
            "revive.columns": said,
            "revive.inputs": [entry.name for entry in self._inputs()],
            "revive.next": following,
        }
        return {key: json.dumps(value) for key, value in told.items()}

    # -- in and out ----------------------------------------------------------------------------

    def _member_wise(self, node: str, x: str, width: int) -> str:
        """(batch, width) physical -> (members, batch, dimensions), the same for all members."""
        z = self.single(self.encoded(self.codecs[node], x, width))
        return self.op("Expand", z, self.const([self.venv.members, 1, 1], np.int64))

    def _answer(self, node: str, z: str) -> str:
        """The members' mean, physical, within declared limits."""
        mean = self.double(self.op("ReduceMean", z, self.const([0], np.int64), keepdims=0))
        codec, width = self.codecs[node], self.codec.width(node)
        frames = width // codec.layout.width
        one = codec.layout.width
        parts = [self.decoded(codec, self.part(mean, i * one, (i + 1) * one)) for i in range(frames)]
        if self.graph[node].history is not None:
            return self.joined(parts, out=node)
        return self.between(self.joined(parts), *limits(self.graph.columns(node)), out=node)

    def _remembered(self, physical: dict[str, str]) -> list[Any]:
        """Histories and the step counter as the next step sees them."""
        made = []
        for name in self.histories:
            kept, spec = self.past_width(name), self.histories[name].spec
            if not kept:
                continue
            source = physical.get(spec.source, spec.source)
            one = self.graph[spec.source].width
            both = self.joined([f"past_{name}", source])
            edges = [self.const([n], np.int64) for n in (one, kept + one, -1)]
            self.op("Slice", both, *edges, out=f"past_{name}_next")
            made.append(self.value(f"past_{name}_next", (), kept))
        step = self.graph.step
        if step in self.given:
            self.op("Add", step, self.const(1.0), out=f"{step}_next")
            made.append(self.value(f"{step}_next", self.graph.columns(step)))
        return made

    def _estimated(self, transition: str, reading: str) -> str:
        """The state behind a reading: what was predicted, corrected by the observer's gain."""
        name = self.predicted[transition]
        predicted = self._member_wise(transition, name, self.graph[transition].width)
        gain = self.const(_numpy(self.venv.observer(transition).gain), np.float32)
        return self.op("Add", predicted, self.op("Mul", self.op("Sub", reading, predicted), gain))

    # -- nodes ---------------------------------------------------------------------------------

    def _learned(self, step: LearnedStep, slots: list[str]) -> str:
        model, layout = self.venv.model(step.name), self.codec.layout(step.name)
        x = self.joined([slots[i] for i in step.inputs])
        if model.seen is not None:
            x = self.op("Mul", x, self.const(_numpy(model.seen), np.float32))
        net = model.net
        assert isinstance(net, LinearSkipNet)
        weights = [(_numpy(layer.weight), _numpy(layer.bias)) for layer in net.layers]  # type: ignore[arg-type]
        skip = (_numpy(net.skip.weight), _numpy(net.skip.bias))
        spec = self.venv.network(step.name)
        out = self.network(x, weights, skip, _numpy(net.last), spec.activation)
        ordered, choices = layout.ordered, layout.width - layout.ordered
        stds = ordered if spec.std == "conditioned" else 0
        parts = []
        if ordered:
            mean = self.op("Mul", self.part(out, 0, ordered), self.const(_numpy(model.scale), np.float32))
            if step.current is not None and spec.transition == "residual":
                mean = self.op("Add", self.part(slots[step.current], 0, ordered), mean)
            parts.append(self._likeliest(model, out, mean, ordered + stds + choices))
        if choices:
            parts.append(self.part(out, ordered + stds, ordered + stds + choices))
        value = self._hard(step.name, self.joined(parts))
        if step.project:
            value = self._projected(step.name, value)
        for copy in self.graph[step.name].copies:
            value = self._copied(step.name, value, copy, slots[self.plan.slots[copy.source]])
        return value

    def _likeliest(self, model: NodeModel, out: str, mean: str, at: int) -> str:
        """The ordered dimensions' value; of zero-inflated ones the atom, where out[at ...] says that they are stuck."""
        if not isinstance(model.head, ZeroInflatedHead):
            return mean
        continuous, ordered = model.layout.continuous, model.layout.ordered
        moves = self.op("Greater", self.part(out, at, at + continuous), self.const(0.0, np.float32))
        free = self.part(mean, 0, continuous)
        value = self.op("Where", moves, free, self.const(_numpy(model.head.atom), np.float32))
        return self.joined([value, self.part(mean, continuous, ordered)] if ordered > continuous else [value])

    def _hard(self, node: str, z: str) -> str:
        """Levels and choices hard, continuous dimensions as they are."""
        layout = self.codec.layout(node)
        if layout.is_plain:
            return z
        parts = [self.part(z, 0, layout.continuous)] if layout.continuous else []
        for i, levels in enumerate(layout.levels, layout.continuous):
            parts.append(self.level(self.part(z, i, i + 1), levels, np.float32))
        for start, stop in layout.blocks:
            largest = self.op("ArgMax", self.part(z, start, stop), axis=-1, keepdims=1)
            parts.append(self.single(self.one_hot(largest, stop - start)))
        return self.joined(parts)

    def _projected(self, node: str, z: str) -> str:
        """Ranges kept, circles of radius 1."""
        codec: TorchCodec = self.codec[node]
        frames = self.codec.width(node) // codec.width
        low, high = (np.tile(_numpy(edge), frames) for edge in (codec.low, codec.high))
        z = self.between(z, low, high, np.float32)
        width = self.codec.width(node)
        columns = [self.part(z, i, i + 1) for i in range(width)] if codec.circles else []
        scale, center = _numpy(codec.scale), _numpy(codec.center)
        for frame in range(frames if codec.circles else 0):
            for x, y in codec.circles:
                pair = [(i, frame * codec.width + i) for i in (x, y)]
                latent = [
                    self.op(
                        "Add",
                        self.op("Mul", self.double(columns[at]), self.const(scale[i])),
                        self.const(center[i]),
                    )
                    for i, at in pair
                ]
                squares = self.op("Add", *(self.op("Mul", value, value) for value in latent))
                radius = self.op("Max", self.op("Sqrt", squares), self.const(1e-6))
                for (i, at), value in zip(pair, latent, strict=True):
                    moved = self.op("Sub", self.op("Div", value, radius), self.const(center[i]))
                    columns[at] = self.single(self.op("Div", moved, self.const(scale[i])))
        return self.joined(columns) if columns else z

    def _copied(self, node: str, value: str, copy: Copy, source: str) -> str:
        """The value of a node with a column that is taken over from another one."""
        taken = [c.name for c in self.graph.columns(copy.source)].index(copy.source_column)
        put = [c.name for c in self.graph.columns(node)].index(copy.column)
        theirs, ours = self.codecs[copy.source], self.codecs[node]
        physical = self.part(self.decoded(theirs, self.double(source)), taken, taken + 1)
        place = ours.order.index(put)
        where = ours.slices[place]
        moved = self.op("Sub", self.latent(ours.parts[place], physical), self.const(ours.center[where]))
        moved = self.single(self.op("Div", moved, self.const(ours.scale[where])))
        edges = ((0, where.start), (where.stop, self.codec.width(node)))
        before, after = ([self.part(value, a, b)] if a < b else [] for a, b in edges)
        return self.joined([*before, moved, *after])

    def _computed(self, step: ComputedStep, slots: list[str]) -> str:
        """A built-in function."""
        name = {slot: node for node, slot in self.plan.slots.items()}[step.slot]
        node = self.graph[name]
        builtin = node.function.builtin if node.function else None
        parts = [slots[i] for i in step.inputs]
        if builtin == "push":
            at = next(i for i, source in enumerate(node.inputs) if self.graph[source].history is not None)
            one, whole = self.codec[node.inputs[1 - at]].width, self.codec.width(node.inputs[at])
            return self.joined([self.part(parts[at], one, whole), parts[1 - at]])
        if builtin == "newest":
            whole = self.codec.width(node.inputs[0])
            return self.part(parts[0], whole - self.codec[name].width, whole)
        decoded = [
            self.decoded(self.codecs[source], self.double(part))
            for source, part in zip(node.inputs, parts, strict=True)
        ]
        added = self.op("Add", decoded[0], decoded[1] if builtin == "add" else self.const(1.0))
        return self.single(self.encoded(self.codecs[name], added, node.width))


def _numpy(value: torch.Tensor) -> Array:
    return value.detach().cpu().double().numpy()
