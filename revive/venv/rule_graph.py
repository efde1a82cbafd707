"""What a rule file sees of a venv: the nodes, and what each of them says about any inputs.

Rows are those of all members, one below the other: row `m * B + b` is answered by member m.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from revive.data.layout import Layout
from revive.errors import suggestion
from revive.graph.decision_graph import NodeKind
from revive.nn import heads
from revive.nn.heads import Outputs
from revive.venv.node_model import NodeModel
from revive.venv.plan import computation
from revive.venv.virtual_env import VirtualEnv

SMOOTHING = (
    0.03  # of the spread of what a model predicts; small, or a slope grows until noise cannot hide its sign
)


class _Value(Tensor):
    """A tensor whose deep copies keep their gradient: rule files copy their data before they change it."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        return self.clone()


@dataclass(frozen=True)
class RuleNode:
    """A node as rule files ask for it: `node_type` is network, function or leaf."""

    name: str
    node_type: str


class RuleDistribution:
    """What a model says about a node, (..., N, width) in model space."""

    def __init__(self, outputs: Outputs, layout: Layout) -> None:
        self.outputs, self.layout = outputs, layout

    @property
    def mode(self) -> Tensor:
        """The likeliest value."""
        return heads.mode(self.outputs, self.layout)

    @property
    def mean(self) -> Tensor:
        """Of category columns the probabilities."""
        return self._joined(self.outputs.mean, self._shares())

    @property
    def std(self) -> Tensor:
        """Of category columns that of 0 and 1."""
        shares = self._shares()
        spread = None if shares is None else (shares * (1.0 - shares)).sqrt()
        return self._joined(self.outputs.log_std.exp().expand_as(self.outputs.mean), spread)

    def log_prob(self, value: Tensor) -> Tensor:
        """(..., N, width) -> (..., N, 1)."""
        return -heads.terms(self.outputs, self.layout, value).sum(-1, keepdim=True)

    def rsample(self) -> Tensor:
        """A sample, with a gradient."""
        shape = (*self.outputs.mean.shape[:-1], self.layout.width)
        return heads.sample(self.outputs, self.layout, torch.randn(shape, device=self.outputs.mean.device))

    def sample(self) -> Tensor:
        """A sample, without a gradient."""
        return self.rsample().detach()

    def _shares(self) -> Tensor | None:
        logits = self.outputs.logits
        if logits is None:
            return None
        blocks = logits.split(list(self.layout.choices), dim=-1)
        return torch.cat([block.softmax(-1) for block in blocks], dim=-1)

    def _joined(self, ordered: Tensor, rest: Tensor | None) -> Tensor:
        return ordered if rest is None else torch.cat([ordered, rest], dim=-1)


@dataclass(frozen=True)
class Tap:
    """An output of a model that was moved by `size * noise`; all (..., N, d)."""

    output: Tensor
    noise: Tensor
    size: Tensor

    def ascent(self, gain: Tensor) -> Tensor:
        """gain (N,) -> a value per row whose gradient is `gain * noise / size` in the output: (N,)."""
        push = (gain.unsqueeze(-1) * self.noise / self.size).detach()
        return (push * self.output).sum(-1).reshape(-1, len(gain)).sum(0)


class RuleGraph:
    """The graph that a rule file is given.

    Args:
        venv: whose nodes answer.
        fitted: learned nodes that the rule may change; gradients reach their models alone.
        smooth: draws the noise that moves their outputs; None leaves them as they are.
        sign: of that noise.
    """

    def __init__(
        self,
        venv: VirtualEnv,
        fitted: Collection[str],
        smooth: torch.Generator | None = None,
        sign: float = 1.0,
    ) -> None:
        self._venv, self._fitted, self._smooth, self._sign = venv, fitted, smooth, sign
        self.taps: list[Tap] = []
        self.answers: list[Tensor] = []

    def get_node(self, name: str) -> RuleNode:
        """Raises LookupError for an unknown node."""
        node = self._node(name)
        kind = "leaf" if node.is_leaf else "network" if node.is_learned else "function"
        return RuleNode(name, kind)

    def compute_node(self, name: str, data: Mapping[str, Tensor]) -> Any:
        """A network node's distribution given its inputs in `data`, (..., N, d) each; any other node's value."""
        node = self._node(name)
        if node.is_leaf or (node.kind is NodeKind.HISTORY and node.history):
            return data[name]
        venv = self._venv
        if not node.is_learned:
            inputs = [data[source] for source in node.inputs]
            return computation(venv.graph, venv.codec, name, venv.code.functions)(*inputs)
        model, current = venv.model(name), venv.current_name(name)
        x = torch.cat([torch.as_tensor(data[source]) for source in node.inputs], dim=-1)
        now = None if current is None else self._by_member(data[current])
        outputs = self._rows(model(self._by_member(x), now), x.shape[:-1])
        if name not in self._fitted:
            outputs = outputs.mapped(Tensor.detach)
        elif self._smooth is not None:
            outputs = self._moved(outputs, model)
        self.answers += [part for part in (outputs.mean, outputs.logits) if part is not None]
        return RuleDistribution(outputs, model.layout)

    def step(self, batch: Mapping[str, Tensor], recorded: Collection[str]) -> dict[str, Tensor]:
        """The nodes of one time step, (N, d) each: leaves and `recorded` nodes as they are in `batch` (M, B, d),
        all others as the venv computes them from those."""
        flat = {name: value.flatten(0, 1) for name, value in batch.items()}
        for name in self._venv.graph.order:
            if name in recorded or self._venv.graph[name].kind is NodeKind.HISTORY:
                continue
            said = self.compute_node(name, flat)
            flat[name] = said.mode if isinstance(said, RuleDistribution) else said
        copied = self._smooth is not None or not torch.is_grad_enabled()
        return {k: v.detach().clone() if copied else v.clone().as_subclass(_Value) for k, v in flat.items()}

    def _node(self, name: str) -> Any:
        graph = self._venv.graph
        if name not in graph:
            raise LookupError(f"there is no node '{name}' ({suggestion(name, graph.nodes)})")
        return graph[name]

    def _by_member(self, value: Tensor) -> Tensor:
        """(..., N, d) -> (M, ... * B, d)."""
        plain, members = torch.as_tensor(value).as_subclass(Tensor).to(torch.float32), self._venv.members
        if plain.shape[-2] % members:
            raise ValueError(f"the rows of the data became {plain.shape[-2]}; keep their number")
        stacked = plain.reshape(-1, members, plain.shape[-2] // members, plain.shape[-1])
        return stacked.transpose(0, 1).flatten(1, 2)

    def _rows(self, out: Outputs, lead: torch.Size) -> Outputs:
        """The inverse of `_by_member`, for what a model says."""

        def rows(part: Tensor) -> Tensor:
            outer = lead[:-1].numel() if len(lead) > 1 else 1
            cut = part.reshape(part.shape[0], outer, -1, part.shape[-1]).transpose(0, 1)
            return cut.reshape(*lead, part.shape[-1])

        return out._replace(log_std=out.log_std.expand_as(out.mean)).mapped(rows)

    def _moved(self, out: Outputs, model: NodeModel) -> Outputs:
        mean = self._tapped(out.mean, SMOOTHING * model.scale)
        logits = (
            None if out.logits is None else self._tapped(out.logits, torch.ones_like(out.logits[0, 0, 0]))
        )  # a softmax bends over about 1
        return out._replace(mean=mean, log_std=out.log_std.detach(), logits=logits)

    def _tapped(self, output: Tensor, size: Tensor) -> Tensor:
        noise = self._sign * torch.randn(output.shape, generator=self._smooth, device=output.device)
        self.taps.append(Tap(output, noise, size))
        return (output + size * noise).detach()
