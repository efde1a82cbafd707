"""Small graphs, logs and virtual environments with weights set by hand, for the tests of several packages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from revive.data.codec import Codec, NodeCodec
from revive.data.trajectories import Trajectories
from revive.data.windows import Rows
from revive.graph.columns import Column
from revive.graph.decision_graph import DecisionGraph
from revive.tracking.base import NullTracker
from revive.tracking.lightning import StageLogger
from revive.training import Learner, Progress, fit
from revive.venv.node_model import NetworkSpec
from revive.venv.virtual_env import VirtualEnv

SMALL = NetworkSpec(hidden=(4,))
Linear = tuple[object, object]  # weight ([M,] inputs, outputs) and bias ([M, 1,] outputs)


def columns(**widths: int) -> list[Column]:
    """Continuous columns: node `x` of width 2 has x0 and x1."""
    return [Column(f"{node}{i}", node, "continuous") for node, width in widths.items() for i in range(width)]


def plant_graph() -> DecisionGraph:
    """A state x, a wind that nobody controls, an action u decided from x."""
    return DecisionGraph.build(columns(x=1, wind=1, u=1), {"u": ["x"], "next_x": ["x", "u", "wind"]})


def hand_set(
    graph: DecisionGraph,
    linear: Mapping[str, Linear],
    *,
    members: int = 2,
    spec: NetworkSpec = SMALL,
    std: float = 0.0,
    codec: Codec | None = None,
) -> VirtualEnv:
    """Every learned node is exactly linear: `X = inputs W + b`, and `next_X = X + inputs W + b`.

    Model space is physical unless a codec is given. std: of every learned node's noise.
    """
    codec = codec or Codec.empty(graph)
    scales = {name: [1.0] * codec.layout(name).ordered for name in graph.learned}
    venv = VirtualEnv(graph, codec, members, spec, scales)
    with torch.no_grad():
        for name in graph.learned:
            model = venv.model(name)
            weight, bias = (torch.as_tensor(part, dtype=torch.float32) for part in linear[name])
            model.net.last.zero_()
            model.net.skip.weight.zero_()
            ordered = model.layout.ordered
            model.net.skip.weight[..., :ordered] = weight
            model.net.skip.bias[..., :ordered] = bias
            model.free_log_std.fill_(np.log(max(std, 1e-12)))
    return venv


def scaled(columns: Sequence[Column], center: Sequence[float], scale: Sequence[float]) -> NodeCodec:
    """The codec `z = (x - center) / scale` of continuous columns."""
    codec = NodeCodec(columns, (), None)
    codec.center.copy_(torch.tensor(center))
    codec.scale.copy_(torch.tensor(scale))
    return codec


def rows_of(
    graph: DecisionGraph,
    codec: Codec,
    *parts: Mapping[str, object],
    ends: Sequence[Sequence[int]] | None = None,
) -> Rows:
    """The rows of parts given as node -> (N, d); each one trajectory unless `ends` says more."""
    trajectories = []
    for i, part in enumerate(parts):
        arrays = {name: np.asarray(value, dtype=np.float64) for name, value in part.items()}
        last = len(next(iter(arrays.values())))
        trajectories.append(Trajectories(arrays, np.array(ends[i] if ends else [last])))
    return Rows.of(codec, graph, *trajectories)


def logs_of(venv: VirtualEnv, steps: int, seed: int = 0, start: float = 1.0) -> dict[str, np.ndarray]:
    """What the first member of a hand-set venv leaves in a log: node -> (steps, d), physical units.

    Exogenous values are a standard normal; learned nodes take their noise.
    """
    generator = torch.Generator().manual_seed(seed)
    graph, shape = venv.graph, (steps, venv.members, 1)

    def normal(name: str) -> torch.Tensor:
        return torch.randn(*shape, venv.codec.width(name), generator=generator)

    first = {name: torch.full((venv.members, 1, graph[name].width), start) for name in graph.states}
    given = {name: normal(name) for name in graph.exogenous}
    with torch.no_grad():
        rolled = venv.rollout(first, given, steps, noise={name: normal(name) for name in graph.learned})
    return {name: value[:, 0, 0].double().numpy() for name, value in venv.codec.decode(rolled).items()}


def train(learner: Learner, folder: Path, progress: Progress = lambda done, total: None) -> None:
    """Fit a learner as a run does, with a checkpoint after every round, which goes once all is done."""
    checkpoint = folder / "learner.ckpt"
    done = fit(
        learner,
        accelerator="cpu",
        devices=1,
        precision="32-true",
        checkpoint=checkpoint,
        logger=StageLogger(NullTracker(folder, "test")),
        progress=progress,
        checkpoint_every=1,
    )
    assert done
    checkpoint.unlink()


def answers(venv: VirtualEnv, rows: Rows, index: torch.Tensor) -> dict[str, torch.Tensor]:
    """The likeliest value of every learned node in logged rows; index (M, B) -> (M, B, d)."""
    found, row = {}, rows.at(index)
    with torch.no_grad():
        for name in venv.graph.learned:
            found[name] = venv.model(name).mode(*venv.node_inputs(name, row))
    return found


def weights_of(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """A copy that later training does not change."""
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


def equal_weights(one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> bool:
    """Whether all weights are the same, bit for bit."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
