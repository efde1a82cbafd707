"""What is known of a node: a function of the user whose free parameters are fitted, and to which a network only adds.

`x' = f(parents, theta) + s r(parents)`, f in physical units, r the node's network in units of the change. r could say
all that f says, and theta would be anything. So r is held small, `w mean r^2` beside the likelihood: of all pairs that
fit the logs alike, the one is learned in which f says most (Yin et al. 2021, Augmenting physical models with deep
networks, arXiv:2010.04456). Training starts from the least squares of f; after each round of one-step updates theta is
fitted again to what r leaves. A parameter lies between its bounds by `theta = low + (high - low) sigmoid(free)`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from revive.data.codec import Codec, NodeCodec
from revive.errors import Problem, Problems, UserError
from revive.graph.decision_graph import DecisionGraph
from revive.graph.nodes import FirstPrinciples
from revive.venv.functions import ExpertFunction, UserCode

WEIGHT = 0.02  # w, where the likelihood is in nats
EDGE = 1e-3  # of the range between its bounds that a parameter starts away from them
ITERATIONS, STEP = 20, 1e-2  # of least squares; of its differences, in `free`
Said = Callable[[Tensor], Tensor]  # free (M, P) -> (M, N, d)


class Principles(nn.Module):
    """The function of one node, with parameters of each member's own.

    inputs: of every parent its name, codec and dimensions. codec: of the node.
    """

    low: Tensor
    high: Tensor

    def __init__(
        self,
        members: int,
        said: FirstPrinciples,
        function: ExpertFunction,
        inputs: Sequence[tuple[str, NodeCodec, int]],
        codec: NodeCodec,
    ) -> None:
        super().__init__()
        self.said, self.function = said, function
        self._inputs, self._codec = list(inputs), [codec]  # in lists: no parts of this module
        low, high, start = (
            torch.tensor([getattr(p, key) for p in said.parameters], dtype=torch.float64)
            for key in ("min", "max", "start")
        )
        self.register_buffer("low", low, persistent=False)
        self.register_buffer("high", high, persistent=False)
        share = ((start - low) / (high - low)).clamp(EDGE, 1.0 - EDGE)
        self.free = nn.Parameter(torch.logit(share).float().expand(members, -1).clone())

    @property
    def adds(self) -> bool:
        """Whether a network adds anything."""
        return self.said.residual is None or bool(self.said.residual)

    def values(self, free: Tensor | None = None) -> Tensor:
        """The parameters of every member, in the user's units: (M, P)."""
        share = torch.sigmoid((self.free if free is None else free).double())
        return self.low + (self.high - self.low) * share

    def forward(self, x: Tensor, free: Tensor | None = None) -> Tensor:
        """The parents (M, B, inputs) in model space -> the node, (M, B, width), in model space.

        Raises UserError as `ExpertFunction` does.
        """
        data, start = {}, 0
        for name, codec, width in self._inputs:
            data[name] = codec.decode(x[..., start : start + width].double())
            start += width
        by_row = self.values(free).unsqueeze(1).expand(-1, x.shape[1], -1)  # (M, B, P)
        parameters = {p.name: by_row[..., i : i + 1] for i, p in enumerate(self.said.parameters)}
        return self._codec[0].encode(self.function(data, parameters or None))

    @torch.no_grad()
    def fit(self, x: Tensor, target: Tensor, weight: Tensor) -> None:
        """Least squares of the parameters, member by member: x (M, N, inputs), target and weight (M, N, d).

        Levenberg and Marquardt's method (Marquardt 1963, J. SIAM 11), from where the parameters are.
        """
        if not self.said.parameters:
            return
        width = target.shape[-1]

        def missed(free: Tensor) -> Tensor:
            return ((target - self(x, free)[..., :width]) * weight.sqrt()).flatten(1).double()

        free, damping = (
            self.free.double(),
            torch.full((len(x), 1), 1e-3, dtype=torch.float64, device=x.device),
        )
        wrong = missed(free)
        for _ in range(ITERATIONS):
            slopes = self._slopes(missed, free)  # (M, N d, P)
            gram = slopes.mT @ slopes
            diagonal = gram.diagonal(dim1=-2, dim2=-1)
            damped = gram + torch.diag_embed(
                damping * diagonal + 1e-9 * diagonal.amax(-1, keepdim=True) + 1e-30
            )
            step = torch.linalg.solve(damped, -(slopes.mT @ wrong.unsqueeze(-1))).squeeze(-1)
            tried = (free + step.clamp(-2.0, 2.0)).clamp(-7.0, 7.0)
            after = missed(tried)
            better = (after.square().sum(1) < wrong.square().sum(1)).unsqueeze(-1)
            free, wrong = torch.where(better, tried, free), torch.where(better, after, wrong)
            damping = torch.where(better, 0.3 * damping, 10.0 * damping).clamp(1e-9, 1e9)
        self.free.copy_(free)

    def _slopes(self, missed: Said, free: Tensor) -> Tensor:
        columns = []
        for number in range(free.shape[1]):
            step = torch.zeros_like(free)
            step[:, number] = STEP
            columns.append((missed(free + step) - missed(free - step)) / (2.0 * STEP))
        return torch.stack(columns, dim=-1)


def principles_of(
    graph: DecisionGraph, codec: Codec, code: UserCode, node: str, members: int
) -> Principles | None:
    """What is known of a node; None where nothing is."""
    said = graph[node].principles
    if said is None:
        return None
    inputs = [(name, codec[name], codec.width(name)) for name in graph[node].inputs]
    return Principles(members, said, code.principles[node], inputs, codec[node])


def fitted_parameters(models: Any) -> dict[str, dict[str, dict[str, Any]]]:
    """Node -> parameter -> what its members learned, in the user's units, of a venv.

    value: the mean; low, high: of the members; halves: the means of those of either half; start, min, max, units as
    declared; at_bound: whether some member's value is next to one of its bounds.
    """
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for node in models.graph.learned:
        principles = models.model(node).principles
        if principles is None:
            continue
        values = principles.values().detach()
        halves = values.view(models.halves, -1, values.shape[1]).mean(1)
        edge = 0.01 * (principles.high - principles.low)
        near = ((values - principles.low < edge) | (principles.high - values < edge)).any(0)
        found[node] = {
            p.name: {
                "value": float(values[:, i].mean()),
                "low": float(values[:, i].min()),
                "high": float(values[:, i].max()),
                "halves": halves[:, i].tolist(),
                "start": p.start,
                "min": p.min,
                "max": p.max,
                "units": p.units,
                "at_bound": bool(near[i]),
            }
            for i, p in enumerate(principles.said.parameters)
        }
    return {node: own for node, own in found.items() if own}


def try_principles(code: UserCode, graph: DecisionGraph, data: dict[str, Tensor]) -> None:
    """Run every function on rows of the logs: shapes, rows by themselves, and gradients of the parameters.

    data: node -> (N, d), physical. Raises UserError with what is wrong with each of them.
    """
    problems = Problems()
    for name, function in code.principles.items():
        said = graph[name].principles
        inputs = {i: data[i] for i in graph[name].inputs if i in data}
        if said is None or len(inputs) < len(graph[name].inputs):
            continue
        rows = len(next(iter(inputs.values())))
        start = {
            p.name: torch.full((rows, 1), p.start, dtype=torch.float64, requires_grad=True)
            for p in said.parameters
        }
        try:
            out = function(inputs, start or None)
            some = torch.linspace(0, rows - 1, min(8, rows)).long().tolist()
            alone = [function({k: v[i : i + 1] for k, v in inputs.items()}, _row(start, i)) for i in some]
        except UserError as error:
            problems.extend(error.problems)
            continue
        if not torch.allclose(out[some], torch.cat(alone), rtol=1e-4, atol=1e-5):
            what = f"{function.name} gives a row another value when other rows stand beside it"
            problems.add(what, file=function.path, remedy="compute every row from itself alone")
        problems.extend(_without_gradient(function, out, start))
    problems.raise_if_any()


def _row(start: dict[str, Tensor], row: int) -> dict[str, Tensor] | None:
    return {name: value[row : row + 1] for name, value in start.items()} or None


def _without_gradient(function: ExpertFunction, out: Tensor, start: dict[str, Tensor]) -> list[Problem]:
    """The parameters that a function passes no gradient on to."""
    remedy = "compute it with torch functions, without detach, item or numpy"
    if not start:
        return []
    if not out.requires_grad:
        what = f"{function.name} passes on no gradient to its parameters, so they cannot be fitted"
        return [Problem(what, function.path, remedy=remedy)]
    slopes = torch.autograd.grad(out.sum(), list(start.values()), allow_unused=True)
    idle = [name for name, slope in zip(start, slopes, strict=True) if slope is None]
    if not idle:
        return []
    what = f"{function.name} passes on no gradient to {', '.join(repr(name) for name in idle)}"
    return [Problem(what, function.path, remedy=f"{remedy}; or take the parameter out of the description")]
