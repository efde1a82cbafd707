"""The gate: whether a run may be believed, in one word, where everybody who uses its results meets it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from revive.bundles import Gate, Kind, set_gate
from revive.data.finding import MOST_ALIKE
from revive.errors import Problem
from revive.pipeline.shortlist import FOLDER
from revive.policy.verdicts import Verdict

SETTLED = ("gain",)  # taken care of: the clone is taken, and nothing is wrong with the venv


def gate_of(verdicts: Iterable[Verdict], override: bool) -> Gate:
    """`fail` where the venv is not to be believed, `warn` where the estimate may be wrong, each with its reasons."""
    verdicts = list(verdicts)
    failing = [v.sentence for v in verdicts if v.severity == "distrust" and v.code not in SETTLED]
    if failing:
        return Gate(status="fail", reasons=_short(failing), overridden=override)
    return Gate(status="warn" if verdicts else "pass", reasons=_short(v.sentence for v in verdicts))


def note_in_bundles(folder: Path, gate: Gate) -> None:
    """Write the gate into every bundle of a run, as far as it has them: venv, policy, and the candidates of a trial."""
    bundles: list[tuple[Kind, Path]] = [("venv", folder / "venv"), ("policy", folder / "policy")]
    bundles += [("policy", candidate) for candidate in sorted((folder / FOLDER).glob("*/"))]
    for kind, bundle in bundles:
        if bundle.is_dir():
            set_gate(kind, bundle, gate)


def failed(folder: Path, gate: Gate) -> Problem | None:
    """What the command says before it ends with exit code 3; None where the run passed or was accepted."""
    if gate.status != "fail" or gate.overridden:
        return None
    remedy = "gate.override=true with run_id accepts it, and the bundles will say so"
    more = len(gate.reasons) - MOST_ALIKE
    told = [*gate.reasons[:MOST_ALIKE], *([f"And {more} more reasons, in summary.json."] if more > 0 else [])]
    return Problem("the gate fails: " + " ".join(told), folder, remedy=remedy)


def _short(reasons: Iterable[str]) -> list[str]:
    return [reason[:2000] for reason in reasons][:100]
