"""What the trust report shows, as plain values: computed once, while venv, policy and logs are at hand.

`report.json` holds it, and the page is drawn from it alone (revive/report/trust). Numbers have six significant digits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from revive.data.trajectories import Trajectories
from revive.data.windows import Rows
from revive.pipeline.context import Context
from revive.pipeline.inputs import row_numbers
from revive.pipeline.problems import evaluation_environment, policy_venv
from revive.pipeline.stages import Learned
from revive.policy.input_gap import policy_input_gap
from revive.policy.portrait import before_and_after, seen_and_done, surface, tree_of
from revive.venv.bands import Bands, bands_of
from revive.venv.calibration import calibration_of, distributions_of
from revive.venv.linear_baseline import arx_error
from revive.venv.residuals import by_trajectory, drift_of, one_step_residuals, residual_map
from revive.venv.responses import responses
from revive.venv.unseen import Unseen, roll_unseen
from revive.venv.validation import RolloutError
from revive.venv.virtual_env import VirtualEnv

SHOWN_WINDOWS, MOST_COLUMNS = 3, 8
DIGITS = 6


def study(
    context: Context, venv: VirtualEnv, rows: Rows, errors: RolloutError, learned: Learned | None
) -> dict[str, Any]:
    """Every section's figures; rows: both halves, with what the venv's graph needs."""
    found = study_of_venv(context, venv, rows, errors)
    if learned is not None:
        found |= study_of_policy(context, venv, learned)
    _say_where(found, row_numbers(context.settings, context.inputs), rows)
    return plain(found)  # type: ignore[no-any-return]


def study_of_venv(context: Context, venv: VirtualEnv, rows: Rows, errors: RolloutError) -> dict[str, Any]:
    """What is said about the venv alone."""
    unseen = _unseen(context, venv, rows)
    bands = bands_of(unseen)
    where, residuals = one_step_residuals(venv, rows)
    graph = venv.graph
    targets = [t for t in (graph.decisions or graph.exogenous) if t in rows.values]
    return {
        "errors": _errors(venv, errors, rows),
        "bands": bands.to_json(unseen),
        "calibrated_on": "test" if _reads_other_half(context) else "other half",
        "trajectories": context.inputs.logs.count,
        "rollouts": _windows(unseen, bands, _spread_out(unseen)),
        "worst": _windows(unseen, bands, _worst(unseen, errors)),
        "distributions": distributions_of(unseen),
        "calibration": calibration_of(unseen),
        "responses": {target: responses(venv, rows, target) for target in targets},
        "residuals": {
            "map": residual_map(venv, rows, where, residuals),
            "by_trajectory": by_trajectory(rows, where, residuals),
        },
        "drift": drift_of(rows, where, residuals),
    }


@torch.no_grad()
def study_of_policy(context: Context, venv: VirtualEnv, learned: Learned) -> dict[str, Any]:
    """How the policy acts: judged in the half that it did not learn in."""
    graph, task = context.task.graph, context.task
    venv = policy_venv(context, venv)
    rows = context.rows(venv.codec.for_graph(graph), graph)
    world, other = evaluation_environment(context, venv, rows), 1 - learned.half
    policy = learned.policy
    before, after = world.roll(None), world.roll(policy.actor())
    members = venv.members_of(other)
    x, y = seen_and_done(policy, after, slice(members.start, members.start + 1))
    return {
        "policy": {
            "half": other,
            "before_after": before_and_after(world, rows, before, after, other, task.target),
            "surface": surface(policy, x, y),
            "tree": tree_of(policy, x, y),
            "input_gap": policy_input_gap(policy, world, rows, venv.graph, other),
        }
    }


def _say_where(found: dict[str, Any], numbers: Trajectories, rows: Rows) -> None:
    """Turn rows and trajectories of the halves, one after the other, into those of the logs, in place."""
    row, run = numbers.arrays["place"].astype(int).T
    if found["calibrated_on"] != "test":
        for key in ("rollouts", "worst"):
            found[key]["first"] = [int(row[first]) for first in found[key]["first"]]
    for entry in found["responses"].values():
        entry["row"] = int(row[entry["row"]])
    starts = rows.starts.cpu().numpy()
    for entry in found["residuals"]["by_trajectory"].values():
        entry["trajectory"] = run[starts[entry["trajectory"]]]
    for parts in found["drift"].values():
        for part in parts:
            part["rows"], part["changes"] = row[part["rows"]], [int(row[at]) for at in part["changes"]]
    for start in found.get("policy", {}).get("before_after", {}).get("starts", []):
        start["row"] = int(row[start["row"]])


def _reads_other_half(context: Context) -> bool:
    """Whether a search chose the venv by its error on the other half, so that only a test part is unread."""
    settings = context.settings
    chosen = settings.venv.mode == "tune" and settings.search.metric_of("venv") == "other_half_error"
    return chosen and context.inputs.parts.test is not None


def _unseen(context: Context, venv: VirtualEnv, rows: Rows) -> Unseen:
    test = context.inputs.parts.test
    if _reads_other_half(context) and test is not None:
        rows = Rows.of(venv.codec, venv.graph, test, test).to(context.device)
    return roll_unseen(venv, rows)


def _errors(venv: VirtualEnv, errors: RolloutError, rows: Rows) -> dict[str, Any]:
    """Column -> {units, spread, venv, persistence, average, linear: by half and step}."""
    linear = arx_error(venv, rows, errors.horizon) if errors.horizon else {}
    tables = {
        "venv": errors.venv,
        "persistence": errors.persistence,
        "average": errors.average,
        "linear": linear,
    }
    found = {}
    for node in errors.venv:
        for i, column in enumerate(venv.graph.columns(node)):
            at = {
                name: table[node][:, : errors.horizon, i] for name, table in tables.items() if node in table
            }
            found[column.name] = {"units": column.units, "spread": errors.spread[node][i], **at}
    return found


def _spread_out(unseen: Unseen) -> list[tuple[int, int]]:
    """(half, window) of a few windows of the half that the first members did not see."""
    count = unseen.first.shape[1] if unseen.columns else 0
    return (
        [(0, int(b)) for b in np.unique(np.linspace(0, count - 1, SHOWN_WINDOWS + 2).astype(int)[1:-1])]
        if count
        else []
    )


def _worst(unseen: Unseen, errors: RolloutError) -> list[tuple[int, int]]:
    """The windows with the largest mean error in spreads of the columns; of overlapping ones the worst alone."""
    if not unseen.columns:
        return []
    parts = [np.abs(c.error) / max(float(np.nanstd(c.truth)), 1e-9) for c in unseen.columns]
    size = np.nan_to_num(np.nanmean(np.stack(parts), axis=(0, 1)), nan=-1.0, posinf=1e9)  # (h, B)
    chosen: list[tuple[int, int]] = []
    for flat in np.argsort(-size, axis=None):
        half, window = (int(i) for i in np.unravel_index(flat, size.shape))
        first = unseen.first[half, window]
        if all(abs(int(unseen.first[h, w]) - int(first)) >= unseen.horizon for h, w in chosen):
            chosen.append((half, window))
        if len(chosen) == SHOWN_WINDOWS:
            break
    return chosen


def _windows(unseen: Unseen, bands: Bands, chosen: list[tuple[int, int]]) -> dict[str, Any]:
    """{first: rows, half, columns: [{name, units, truth, mean, step, path, low, high}]}, one entry per window
    in each.

    step, path: half the widths of the bands per step and of the whole path, null where none can be promised; low, high:
    what 90 % of the sampled rollouts lie between, as the venv says it.
    """
    columns = []
    for column in unseen.columns[:MOST_COLUMNS]:
        per_step, whole = bands.step_width(column), bands.path_width(column, unseen.horizon)
        low, high = np.quantile(column.deviation, [0.05, 0.95], axis=-1)
        entries = []
        for half, b in chosen:
            known = column.known[:, half, b]
            entries.append(
                {
                    "truth": np.where(known, column.truth[:, half, b], np.nan),
                    "mean": column.mean[:, half, b],
                    "step": per_step[:, half, b],
                    "path": whole[:, half, b],
                    "low": (column.mean + low)[:, half, b],
                    "high": (column.mean + high)[:, half, b],
                }
            )
        columns.append({"name": column.column, "units": column.units, "windows": entries})
    return {
        "first": [int(unseen.first[c]) for c in chosen],
        "half": [1 - half for half, _ in chosen],
        "columns": columns,
    }


def plain(value: Any) -> Any:
    """The same as JSON holds it: lists, six significant digits, null for what is no finite number."""
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, torch.Tensor):
        return plain(value.cpu().numpy())
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    return value
