"""`promote`: the models of a run become versions in MLflow's registry, under an alias that says which one is in use."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict

from revive.config.run_arguments import RunArguments
from revive.errors import Problem, UserError
from revive.pipeline.finished import FinishedRun, finished_run
from revive.pipeline.models import model_records
from revive.report.note import note
from revive.tracking.base import ModelRecord
from revive.tracking.promotion import Promoted, Registry

ALIAS = "champion"
_ALIAS = re.compile(r"(?!latest$)(?![vV]\d+$)[\w-]{1,100}", re.ASCII | re.IGNORECASE)


def promote(arguments: Sequence[str]) -> None:
    """Register policy and venv of a run, and print what was done.

    arguments: RUN [alias=champion] [log_dir=DIR] [--json].

    Raises UserError, with nothing registered, where the gate failed and nobody has accepted that, for a run that is
    not finished or in no records, for bundles that were changed, and for a registry that is away.
    """
    given = RunArguments.parse("promote", arguments)
    alias = given.rest.get("alias", ALIAS)
    if not _ALIAS.fullmatch(alias):
        remedy = (
            "letters, digits, - and _; neither 'latest' nor the like of v1, which MLflow keeps for itself"
        )
        raise UserError(Problem(f"'{alias}' is no alias", place="alias", remedy=remedy))
    run = finished_run(given.folders[0])
    _require_gate(run)
    records = model_records(run.folder)
    if not records:
        what = "this run has neither policy nor venv of its own"
        raise UserError(Problem(what, run.folder, remedy="promote the run that learned them"))
    with _registry(run) as registry:
        done = [_promoted(registry, run, record, alias) for record in records]
        registry.tag(run.folder, done)
    if given.json:
        told = [{**asdict(one), "uri": one.uri} for one in done]
        sys.stdout.write(json.dumps({"registry": registry.uri, "models": told}, indent=2) + "\n")
        return
    sys.stdout.write("".join(f"{line}\n" for line in _lines(done, registry.uri)))


def _require_gate(run: FinishedRun) -> None:
    gate = run.summary["gate"]
    if gate.get("status") in ("pass", "warn") or gate.get("overridden"):
        return
    reasons = " ".join(gate.get("reasons", ())) or "it was not judged"
    remedy = f"gate.override=true with run_id={run.name} accepts it, and the version will say so"
    raise UserError(Problem(f"is not promoted, because its gate fails: {reasons}", run.folder, remedy=remedy))


def _registry(run: FinishedRun) -> Registry:
    tracking = run.config["tracking"]
    if str(tracking.get("_target_", "")).endswith("NullTracker"):
        remedy = f"the command that made it, with run_id={run.name} and tracking=mlflow, records it"
        raise UserError(Problem("this run was recorded nowhere (tracking=none)", run.folder, remedy=remedy))
    experiment = tracking.get("experiment") or run.config["experiment"]
    return Registry(run.folder.parent, tracking.get("uri"), experiment)


def _promoted(registry: Registry, run: FinishedRun, record: ModelRecord, alias: str) -> Promoted:
    experiment = run.summary["experiment"]
    texts = {
        "description": f"The {record.kind} of the experiment '{experiment}', learned from logs by revive.",
        "note": f"Run {run.name}.\n\n{note(run.summary)}",
    }
    return registry.promote(run.folder, record, f"{experiment}-{record.kind}", alias, texts)


def _lines(done: Sequence[Promoted], uri: str) -> list[str]:
    width = max(len(one.name) for one in done)
    return [
        *(f"{one.name:<{width}}  version {one.version} is {one.alias}{_instead(one)}" for one in done),
        f"load     mlflow.pyfunc.load_model('{done[0].uri}')",
        f"serve    MLFLOW_TRACKING_URI={shlex.quote(uri)} mlflow models serve -m {done[0].uri} --env-manager local",
    ]


def _instead(one: Promoted) -> str:
    if one.before is None:
        return ""
    if one.before["version"] == one.version:
        return ", as it was before"
    return f"; before it was version {one.before['version']}, of run {one.before['run']}"
