"""Exporting one step of a venv as ONNX: what cannot be exported is named, and what is written was run and compared."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from revive.bundles import Bundle
from revive.deploy.bundle import load_venv
from revive.deploy.sessions import VenvSession
from revive.deploy.step_graph import StepGraph
from revive.errors import Problem, Problems, UserError
from revive.graph.limits import limits
from revive.runtime.codec import Array
from revive.runtime.onnx_graph import require_onnx, run

TOLERANCE: Final = 1e-5  # of the round trip, in units of model space
_ROWS: Final = 16
_ACTIVATIONS: Final = ("silu", "tanh", "relu", "gelu")


def export_step(bundle: Path, file: Path, *, accept_failed_gate: bool = False) -> str:
    """Write one step of a venv bundle; returns what the check of it found, in a sentence.

    Raises UserError where onnx is not installed, a node is computed by code of the user, or onnxruntime says something
    else than torch.
    """
    onnx = require_onnx()
    opened = Bundle.open("venv", bundle)
    opened.require_gate(accept_failed_gate)
    require_exportable(opened)
    session = load_venv(bundle, accept_failed_gate=accept_failed_gate)
    builder = StepGraph(session.model)
    model = builder.finished()
    onnx.checker.check_model(model, full_check=True)
    checked = _checked(session, builder, model.SerializeToString())
    onnx.helper.set_model_props(model, {**builder.notes(), "revive.check": checked})
    file.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, file)
    return checked


def require_exportable(bundle: Bundle) -> None:
    """Raises UserError that names every node which cannot be written as ONNX: own code, mixtures, other networks."""
    problems = Problems()
    networks = {
        name: bundle.spec.get("nodes", {}).get(name, bundle.spec["network"]) for name in bundle.graph.learned
    }
    for name, network in networks.items():
        if network.get("head") == "mixture":
            what = f"the node '{name}' is a mixture, which is not written as ONNX"
            problems.add(
                what,
                file=bundle.folder,
                remedy="learn it with another head, e.g. venv.network.head=student_t",
            )
        if (kind := _no_perceptron(network)) is not None:
            what = f"the network of '{name}' is not written as ONNX: {kind}"
            remedy = "learn it as a perceptron, venv.network.backbone=mlp, or step the venv in Python"
            problems.add(what, file=bundle.folder, remedy=remedy)
    for name, node in bundle.graph.nodes.items():
        code = node.custom or (node.function.code if node.function else None)
        code = node.principles.code if node.principles else code
        if code is not None:
            what = f"the node '{name}' is computed by {code.name} of {code.file}, which cannot be written as ONNX"
            remedy = "let the node be learned, or step the venv in Python: revive.load_venv(path, trust=True)"
            problems.add(what, file=bundle.folder, remedy=remedy)
    problems.raise_if_any()


def _no_perceptron(network: Mapping[str, Any]) -> str | None:
    """What a network is other than layers with an activation that ONNX graphs here have; None where it is that."""
    if network.get("backbone", "mlp") != "mlp":
        return f"its backbone is {network['backbone']}"
    if network.get("norm") is not None:
        return "its layers are normalised"
    return None if network["activation"] in _ACTIVATIONS else f"its activation is {network['activation']}"


def drawn_inputs(graph: StepGraph, rows: int, seed: int) -> tuple[dict[str, Array], dict[str, Array]]:
    """Random inputs around the logged values: what the ONNX graph takes, and the same for `VenvSession.step`."""
    rng = np.random.default_rng(seed)

    def drawn(node: str, width: int) -> Array:
        codec = graph.codecs[node]
        frames = width // len(codec.columns)
        columns = [column for _ in range(frames) for column in codec.columns]
        low, high = limits(columns)
        values = codec.decode(rng.normal(size=(rows, frames * codec.layout.width)))
        return np.minimum(np.maximum(values, low), high)

    given = {name: drawn(name, graph.graph[name].width) for name in graph.given}
    if graph.graph.step in given:
        given[graph.graph.step] = rng.integers(0, 20, (rows, 1)).astype(np.float64)
    called = dict(given)
    for transition, name in graph.predicted.items():
        given[name] = given[graph.graph.state_of(transition)]
    for name, kept in graph.histories.items():
        if not (width := graph.past_width(name)):
            continue
        given[f"past_{name}"] = past = drawn(name, width)
        one = width // kept.spec.lookback
        present = given.get(kept.spec.source)
        called[name] = past[:, : one * kept.spec.length]
        if kept.spec.delay == 0 and present is not None:
            called[name] = np.hstack([past, present])
    return given, called


def difference(
    session: VenvSession, graph: StepGraph, found: dict[str, Array], called: dict[str, Array]
) -> Array:
    """How far the outputs are from `VenvSession.step`, in model space: the largest difference of each row, (B,)."""
    wanted = session.step(called)
    apart = [
        np.abs(graph.codecs[name].encode(found[name]) - graph.codecs[name].encode(wanted[name])).max(axis=1)
        for name in graph.outputs
    ]
    return np.max(apart, axis=0)


def _checked(session: VenvSession, graph: StepGraph, content: bytes) -> str:
    given, called = drawn_inputs(graph, _ROWS, 0)
    told = run(content, graph.outputs, given)
    if told is None:
        return "not run at export: onnxruntime is not installed"
    found, version = told
    apart = difference(session, graph, found, called)
    if not apart.max() <= TOLERANCE:
        what = f"onnxruntime differs from torch by {apart.max():.2g} in model space"
        raise UserError(Problem(what, ", ".join(graph.outputs)))
    return f"run at export with onnxruntime {version}: differs from torch by at most {apart.max():.1g} in model space"
