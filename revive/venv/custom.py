"""Networks of the user in place of ours: `custom_nodes: {node: file.Class}`.

The class is a `torch.nn.Module` made by `Class(inputs, outputs)` whose `forward` takes (B, inputs) to (B, outputs), in
model space. Its parameters get a member axis in front, and all members are run as one batched operation.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from revive.errors import Problem, Problems, UserError
from revive.graph.decision_graph import DecisionGraph
from revive.user_code import load_module, raised_in, require_function


class CustomNet(nn.Module):
    """M copies of a user's network: x (M, B, inputs) -> (M, B, outputs)."""

    def __init__(self, members: int, inputs: int, outputs: int, make: type[nn.Module], path: Path) -> None:
        super().__init__()
        self.path = path
        try:
            copies = [make(inputs, outputs) for _ in range(members)]
        except Exception as error:
            raise UserError(raised_in(path, error)) from error
        stacked, buffers = stack_module_state(copies)
        if buffers:
            names = ", ".join(buffers)
            raise UserError(
                Problem(f"{make.__name__} has buffers ({names}); only parameters can be learned", path)
            )
        self._names = [name.replace(".", "__") for name in stacked]
        self._keys = list(stacked)
        for name, value in zip(self._names, stacked.values(), strict=True):
            self.register_parameter(name, nn.Parameter(value.detach().clone()))
        self._template: list[nn.Module] = [copies[0].to("meta")]  # in a list: no part of this module
        self._check(members, inputs, outputs)

    def _check(self, members: int, inputs: int, outputs: int) -> None:
        with torch.no_grad():
            try:
                out = self(torch.zeros(members, 3, inputs))
            except Exception as error:
                raise UserError(raised_in(self.path, error)) from error
        if tuple(out.shape) != (members, 3, outputs):
            what = f"forward turned (3, {inputs}) into {tuple(out.shape[1:])}, not into (3, {outputs})"
            raise UserError(Problem(what, self.path))

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


def load_networks(
    graph: DecisionGraph, folder: Path, sources: Mapping[str, bytes] | None = None
) -> dict[str, tuple[type[nn.Module], Path]]:
    """Custom node -> its class and file; see `UserCode.load`. Raises UserError with all problems of all files."""
    problems, found = Problems(), {}
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
        if not (isinstance(made, type) and issubclass(made, nn.Module)):
            problems.add(f"{reference.name} is no torch.nn.Module", file=path)
        else:
            found[name] = (made, path)
    problems.raise_if_any()
    return found
