"""A venv on plain tables, as `revive.runtime.table` is for policies."""

from __future__ import annotations

from typing import Any

from revive.deploy.sessions import VenvSession
from revive.runtime.codec import Array
from revive.runtime.table import venv_inputs, venv_outputs


class VenvTable:
    """One step of a venv: from a table of state, exogenous columns and actions to one of what follows."""

    def __init__(self, venv: VenvSession) -> None:
        self.venv = venv
        self.inputs = venv_inputs(venv.graph)
        self.outputs = venv_outputs(venv.graph)

    def __call__(self, table: Any) -> dict[str, Array]:
        """Column -> (N,); the mean of the members. Raises UserError as `Inputs.read` and `VenvSession.step` do."""
        after = self.venv.step(self.inputs.read(table))
        found: dict[str, Array] = {}
        for node, fields in self.outputs.items():
            found |= {field.name: after[node][:, i] for i, field in enumerate(fields)}
        return found
