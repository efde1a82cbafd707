"""Networks of the user in place of ours: `custom_nodes: {node: file.Class}`.

The class is a `torch.nn.Module` made by `Class(inputs, outputs)` whose `forward` takes (B, inputs) to (B, outputs), in
model space. Its parameters get a member axis in front, and all members are run as one batched operation. A class that
derives from REVIVE's `NetworkDecisionNode` is wrapped so that it is one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from revive.computation.graph import NetworkDecisionNode
from revive.computation.modules import Parameters
from revive.data.layout import Layout
from revive.errors import Problem, Problems, UserError
from revive.graph.decision_graph import DecisionGraph
from revive.user_code import load_module, raised_in, require_function

MakeNetwork = Callable[[int, int], nn.Module]
"""(inputs, outputs), dimensions in model space, to a module."""
FEATURES, LAYERS = 64, 2  # that a node of REVIVE's kind is told; there is one network for every member


class CustomNet(nn.Module):
    """M copies of a user's network: x (M, B, inputs) -> (M, B, outputs)."""

    def __init__(self, members: int, inputs: int, outputs: int, make: MakeNetwork, path: Path) -> None:
        super().__init__()
        self.path = path
        try:
            copies = [make(inputs, outputs) for _ in range(members)]
        except (Exception, SystemExit) as error:
            raise UserError(raised_in(path, error)) from error
        stacked, buffers = stack_module_state(copies)
        if buffers:
            names = ", ".join(buffers)
            name = getattr(make, "__name__", "the custom node")
            what = f"{name} has buffers ({names}); only parameters can be learned"
            raise UserError(Problem(what, path, remedy="leave out batch norm; constants may be attributes"))
        self._names = [name.replace(".", "__") for name in stacked]
        self._keys = list(stacked)
        for name, value in zip(self._names, stacked.values(), strict=True):
            self.register_parameter(name, nn.Parameter(value.detach().clone()))
        self._template: list[nn.Module] = [copies[0].to("meta")]  # in a list: no part of this module
        self._check(members, inputs, outputs)

    def _check(self, members: int, inputs: int, outputs: int) -> None:
        with torch.enable_grad():
            try:
                out = self(torch.zeros(members, 3, inputs))
            except (Exception, SystemExit) as error:
                raise UserError(raised_in(self.path, error)) from error
        if tuple(out.shape) != (members, 3, outputs):
            what = f"forward turned (3, {inputs}) into {tuple(out.shape[1:])}, not into (3, {outputs})"
            raise UserError(Problem(what, self.path, remedy=f"return {outputs} columns, a row for each row"))
        if self._names and not out.requires_grad:
            what = "forward passes on no gradient to the parameters, so nothing can be learned"
            raise UserError(Problem(what, self.path, remedy="leave out detach and torch.no_grad"))

    def forward(self, x: Tensor) -> Tensor:
        parameters = {key: getattr(self, name) for key, name in zip(self._keys, self._names, strict=True)}

        def one(own: dict[str, Tensor], rows: Tensor) -> Any:
            return functional_call(self._template[0], own, (rows,))

        return vmap(one)(parameters, x)

    def linear_parameters(self) -> list[nn.Parameter]:
        """None that weight decay must leave alone."""
        return []

    def residual_parameters(self) -> list[nn.Parameter]:
        return list(self.parameters())


class _Wrapped(nn.Module):
    """A node of REVIVE's kind as a module: x (B, inputs) -> (B, outputs)."""

    def __init__(
        self, made: type[NetworkDecisionNode], graph: DecisionGraph, name: str, inputs: int, outputs: int
    ) -> None:
        super().__init__()
        self._names = graph[name].inputs
        self._widths = [Layout.of(graph.columns(source)).width for source in self._names]
        described = [{c.name: {"type": c.type} for c in graph.columns(source)} for source in self._names]
        self._node = made(name, list(self._names), described)
        width = Layout.of(graph.columns(name)).width
        self._node.initialize_network(
            input_dim=inputs,
            output_dim=outputs,
            hidden_features=FEATURES,
            hidden_layers=LAYERS,
            hidden_activation="leakyrelu",
            norm=None,
            backbone_type="mlp",
            dist_config=[{"type": "normal", "dim": outputs, "output_dim": width}],
            is_transition=name in graph.transitions,
            transition_mode="global",
            obs_dim=None,
        )
        network = self._node.get_network()
        if not isinstance(network, nn.Module):
            raise TypeError("initialize_network leaves no torch.nn.Module in self.network")
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        data = dict(zip(self._names, x.split(self._widths, dim=-1), strict=True))
        out = self._node(data)
        return out.values if isinstance(out, Parameters) else out


def load_networks(
    graph: DecisionGraph, folder: Path, sources: Mapping[str, bytes] | None = None
) -> dict[str, tuple[MakeNetwork, Path]]:
    """Custom node -> what makes its network, and its file; see `UserCode.load`.

    Raises UserError with all problems of all files.
    """
    problems = Problems()
    found: dict[str, tuple[MakeNetwork, Path]] = {}
    for name in graph.learned:
        reference = graph[name].custom
        if reference is None:
            continue
        path = folder / reference.file
        try:
            module = load_module(path, (sources or {}).get(reference.file))
            require_function(module, reference.name, path)
        except UserError as error:
            problems.extend(error.problems)
            continue
        made = getattr(module, reference.name)
        if isinstance(made, type) and issubclass(made, nn.Module):
            found[name] = (made, path)
        elif isinstance(made, type) and issubclass(made, NetworkDecisionNode):
            found[name] = (partial(_Wrapped, made, graph, name), path)
        else:
            remedy = "derive it from torch.nn.Module, or from revive.computation.graph.NetworkDecisionNode"
            problems.add(f"{reference.name} is no network", file=path, remedy=remedy)
    problems.raise_if_any()
    return found
