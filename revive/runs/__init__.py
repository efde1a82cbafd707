"""The run folder: what one execution of an experiment was made of, how far it came, and who holds it."""

from revive.runs.changes import Change, changes_between, leaves
from revive.runs.files import disk_trouble, plain_json, write_bytes, write_json, write_yaml
from revive.runs.folder import RunFolder
from revive.runs.locks import alone_in, is_held
from revive.runs.names import fresh_name, readable_name
from revive.runs.places import stages_finished
from revive.runs.stops import RunInterrupted, Stopped, is_interrupt, sigterm_interrupts

__all__ = [
    "Change",
    "RunFolder",
    "RunInterrupted",
    "Stopped",
    "alone_in",
    "changes_between",
    "disk_trouble",
    "fresh_name",
    "is_held",
    "is_interrupt",
    "leaves",
    "plain_json",
    "readable_name",
    "sigterm_interrupts",
    "stages_finished",
    "write_bytes",
    "write_json",
    "write_yaml",
]
