"""`export`: a bundle as a file that other programs run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from revive.config.arguments import BundleParser
from revive.errors import Problem, UserError
from revive.pipeline.named import named_bundle


def export(arguments: Sequence[str]) -> str:
    """Write what is asked for; returns what was made and what its check found. Raises UserError."""
    parser = BundleParser("export")
    parser.add_argument("--to", choices=["c99", "onnx"])
    parser.add_argument("--out", type=Path, default=Path())
    parser.add_argument("--name")
    parser.add_argument("--accept-failed-gate", action="store_true")
    given = parser.read(arguments)
    with named_bundle(given, ("policy", "venv")) as named:
        if (named.folder / "venv.json").is_file():
            file = given.out / f"{given.name or 'venv'}.onnx"
            return _venv(named.folder, given.to, file, given.accept_failed_gate)
        return _policy(named.folder, given.to, given.out, given.name or "policy", given.accept_failed_gate)


def _policy(bundle: Path, to: str | None, out: Path, name: str, accept_failed_gate: bool) -> str:
    from revive.runtime import load_policy

    policy = load_policy(bundle, accept_failed_gate=accept_failed_gate)
    if to == "onnx":
        from revive.runtime.onnx_file import export_onnx

        made = out / f"{name}.onnx"
        return f"made {made}; {export_onnx(policy, made)}"
    from revive.runtime.c99 import export_c99

    checked = export_c99(policy, out, name)
    return f"made {out / name}.h and .c; {checked}"


def _venv(bundle: Path, to: str | None, file: Path, accept_failed_gate: bool) -> str:
    if to == "c99":
        raise UserError(
            Problem("a venv cannot be written as C99", bundle, remedy="--to onnx writes one step of it")
        )
    from revive.deploy.onnx_step import export_step

    return f"made {file}; {export_step(bundle, file, accept_failed_gate=accept_failed_gate)}"
