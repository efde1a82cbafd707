"""One policy for many plants: a request to its answer, as plain values; in shadow mode only a log is written."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from revive.bundles.opened import Bundle
from revive.errors import Problem, UserError, suggestion
from revive.graph.limits import OUTSIDE, Outside
from revive.runtime.codec import Array
from revive.runtime.envelope import Judgement
from revive.runtime.policy import Policy, policy_of
from revive.serving.asking import Asked, Reader
from revive.serving.contract import Contract, Field
from revive.serving.counts import Counts
from revive.serving.plants import Plant, Plants
from revive.serving.shadow import ShadowLog

_log = logging.getLogger("revive.serving")


class Service:
    """A policy that acts, or in shadow mode only proposes.

    Args:
        policy: in the numpy runtime.
        about: what is said of it in /health, plain values.
        shadow: the log file of shadow mode, None to act.
        outside: what becomes of inputs beyond their declared limits.
        plants: how many are remembered at most.

    Raises UserError where the log cannot be written.
    """

    def __init__(
        self,
        policy: Policy,
        about: Mapping[str, Any] | None = None,
        shadow: str | Path | None = None,
        outside: Outside = "refuse",
        plants: int = 10_000,
    ) -> None:
        if outside not in OUTSIDE:
            raise UserError(
                Problem(f"outside cannot be {outside!r}", remedy=suggestion(str(outside), OUTSIDE))
            )
        self.policy, self.about = policy, dict(about or {})
        self.contract, self.plants, self.counts = Contract(policy), Plants(policy, plants), Counts()
        self._reader = Reader(self.contract, outside, shadow is not None)
        self._judged = self._judged_columns()
        self._span = self._spans()
        self.log = None if shadow is None else ShadowLog(Path(shadow), self._log_fields())

    @classmethod
    def of_bundle(
        cls,
        folder: str | Path,
        *,
        accept_failed_gate: bool = False,
        called: str | None = None,
        **options: Any,
    ) -> Service:
        """The service of a policy bundle; `called` is said of it in /health in place of its folder.

        Raises UserError where it was changed, or did not pass its gate.
        """
        bundle = Bundle.open("policy", folder)
        bundle.require_gate(accept_failed_gate)
        made, gate = bundle.spec["provenance"], bundle.manifest.gate
        about = {key: made.get(key) for key in ("run_id", "experiment", "seed", "data_sha256")}
        about |= {"bundle": called or str(bundle.folder), "gate": None if gate is None else gate.status}
        return cls(policy_of(bundle), about, **options)

    @property
    def is_shadow(self) -> bool:
        """Whether actions are only proposed and logged."""
        return self.log is not None

    # -- what is asked -------------------------------------------------------------------------

    def act(self, request: Any) -> dict[str, Any]:
        """One step of one plant, or of many.

        request: {"plant": NAME, "inputs": {column: value}, "operator": {column: value}, "units": {column: unit},
        "restart": true, "before": {column: value or values}}, all but `inputs` optional; or
        {"plants": {NAME: {"inputs": ..., ...}}, "units": ...}.
        `operator`, what was done at the plant in this step, belongs to shadow mode and is needed there. `before` says
        what was before the first step of a plant; what was `assumed` of it stands in the answer.
        Returns for each plant its action (`proposal` in shadow mode), and whether the model knows such inputs.
        Raises UserError with everything that is wrong; then nothing has been remembered.
        """
        asked = self._reader.read(request)
        self.plants.admit(asked.names)
        self.plants.require_first(set(asked.before) - {*asked.restart})
        self.plants.forget(asked.restart)
        rows = self.contract.arrays(asked.seen)
        action = self.plants.act(asked.names, rows, asked.operator, asked.before)
        judged = self._judge(asked, asked.seen)
        answers = [self._answer(asked, number, action[number], judged) for number in range(len(asked.names))]
        if self.log is not None and asked.operator is not None:
            self.log.write([self._record(asked, i, action[i], judged) for i in range(len(asked.names))])
            names = [field.name for field in self.contract.decided]
            self.counts.note_compared(names, action, asked.operator, self._span)
        self.counts.answered += 1
        self.counts.steps += len(asked.names)
        units = {f.name: f.column.units for f in self.contract.decided if f.column.units}
        shared: dict[str, Any] = {"shadow": self.is_shadow, **({"units": units} if units else {})}
        if asked.single:
            return {"plant": asked.names[0], **answers[0], **shared}
        return {"plants": dict(zip(asked.names, answers, strict=True)), **shared}

    def reset(self, request: Any) -> dict[str, Any]:
        """Forget plants, as they are started again: {"plants": [NAME, ...]}, or {} for all of them."""
        if not isinstance(request, Mapping) or set(request) - {"plants"}:
            raise UserError(
                Problem(
                    "cannot be understood",
                    place="reset",
                    remedy='write {"plants": [NAME, ...]}, or {} for all',
                )
            )
        names = request.get("plants")
        if names is not None and not (
            isinstance(names, list) and all(isinstance(name, str) for name in names)
        ):
            raise UserError(Problem("is no list of names", place="plants"))
        return {"forgotten": self.plants.forget(names)}

    def schema(self) -> dict[str, Any]:
        """What a request holds: columns with units and limits, and an example."""
        middle = {node: self.policy.middle(node) for node in (*self.contract.nodes, self.policy.target)}
        example: dict[str, Any] = {"inputs": _named(self.contract.seen, _joined(middle, self.contract.nodes))}
        if self.is_shadow:
            example["operator"] = _named(self.contract.decided, middle[self.policy.target])
        return {
            **self.contract.to_json(),
            "remembers": [n for n in self.policy.inputs if n not in self.contract.nodes],
            "before": [f.name for fields in self.contract.remembered.values() for f in fields],
            "logged": self._logged(),
            "example": example,
        }

    def health(self) -> dict[str, Any]:
        """How it stands: which policy acts, and the plants that it does not know any more."""
        out = self.plants.out_of_range
        return {
            "status": "out of range" if out else "ok",
            "shadow": None if self.log is None else str(self.log.file),
            "plants": len(self.plants.known),
            "out_of_range": out[:20],
            "knows_its_range": self.policy.envelope is not None,
            **self.about,
        }

    def close(self) -> None:
        """Let go of the log."""
        if self.log is not None:
            self.log.close()

    # -- the answer ----------------------------------------------------------------------------

    def _judge(self, asked: Asked, seen: Array) -> Judgement | None:
        """Hold the rows against what was logged, and say when a plant leaves it or comes back."""
        if self.policy.envelope is None:
            return None
        judged = self.policy.envelope.judge(seen[:, [number for number, _ in self._judged]])
        names = [field.name for _, field in self._judged]
        self.counts.note_judged(names, judged)
        for number, name in enumerate(asked.names):
            plant = self.plants.known[name]
            before = plant.in_range
            plant.recent.append(bool(judged.unlike[number]))
            if plant.in_range == before:
                continue
            if before:
                shown = ", ".join(self._outside(judged, number)) or "a combination that nobody has seen"
                text = "plant '%s': the model is out of its range: %d of its last %d inputs are unlike the logs (%s)"
                _log.warning(text, name, plant.unlike, len(plant.recent), shown)
            else:
                _log.warning("plant '%s': the model is back in its range", name)
        return judged

    def _outside(self, judged: Judgement, row: int) -> list[str]:
        return [field.name for (_, field), out in zip(self._judged, judged.outside[row], strict=True) if out]

    def _answer(self, asked: Asked, row: int, action: Array, judged: Judgement | None) -> dict[str, Any]:
        plant = self.plants.known[asked.names[row]]
        said: dict[str, Any] = {"step": int(plant.steps) - 1}
        said["proposal" if self.is_shadow else "action"] = _named(self.contract.decided, action)
        if assumed := self._assumed(plant):
            said["assumed"] = assumed
        if judged is not None:
            said |= {
                "outside": self._outside(judged, row),
                "far": bool(judged.far[row]),
                "in_range": plant.in_range,
            }
        return said

    def _assumed(self, plant: Plant) -> dict[str, float]:
        """Column -> what stood for its values before the first step, where nobody told them."""
        found: dict[str, float] = {}
        for node, values in plant.assumed.items():
            found |= _named(self.contract.remembered[node], values)
        return {name: value for name, value in found.items() if value == value}

    def _log_fields(self) -> list[str]:
        seen, decided = (
            [field.name for field in fields] for fields in (self.contract.seen, self.contract.decided)
        )
        parts = [
            *(f"seen.{n}" for n in seen),
            *(f"operator.{n}" for n in decided),
            *(f"proposed.{n}" for n in decided),
        ]
        return ["time", "plant", "step", *parts, "outside", "distance", "far", "in_range"]

    def _record(self, asked: Asked, row: int, action: Array, judged: Judgement | None) -> dict[str, Any]:
        plant = self.plants.known[asked.names[row]]
        made: dict[str, Any] = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "plant": asked.names[row],
        }
        made["step"] = int(plant.steps) - 1
        operator = asked.operator if asked.operator is not None else np.zeros((0, 0))
        for part, fields, values in (
            ("seen", self.contract.seen, asked.seen[row]),
            ("operator", self.contract.decided, operator[row]),
            ("proposed", self.contract.decided, action),
        ):
            made |= {f"{part}.{name}": value for name, value in _named(fields, values).items()}
        if judged is not None:
            made |= {"outside": self._outside(judged, row), "distance": float(judged.distance[row])}
            made |= {"far": bool(judged.far[row]), "in_range": plant.in_range}
        return made

    # -- what is known of the columns ----------------------------------------------------------

    def _judged_columns(self) -> list[tuple[int, Field]]:
        """Of each column of the envelope: its number in a row, and its field."""
        envelope = self.policy.envelope
        place = {
            (field.column.node, field.column.name): (i, field) for i, field in enumerate(self.contract.seen)
        }
        return [place[pair] for pair in envelope.columns] if envelope else []

    def _spans(self) -> Array:
        """What a difference between two actions is measured by: of each column its declared range, else its spread."""
        codec = self.policy.codecs[self.policy.target]
        places = {i: where.start for where, i in zip(codec.slices, codec.order, strict=True)}
        declared = [
            (c.max - c.min) if c.max is not None and c.min is not None else None for c in codec.columns
        ]
        return np.array(
            [codec.scale[places[i]] if d is None else d for i, d in enumerate(declared)], dtype=np.float64
        )

    def _logged(self) -> dict[str, list[float | None]] | None:
        """Column -> its logged range; None where the bundle does not know."""
        envelope = self.policy.envelope
        if envelope is None:
            return None
        edges = zip(self._judged, envelope.to_json()["low"], envelope.to_json()["high"], strict=True)
        return {field.name: [low, high] for (_, field), low, high in edges}


def _named(fields: Sequence[Field], values: Array) -> dict[str, float]:
    return {field.name: value for field, value in zip(fields, values.tolist(), strict=True)}


def _joined(arrays: Mapping[str, Array], nodes: Sequence[str]) -> Array:
    return np.concatenate([arrays[node] for node in nodes]) if nodes else np.zeros(0)
