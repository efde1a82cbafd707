"""What every stage works with: settings, inputs, the run folder, the records, the terminal."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

import torch

from revive.config.settings import Settings
from revive.data.codec import Codec
from revive.data.windows import Rows
from revive.errors import Problem, UserError
from revive.graph.decision_graph import DecisionGraph
from revive.pipeline.inputs import Inputs
from revive.pipeline.task import Task
from revive.report.terminal import Terminal
from revive.runs import RunFolder, Stopped
from revive.tracking.base import StageTracker, Tracker
from revive.training import Learner
from revive.versions import device, versions


@dataclass
class TrainingContext(ABC):
    """What a learner is fitted with: settings and inputs."""

    settings: Settings
    inputs: Inputs

    @property
    def device(self) -> torch.device:
        """Where everything is computed. Raises UserError where there is no such device."""
        accelerator = self.settings.trainer.accelerator
        if accelerator == "cpu":
            return torch.device("cpu")
        if not torch.cuda.is_available():
            remedy = "trainer.accelerator=cpu"
            raise UserError(
                Problem(
                    "this machine has no GPU that torch can use", place="trainer.accelerator", remedy=remedy
                )
            )
        return torch.device("cuda")

    @abstractmethod
    def checkpoint(self, stage: str) -> Path:
        """Where a learner leaves what it needs to go on after an interruption."""

    @abstractmethod
    def watch(self, learner: Learner, done: int, total: int) -> None:
        """Called after every round of a learner's training."""

    @property
    def task(self) -> Task:
        """What the policy is to do; asked for only where there is one."""
        assert self.inputs.task is not None
        return self.inputs.task

    def rows(self, codec: Codec, graph: DecisionGraph) -> Rows:
        """Both halves, with what `graph` needs of them."""
        parts = self.inputs.parts
        return Rows.of(codec, graph, parts.train, parts.validation).to(self.device)


@dataclass
class Context(TrainingContext):
    """One run under way.

    made_of: what each stage depends on, to be noted when it begins.
    stop: asks the run to end as Ctrl-C does; checked between rounds of training.
    closing: what several stages use, ended with the run.
    """

    folder: RunFolder
    tracker: Tracker
    terminal: Terminal
    data_hash: str
    made_of: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    stop: Event = field(default_factory=Event)
    closing: ExitStack = field(default_factory=ExitStack)

    @contextmanager
    def stage(self, name: str, made_of: Mapping[str, Any] | None = None) -> Iterator[StageTracker]:
        """Time a stage, note it in the run folder, show it, and record it as a child run.

        made_of: what it depends on, where that is not known from the start.
        """
        self.go_on()
        started = time.perf_counter()
        self.folder.stage_started(name, made_of or self.made_of.get(name))
        with self.tracker.stage(name, self.folder.times_afresh(name)) as records, self.terminal.stage(name):
            yield records
        self.note_seconds(name, time.perf_counter() - started)
        self.folder.stage_finished(name)
        self.checkpoint(name).unlink(missing_ok=True)  # not before: what was learned is kept now

    def note_seconds(self, name: str, seconds: float) -> None:
        """Keep the time of a stage, also for when the run is continued."""
        self.seconds = {**(self.folder.read_json("seconds.json") or {}), name: round(seconds, 1)}
        self.folder.write_json("seconds.json", self.seconds)

    def note_learning(self, stage: str, notes: dict[str, Any], records: StageTracker) -> None:
        """Keep what a learner tried and why it stopped, for the summary, also when the run is continued."""
        self.folder.write_json(f"{stage}_learning.json", notes)
        records.params({f"learning.{key}": value for key, value in notes.items()})

    def learning(self, stage: str) -> dict[str, Any]:
        """What `note_learning` kept; empty where the stage was searched or taken from elsewhere."""
        return self.folder.read_json(f"{stage}_learning.json") or {}

    def checkpoint(self, stage: str) -> Path:
        """Where a learner leaves what it needs to go on after an interruption."""
        return self.folder.path / "checkpoints" / f"{stage}.ckpt"

    def watch(self, learner: object, done: int, total: int) -> None:
        """Show how far it is; end it where the run is asked to stop."""
        self.terminal.progress(done, total, getattr(learner, "latest", dict))
        self.go_on()

    def go_on(self) -> None:
        """Leaves as Ctrl-C does, where the run is asked to stop."""
        if self.stop.is_set():
            raise Stopped

    @property
    def provenance(self) -> dict[str, Any]:
        """What a bundle says it was made of."""
        return {
            "experiment": self.settings.experiment,
            "run_id": self.folder.run_id,
            "seed": self.settings.seed,
            "data_sha256": self.data_hash,
            "device": device(self.settings.trainer.accelerator),
            "versions": versions(),
            "config": self.settings.as_dict(),
        }


def use_threads(count: int) -> None:
    """Small networks are slower on several threads than on one."""
    torch.set_num_threads(count)
