"""Small inputs of every kind that people bring, through `new`, `check` and a tiny run.

    python tests/acceptance/cases.py CASES [--only PART] [--no-run]

CASES is a folder with a folder for each kind; in it lie tables, arrays, folders of tables, or a `make.py` that writes
`logs.csv`. For each of them the commands are given as a user would. Prints one Markdown row per input: `right` where
everything ran and what was read is what was meant, `message` where one clear message says what to do (and that is what
was meant), `WRONG` otherwise: a traceback, another end, or something else than was meant. Exits with 1 where anything
is wrong.

What was meant stands in MEANT below. An input that is not in it only has to end in either of the two ways.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import astuple, dataclass, field
from pathlib import Path

import numpy as np
import yaml
from matplotlib.figure import Figure

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

import revive.pipeline.check  # noqa: E402
import revive.pipeline.new  # noqa: E402
import revive.pipeline.run  # noqa: E402, F401
from revive.__main__ import main as revive_main  # noqa: E402
from revive.data.readers import ReadOptions, read_trajectories  # noqa: E402
from revive.graph.description import read_description  # noqa: E402
from tests.acceptance.pictures import blank_picture  # noqa: E402

SUFFIXES = (".csv", ".gz", ".npz", ".txt", ".tsv", ".parquet", ".h5", ".xlsx", ".zst")
LEVEL, TEMP, VALVE = (39.92, 71.28), (21.0, 26.22), (11.9, 86.0)
HANGS = 600  # seconds


@dataclass(frozen=True)
class Read:
    """What is to come out: the extremes of columns, trajectories, the column of times, what is said on the way."""

    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)
    trajectories: int = 1
    time: str | None = "time"
    said: str = ""


@dataclass(frozen=True)
class Refused:
    """The message that is to come, as a pattern."""

    said: str


TANK = {"level": LEVEL, "temp": TEMP, "valve": VALVE}
PLAIN = Read(TANK)
UNTIMED = Read(TANK, time=None)
ON_OFF = Read({"level": LEVEL, "temp": TEMP, "pump": (0, 1)})
MEANT: dict[str, Read | Refused] = {
    "01-decimal-comma/logs.csv": Read(TANK, said="; separated, decimal comma"),
    "02-german-dates/logs.csv": Read(TANK, said="times DD.MM.YYYY"),
    "03-comma-comma/logs.csv": Refused("comma seems to separate values and to mark decimals"),
    "04-units-row/logs.csv": Read(TANK, said="units in line 2"),
    "05-bad-strings/logs.csv": Read(TANK, said="'temp' Bad 4 times, first in line 52, No Data in line 302"),
    "06-late-bad-string/logs.csv": Read(said="'temp' Bad in line 40002"),
    "07-on-off/logs.csv": ON_OFF,
    "07-on-off/truefalse.csv": ON_OFF,
    "07-on-off/yesno.csv": ON_OFF,
    "08-preamble/logs.csv": Read(TANK, said="names in line 5"),
    "09-thousands/logs.csv": Read({"level": LEVEL, "flow": (3100, 3622)}, said="thousands comma"),
    "10-latin1/logs.csv": Read({"T [°C]": TEMP}, said="cp1252"),
    "10-latin1/utf16.csv": Read(TANK, said="utf-16"),
    "10-latin1/utf8.csv": Read({"T [°C]": TEMP}),
    "11-sep-line/logs.csv": PLAIN,
    "12-dst/logs.csv": Read(TANK, said="the clock was put back an hour"),
    "12-dst/spring.csv": Read(TANK, said="the clock was put forward an hour"),
    "12-dst/offsets.csv": PLAIN,
    "13-newest-first/logs.csv": Read(TANK, said="newest first"),
    "13-newest-first/timestamp_name.csv": Read(TANK, time="Time stamp", said="newest first"),
    "14-long-format/logs.csv": Refused("long format"),
    "15-column-T/logs.csv": Read({"T": TEMP, "level": LEVEL}, time=None),
    "15-column-T/rising.csv": Read({"level": LEVEL}, time=None),
    "16-excel-formula/logs.csv": Read({"level": LEVEL, "valve": VALVE}),
    "17-gz/logs.csv.gz": PLAIN,
    "18-sentinel/logs.csv": Read(TANK, said="-9999 in 4 rows"),
    "19-two-columns/logs.csv": Read(TANK, time="date + time"),
    "19-two-columns/pandas_index.csv": UNTIMED,
    "19-two-columns/unnamed0.csv": PLAIN,
    "20-footer/logs.csv": Read(TANK, said="no row at the end: Average"),
    "20-footer/truncated.csv": Refused("2 values in line 402, but 4 names"),
    "21-irregular/logs.csv": Read(TANK, said="dataset.resample="),
    "22-text-category/logs.csv": Read({"mode": (0, 2)}, said="AUTO=0, CASCADE=1, MANUAL=2"),
    "23-batches/logs.csv": Read(TANK, trajectories=8),
    "23-batches/minutes.csv": Read(TANK, trajectories=8, time=None),
    "24-epoch-ms/logs.csv": Read(TANK, time="timestamp"),
    "25-blanks/logs.csv": UNTIMED,
    "25-blanks/pipe.csv": UNTIMED,
    "26-savetxt/data.csv": Refused("first line holds numbers"),
    "27-terminals/logs.npz": Read(trajectories=8, time=None),
    "28-done-csv/logs.csv": Read({"level": LEVEL}, trajectories=8, time=None),
    "29-stuck/logs.csv": Read(said="'temp' stands still at 23.49 in rows 100 to 299"),
    "30-mostly-zero/logs.csv": Read({"level": LEVEL}),
    "31-huge/logs.csv": Read(TANK, said="1e\\+30"),
    "32-sentinel-5pct/logs.csv": Read(TANK, said="-9999 in 20 rows"),
    "33-dups/logs.csv": PLAIN,
    "36-folder/logs": Read(trajectories=6),
    "36-folder/with_summary": Read(trajectories=6, said="performance_stats.csv: left out"),
    "37-quoted/logs.csv": PLAIN,
    "37-quoted/mac_cr.csv": PLAIN,
    "38-units-in-cells/logs.csv": PLAIN,
    "39-percent-int/logs.csv": Read({"level": LEVEL}),
    "41-ha-long/logs.csv": Refused("long format"),
    "43-midnight-label/iso.csv": Read(TANK, time="date", said="00:00 carries the day before in 4 rows"),
    "43-midnight-label/logs.csv": Read(TANK, time="date", said="00:00 carries the day before in 4 rows"),
    "44-machine-id/logs.csv": Read(trajectories=3, time=None),
    "47-abort-at-exit/logs.csv": Refused("34972 rows have the time of another row"),
    "48-exogenous-level/logs.csv": Read(time=None, said="0 proposals"),
}


@dataclass(frozen=True)
class Outcome:
    """How an input ended: `right`, `message` or `WRONG`, where, and what was said."""

    verdict: str
    stage: str
    said: str

    def row(self, name: str) -> str:
        said = " ".join(self.said.split()).replace("|", "/")
        return f"| {name} | {self.verdict} | {self.stage} | {said[:110]} |"


def inputs(cases: Path, made: Path) -> Iterator[tuple[str, Path]]:
    """Name and path of every input; what `make.py` and `late_word` write goes into `made`."""
    for folder in sorted(entry for entry in cases.iterdir() if entry.is_dir()):
        tables = sorted(entry for entry in folder.iterdir() if entry.suffix.lower() in SUFFIXES)
        folders = sorted(
            e for e in folder.iterdir() if e.is_dir() and any(f.suffix in SUFFIXES for f in e.iterdir())
        )
        for entry in [*tables, *folders]:
            yield f"{folder.name}/{entry.name}", entry
        if not (folder / "logs.csv").exists():
            target = made / folder.name
            target.mkdir(parents=True, exist_ok=True)
            if (folder / "make.py").exists():
                subprocess.run([sys.executable, str(folder / "make.py")], cwd=target, check=True)
            elif folder.name == "06-late-bad-string":
                late_word(target / "logs.csv")
            if (target / "logs.csv").exists():
                yield f"{folder.name}/logs.csv", target / "logs.csv"


def late_word(path: Path) -> None:
    """A table in which a word stands behind the first MiB."""
    rng = np.random.default_rng(0)
    level = np.cumsum(rng.normal(size=50_000)) * 0.01
    rows = [f"{i},{x:.4f},{20 + 0.5 * x:.3f},{i // 100 % 7}.5" for i, x in enumerate(level)]
    rows[40_000] = rows[40_000].rsplit(",", 2)[0] + ",Bad,1.5"
    path.write_text("\n".join(["time,level,temp,valve", *rows]) + "\n")


def command(arguments: list[str], home: Path) -> tuple[int, str]:
    """The exit code of a command, and what it said; in a fork, so that imports are paid once. Only `check` draws
    its pictures: those of a run are most of its work at such budgets."""
    said = home / "said.txt"
    child = os.fork()
    if child == 0:
        code = 1
        try:
            file = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(file, 1)
            os.dup2(file, 2)
            os.chdir(home)
            os.environ["REVIVE_EXPERIMENTS"] = str(home / "experiments")
            signal.alarm(HANGS)
            if "debug=fast" in arguments:
                Figure.savefig = blank_picture  # type: ignore[method-assign]
            code = revive_main(arguments)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    status = os.waitpid(child, 0)[1]
    return os.waitstatus_to_exitcode(status), said.read_text(errors="replace")


def outcome(name: str, path: Path, home: Path, run: bool) -> Outcome:
    """Gives the commands and judges how they ended."""
    meant = MEANT.get(name)
    folder = home / "experiments"
    stages = {"new": ["new", "case", "--data", str(path), "--folder", str(folder)]}
    stages["check"] = ["check", "experiment=case", "log_dir=runs"]
    if run:
        stages["run"] = [
            "experiment=case",
            "debug=fast",
            "tracking=none",
            "log_dir=runs",
            "trainer.threads=1",
        ]
    everything = ""
    for stage, arguments in stages.items():
        code, said = command(arguments, home)
        everything += said
        if code != 0:
            last = next((line for line in reversed(said.splitlines()) if not line.startswith(" ")), said)
            if code != 2 or "Traceback" in said:
                return Outcome(
                    "WRONG", stage, f"exit code {code}: {said.strip().splitlines()[-1] if said else ''}"
                )
            expected = meant is None or (isinstance(meant, Refused) and re.search(meant.said, said))
            return Outcome(
                "message" if expected else "WRONG", stage, last.removeprefix(f"{path}").lstrip(",: ")
            )
    if isinstance(meant, Refused):
        return Outcome("WRONG", "all", "was to be refused")
    fault = _in_fork(meant, path, folder / "case", everything) if meant else ""
    return Outcome("WRONG" if fault else "right", "all", fault or first_said(everything))


def _in_fork(meant: Read, path: Path, experiment: Path, said: str) -> str:
    """`difference`, elsewhere: pyarrow's threads would not live through the next fork."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as pool:
        return pool.submit(difference, meant, path, experiment, said).result()


def first_said(text: str) -> str:
    """The first line that is no table of roles."""
    lines = [
        line for line in text.splitlines() if line.strip() and not line.startswith(("made", " ", "next"))
    ]
    return lines[0].rpartition("/")[2] if lines else ""


def difference(meant: Read, path: Path, experiment: Path, said: str) -> str:
    """What of an experiment that `new` made is not as it was meant; empty where all is."""
    if meant.said and not re.search(meant.said, " ".join(said.split())):
        return f"nobody said '{meant.said}'"
    options = yaml.safe_load((experiment / "experiment.yaml").read_text())["dataset"]
    given = {key: value for key, value in options.items() if key not in ("path", "description")}
    graph = read_description(experiment / "description.yaml")
    logs = read_trajectories(path, graph, ReadOptions(**given))
    if given.get("time") != meant.time:
        return f"the time is {given.get('time')}"
    if logs.count != meant.trajectories:
        return f"{logs.count} trajectories"
    for column, (low, high) in meant.ranges.items():
        node, number = next(
            (c.node, i) for n in graph.nodes for i, c in enumerate(graph.columns(n)) if c.name == column
        )
        values = logs.arrays[node][:, number]
        if abs(values.min() - low) > 0.02 * (high - low) or abs(values.max() - high) > 0.02 * (high - low):
            return f"'{column}' goes from {values.min():g} to {values.max():g}, not from {low:g} to {high:g}"
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("cases", type=Path)
    parser.add_argument("--only", default="", help="a part of the names of the inputs")
    parser.add_argument("--no-run", action="store_true", help="`new` and `check` alone")
    parser.add_argument(
        "--keep", type=Path, help="a file of outcomes: those that are in it are not found anew"
    )
    parser.add_argument("--again", action="store_true", help="of those in --keep, find the wrong ones anew")
    chosen = parser.parse_args()
    known = kept(chosen.keep, chosen.again)
    print("| input | verdict | ended after | said |\n| --- | --- | --- | --- |")
    verdicts = []
    with tempfile.TemporaryDirectory() as made:
        for name, path in inputs(chosen.cases.resolve(), Path(made)):
            if chosen.only not in name:
                continue
            if name not in known:
                with tempfile.TemporaryDirectory() as home:
                    known[name] = outcome(name, path, Path(home), not chosen.no_run)
                keep(chosen.keep, known)
            verdicts.append(known[name].verdict)
            print(known[name].row(name), flush=True)
    counts = ", ".join(f"{verdicts.count(v)} {v}" for v in ("right", "message", "WRONG"))
    print(f"\n{len(verdicts)} inputs: {counts}")
    return int("WRONG" in verdicts)


def kept(file: Path | None, again: bool) -> dict[str, Outcome]:
    """What an earlier call found."""
    if file is None or not file.is_file():
        return {}
    found = {name: Outcome(*told) for name, told in json.loads(file.read_text()).items()}
    return {name: told for name, told in found.items() if not again or told.verdict != "WRONG"}


def keep(file: Path | None, known: dict[str, Outcome]) -> None:
    """Note what was found, whole or not at all."""
    if file is not None:
        draft = file.with_suffix(".new")
        draft.write_text(json.dumps({name: astuple(told) for name, told in known.items()}, indent=1))
        draft.replace(file)


if __name__ == "__main__":
    sys.exit(main())
