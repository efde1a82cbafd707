"""Problems of venv learners, made of small graphs and logs, and the arguments of the learner that most tests train."""

from __future__ import annotations

from typing import Any

import torch

from revive.data.codec import Codec
from revive.data.windows import Rows
from revive.graph.decision_graph import DecisionGraph
from revive.venv.functions import UserCode
from revive.venv.learners.multi_step import MultiStepLearner
from revive.venv.node_model import NetworkSpec
from revive.venv.problem import VenvProblem, change_scales

MULTI_STEP: dict[str, Any] = {
    "one_step_updates": 40,
    "widths": [8],
    "curriculum": [[5, 20], [20, 40]],
    "batch_size": 128,
    "window_batch": 16,
    "lr": 1e-3,
    "multi_step_lr": 1e-3,
    "filter_steps": 24,
    "filter_updates": 0,
    "filter_lr": 1e-2,
    "weight_decay": 0.3,
    "likelihood_weight": 0.1,
    "least_fall": 0.1,
    "clip": 5.0,
    "block": 100,
    "held_out": 0.2,
    "effect_weight": 5.0,
    "rule_weight": 2.0,
    "max_seconds": None,
    "chunk": 10,
}


def problem_of(graph: DecisionGraph, codec: Codec, rows: Rows, **changed: Any) -> VenvProblem:
    """A small one; fields as `changed` says."""
    usual: dict[str, Any] = {
        "scales": change_scales(rows, codec, graph),
        "losses": {},
        "rule": None,
        "code": UserCode(),
        "earlier": None,
        "members": 2,
        "keep": 1,
        "network": NetworkSpec(hidden=(8,)),
        "budget": 1000,
        "seed": 0,
        "device": torch.device("cpu"),
    }
    return VenvProblem(graph=graph, codec=codec, rows=rows, **{**usual, **changed})


def multi_step(problem: VenvProblem, **changed: Any) -> MultiStepLearner:
    """The learner that most tests train, its arguments as `changed` says."""
    return MultiStepLearner(problem, **{**MULTI_STEP, **changed})
