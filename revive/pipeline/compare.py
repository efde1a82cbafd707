"""`compare`: runs side by side, with the figures that MLflow shows."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from revive.config.run_arguments import RunArguments
from revive.pipeline.finished import finished_run
from revive.pipeline.named import named_run
from revive.report.compare import Compared, compare_table, varied_settings
from revive.report.terminal import Terminal

MOST = 100  # columns of a table


def compare(arguments: Sequence[str]) -> None:
    """Print a table, or JSON with --json. arguments: RUN RUN ... [log_dir=DIR] [tracking.uri=URI] [--json].

    A RUN may also be `models:/...`, a version in the registry, and stands for the run that it came from.

    Raises UserError for arguments that cannot be understood, and for a run that is not there or not finished.
    """
    keys = dict(text.split("=", 1) for text in arguments if "=" in text)
    log_dir, uri = Path(keys.get("log_dir", "runs")).expanduser(), keys.get("tracking.uri")
    named = [named_run(text, log_dir, uri) for text in arguments]
    given = RunArguments.parse("compare", named, fewest=2, most=MOST)
    found = [finished_run(folder) for folder in given.folders]
    runs = [Compared(run.name, run.config, run.summary, run.figures) for run in found]
    if given.json:
        varied = varied_settings(runs)
        sys.stdout.write(json.dumps([run.to_json(varied) for run in runs], indent=2) + "\n")
        return
    Terminal().console.print(compare_table(runs))
