"""A worker without a process of its own, and new databases: MLflow is imported once for all tests of a process."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from revive.tracking.sender import Reply
from revive.tracking.store import Store
from revive.tracking.worker import state_of


class InProcess:
    """Does jobs here and now."""

    def __init__(self, store: Store) -> None:
        self.store = store

    @classmethod
    def of(cls, where: dict[str, Any]) -> InProcess:
        """Takes what a `WorkerProcess` takes."""
        return cls(Store(Path(where["log_dir"]), where["uri"], where["experiment"]))

    def ask(self, job: dict[str, Any], folder: Path | None) -> Reply:
        try:
            result = self.store.do(job, folder)
        except Exception as error:
            return Reply(state_of(error), f"{type(error).__name__}: {error}")
        return Reply("done", result=result)

    def dismiss(self, *, now: bool) -> None: ...


def make_database(home: Path) -> Path:
    """A new database in `home`, which takes seconds; returns it."""
    Store(home, None, "demo").do({"do": "connect"}, None)
    return home / "mlflow.db"


def copy_database(made: Path, home: Path) -> Path:
    """A copy of a new database in `home`, without its experiment, whose artifacts would lie elsewhere."""
    home.mkdir(parents=True, exist_ok=True)
    shutil.copy(made, home / "mlflow.db")
    with closing(sqlite3.connect(home / "mlflow.db")) as database:
        for table in ("experiment_tags", "experiments"):
            database.execute(f"delete from {table}")
        database.commit()
    return home
