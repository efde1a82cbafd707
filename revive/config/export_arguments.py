"""What is typed behind `export`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NoReturn

from revive.errors import Problem, UserError

_USAGE: Final = "write: export BUNDLE [--to c99|onnx] [--out FOLDER] [--name NAME] [--accept-failed-gate]"


class _Parser(argparse.ArgumentParser):
    """Raises UserError where argparse would print and leave."""

    def error(self, message: str) -> NoReturn:
        raise UserError(Problem("these arguments of 'export' cannot be understood", remedy=_USAGE))


def parse_export(arguments: Sequence[str]) -> argparse.Namespace:
    """`bundle`, `to`, `out`, `name` and `accept_failed_gate`. Raises UserError where they cannot be meant."""
    parser = _Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--to", choices=["c99", "onnx"], default="c99")
    parser.add_argument("--out", type=Path, default=Path())
    parser.add_argument("--name", default="policy")
    parser.add_argument("--accept-failed-gate", action="store_true")
    return parser.parse_args(list(arguments))
