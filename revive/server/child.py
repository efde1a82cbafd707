"""The process that trains for a `ReviveServer`: `python -m revive.server.child OUTCOME_FD`.

Its settings, and the table of REVIVE's names, come as one line of JSON on standard input. The end of that input means
stop, as Ctrl-C does: whoever holds the other end asks for it, or has died. What became of it is written to the file
descriptor OUTCOME_FD.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import traceback
from functools import partial
from typing import Any

from revive.errors import UserError


def main(outcome_fd: int) -> int:
    """Run; returns the exit code of the command line."""
    text = sys.stdin.readline()
    stop = threading.Event()
    threading.Thread(target=_watch, args=(stop,), daemon=True).start()
    outcome, code = _run(text, stop)
    with os.fdopen(outcome_fd, "w", encoding="utf-8") as file:
        json.dump(outcome, file)
    return code


def _run(text: str, stop: threading.Event) -> tuple[dict[str, Any], int]:
    from revive.config.settings import Settings
    from revive.pipeline.run import run
    from revive.runs import is_interrupt
    from revive.server.name_table import write_names

    try:
        order = json.loads(text)
        opened = partial(write_names, text=order["names"])
        run(Settings.check(order["settings"]), stop, opened)
    except UserError as error:
        problems = [
            {"what": p.what, "file": p.file and str(p.file), "place": p.place, "remedy": p.remedy}
            for p in error.problems
        ]
        return {"ended": "wrong", "problems": problems}, 2
    except BaseException as error:
        if is_interrupt(error):
            return {"ended": "stopped"}, 130
        return {"ended": "failed", "error": traceback.format_exc()}, 1
    return {"ended": "done"}, 0


def _watch(stop: threading.Event) -> None:
    while sys.stdin.readline():
        pass
    stop.set()


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
