"""Registered models as bundles again: a version, found by its number or an alias, copied out of the registry.

`fetch` alone is called in the worker process.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from revive.errors import Problem, UserError, suggestion
from revive.tracking.outbox import Job

if TYPE_CHECKING:
    from mlflow import MlflowClient

_REFERENCE = re.compile(r"models:/(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<version>\d+))")


@dataclass(frozen=True)
class Reference:
    """`models:/NAME@ALIAS` or `models:/NAME/VERSION`; one of alias and version is None."""

    name: str
    alias: str | None
    version: str | None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Raises UserError for anything else."""
        found = _REFERENCE.fullmatch(text)
        if found is None:
            remedy = "write models:/NAME@ALIAS or models:/NAME/VERSION, e.g. models:/pump-policy@champion"
            raise UserError(Problem(f"'{text}' names no version of a registered model", remedy=remedy))
        return cls(**found.groupdict())

    def require(self, found: dict[str, Any], uri: str) -> None:
        """Raises UserError where a registry did not have it. found: what `fetch` returned."""
        if "models" in found:
            what = f"there is no registered model '{self.name}'"
            remedy = (
                suggestion(self.name, found["models"]) if found["models"] else "python -m revive promote RUN"
            )
            raise UserError(Problem(what, uri, remedy=remedy))
        if "aliases" in found and self.alias is not None:
            what = f"the model '{self.name}' has no alias '{self.alias}'"
            remedy = f"promote RUN alias={self.alias} sets it"
            if found["aliases"]:
                remedy = suggestion(self.alias, found["aliases"])
            raise UserError(Problem(what, uri, remedy=remedy))
        if "versions" in found:
            what = f"the model '{self.name}' has no version {self.version}"
            remedy = f"there are: {', '.join(found['versions']) or 'none'}"
            raise UserError(Problem(what, uri, remedy=remedy))


@dataclass(frozen=True)
class Fetched:
    """A version of a registered model. run: the name of the run that it came from. bundle: its copy, if asked for."""

    name: str
    version: str
    run: str | None
    bundle: Path | None

    def __str__(self) -> str:
        return f"models:/{self.name}/{self.version}"


def fetch(client: MlflowClient, job: Job) -> dict[str, Any]:
    """Look up a version, and copy its model into the folder `into` where one is given.

    Returns `version`, `run`, and `folder` of the copy; or what there is instead: `models`, `aliases` or `versions`.
    """
    name = job["name"]
    known = [model for model in client.search_registered_models() if model.name == name]
    if not known:
        return {"models": sorted(model.name for model in client.search_registered_models())}
    aliases = {key: str(value) for key, value in (known[0].aliases or {}).items()}
    if job["alias"] is not None and job["alias"] not in aliases:
        return {"aliases": sorted(aliases)}
    number = job["version"] if job["alias"] is None else aliases[job["alias"]]
    versions = {str(v.version): v for v in client.search_model_versions(f"name = '{name}'")}
    if number not in versions:
        return {"versions": sorted(versions, key=int)}
    found = versions[number]
    told = {"version": number, "run": (found.tags or {}).get("run_id"), "folder": None}
    if job["into"] is not None:
        import mlflow

        source = f"models:/{name}/{number}"
        told["folder"] = mlflow.artifacts.download_artifacts(artifact_uri=source, dst_path=job["into"])
    return told
