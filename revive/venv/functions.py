"""Functions of the user in the graph: loaded from files beside the description, called in physical units."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from revive.errors import Problem, Problems, UserError
from revive.graph.decision_graph import DecisionGraph
from revive.graph.nodes import CodeRef
from revive.user_code import load_module, raised_in, require_function
from revive.venv.custom import MakeNetwork, load_networks


class ExpertFunction:
    """A function node's code: dict of its inputs (N, d) to the node (N, width), numpy or torch."""

    def __init__(self, function: Callable[..., Any], path: Path, reference: CodeRef, width: int) -> None:
        self.function, self.path, self.name, self.width = function, path, reference.name, width
        self.uses_torch = reference.library == "torch"

    def __call__(
        self, inputs: Mapping[str, Tensor], parameters: Mapping[str, Tensor] | None = None
    ) -> Tensor:
        """inputs: node -> (..., d) -> (..., width). A numpy function passes on no gradient.

        parameters: name -> (..., 1), a second argument of torch functions that have parameters.

        Raises UserError where the function fails, or returns the wrong shape or values that are not finite.
        """
        lead = next(iter(inputs.values())).shape[:-1]
        flat = {name: value.reshape(-1, value.shape[-1]) for name, value in inputs.items()}
        rows = next(iter(flat.values())).shape[0]
        try:
            if self.uses_torch:
                more = [] if parameters is None else [{k: v.reshape(-1, 1) for k, v in parameters.items()}]
                out = self.function(dict(flat), *more)
            else:
                out = self.function({k: v.detach().cpu().numpy().astype(np.float64) for k, v in flat.items()})
        except (Exception, SystemExit) as error:
            raise UserError(raised_in(self.path, error)) from error
        if not isinstance(out, Tensor):
            try:
                out = torch.as_tensor(np.asarray(out, dtype=np.float64))
            except (TypeError, ValueError) as error:
                what = f"{self.name} returned a {type(out).__name__} that holds no numbers"
                raise UserError(Problem(what, self.path, remedy=f"return ({rows}, {self.width})")) from error
        out = out.to(next(iter(inputs.values())).dtype)
        if tuple(out.shape) not in {(rows, self.width), (rows,)}:
            what = f"{self.name} returned shape {tuple(out.shape)} for {rows} rows"
            raise UserError(Problem(what, self.path, remedy=f"return ({rows}, {self.width})"))
        out = out.reshape(rows, self.width)
        if not bool(torch.isfinite(out).all()):
            row = int((~torch.isfinite(out)).any(1).nonzero()[0])
            raise UserError(
                Problem(f"{self.name} returned a value that is not finite", self.path, f"row {row}")
            )
        return out.reshape(*lead, self.width)


@dataclass(frozen=True)
class UserCode:
    """What a graph needs of the user: functions of function nodes, network classes of custom nodes, principles.

    principles: functions of learned nodes, to which their networks add.
    """

    functions: Mapping[str, ExpertFunction] = field(default_factory=dict)
    networks: Mapping[str, tuple[MakeNetwork, Path]] = field(default_factory=dict)
    principles: Mapping[str, ExpertFunction] = field(default_factory=dict)

    @classmethod
    def load(cls, graph: DecisionGraph, folder: Path, sources: Mapping[str, bytes] | None = None) -> UserCode:
        """Run the files beside the description. Raises UserError with all problems of all of them.

        sources: file -> what to run in place of what `folder` holds.
        """
        problems = Problems()
        loaded: list[Any] = []
        for load in (load_functions, load_networks, load_principles):
            try:
                loaded.append(load(graph, folder, sources or {}))
            except UserError as error:
                problems.extend(error.problems)
        problems.raise_if_any()
        return cls(*loaded)

    @property
    def files(self) -> tuple[Path, ...]:
        """Where it came from."""
        paths = [function.path for function in (*self.functions.values(), *self.principles.values())]
        return tuple(dict.fromkeys([*paths, *(path for _, path in self.networks.values())]))


def load_functions(
    graph: DecisionGraph, folder: Path, sources: Mapping[str, bytes] | None = None
) -> dict[str, ExpertFunction]:
    """Function node -> its code, from the files beside the description in `folder`; see `UserCode.load`.

    Raises UserError with all problems of all files.
    """
    specs = {name: graph[name].function for name in graph.functions}
    return _loaded(graph, {n: spec.code for n, spec in specs.items() if spec and spec.code}, folder, sources)


def load_principles(
    graph: DecisionGraph, folder: Path, sources: Mapping[str, bytes] | None = None
) -> dict[str, ExpertFunction]:
    """Learned node -> the function to which its network adds; as `load_functions`."""
    said = {name: graph[name].principles for name in graph.learned}
    return _loaded(graph, {name: own.code for name, own in said.items() if own}, folder, sources)


def _loaded(
    graph: DecisionGraph, wanted: Mapping[str, CodeRef], folder: Path, sources: Mapping[str, bytes] | None
) -> dict[str, ExpertFunction]:
    problems, found = Problems(), {}
    for name, code in wanted.items():
        path = folder / code.file
        try:
            module = load_module(path, (sources or {}).get(code.file))
            require_function(module, code.name, path)
        except UserError as error:
            problems.extend(error.problems)
            continue
        found[name] = ExpertFunction(getattr(module, code.name), path, code, graph[name].width)
    problems.raise_if_any()
    return found


def check_batches(
    functions: Mapping[str, ExpertFunction], graph: DecisionGraph, data: Mapping[str, Tensor]
) -> None:
    """Every function gives a row the same value alone as among others, and no other number of rows.

    data: node -> (N, d), physical. Raises UserError with all problems.
    """
    problems = Problems()
    for name, function in functions.items():
        inputs = {i: data[i] for i in graph[name].inputs if i in data}
        if len(inputs) != len(graph[name].inputs):
            continue
        try:
            together = function(inputs)
            some = torch.linspace(0, len(together) - 1, min(8, len(together))).long()
            alone = torch.cat([function({k: v[i : i + 1] for k, v in inputs.items()}) for i in some.tolist()])
        except UserError as error:
            problems.extend(error.problems)
            continue
        if not torch.allclose(together[some], alone, rtol=1e-4, atol=1e-5):
            what = f"{function.name} gives a row another value when other rows stand beside it"
            problems.add(what, file=function.path, remedy="compute every row from itself alone")
    problems.raise_if_any()
