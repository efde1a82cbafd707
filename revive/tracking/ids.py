"""Which MLflow run belongs to which record of a run folder, in `mlflow.json` of that folder."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

from revive.runs import write_json

FILE = "mlflow.json"


class Ids:
    """The ids of one run folder at one database or server.

    mark: a text that is in the tag `revive.record` of each of its MLflow runs, and of no other. With it a run is
    found that was made but whose id was never noted, because something died in between.
    """

    def __init__(self, folder: Path, uri: str | None) -> None:
        self.folder = folder
        self._path, self._uri = folder / FILE, uri
        stored = self._stored()
        self.known: dict[str, str] = stored.get("runs", {})
        self.mark: str = stored.get("mark") or uuid.uuid4().hex
        self.fresh = "mark" not in stored
        if self.fresh:
            self._save()

    def tag(self, key: str) -> str:
        """The value of a record's tag."""
        return f"{self.mark}/{key}"

    def add(self, key: str, run_id: str) -> None:
        """Note the MLflow run of a record."""
        self.known[key] = run_id
        self._save()

    def _stored(self) -> dict[str, Any]:
        """What is noted for this uri; an unreadable file counts as none, and is made anew."""
        try:
            stored = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return stored if isinstance(stored, dict) and stored.get("uri") == self._uri else {}

    def _save(self) -> None:
        write_json(self._path, {"uri": self._uri, "mark": self.mark, "runs": self.known})
