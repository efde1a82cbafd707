"""`export`: a bundle as a file that other programs run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from revive.config.arguments import VerbParser
from revive.errors import Problem, UserError


def export(arguments: Sequence[str]) -> str:
    """Write what is asked for; returns what was made and what its check found. Raises UserError."""
    parser = VerbParser("export")
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--to", choices=["c99", "onnx"])
    parser.add_argument("--out", type=Path, default=Path())
    parser.add_argument("--name")
    parser.add_argument("--accept-failed-gate", action="store_true")
    given = parser.read(arguments)
    if (given.bundle / "venv.json").is_file():
        return _venv(
            given.bundle, given.to, given.out / f"{given.name or 'venv'}.onnx", given.accept_failed_gate
        )
    from revive.runtime import load_policy

    policy = load_policy(given.bundle, accept_failed_gate=given.accept_failed_gate)
    name = given.name or "policy"
    if given.to == "onnx":
        from revive.runtime.onnx_file import export_onnx

        made = given.out / f"{name}.onnx"
        return f"made {made}; {export_onnx(policy, made)}"
    from revive.runtime.c99 import export_c99

    checked = export_c99(policy, given.out, name)
    return f"made {given.out / name}.h and .c; {checked}"


def _venv(bundle: Path, to: str | None, file: Path, accept_failed_gate: bool) -> str:
    if to == "c99":
        raise UserError(
            Problem("a venv cannot be written as C99", bundle, remedy="--to onnx writes one step of it")
        )
    from revive.deploy.onnx_step import export_step

    return f"made {file}; {export_step(bundle, file, accept_failed_gate=accept_failed_gate)}"
