"""`revive new NAME --data FILE`: an experiment folder that runs at once, its guesses marked as such."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from revive.config.experiments import FILE
from revive.data.scaffold import guess
from revive.errors import Problem, UserError
from revive.graph.decision_graph import DecisionGraph
from revive.graph.description import read_description

REWARD = '''"""The reward of experiment `{name}`: fill it in. Larger is better."""


def get_reward(data):
    """data: node -> tensor (N, columns) in physical units; returns (N, 1), each row from itself alone.

    A placeholder, so that the experiment runs: `{node}` is wanted near the median of the logs. Nodes: {nodes}.
    """
    return -abs(data["{node}"][..., {column}:{after}] - {goal:.6g})
'''

README = """# {name}: made from {data}

What was guessed from the data is marked in `description.yaml`; check it first:

    python -m revive check experiment={name}

Then fill in `reward.py`, and run:

    python -m revive experiment={name}
"""


def new(name: str, data: Path, folder: Path, trajectory: str | None = None) -> Path:
    """Make `folder`/`name` from a data file; the data stay where they are.

    trajectory: the column that tells trajectories, where its name does not say so.

    Raises UserError where the folder exists already, or the file cannot be read or described.
    """
    target = folder / name
    if target.exists():
        raise UserError(
            Problem("exists already; nothing was changed in it", target, remedy="choose another name")
        )
    guessed = guess(data, trajectory)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=".new-", dir=folder))
        draft.chmod(0o755)
        try:
            _fill(draft, name, data, guessed.description, guessed.dataset)
            draft.rename(target)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
    except OSError as error:
        raise UserError(Problem(f"cannot be written: {error.strerror or error}", folder)) from error
    return target


def _fill(draft: Path, name: str, data: Path, description: str, dataset: Mapping[str, Any]) -> None:
    (draft / "description.yaml").write_text(description, encoding="utf-8")
    graph = read_description(draft / "description.yaml")
    options = {"path": str(data.resolve()), "description": "description.yaml", **dataset}
    text = yaml.safe_dump({"dataset": options, "reward": "reward.py"}, sort_keys=False, allow_unicode=True)
    (draft / FILE).write_text("# @package _global_\n" + text, encoding="utf-8")
    (draft / "reward.py").write_text(_reward(name, graph, data, dataset), encoding="utf-8")
    (draft / "README.md").write_text(README.format(name=name, data=data.name), encoding="utf-8")


def _reward(name: str, graph: DecisionGraph, data: Path, dataset: Mapping[str, Any]) -> str:
    """A reward that runs: the first continuous column of a next state near its median."""
    import numpy as np

    from revive.data.readers import ReadOptions, read_trajectories

    logs = read_trajectories(data, graph, ReadOptions(**dataset))
    candidates = [*graph.transitions, *graph.decisions]
    node, column = next(
        ((n, i) for n in candidates for i, c in enumerate(graph.columns(n)) if c.type == "continuous"),
        (candidates[0], 0),
    )
    goal = float(np.median(logs.arrays[node][:, column]))
    nodes = ", ".join(graph.nodes)
    return REWARD.format(name=name, node=node, column=column, after=column + 1, goal=goal, nodes=nodes)
