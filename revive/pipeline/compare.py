"""`compare`: runs side by side, with the figures that MLflow shows."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from revive.config.run_arguments import RunArguments
from revive.pipeline.finished import finished_run
from revive.report.compare import Compared, compare_table, varied_settings
from revive.report.terminal import Terminal

MOST = 100  # columns of a table


def compare(arguments: Sequence[str]) -> None:
    """Print a table, or JSON with --json. arguments: RUN RUN ... [log_dir=DIR] [--json].

    Raises UserError for arguments that cannot be understood, and for a run that is not there or not finished.
    """
    given = RunArguments.parse("compare", arguments, fewest=2, most=MOST)
    found = [finished_run(folder) for folder in given.folders]
    runs = [Compared(run.name, run.config, run.summary, run.figures) for run in found]
    if given.json:
        varied = varied_settings(runs)
        sys.stdout.write(json.dumps([run.to_json(varied) for run in runs], indent=2) + "\n")
        return
    Terminal().console.print(compare_table(runs))
