"""What was learned, judged: the venv on unseen data, the policy in both halves' venvs and in the simulator."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from revive.bundles import Gate
from revive.data.windows import Rows
from revive.errors import RunFailed
from revive.graph.found import stand_ins
from revive.graph.joint import apart
from revive.graph.units import units_of
from revive.pipeline.appraisal import appraise
from revive.pipeline.context import Context
from revive.pipeline.drafts import guessed_limits
from revive.pipeline.gate import gate_of, note_in_bundles
from revive.pipeline.models import KINDS, model_records
from revive.pipeline.optimism import search_summary
from revive.pipeline.problems import evaluation_environment, policy_venv, rewards_to_the_end
from revive.pipeline.report import FIGURES, PAGE, write_report
from revive.pipeline.scored import scored
from revive.pipeline.stages import Learned
from revive.pipeline.study import plain, study
from revive.policy.guessed import about_guessed_limits
from revive.policy.simulator import Truth
from revive.policy.venv_verdicts import about_errors
from revive.policy.verdicts import Verdict, about_cards, about_conduct, about_promise
from revive.report import figures
from revive.report.note import note
from revive.report.summary import Summary
from revive.report.tipping_figure import tipping_figure
from revive.tracking.base import NOTE
from revive.venv.first_principles import fitted_parameters
from revive.venv.validation import RolloutError, rollout_error
from revive.venv.virtual_env import Actor, VirtualEnv


def evaluate(
    context: Context,
    venv: VirtualEnv,
    learned: Learned | None,
    tuned: dict[str, Any] | None = None,
    backtested: dict[str, Any] | None = None,
) -> Gate:
    """Write summary.json, the figures and the report, and print the table; returns whether the run may be believed."""
    with context.stage("evaluation") as records:
        rows = context.rows(venv.codec, context.inputs.graph)
        errors = rollout_error(venv, rows)
        truth = None if learned is None else scored(context, learned.policy)
        policy, verdicts = _policy_summary(context, venv, errors, learned, truth)
        gate = gate_of(verdicts, context.settings.gate.override)
        summary = replace(
            _without_policy(context, venv, errors),
            policy=policy,
            tuning=tuned or {},
            backtest=backtested or {},
            search=search_summary(context, venv, errors, learned),
            verdicts=[verdict.to_json() for verdict in verdicts],
            gate=gate.model_dump(mode="json"),
            tipping=learned.tipping if learned else [],
        )
        _draw(context, venv, rows, errors, learned, truth)
        for path in sorted(context.folder.figures.iterdir()):
            records.artifact(path, "figures")
        records.metrics(summary.metrics())
        if context.settings.report:
            shown = study(context, venv, rows, errors, learned)
            shown["evaluation"] = plain({k: policy[k] for k in ("fqe", "terms", "compared") if k in policy})
            write_report(context.folder.path, summary.to_json(), shown)
    summary = replace(summary, seconds=context.seconds)
    _publish(context, summary, gate)
    context.terminal.table(summary)
    require_finite(summary)
    return gate


def _without_policy(context: Context, venv: VirtualEnv, errors: RolloutError) -> Summary:
    """What is known before anybody asks for a policy: the data, the venv, and what the logs say of causes."""
    logs = context.inputs.logs
    return Summary(
        experiment=context.settings.experiment,
        run_id=context.folder.run_id,
        seed=context.settings.seed,
        data={
            "sha256": context.data_hash,
            "rows": logs.rows,
            "trajectories": logs.count,
            "step_seconds": logs.step_seconds,
            "units": units_of(context.inputs.graph),
        },
        venv={
            **_venv_summary(venv, errors),
            **_test_summary(context, venv),
            **_parameters(venv),
            "learning": context.learning("venv"),
        },
        policy={},
        seconds={},
        causal=_causal(context),
    )


def _publish(context: Context, summary: Summary, gate: Gate) -> None:
    """Write the summary, note the gate in the bundles, and record all of it."""
    context.tracker.metrics(summary.metrics())
    context.folder.write_json("summary.json", summary.to_json())
    for name in ("summary.json", PAGE, FIGURES) if context.settings.report else ("summary.json",):
        context.tracker.artifact(context.folder.path / name)
    codes = ", ".join(sorted({verdict["code"] for verdict in summary.verdicts})) or "none"
    context.tracker.tags({"verdicts": codes, "gate": gate.status, NOTE: note(summary.to_json())})
    note_in_bundles(context.folder.path, gate)
    _keep_models(context)


def _keep_models(context: Context) -> None:
    """Record venv and policy as models, now that their gate stands in them."""
    afresh: dict[str, int] = {kind: context.folder.times_afresh(kind) for kind in KINDS}
    for record in model_records(context.folder.path, afresh):
        context.tracker.model(record)


def _policy_summary(
    context: Context, venv: VirtualEnv, errors: RolloutError, learned: Learned | None, truth: Truth | None
) -> tuple[dict[str, Any], list[Verdict]]:
    """The figures of the policy, and every verdict on the run."""
    if context.inputs.task is None:
        return {}, [
            *about_cards(context.inputs.cards),
            *about_errors(errors, context.inputs.logs.step_seconds),
        ]
    figures: dict[str, Any] = {"logged": float(context.task.logged_reward.mean())}
    venv = policy_venv(context, venv)
    if learned is None:
        return figures, [
            *about_cards(context.inputs.cards),
            *about_errors(errors, context.inputs.logs.step_seconds),
        ]
    rows = _policy_rows(context, venv)
    rewards_to_the_end(context.task, venv, rows)
    if venv.closing is not None:
        context.terminal.note(venv.closing.told(venv.codec))
    found = appraise(context, venv, rows, learned, truth)
    figures |= found.figures
    units, guessed = units_of(context.inputs.graph), guessed_limits(context.settings)
    leaning = about_guessed_limits(found.uses, guessed, units)
    return figures, [*learned.verdicts, *about_conduct(found.uses), *leaning, *about_promise(figures)]


def _causal(context: Context) -> dict[str, Any]:
    """The causal cards, and which nodes stand in for hidden causes."""
    cards, standing = context.inputs.cards, stand_ins(context.inputs.graph.found)
    return {**cards.as_dict(), "stand_ins": list(standing)} if cards else {}


def require_finite(summary: Summary) -> None:
    """Raises RunFailed, with the cause, where a figure of the table is no number; all is written by then."""
    bad = [place for place, value in summary.figures() if not math.isfinite(value)]
    if not bad:
        return
    in_venv = any(place.startswith("venv.") for place in bad)
    cause = (
        "rollouts of the venv leave every bound: declare min and max of the states, or log more of their range"
        if in_venv
        else "get_reward or the simulator gives no number where the policy leads: make it finite everywhere"
    )
    raise RunFailed(f"{', '.join(bad[:3])}{' ...' if bad[3:] else ''}: not finite\n    -> {cause}")


def _venv_summary(venv: VirtualEnv, errors: RolloutError) -> dict[str, Any]:
    columns = {name: [column.name for column in venv.graph.columns(name)] for name in errors.venv}
    return {
        "rollout_mae": errors.by_horizon(),
        "persistence_mae": errors.by_horizon(of="persistence"),
        "other_half": {
            "rollout_mae": errors.by_horizon(1),
            "persistence_mae": errors.by_horizon(1, "persistence"),
            "average_mae": errors.by_horizon(1, "average"),
            "at_step": {of: errors.at_horizons(1, of) for of in ("venv", "persistence", "average")},
        },
        "average_mae": errors.by_horizon(of="average"),
        "at_step": {of: errors.at_horizons(of=of) for of in ("venv", "persistence", "average")},
        "columns": errors.by_column(columns),
        "members": venv.members,
    }


def _parameters(venv: VirtualEnv) -> dict[str, Any]:
    """What the parameters of the user's functions came to, where there are some."""
    found = fitted_parameters(venv)
    return {"parameters": found} if found else {}


def _test_summary(context: Context, venv: VirtualEnv) -> dict[str, Any]:
    """The error on the test part, which nothing has read before; by the members of either half."""
    test = context.inputs.parts.test
    if test is None:
        return {}
    rows = Rows.of(venv.codec, venv.graph, test, test)
    errors = rollout_error(venv, rows)
    halves = [errors.by_horizon(half) for half in range(venv.halves)]
    return {"test": {"rollout_mae": halves, "persistence_mae": errors.by_horizon(of="persistence")}}


def _draw(
    context: Context,
    venv: VirtualEnv,
    rows: Rows,
    errors: RolloutError,
    learned: Learned | None,
    truth: Truth | None,
) -> None:
    folder, inputs = context.folder.figures, context.inputs
    task, step = inputs.task, inputs.logs.step_seconds
    graph = inputs.graph if task is None else task.graph
    graph = apart(graph) if any(node.parts for node in graph.all_nodes) else graph
    figures.save(figures.decision_graph(graph), folder / "graph.png")
    figures.save(figures.rollouts(venv, rows, step_seconds=step), folder / "rollouts.png")
    figures.save(figures.error_by_horizon(venv, errors, step), folder / "rollout_error.png")
    for target in inputs.graph.decisions or inputs.graph.exogenous:
        if any(target in inputs.graph[name].inputs for name in inputs.graph.transitions):
            name = "response" if task and target == task.decides else f"response_{target}"
            figures.save(figures.response_curves(venv, rows, target), folder / f"{name}.png")
    if learned is not None and learned.tipping:
        figures.save(tipping_figure(learned.tipping), folder / "tipping.png")
    if learned is not None:
        series, title = _series(context, policy_venv(context, venv), learned)
        figures.save(figures.control(inputs.graph, series, title, step), folder / "control.png")


@torch.no_grad()
def _series(
    context: Context, venv: VirtualEnv, learned: Learned
) -> tuple[dict[str, dict[str, np.ndarray]], str]:
    """What happens from one logged start: who decides -> node -> (T, d), and the title that says where it is.

    The logs themselves, and in the venv of the half that the policy did not learn in the logs' controller as it was
    learned and the policy; all three under the disturbances of the logs.
    """
    graph = context.inputs.graph
    names = [*(name for name in graph.leaves if graph[name].history is None), *context.task.targets]
    world = evaluation_environment(context, venv, _policy_rows(context, venv))
    member = venv.members_of(1 - learned.half).start
    start = int(world.first[member, 0])
    steps = min(world.horizon, int(world.rows.ends[start]) - start)

    def of(actor: Actor | None) -> dict[str, np.ndarray]:
        rolled = world.roll(actor)
        codec = (actor.codec if actor else None) or venv.codec
        known = {name: rolled[name][:steps, member, 0] for name in names if name in rolled}
        return {name: value.double().numpy() for name, value in codec.decode(known).items()}

    values = {n: world.rows.values[n][start : start + steps] for n in names if n in world.rows.values}
    logged = {name: value.double().numpy() for name, value in venv.codec.decode(values).items()}
    series = {
        "the logs": logged,
        "logs' controller, in the venv": of(None),
        f"{'clone taken' if learned.fallback else 'learned policy'}, in the venv": of(learned.policy.actor()),
    }
    return (
        series,
        "from the same logged start, under the same disturbances, in the half that it did not learn in",
    )


def _policy_rows(context: Context, venv: VirtualEnv) -> Rows:
    """Both halves with the histories that the policy sees."""
    graph = context.task.graph
    return context.rows(venv.codec.for_graph(graph), graph)
