"""Where the course of a run is recorded; the only package that knows MLflow.

What is to be recorded becomes jobs, plain values that stand in a file until they are done (`outbox`). A thread hands
them one by one (`sender`) to a process of its own (`worker`), which talks to MLflow (`store`). So a database that is
locked or a server that is gone holds up nobody, and MLflow changes nothing in the user's process: it hooks into
imports, logging and warnings, and is told by environment variables how long to try.
"""

from revive.tracking.base import NullTracker, StageTracker, Status, Tracker, TrialTracker, status_of
from revive.tracking.mlflow import MlflowTracker

__all__ = [
    "MlflowTracker",
    "NullTracker",
    "StageTracker",
    "Status",
    "Tracker",
    "TrialTracker",
    "status_of",
]
