"""Logs and rollouts as Minari data sets, for whoever learns from them with another library. Extra: `minari`.

They are written to Minari's own folder, `MINARI_DATASETS_PATH` or `~/.minari/datasets`. Observations and actions are
those of `VenvEnv`, in physical units.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from revive.data.readers import ReadOptions, read_trajectories
from revive.data.scenario import Scenario, logged_ranges
from revive.deploy.sessions import PolicySession, RewardOf, VenvSession
from revive.deploy.simulation import Arrays, Simulation
from revive.errors import Problem, UserError
from revive.graph.columns import Column
from revive.graph.decision_graph import DecisionGraph
from revive.graph.description import read_description
from revive.graph.joint import apart, decided_by, deciding, seen_by, side_by_side
from revive.gym.spaces import ActionSpace, actions_of, observation_space
from revive.gym.world import Horizon, World
from revive.policy.reward import Reward

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
Decide = Callable[[Mapping[str, Array]], Mapping[str, Any]]


def export_logs(
    dataset_id: str,
    data: Any,
    description: str | Path,
    *,
    reward: RewardOf | None = None,
    target: str | Sequence[str] | None = None,
    observe: Sequence[str] | None = None,
    history: int = 1,
    options: ReadOptions | None = None,
    **about: Any,
) -> Any:
    """The trajectories of a data file, one episode each.

    dataset_id: `NAMESPACE/NAME-v0`. data, options: as of `read_trajectories`. reward: a file with get_reward, or such a
    function; 0 without one. target, observe, history: as of `World`, from the description.
    about: further arguments of `minari.create_dataset_from_buffers`, as `author`.

    An episode that the logs end with `done` is terminated, any other is truncated. Of what is seen after the last row
    the logs know the next states; everything else is that of the last row. Returns the `MinariDataset`. Raises
    UserError for whatever is wrong with the files.
    """
    graph = read_description(Path(description))
    logs = read_trajectories(data, graph, options)
    asked = target or (graph.default_target,)
    targets = (asked,) if isinstance(asked, str) else (*dict.fromkeys(asked),)
    whole, graph = deciding(seen_by(graph, targets, observe, history), targets)
    begins = np.ones(logs.count, dtype=bool)
    rows = Scenario(dict(logs.arrays), logs.ends, begins, int(logs.lengths.max()))
    paid = np.zeros(logs.rows) if reward is None else _rewards(Reward.of(reward), rows.arrays)
    nodes = decided_by(graph, whole)
    actions = actions_of(graph, nodes, logged_ranges(apart(graph), [logs]))
    done = side_by_side(graph, whole, {name: rows.arrays[name] for name in nodes})

    ends = graph.done if graph.done in rows.arrays else None

    def episodes() -> Iterator[tuple[Array, Array, Array, bool]]:
        for start, stop in zip(logs.starts, logs.ends, strict=True):
            index = np.arange(start, stop)
            seen = [rows.values(graph, name, index) for name in graph[whole].inputs]
            last = [_after(rows, graph, name, start, stop - 1) for name in graph[whole].inputs]
            sights = np.vstack([np.hstack(seen), np.concatenate(last)])
            over = ends is not None and bool(rows.arrays[ends][stop - 1, 0] > 0.5)
            yield sights, done[index], paid[index], over

    return _written(dataset_id, graph, whole, actions, episodes(), about)


def export_rollouts(
    dataset_id: str,
    bundle: str | Path | VenvSession,
    policy: PolicySession | Decide | None = None,
    *,
    episodes: int = 100,
    horizon: Horizon = "trusted",
    seed: int | None = None,
    about: Mapping[str, Any] | None = None,
    **options: Any,
) -> Any:
    """Episodes of a venv from its own starts.

    policy: `revive.load_policy(...)`, which decides what it was learned to, or a function from what is seen, node ->
    (B, d), to the same of what is decided; without one what the venv has learned of the logs' controller decides. An
    action holds the columns of all that is decided, side by side. seed: of starts, members and noise.
    about: as of `export_logs`. options: as of `World`. Returns the `MinariDataset`. Raises UserError as `World` does.
    """
    if isinstance(policy, PolicySession):
        options = {"target": policy.decided, **options}
    world = World(bundle, episodes, horizon=horizon, **options)
    plants = world.simulation
    plants.seed(seed)
    plants.reset()
    decide = _decider(world.venv, plants, policy, seed)
    seen, alive = [world.observation()], [np.ones(episodes, dtype=bool)]
    acted: list[Array] = []
    paid: list[Array] = []
    while len(acted) < world.horizon and alive[-1].any():
        found = plants.step(decide())
        acted.append(side_by_side(plants.graph, plants.target, found))
        paid.append(found["reward"][:, 0])
        seen.append(world.observation())
        alive.append(alive[-1] & ~plants.ended(found))
    going = np.stack(alive)
    lengths = going[:-1].sum(0)

    def each() -> Iterator[tuple[Array, Array, Array, bool]]:
        for i, steps in enumerate(lengths.tolist()):
            whole = np.stack([row[i] for row in seen[: steps + 1]]).astype(np.float64)
            own = np.stack([row[i] for row in acted[:steps]])
            yield whole, own, np.array([row[i] for row in paid[:steps]]), not going[steps, i]

    return _written(dataset_id, plants.graph, plants.target, world.actions, each(), dict(about or {}))


def _decider(
    venv: VenvSession, plants: Simulation, policy: PolicySession | Decide | None, seed: int | None
) -> Callable[[], Mapping[str, Any]]:
    if isinstance(policy, PolicySession):
        if policy.decided != plants.decided:
            told = (", ".join(nodes) for nodes in (policy.decided, plants.decided))
            what = "the policy decides {}, the episodes record {}".format(*told)
            raise UserError(Problem(what, place="target", remedy="leave it out"))
        known = {name: past for name, past in plants.before().items() if name in policy.model.graph}
        session = policy.session(plants.plants, before=known)
        return lambda: session.act(plants.observe(session.seen))
    if policy is not None:
        return lambda: policy(plants.observe())
    if seed is not None:
        venv.reset()
    sees = {source: None for name in plants.decided for source in venv.graph[name].inputs}
    before = [source for source in sees if source not in plants.decided]

    def logged() -> Arrays:
        """One after the other, as a later one may answer an earlier one."""
        found = plants.observe(before)
        for name in plants.decided:
            found[name] = venv.node_infer(name, found, deterministic=False)
        return {name: found[name] for name in plants.decided}

    return logged


def _rewards(reward: Reward, arrays: Arrays | Mapping[str, Array]) -> Array:
    data = {name: torch.as_tensor(value, dtype=torch.float32) for name, value in arrays.items()}
    return reward(data).detach().double().numpy()


def _after(rows: Scenario, graph: DecisionGraph, node: str, first: int, last: int) -> Array:
    """What is seen of a node after the last row of a trajectory, (d,)."""
    spec = graph[node].history
    if spec is None:
        known = graph.next_of(node) if node in graph.states else node
        return rows.arrays[known if known in rows.arrays else node][last]
    frames = [
        _after(rows, graph, spec.source, first, last)
        if age == 0
        else rows.arrays[spec.source][max(last + 1 - age, first)]
        for age in range(spec.lookback, spec.delay - 1, -1)
    ]
    return np.concatenate(frames)


def _written(
    dataset_id: str,
    graph: DecisionGraph,
    target: str,
    actions: ActionSpace,
    episodes: Iterator[tuple[Array, Array, Array, bool]],
    about: dict[str, Any],
) -> Any:
    """episodes: what is seen (T + 1, d), what is done (T, d), what is paid (T,), and whether it was terminated."""
    try:
        import minari
        from minari.data_collector import EpisodeBuffer
    except ImportError as error:
        raise UserError(
            Problem("minari is not installed", remedy="pip install 'revive-logs[minari]'")
        ) from error
    columns = [column for name in graph[target].inputs for column in graph.columns(name)]
    sight = observation_space(columns)
    buffers = []
    for number, (seen, acted, paid, over) in enumerate(episodes):
        last = np.arange(1, len(acted) + 1) == len(acted)
        buffers.append(
            EpisodeBuffer(
                id=number,
                observations=np.clip(seen.astype(np.float32), sight.low, sight.high),
                actions=actions.of(acted),
                rewards=paid,
                terminations=last & over,
                truncations=last & (not over),
            )
        )
    about.setdefault("description", _told(columns, graph.columns(target)))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", UserWarning
            )  # advice about authors, for data sets that are published
            return minari.create_dataset_from_buffers(
                dataset_id, buffers, observation_space=sight, action_space=actions.space, **about
            )
    except (ValueError, TypeError, OSError) as error:
        raise UserError(Problem(f"minari says: {error}", place=f"data set '{dataset_id}'")) from error


def _told(seen: Sequence[Column], decided: Sequence[Column]) -> str:
    """What the numbers are, in one line."""

    def listed(columns: Sequence[Column]) -> str:
        return ", ".join(f"{c.name} ({c.units})" if c.units else c.name for c in columns)

    return f"observation: {listed(seen)}; action: {listed(decided)}"
