"""Logs for descriptions that come without any: a random stable plant in the shape of the graph.

The rows obey the graph: decisions follow from their inputs, transitions from theirs, and the functions of the user are
called. Only numpy and the YAML are read, so that a fault of our reader cannot hide itself in its own data.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import yaml

TRAJECTORIES, STEPS = 20, 50
Columns = dict[str, list[dict[str, Any]]]
Arrays = dict[str, np.ndarray]


def make_logs(description: Path, target: Path, seed: int = 0) -> Path:
    """Write an npz for the description: one array (rows, columns) per node, and the ends of the trajectories."""
    said = yaml.safe_load(description.read_text(encoding="utf-8"))["metadata"]
    np.savez(target, **_Plant(said, description.parent, np.random.default_rng(seed)).logs())  # type: ignore[arg-type]
    return target


class _Plant:
    def __init__(self, said: dict[str, Any], folder: Path, rng: np.random.Generator) -> None:
        self.graph: dict[str, list[str]] = said["graph"]
        self.tunable: list[str] = said.get("tunable") or []
        self.rng = rng
        self.columns: Columns = {}
        for entry in said["columns"]:
            for attributes in entry.values():
                self.columns.setdefault(attributes["dim"], []).append(attributes)
        self.functions = {
            node: _function(folder, entry["node_function"])
            for node, entry in (said.get("expert_functions") or {}).items()
        }
        self.weights = {
            node: rng.normal(size=(sum(self._width(name) for name in inputs), self._width(node)))
            for node, inputs in self.graph.items()
        }

    def logs(self) -> Arrays:
        """All trajectories side by side, then below each other."""
        now = {name: self._drawn(name) for name in self._leaves()}
        steps: list[Arrays] = []
        for _ in range(STEPS):
            computed = self._step(now)
            steps.append(computed)
            now = {name: self._after(name, computed) for name in now}
        arrays = {
            name: np.stack([step[name] for step in steps], 1).reshape(TRAJECTORIES * STEPS, -1)
            for name in steps[0]
            if name not in self.tunable
        }
        constant = {name: steps[0][name] for name in self.tunable}
        return {**arrays, **constant, "index": np.arange(STEPS, TRAJECTORIES * STEPS + 1, STEPS)}

    def _leaves(self) -> list[str]:
        used = {name for inputs in self.graph.values() for name in inputs}
        used |= {name.removeprefix("next_") for name in self.graph if name.startswith("next_")}
        return [name for name in self.columns if name in used and name not in self.graph]

    def _step(self, now: Arrays) -> Arrays:
        done = dict(now)
        while waiting := [name for name in self.graph if name not in done]:
            ready = [name for name in waiting if all(other in done for other in self.graph[name])]
            for name in ready:
                done[name] = self._computed(name, done)
        return done

    def _computed(self, node: str, done: Arrays) -> np.ndarray:
        inputs = {name: done[name] for name in self.graph[node]}
        if node in self.functions:
            return self.functions[node](inputs)
        joined = np.concatenate(list(inputs.values()), 1)
        push = np.tanh(joined @ self.weights[node] / np.sqrt(joined.shape[1]))
        before = done.get(node.removeprefix("next_"))
        value = push if before is None else 0.8 * before + 0.2 * push
        return self._legal(node, value + 0.1 * self.rng.normal(size=value.shape))

    def _after(self, name: str, computed: Arrays) -> np.ndarray:
        if name in self.tunable:
            return computed[name]
        return computed.get(f"next_{name}", self._drawn(name))

    def _drawn(self, node: str) -> np.ndarray:
        return self._legal(node, self.rng.normal(size=(TRAJECTORIES, self._width(node))))

    def _legal(self, node: str, value: np.ndarray) -> np.ndarray:
        """The nearest value that the columns allow; categories are taken by size."""
        return np.stack([_legal(c, v) for c, v in zip(self._of(node), value.T, strict=True)], 1)

    def _of(self, node: str) -> list[dict[str, Any]]:
        return self.columns.get(node) or self.columns[node.removeprefix("next_")]

    def _width(self, node: str) -> int:
        return len(self._of(node))


def _legal(column: dict[str, Any], value: np.ndarray) -> np.ndarray:
    levels = column.get("values")
    if column["type"] == "discrete":
        levels = np.linspace(column["min"], column["max"], column["num"])
    if levels is not None:
        share = 0.5 + np.arctan(2.0 * value) / np.pi
        return np.asarray(levels, float)[np.minimum((share * len(levels)).astype(int), len(levels) - 1)]
    low, high = column.get("min"), column.get("max")
    if low is None or high is None:
        return value
    return low + (high - low) * (0.5 + np.arctan(value) / np.pi)


def _function(folder: Path, reference: str) -> Any:
    file, _, name = reference.partition(".")
    spec = importlib.util.spec_from_file_location(f"plant_{file}", folder / f"{file}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def call(inputs: Arrays) -> np.ndarray:
        import torch

        given = {key: torch.as_tensor(value) for key, value in inputs.items()}
        return np.asarray(getattr(module, name)(given))

    return call
