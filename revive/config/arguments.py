"""The flags behind a verb: argparse, whose complaints are ours."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NoReturn

from revive.config.verbs import verb
from revive.errors import Problem, UserError, nearest

_KEYS: Final = ("run", "log_dir", "tracking.uri")


class VerbParser(argparse.ArgumentParser):
    """Reads what stands behind `name`; whatever is wrong ends in one message that says how it is called."""

    def __init__(self, name: str) -> None:
        super().__init__(prog=name, add_help=False, allow_abbrev=False)
        self.verb = verb(name)

    def read(self, arguments: Sequence[str]) -> argparse.Namespace:
        """The values. Raises UserError."""
        given, unknown = self.parse_known_args(list(arguments))
        if unknown:
            close = nearest(unknown[0].partition("=")[0], self.verb.flags)
            self.error(f"'{unknown[0][:80]}' is unknown" + (f", did you mean '{close}'?" if close else ""))
        return given

    def error(self, message: str) -> NoReturn:
        """Raises UserError."""
        said = re.sub(
            r"^the following arguments are required: (.*)$", lambda m: f"{m[1].upper()} is missing", message
        )
        what = f"these arguments of '{self.verb.name}' cannot be understood: {said}"
        raise UserError(Problem(what, remedy=f"write: {self.verb.name} {self.verb.usage}"))


class BundleParser(VerbParser):
    """Of verbs that take a bundle: its folder, a run, or `models:/...`; `log_dir=` and `tracking.uri=` beside flags."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.add_argument("bundle")

    def read(self, arguments: Sequence[str]) -> argparse.Namespace:
        """The values, with `bundle` as it was typed, `log_dir` and `tracking_uri`. Raises UserError."""
        keys: dict[str, str] = {}
        rest = []
        for text in arguments:
            key, _, value = text.partition("=")
            if key not in _KEYS or text == key:
                rest.append(text)
            elif not value or key in keys:
                self.error(f"'{key}=' is {'given twice' if key in keys else 'empty'}")
            else:
                keys[key] = value
        given = super().read([keys["run"], *rest] if "run" in keys else rest)
        given.log_dir = Path(keys.get("log_dir", "runs")).expanduser()
        given.tracking_uri = keys.get("tracking.uri")
        return given
