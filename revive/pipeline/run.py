"""One execution of an experiment, top to bottom."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

from revive.config.instantiate import instantiate
from revive.config.settings import Settings
from revive.data.proposal import Proposal
from revive.data.report import applied_line
from revive.errors import Problem
from revive.pipeline.backtest import backtest, prepare_backtest
from revive.pipeline.check import report_on, require_no_errors, write_report
from revive.pipeline.context import Context, use_threads
from revive.pipeline.evaluate import evaluate
from revive.pipeline.gate import failed
from revive.pipeline.hidden import stood_in
from revive.pipeline.holdable import require_memory
from revive.pipeline.inputs import Inputs, gather
from revive.pipeline.late import looking_back, shown_earlier_values
from revive.pipeline.models import data_record
from revive.pipeline.resume import ingredients, open_run, uses_other_venv, with_test_part
from revive.pipeline.search import require_search
from revive.pipeline.stages import learn_policy, learn_venv, require_venv
from revive.pipeline.trust import cards_of
from revive.pipeline.tune import prepare_tuning, tune_parameters
from revive.report.terminal import Terminal
from revive.tracking.base import Tracker, status_of
from revive.trust.card import Cards
from revive.versions import device


def run(
    settings: Settings, stop: Event | None = None, opened: Callable[[Path], None] | None = None
) -> Problem | None:
    """Inputs -> venv -> policy -> evaluation, in a run folder and in the records.

    Returns what speaks against believing it, where the gate fails and nobody has accepted that.
    stop: ends the run as Ctrl-C does, once it is set. opened: is told the run folder, as soon as there is one.
    Raises UserError for whatever the user gave that is wrong, before anything is written.
    """
    started = time.perf_counter()
    settings = with_test_part(settings)
    use_threads(settings.trainer.threads)
    require_venv(settings)
    require_search(settings)
    inputs = gather(settings)
    require_memory(inputs.graph, settings)
    question = prepare_tuning(settings, inputs)
    held_out = prepare_backtest(settings, inputs)
    report = report_on(inputs, settings)
    require_no_errors(report, settings)
    data_hash = inputs.logs.hash()
    config = {**settings.as_dict(), "data": {"sha256": data_hash, "rows": inputs.logs.rows}}
    asked, first = inputs, cards_of(inputs)
    inputs, told = _with_causes(replace(inputs, cards=first), settings, report.proposals)
    made_of = ingredients(settings, inputs, data_hash)
    with open_run(settings, made_of, config) as folder:
        if opened is not None:
            opened(folder.path)
        terminal = Terminal()
        terminal.opening(settings.experiment, folder.path, inputs.graph, inputs.logs)
        for proposal in inputs.applied:
            terminal.note(f"data    {applied_line(proposal)}")
        terminal.findings(len(report.warnings), len(report.proposals), settings.experiment)
        write_report(report, asked, settings.experiment, folder.path)
        inputs.save_made_data(folder.path)
        _say_causes(terminal, first, told, inputs.cards)
        context = Context(settings, inputs, folder, _tracker(settings), terminal, data_hash, made_of)
        context.stop = stop or context.stop
        context.note_seconds("inputs", time.perf_counter() - started)
        with _records(context, config), context.closing:
            venv = learn_venv(context)
            learned = learn_policy(context, venv) if venv is not None else None
            if venv is not None:
                tuned = tune_parameters(context, venv, learned, question)
                gate = evaluate(context, venv, learned, tuned, backtest(context, held_out))
        status = gate.status if venv is not None and not gate.overridden else None
        tracker = context.tracker
        terminal.closing(folder.path, tracker.ui_command(), tracker.trouble, settings.experiment, status)
        return failed(folder.path, gate) if venv is not None else None


def _say_causes(terminal: Terminal, first: Cards | None, told: Sequence[str], last: Cards | None) -> None:
    """first, last: cards before and after what was told changed the graph."""
    if first is not None:
        terminal.cards(first)
    for line in told:
        terminal.note(f"data    {line}")
    if last is not None and last is not first:
        terminal.cards(last)


def _with_causes(
    inputs: Inputs, settings: Settings, proposals: Sequence[Proposal]
) -> tuple[Inputs, list[str]]:
    """What follows from the causal cards is written into the graph; the line that says each of it.

    proposals: of the data report.
    """
    leave_alone = settings.dataset.proposals == "ask" or uses_other_venv(settings)
    inputs, back = (inputs, []) if uses_other_venv(settings) else looking_back(inputs, settings.venv.history)
    inputs, late = (inputs, []) if leave_alone else shown_earlier_values(inputs, proposals)
    inputs, hidden = stood_in(inputs, leave_alone)
    return inputs, [*back, *late, *hidden]


def _tracker(settings: Settings) -> Tracker:
    tracker = instantiate(
        settings.tracking,
        "tracking",
        settings.trust.targets,
        log_dir=settings.log_dir,
        name=settings.experiment,
    )
    tracker.warm_up()
    return tracker  # type: ignore[no-any-return]


class _records:
    """The parent run of the command: opened with the config, closed with how the command ended."""

    def __init__(self, context: Context, config: dict[str, Any]) -> None:
        self.context, self.config = context, config

    def __enter__(self) -> None:
        context, folder = self.context, self.context.folder.path
        made_with = dict(context.provenance["versions"])
        tags = {
            "run_id": context.folder.run_id,
            "experiment": context.settings.experiment,
            "seed": context.settings.seed,
            "data_sha256": context.data_hash,
            "git_commit": made_with.pop("commit", None),
            "device": device(context.settings.trainer.accelerator),
            "version": made_with,
        }
        named = {**self.config, "run_id": context.folder.run_id}
        context.tracker.start(folder, {k: v for k, v in tags.items() if v is not None}, named)
        context.tracker.data(data_record(self.config, folder, context.inputs.graph))
        for name in ("config.yaml", "data_report.json", "data_report.html", "graph.mmd"):
            context.tracker.artifact(folder / name)

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        picture = self.context.folder.path / "figures" / "graph.png"
        if picture.is_file():
            self.context.tracker.artifact(picture, "figures")
        tracker, note = self.context.tracker, self.context.terminal.note
        if tracker.delay:
            note(f"waiting  {tracker.delay}")
        tracker.finish(status_of(error))
        if error is not None and tracker.trouble:
            note(tracker.trouble)
