"""`revive new NAME --data FILE`: an experiment folder that runs at once, its guesses marked as such."""

from __future__ import annotations

import logging
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from revive.config.experiments import FILE
from revive.data.duration import duration
from revive.data.readers import ReadOptions, read_trajectories
from revive.data.readers.container import UNUSED
from revive.data.readers.ends import EACH_FILE
from revive.data.roles import Role
from revive.data.run_marks import NO_NODE
from revive.data.scaffold import Guess, guess
from revive.data.survey import Wishes
from revive.data.trajectories import Trajectories
from revive.errors import Problem, UserError, first_few
from revive.graph.decision_graph import DecisionGraph
from revive.graph.description import read_description
from revive.pipeline.drafts import PLACEHOLDER

PAUSE = 10.0  # times the usual step, from which a step is worth a word of its own
REWARD = '''"""The reward of experiment `{name}`: fill it in. Larger is better."""


def get_reward(data):
    """data: node -> tensor (N, columns) in physical units; returns (N, 1), each row from itself alone.

    {placeholder}: `{node}` is wanted near the median of the logs, {goal:.6g}.
    Nodes and their columns, which are taken by number, data["{node}"][..., {column}:{after}]:
{nodes}
    """
    return -abs(data["{node}"][..., {column}:{after}] - {goal:.6g})
'''

README = """# {name}: made from {data}

What was guessed from the data is marked in `description.yaml`; check it first:

    python -m revive check experiment={name}

Then fill in `reward.py`, and run:

    python -m revive experiment={name}
"""


@dataclass(frozen=True)
class Made:
    """The folder that was made, and the lines that say what was taken for what."""

    folder: Path
    lines: tuple[str, ...]


def new(
    name: str,
    data: Path,
    folder: Path,
    wishes: Wishes | None = None,
    table: Mapping[str, Any] | None = None,
) -> Made:
    """Make `folder`/`name` from a data file; the data stay where they are.

    wishes: what columns are, where the user said so. table: how a text table is written, the same.

    Raises UserError where the folder exists already, or the file cannot be read or described.
    """
    target = folder / name
    if target.exists():
        raise UserError(
            Problem("exists already; nothing was changed in it", target, remedy="choose another name")
        )
    guessed = guess(data, wishes, table)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=".new-", dir=folder))
        draft.chmod(0o755)
        try:
            logs = _fill(draft, name, data, guessed.description, guessed.dataset)
            draft.rename(target)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
    except OSError as error:
        raise UserError(Problem(f"cannot be written: {error.strerror or error}", folder)) from error
    return Made(target, tuple(_said(guessed, logs)))


def _said(guessed: Guess, logs: Trajectories) -> Iterator[str]:
    """What was taken for what, and why, a line for each; then the trajectories."""
    words = {NO_NODE: "left out", Role.DONE: "ends"}
    rows = [(words.get(role, str(role)), first_few(names, 12), why) for role, names, why in guessed.taken]
    if not any(role == Role.OUTSIDE for role, _, _ in guessed.taken):
        rows.insert(
            sum(role in (Role.ACTION, Role.STATE) for role, _, _ in guessed.taken), ("exogenous", "none", "")
        )
    first, second = (min(40, max(len(row[number]) for row in rows)) for number in (0, 1))
    for role, names, why in rows:
        yield f"  {role:<{first}}  {names:<{second}}  {f'({why})' if why else ''}".rstrip()
    yield from (f"    {doubt}" for doubt in guessed.doubts())
    yield from _pauses(logs)
    shortest, longest = int(logs.lengths.min()), int(logs.lengths.max())
    length = f"{shortest}" if shortest == longest else f"{shortest} to {longest}"
    if logs.count == 1 and not logs.told_by:
        told = "nothing in the file tells several apart: no id, no counter that falls back, no 'done'"
        yield f"  1 trajectory of {length} steps: {told}"
        yield "    if rows of several runs or machines follow each other, name what tells them: --trajectory COLUMN"
        return
    count = "1 trajectory" if logs.count == 1 else f"{logs.count} trajectories"
    yield f"  {count} of {length} steps, told {logs.told_by}"
    if logs.told_by == EACH_FILE and logs.step_seconds is not None and logs.follows_on:
        yield "    the files follow each other without a pause: where they are one run, cut at midnight or at a size,"
        yield "    put them into one file, so that what leads from one to the next is learned as well"


def _pauses(logs: Trajectories) -> Iterator[str]:
    """Steps in time inside trajectories that are far longer than usual, where a step has a usual time."""
    if logs.time is None or logs.step_seconds is None:
        return
    steps = np.diff(logs.time)
    steps[logs.ends[:-1] - 1] = 0
    usual = float(np.median(steps[steps > 0]))
    long = np.flatnonzero(steps > PAUSE * usual)
    if len(long):
        told = duration(float(steps[long].max()) / usual * logs.step_seconds)
        count = "a pause" if len(long) == 1 else f"{len(long)} pauses"
        cut = f"to cut trajectories there: dataset.gap={PAUSE * usual:.4g}"
        yield f"  {count} of up to {told}, e.g. after row {long[np.argmax(steps[long])]}; {cut}"


@contextmanager
def _unused_unsaid() -> Iterator[None]:
    """Without the warning about what is not described: `new` says of everything what it took it for."""
    log = logging.getLogger("revive")

    def other(record: logging.LogRecord) -> bool:
        return getattr(record, "about", None) != UNUSED

    log.addFilter(other)
    try:
        yield
    finally:
        log.removeFilter(other)


def _fill(draft: Path, name: str, data: Path, description: str, dataset: Mapping[str, Any]) -> Trajectories:
    (draft / "description.yaml").write_text(description, encoding="utf-8")
    graph = read_description(draft / "description.yaml")
    options = {"path": str(data.resolve()), "description": "description.yaml", **dataset}
    options = _escaped(options)
    text = yaml.safe_dump({"dataset": options, "reward": "reward.py"}, sort_keys=False, allow_unicode=True)
    (draft / FILE).write_text("# @package _global_\n" + text, encoding="utf-8")
    with _unused_unsaid():
        logs = read_trajectories(data, graph, ReadOptions(**dataset))
    (draft / "reward.py").write_text(_reward(name, graph, logs), encoding="utf-8")
    (draft / "README.md").write_text(README.format(name=name, data=data.name), encoding="utf-8")
    return logs


def _escaped(value: Any) -> Any:
    """Values in which a `${...}` of a path or of a word stays what it is, where OmegaConf would resolve it."""
    if isinstance(value, Mapping):
        return {key: _escaped(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_escaped(inner) for inner in value]
    if not isinstance(value, str):
        return value
    return re.sub(r"(\\*)\$\{", lambda found: 2 * found[1] + r"\${", value)


def _numbered(graph: DecisionGraph, node: str, most: int = 20) -> str:
    """`0 temperature, 1 humidity`, safe inside a docstring."""
    names = [" ".join(c.name.replace("\\", "/").replace('"', "'").split()) for c in graph.columns(node)]
    return first_few([f"{number} {name}" for number, name in enumerate(names)], most)


def _reward(name: str, graph: DecisionGraph, logs: Trajectories) -> str:
    """A reward that runs: the first continuous column of a next state near its median."""
    candidates = [*graph.transitions, *graph.decisions]
    node, column = next(
        ((n, i) for n in candidates for i, c in enumerate(graph.columns(n)) if c.type == "continuous"),
        (candidates[0], 0),
    )
    goal = float(np.median(logs.arrays[node][:, column]))
    nodes = "\n".join(f"        {name}: {_numbered(graph, name)}" for name in graph.nodes)
    return REWARD.format(
        name=name, node=node, column=column, after=column + 1, goal=goal, nodes=nodes, placeholder=PLACEHOLDER
    )
