"""Rollouts from an initial state that the user gives, and with exogenous values per step."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from revive.errors import Problem, Problems, UserError, suggestion
from revive.graph.decision_graph import DecisionGraph, NodeKind
from revive.tuning.scene import Scene, draw_noise
from revive.venv.virtual_env import VirtualEnv

Array = NDArray[np.float64]
OPTIONAL = (NodeKind.STEP, NodeKind.TRAJECTORY, NodeKind.TERMINATION)  # counted and ended by the rollout


@dataclass(frozen=True)
class InitialState:
    """state: start node -> (B, d). exogenous: node -> (T, d), or (1, d) where it is constant. Physical units.

    histories: history -> its frames, (B, length * d), oldest first, as the node has them in the first step.
    """

    state: dict[str, Array]
    exogenous: dict[str, Array]
    histories: dict[str, Array]

    @property
    def branches(self) -> int:
        return max((len(value) for value in (*self.state.values(), *self.histories.values())), default=1)

    @property
    def horizon(self) -> int | None:
        """The number of steps that exogenous values are given for; None where none are given per step."""
        return max((len(value) for value in self.exogenous.values() if len(value) > 1), default=None)

    @classmethod
    def of(cls, graph: DecisionGraph, given: Path | Mapping[str, Any]) -> InitialState:
        """From an npz file, or a mapping: node -> (d,) or (B, d); of an exogenous node (d,) or (T, d).

        Histories `ts_X` may be given, (k * d,) or (B, k * d); without them `X` has been what it is before. The newest
        frame of what the step itself decides is not read.

        Raises:
            UserError: with all that is wrong: nodes that are missing, unknown or tuned, wrong shapes or values.
        """
        file = given if isinstance(given, Path) else None
        arrays = _read(given) if isinstance(given, Path) else dict(given)
        problems = Problems()
        starts = [*graph.states, *([graph.step] if graph.step else [])]
        exogenous = [name for name in graph.leaves if _is_replayed(graph, name)]
        known = (*starts, *exogenous, *graph.histories)
        for name in (*starts, *exogenous):
            if name not in arrays and graph[name].kind not in OPTIONAL:
                remedy = (
                    f"give it one value for each column: {name}: [{', '.join(['0.0'] * graph[name].width)}]"
                )
                problems.add(f"'{name}' is missing", file=file, place=_place(file), remedy=remedy)
        found: dict[str, Array] = {}
        for name, value in arrays.items():
            if name in graph.tunables:
                what = f"'{name}' is tuned, so it cannot be given"
                problems.add(what, file=file, place=_place(file), remedy="leave it out")
            elif name not in known:
                remedy = suggestion(name, known)
                problems.add(
                    f"'{name}' is no state, no exogenous node and no history",
                    file=file,
                    place=_place(file),
                    remedy=remedy,
                )
            elif (array := _checked(graph, name, value, file, problems)) is not None:
                found[name] = array
        state, series, histories = (
            {k: v for k, v in found.items() if k in names} for names in (starts, exogenous, graph.histories)
        )
        _same_length({**state, **histories}, "starts", file, problems)
        _same_length(series, "steps", file, problems)
        _same_present(graph, state, histories, file, problems)
        problems.raise_if_any()
        return cls(state, series, histories)

    def digest(self) -> str:
        """The sha256 (hex) of all values."""
        digest = hashlib.sha256()
        for name, value in sorted({**self.state, **self.exogenous, **self.histories}.items()):
            digest.update(f"{name} {value.shape}\n".encode() + np.ascontiguousarray(value).tobytes())
        return digest.hexdigest()

    def scene(
        self,
        venv: VirtualEnv,
        graph: DecisionGraph,
        *,
        draws: int,
        horizon: int,
        seed: int,
        usual: Mapping[str, Tensor],
    ) -> Scene:
        """Every state repeated until there are at least `draws` branches, each with noise of its own.

        usual: node -> (d,) in model space, for the frames before the first step of what is neither a state nor
        exogenous, such as an action. `graph` is the one whose histories are wanted.
        """
        steps, rounds = self.horizon or horizon, -(-draws // self.branches)
        branches = rounds * self.branches
        state = {}
        for name in venv.start_nodes:
            value = self.state.get(name, np.zeros((1, venv.graph[name].width)))
            state[name] = _branches(venv, name, value[:, None], branches)
        given = {}
        for name in venv.replayed_nodes:
            if name not in venv.graph.tunables:
                series = self.exogenous.get(name, np.zeros((1, venv.graph[name].width)))
                encoded = venv.codec[name].encode(torch.as_tensor(series)).view(len(series), 1, 1, -1)
                given[name] = encoded.expand(steps, venv.members, branches, -1)
        past = {}
        for name in graph.histories:
            spec = graph[name].history
            if spec is None:
                continue
            if name in self.histories:
                past[name] = _branches(venv, spec.source, self._frames(graph, name), branches)
            elif spec.source not in (*state, *given, *venv.graph.tunables):
                frames = usual[spec.source].repeat(spec.lookback)
                past[name] = frames.expand(venv.members, branches, -1)
        noise = draw_noise(venv, steps, branches, torch.Generator().manual_seed(seed))
        return Scene(state, given, past, noise, steps, branches)

    def _frames(self, graph: DecisionGraph, name: str) -> Array:
        """What a history held before the first step, (B, lookback, d); what it lacks is as its newest frame."""
        spec, given = graph[name].history, self.histories[name]
        assert spec is not None
        frames = given.reshape(len(given), spec.length, -1)
        newest = frames[:, -1:].repeat(max(0, spec.delay - 1), axis=1)
        return np.concatenate([frames, newest], axis=1)[:, : spec.lookback]


def _branches(venv: VirtualEnv, name: str, frames: Array, branches: int) -> Tensor:
    """(B, k, d) in physical units -> (M, branches, k * w) in model space, start after start."""
    encoded = venv.codec[name].encode(torch.as_tensor(frames)).flatten(1)
    return encoded.repeat(branches // len(encoded), 1).expand(venv.members, -1, -1)


def _is_replayed(graph: DecisionGraph, name: str) -> bool:
    kinds = (NodeKind.EXOGENOUS, NodeKind.TRAJECTORY, NodeKind.TERMINATION)
    return graph[name].kind in kinds


def _place(file: Path | None) -> str | None:
    return None if file else "tuning.initial_state"


def _read(path: Path) -> dict[str, Any]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            if not hasattr(archive, "files"):
                raise ValueError("it holds one array without a name")
            return {name: archive[name] for name in archive.files}
    except FileNotFoundError as error:
        raise UserError(Problem("there is no such file", path, "tuning.initial_state")) from error
    except (OSError, ValueError, EOFError, AttributeError) as error:
        remedy = "write it with numpy.savez(FILE, NODE=array, ...)"
        raise UserError(
            Problem(f"cannot be read as npz: {error}", path, "tuning.initial_state", remedy)
        ) from error


def _checked(
    graph: DecisionGraph, name: str, value: Any, file: Path | None, problems: Problems
) -> Array | None:
    """As (n, d) float64, or None and a problem."""
    width, place = graph[name].width, _place(file)
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        problems.add(f"'{name}' holds no numbers", file=file, place=place)
        return None
    rows = "one per step" if _is_replayed(graph, name) else "one per start"
    if array.ndim not in (1, 2) or array.shape[-1] != width or len(array) == 0:
        remedy = f"give ({width},), or (n, {width}) with rows {rows}"
        problems.add(f"'{name}' has the shape {array.shape}", file=file, place=place, remedy=remedy)
        return None
    if not np.isfinite(array).all():
        problems.add(f"'{name}' holds NaN or infinite values", file=file, place=place)
        return None
    array = np.atleast_2d(array)
    for i, column in enumerate(graph.columns(name)):
        legal = column.choices
        if legal is not None:
            off = [v for v in array[:, i] if np.abs(np.asarray(legal) - v).min() > 1e-6 * (1 + abs(v))]
            if off:
                listed = ", ".join(f"{v:g}" for v in legal[:20])
                what = f"'{name}' holds {off[0]:g}, no legal value of '{column.name}'"
                problems.add(what, file=file, place=place, remedy=f"possible: {listed}")
                return None
    return array


def _same_length(found: Mapping[str, Array], what: str, file: Path | None, problems: Problems) -> None:
    lengths = {name: len(value) for name, value in found.items() if len(value) > 1}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name} {count}" for name, count in lengths.items())
        said = f"nodes have different numbers of {what}: {listed}"
        problems.add(said, file=file, place=_place(file), remedy="give each as many, or one")


def _same_present(
    graph: DecisionGraph,
    state: Mapping[str, Array],
    histories: Mapping[str, Array],
    file: Path | None,
    problems: Problems,
) -> None:
    """The newest frame of a history that reaches to the first step is the state itself."""
    for name, given in histories.items():
        spec = graph[name].history
        if spec is None or spec.delay or spec.source not in state:
            continue
        newest, present = given[:, -state[spec.source].shape[1] :], state[spec.source]
        if not np.allclose(newest, present, rtol=1e-5, atol=1e-8):
            what = f"'{name}' ends with {newest[0].tolist()}, but '{spec.source}' is {present[0].tolist()}"
            remedy = f"its frames are oldest first, and the last one is '{spec.source}'"
            problems.add(what, file=file, place=_place(file), remedy=remedy)
