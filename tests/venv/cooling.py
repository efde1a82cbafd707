"""Newton's cooling with a fan, and a sun that its function does not know of, for tests of prior knowledge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from revive.data.codec import Codec
from revive.graph.decision_graph import DecisionGraph
from revive.graph.description import parse_description
from revive.venv.functions import UserCode
from revive.venv.node_model import NetworkSpec
from revive.venv.problem import VenvProblem
from revive.venv.validation import rollout_error
from revive.venv.virtual_env import VirtualEnv
from tests.venv.plants import rows_of, train
from tests.venv.problems import multi_step, problem_of

COOLING = """\
def cooling(data, parameters):
    body, air, fan = data["body"], data["air"], data["fan"]
    return body + parameters["k"] * (1 + parameters["c"] * fan**2) * (air - body)
"""
PARAMETERS = {
    "k": {"start": 0.3, "min": 0.0, "max": 1.0, "units": "per minute"},
    "c": {"start": 1.0, "min": 0.0, "max": 20.0},
}
TRUTH = {"k": 0.05, "c": 4.0}


def described(
    folder: Path, body: str = COOLING, effects: dict[str, Any] | None = None, **entry: Any
) -> DecisionGraph:
    """next_body <- body, air, fan, sun, by `cooling` where `entry` says more of it; fan <- body."""
    (folder / "plant.py").write_text(body)
    columns = [{name: {"dim": name, "type": "continuous"}} for name in ("body", "air", "fan", "sun")]
    functions = {"next_body": {"node_function": "plant.cooling", **entry}} if entry else {}
    graph = {"fan": ["body"], "next_body": ["body", "air", "fan", "sun"]}
    nodes = {"next_body": {"effects": effects}} if effects else {}
    said = {"columns": columns, "graph": graph, "expert_functions": functions, "nodes": nodes}
    return parse_description({"metadata": said}, "test", folder)


def logs(rows: int, seed: int) -> dict[str, np.ndarray]:
    """Newton's cooling with a fan, 20 to 60 degrees, and a sun that the function does not know of; noise of 0.1."""
    rng = np.random.default_rng(seed)
    fan, sun = rng.uniform(0, 1, rows), rng.uniform(-1, 1, rows)
    air = 25 + 20 * np.repeat(rng.uniform(-1, 1, rows // 10 + 1), 10)[:rows]
    body = np.full(rows + 1, 50.0)
    for t in range(rows):
        body[t + 1] = body[t] + TRUTH["k"] * (1 + TRUTH["c"] * fan[t] ** 2) * (air[t] - body[t])
        body[t + 1] += 0.6 * np.sin(3 * sun[t]) + 0.1 * rng.normal()
    plain = {"body": body[:-1], "air": air, "fan": fan, "sun": sun, "next_body": body[1:]}
    return {name: value[:, None] for name, value in plain.items()}


def problem_with(
    graph: DecisionGraph, folder: Path, rows: int = 120, seed: int = 0, **changed: Any
) -> VenvProblem:
    halves = logs(rows, 10 * seed + 1), logs(rows, 10 * seed + 2)
    codec = Codec.fit(graph, halves[0])
    code = UserCode.load(graph, folder)
    network = NetworkSpec(hidden=(16, 16))
    made = {"network": network, "code": code, "members": 2, "keep": 2, **changed}
    return problem_of(graph, codec, rows_of(graph, codec, *halves), seed=seed, **made)


FAST: dict[str, Any] = {
    "one_step_updates": 400, "curriculum": [[5, 50]], "lr": 3e-3, "multi_step_lr": 1e-3, "block": 20,
    "effect_weight": 50.0,  # as shipped
}  # fmt: skip


def learned(graph: DecisionGraph, folder: Path, **changed: Any) -> VirtualEnv:
    learner = multi_step(problem_with(graph, folder, **changed), **FAST)
    train(learner, folder)
    return learner.result()


def error_on_fresh_logs(venv: VirtualEnv) -> float:
    fresh = rows_of(venv.graph, venv.codec, logs(400, 8), logs(400, 9))
    return float(rollout_error(venv, fresh).by_horizon()["50"])
