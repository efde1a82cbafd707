"""The run folder: what one execution of an experiment was made of, how far it came, and who holds it."""

from revive.runs.changes import Change, changes_between, leaves
from revive.runs.files import write_json, write_yaml
from revive.runs.folder import RunFolder, is_held, stages_finished
from revive.runs.names import fresh_name
from revive.runs.stops import RunInterrupted, Stopped, is_interrupt

__all__ = [
    "Change",
    "RunFolder",
    "RunInterrupted",
    "Stopped",
    "changes_between",
    "fresh_name",
    "is_held",
    "is_interrupt",
    "leaves",
    "stages_finished",
    "write_json",
    "write_yaml",
]
