"""The run folder: what one execution of an experiment was made of, how far it came, and who holds it."""

from revive.runs.changes import Change, changes_between, leaves
from revive.runs.files import alone_in, disk_trouble, write_bytes, write_json
from revive.runs.folder import RunFolder
from revive.runs.names import fresh_name
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
    "is_interrupt",
    "leaves",
    "sigterm_interrupts",
    "write_bytes",
    "write_json",
]
