"""Where the course of a run is recorded; the only package that knows MLflow, which it imports when used."""

from revive.tracking.base import NullTracker, StageTracker, Status, Tracker, status_of
from revive.tracking.mlflow import MlflowTracker

__all__ = ["MlflowTracker", "NullTracker", "StageTracker", "Status", "Tracker", "status_of"]
