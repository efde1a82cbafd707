"""`trial-plan`: which policies of a run to try on the plant, how long, in which order, and when to stop."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from revive.config.run_arguments import RunArguments
from revive.data.trajectories import FloatArray
from revive.errors import Problem, UserError
from revive.pipeline.finished import finished_file, require_finished, settings_of
from revive.pipeline.inputs import Inputs, gather
from revive.pipeline.shortlist import FOLDER, read_shortlist
from revive.pipeline.trial_results import results
from revive.pipeline.trial_schedule import (
    STAGES,
    Blocks,
    Course,
    Row,
    moves,
    schedule,
    states,
    write_schedule,
)
from revive.report.terminal import Terminal
from revive.report.trial_text import trial_lines, trial_table
from revive.runs import write_json
from revive.trust.trial import LENGTHS, WORTH, Rule, chance, rule_for, spread_of_pairs

FLOOR = 0.01  # share of the logged blocks below which a block of the trial ends it


def trial_plan(arguments: Sequence[str]) -> None:
    """Print the plan, and leave trial_plan.json and trial_plan.csv in the run folder; or judge what was measured.

    arguments: run=NAME [log_dir=DIR] [error=0.05] [power=0.9] [steps=N] [seed=0] [results=FILE]. steps: at most, of
    each candidate. results: the CSV of the plan with its column `reward` filled in as far as the trial went.
    Raises UserError for arguments that cannot be understood, a run that is not there or not finished, and one with
    nothing to try.
    """
    given = RunArguments.parse("trial-plan", arguments)
    folder = given.folders[0]
    error, power = given.number("error", 0.05, 1e-6, 0.5), given.number("power", 0.9, 0.5, 0.999)
    terminal = Terminal()
    if given.rest.get("results"):
        before = finished_file(folder, "trial_plan.json")
        for line in results(before, Path(given.rest["results"]).expanduser(), folder / "trial_results.json"):
            terminal.note(line)
        return
    plan, rows = _planned(given, folder, error, power)
    file = folder / "trial_plan.csv"
    write_schedule(file, rows, plan["limits"]["moves"])
    write_json(folder / "trial_plan.json", plan)
    terminal.console.print(trial_table(plan))
    for line in trial_lines(plan, WORTH, file):
        terminal.note(line)


def _planned(given: RunArguments, folder: Path, error: float, power: float) -> tuple[Row, list[Row]]:
    """What trial_plan.json holds, and the blocks one by one."""
    require_finished(folder)
    summary = finished_file(folder, "summary.json")
    candidates = _candidates(folder, summary)
    inputs = gather(settings_of(folder))
    rewards = _logged_rewards(inputs, folder)
    most = given.number("steps", math.inf, 1, math.inf)
    each = error / len(candidates)
    blocks = _blocks(summary, inputs, rewards, max(c["gain"] for c in candidates), each, power)
    courses = [_course(c, blocks, each, power, most) for c in candidates]
    rows = schedule(courses, blocks, int(given.number("seed", 0, 0, 2**31)))
    limits = {"moves": moves(summary, inputs), "states": states(inputs)}
    plan = _json(courses, blocks, limits, rows, error, power)
    return {**plan, "step_seconds": inputs.logs.step_seconds, "gate_failed": _refused(summary)}, rows


def _logged_rewards(inputs: Inputs, folder: Path) -> FloatArray:
    if inputs.task is None:
        what = "the run has no reward, so nothing can be tried for it"
        raise UserError(Problem(what, folder, remedy="reward=FILE with a run_id of its own"))
    return np.asarray(inputs.task.logged_reward.double().numpy()).reshape(-1)


def _candidates(folder: Path, summary: Mapping[str, Any]) -> list[Row]:
    """What may be tried, the most promising first: name, source, bundle, gain per step, and what of it is sure."""
    if not summary.get("policy", {}).get("chosen"):
        raise UserError(Problem("the run learned no policy", folder, remedy="policy.mode=once with run_id"))
    try:
        listed = read_shortlist(folder)
    except ValueError as error:
        remedy = "restore it, or run the experiment again"
        raise UserError(
            Problem(f"is damaged: {error}", folder / FOLDER / "list.json", None, remedy)
        ) from error
    refused = _refused(summary)
    found: list[Row] = [
        {"name": c.name, "source": c.source, "bundle": f"{FOLDER}/{c.name}", "gain": c.gain, "sure": c.sure}
        for c in listed
        if c.gain > 0 and (c.clone or not refused)
    ]
    if not listed and not refused:
        found += _of_summary(summary["policy"])
    if not refused:
        found += _tuned(summary.get("tuning", {}))
    found = [c for c in found if math.isfinite(float(c["gain"])) and float(c["gain"]) > 0]
    if not found:
        why = (
            "the gate fails, and no clone promises more than the logs' controller earns: no policy of this run "
            "should be tried on the plant"
            if refused
            else "no policy of this run promises more than the logs' controller earns"
        )
        remedy = "do what the report asks for; design-experiment says how to move the actions"
        raise UserError(Problem(why, folder, remedy=remedy))
    return sorted(found, key=lambda c: -float(c["sure"]))


def _refused(summary: Mapping[str, Any]) -> bool:
    """Whether the gate fails and nobody accepted that."""
    gate = summary.get("gate", {})
    return gate.get("status") == "fail" and not gate.get("overridden")


def _of_summary(policy: Mapping[str, Any]) -> list[Row]:
    """The policy that a run took, where it kept no list."""
    other = 1 - policy.get("learned_in_half", 0)
    gain = policy["predicted"]["mean"] - policy["behaviour"][other]["mean"]
    row = {"name": "policy", "source": policy["chosen"]["source"], "bundle": "policy", "gain": gain}
    return [{**row, "sure": policy["predicted"]["low"] - policy["behaviour"][other]["mean"]}]


def _tuned(tuning: Mapping[str, Any]) -> list[Row]:
    """The tuned parameters, where their gain over the logged ones is known."""
    gain = tuning.get("gain")
    if not gain:
        return []
    values = ", ".join(f"{k} = {v:.4g}" for columns in tuning["values"].values() for k, v in columns.items())
    return [
        {
            "name": "tuned",
            "source": values,
            "bundle": "tuning.yaml",
            "gain": gain["mean"],
            "sure": gain["low"],
        }
    ]


def _blocks(
    summary: Mapping[str, Any], inputs: Inputs, rewards: FloatArray, gain: float, alpha: float, power: float
) -> Blocks:
    """Blocks with which the largest promised gain takes the fewest steps; episodes, where the logs hold many."""
    lengths = [int(n) for n in inputs.logs.lengths]
    if len(lengths) >= 8:
        ends = np.cumsum(lengths)
        means = np.array([rewards[e - n : e].mean() for e, n in zip(ends, lengths, strict=True)])
        sd = math.sqrt(2.0) * float(means.std(ddof=1))
        return Blocks(int(np.median(lengths)), 0, True, max(sd, 1e-12), float(np.quantile(means, FLOOR)))
    horizon = summary["policy"].get("horizon") or {}
    skipped = int(horizon.get("settled") or max(5, 2 * (horizon.get("dead_time") or 1)))
    best: tuple[float, Blocks] | None = None
    for counted in LENGTHS:
        spread = spread_of_pairs(rewards, lengths, counted, skipped)
        if spread is None:
            break
        floor = _floor(rewards, lengths, counted + skipped, skipped)
        blocks = Blocks(counted, skipped, False, max(spread, 1e-12), floor)
        cost = rule_for(gain, blocks.sd, alpha, power).most * 2.0 * blocks.steps
        if best is None or cost < best[0]:
            best = cost, blocks
    if best is None:
        what = f"the logs hold too few blocks of {skipped + LENGTHS[0]} steps to tell how much rewards vary"
        raise UserError(Problem(what, remedy="log more"))
    return best[1]


def _floor(rewards: FloatArray, lengths: Sequence[int], length: int, skipped: int) -> float:
    means, first = [], 0
    for rows in lengths:
        part = rewards[first : first + rows][: rows // length * length]
        means.append(part.reshape(-1, length)[:, skipped:].mean(axis=1))
        first += rows
    return float(np.quantile(np.concatenate(means), FLOOR))


def _course(candidate: Row, blocks: Blocks, alpha: float, power: float, most: float) -> Course:
    """Planned for what is sure of the promise, half of it at least."""
    gain = max(float(candidate["sure"]), 0.5 * float(candidate["gain"]))
    rule = rule_for(gain, blocks.sd, alpha, power)
    before = sum(pairs for _, pairs in STAGES)
    allowed = int(min(most / (2.0 * blocks.steps), 10**9)) - before
    if allowed < 1:
        needed = 2 * blocks.steps * (before + 1)
        raise UserError(
            Problem(f"is {most:g}", place="steps", remedy=f"a pair of blocks needs at least {needed}")
        )
    if allowed < rule.most:
        rule = Rule(rule.alpha, rule.rho, rule.worth, allowed)
    return Course(
        candidate["name"],
        candidate["source"],
        candidate["bundle"],
        float(candidate["gain"]),
        gain,
        rule,
        before,
    )


def _json(
    plan: Sequence[Course],
    blocks: Blocks,
    limits: Mapping[str, Any],
    rows: Sequence[Row],
    error: float,
    power: float,
) -> Row:
    return {
        "format": 1,
        "error": error,
        "power": power,
        "blocks": {**asdict(blocks), "steps": blocks.steps},
        "candidates": [
            {
                **asdict(c),
                "steps": 2 * blocks.steps * c.pairs,
                "chance": chance(c.rule, c.expected, blocks.sd),
            }
            for c in plan
        ],
        "stages": [{"times_own_moves": times, "pairs": pairs} for times, pairs in STAGES],
        "limits": limits,
        "schedule": [
            [row["block"], row["candidate"], row["pair"], row["plays"], row["counts"]] for row in rows
        ],
    }
