"""What the command line can do: every verb, how it is called, and examples. Help and completion are made of this."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

Takes = Literal["keys", "bundle", "run", "name", "nothing"]
"""What stands behind a verb: keys of the config, the folder of a bundle, run=NAME, a name, or only flags."""


@dataclass(frozen=True)
class Option:
    """A flag (`--to`) or a key (`run=`), what its value is called, and which values there are where they are known."""

    flag: str
    value: str
    text: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Verb:
    """One command. usage: what stands behind its name. examples: (what is typed behind the program, what it does)."""

    name: str
    summary: str
    usage: str
    text: str
    takes: Takes
    examples: tuple[tuple[str, str], ...]
    options: tuple[Option, ...] = field(default=())

    @property
    def flags(self) -> tuple[str, ...]:
        """Its flags and keys, as completion offers them."""
        return tuple(option.flag for option in self.options)


_JSON: Final = Option("--json", "", "print JSON instead of text")
_GATE: Final = Option("--accept-failed-gate", "", "also take a bundle that did not pass its gate")
_NAMED: Final = (
    Option("run=", "NAME", "a run, in place of BUNDLE"),
    Option("log_dir=", "DIR", "where runs and their registry are; ./runs otherwise"),
    Option("tracking.uri=", "URI", "the registry of models:/...; the database beside the runs otherwise"),
)
_RUN: Final = (
    Option("run=", "NAME", "a folder below log_dir, or a path"),
    Option("log_dir=", "DIR", "where runs are; ./runs otherwise"),
)

VERBS: Final[tuple[Verb, ...]] = (
    Verb(
        "train",
        "learn a venv and a policy, and judge them; may be left out",
        "experiment=NAME [key=value ...]",
        "Every key of the config can be set; --help KEY says what one means.\n"
        "The same run_id again goes on where it was stopped.",
        "keys",
        (
            ("experiment=refrigerator", "learn and evaluate"),
            (
                "train experiment=refrigerator seed=3 dataset.path=logs.npz",
                "other logs with the same columns",
            ),
            ("experiment=refrigerator --cfg job", "show the composed config and stop"),
            ("-m experiment=refrigerator seed=0,1,2", "one run after the other"),
        ),
    ),
    Verb(
        "check",
        "is the data fit for it? prints and writes a report",
        "experiment=NAME | dataset.path=FILE dataset.description=FILE [key=value ...] [--json]",
        "Says what is wrong with the data and the description, and what is worth knowing.\n"
        "Without an experiment it takes bare files.",
        "keys",
        (
            ("check experiment=refrigerator", "a shipped experiment"),
            (
                "check dataset.path=logs.csv dataset.description=description.yaml",
                "files, without an experiment",
            ),
            ("check experiment=refrigerator --json", "for a script: exit code 2 where a run would stop"),
        ),
        (_JSON,),
    ),
    Verb(
        "new",
        "make an experiment from a data file",
        "NAME --data FILE [--action COLUMNS] [--state COLUMNS] [--exogenous COLUMNS] ...",
        "Makes a folder with a description, a reward to fill in, and guesses that are marked. What is not told\n"
        "is guessed, and said. COLUMNS are names with commas between; quote names with blanks.",
        "name",
        (
            ("new cooling --data logs.csv", "makes experiments/cooling, and says what it took for what"),
            ("new cooling --data logs.csv --action valve --trajectory machine,run", "or what it is told"),
        ),
        (
            Option("--data", "FILE", "npz, h5, csv, parquet, a folder of tables, or a Minari dataset"),
            Option("--action", "COLUMNS", "what the controller sets"),
            Option(
                "--state",
                "COLUMNS",
                "what follows from what was before; then no other column is taken for a state",
            ),
            Option("--exogenous", "COLUMNS", "what comes from outside: weather, demand, set points"),
            Option("--time", "COLUMN", "the time of a row"),
            Option("--trajectory", "COLUMNS", "what tells one run, batch or machine from the next"),
            Option("--folder", "FOLDER", "where it is made; ./experiments otherwise"),
            Option(
                "dataset.table.KEY=", "VALUE", 'how a text table is written: header=none, decimal=",", ...'
            ),
            _JSON,
        ),
    ),
    Verb(
        "report",
        "write the trust report of a finished run again",
        "run=NAME [log_dir=DIR]",
        "Makes report.html of the run's folder anew, from what it holds. NAME may be the path of a run folder too.",
        "run",
        (("report run=refrigerator-20261126-172012-calm-lynx", "runs/NAME/report.html"),),
        _RUN,
    ),
    Verb(
        "show",
        "what a model is, who made it, and the code it carries",
        "BUNDLE | run=NAME | models:/NAME@ALIAS [--json] [log_dir=DIR] [tracking.uri=URI]",
        "Hashes every file and runs no code. BUNDLE is a folder with venv.json or policy.json, or a run that has\n"
        "them, by its path or its name; models:/NAME@ALIAS or models:/NAME/VERSION is a model that was promoted.",
        "bundle",
        (
            ("show runs/NAME/policy", "one bundle"),
            ("show NAME --json", "both of a run, for a script"),
            ("show models:/pump-policy@champion", "what is in use"),
        ),
        (*_NAMED, _JSON),
    ),
    Verb(
        "export",
        "a policy as C99 or ONNX, a venv as ONNX",
        "BUNDLE | run=NAME | models:/NAME@ALIAS [--to c99|onnx] [--out FOLDER] [--name NAME] ...",
        "What is written is run at export and compared; how far it is off stands in the file. A policy becomes\n"
        "C99 unless told otherwise; of a venv one step becomes ONNX. A run's name stands for its policy. See\n"
        "docs/exports.md.",
        "bundle",
        (
            ("export runs/NAME/policy --out plc --name pump", "plc/pump.h and plc/pump.c"),
            ("export runs/NAME/policy --to onnx --out models", "models/policy.onnx"),
            ("export NAME/venv --to onnx --out models", "models/venv.onnx: one step"),
            ("export models:/pump-policy@champion --out plc", "of the model that is in use"),
        ),
        (
            *_NAMED,
            Option("--to", "FORMAT", "c99 (default for a policy) or onnx", ("c99", "onnx")),
            Option("--out", "FOLDER", "where it is written; here otherwise"),
            Option("--name", "NAME", "of the files, and of the C functions"),
            _GATE,
        ),
    ),
    Verb(
        "compare",
        "runs side by side: settings that differ, verdicts, figures",
        "RUN RUN ... [--json] [log_dir=DIR] [tracking.uri=URI]",
        "RUN is a folder below log_dir, or a path; models:/NAME@ALIAS stands for the run that the model came from.\n"
        "The figures are those that MLflow shows.",
        "run",
        (
            ("compare NAME OTHER", "as a table"),
            ("compare NAME models:/pump-policy@champion", "with what is in use"),
            ("compare runs/NAME runs/OTHER --json", "for a script"),
        ),
        (*_NAMED[1:], _JSON),
    ),
    Verb(
        "promote",
        "make a run's models versions in MLflow's registry",
        "RUN [alias=champion] [--json] [log_dir=DIR]",
        "Refused where the gate failed. See docs/mlflow.md.",
        "run",
        (
            ("promote NAME", "its policy and venv are the champions"),
            ("promote NAME alias=trial", "under another alias"),
        ),
        (
            Option("alias=", "ALIAS", "says which version is in use; champion otherwise"),
            _RUN[1],
            _JSON,
        ),
    ),
    Verb(
        "serve",
        "a policy behind HTTP beside the plant, or its proposals in a log",
        "BUNDLE | run=NAME | models:/NAME@ALIAS [--port N] [--host HOST] [--shadow LOG] ...",
        "POST /act takes the values of columns and answers with actions; /schema says which, /health how it\n"
        "stands, /metrics is for Prometheus. In shadow mode proposals are logged beside what the operator did,\n"
        "and nothing else is done. See docs/serving.md.",
        "bundle",
        (
            ("serve run=NAME", "its policy, on http://127.0.0.1:8000"),
            ("serve models:/pump-policy@champion --port 8001", "the model that is in use"),
            ("serve runs/NAME/policy --shadow shadow.csv", "log what it would have done"),
        ),
        (
            *_NAMED,
            Option("--port", "N", "8000 otherwise; 0 takes a free one"),
            Option("--host", "HOST", "127.0.0.1 otherwise: nobody else can ask"),
            Option("--shadow", "LOG", "a .csv or .jsonl file that proposals are appended to"),
            Option(
                "--outside",
                "HOW",
                "values beyond a declared limit: refuse (default) or clip",
                ("refuse", "clip"),
            ),
            Option("--plants", "N", "how many plants are remembered; 10000 otherwise"),
            _GATE,
        ),
    ),
    Verb(
        "design-experiment",
        "how to move the actions so that logs tell what they do",
        "run=NAME [power=0.9] [steps=1000] [bound=0.5] [seed=0] [log_dir=DIR]",
        "Says how the actions should be moved in new logs, so that they tell what the logs of this run do not.",
        "run",
        (("design-experiment run=NAME steps=2000", "with 2000 steps to do it in"),),
        (
            *_RUN,
            Option("power=", "0.9", "the chance to find an effect that matters"),
            Option("steps=", "1000", "the time for it"),
            Option("bound=", "0.5", "what it may add to an output, in spreads of that output"),
            Option("seed=", "0", "of the moves that are drawn"),
        ),
    ),
    Verb(
        "trial-plan",
        "which policies to try on the plant, how long, when to stop",
        "run=NAME [error=0.05] [power=0.9] [steps=N] [results=FILE] [seed=0] [log_dir=DIR]",
        "Writes trial_plan.csv: blocks of candidate and controller in an order that is drawn. With its column\n"
        "`reward` filled in as far as the trial went, results=FILE says whether to go on. See docs/trust.md.",
        "run",
        (
            ("trial-plan run=NAME", "the plan, in the run folder"),
            ("trial-plan run=NAME results=trial_plan.csv", "what the trial says so far"),
        ),
        (
            *_RUN,
            Option("error=", "0.05", "the chance of a wrong verdict"),
            Option("power=", "0.9", "the chance to see the promised gain"),
            Option("steps=", "N", "of a candidate, at most"),
            Option("results=", "FILE", "the plan's CSV with its rewards"),
            Option("seed=", "0", "of the order that is drawn"),
        ),
    ),
    Verb(
        "server",
        "the options of REVIVE's training script",
        "-df DATA -cf YAML ...",
        "For those who come from the REVIVE SDK; docs/server.md says which of its options there are.",
        "nothing",
        (("server -df data.npz -cf description.yaml -rf reward.py", "train as REVIVE would be called"),),
    ),
    Verb(
        "completion",
        "make a shell complete all this",
        "bash | zsh",
        "Prints a script that completes verbs, flags, experiments and keys of the config, for the start of a shell.",
        "nothing",
        (
            ("completion bash > ~/.local/share/bash-completion/completions/revive", "from the next shell on"),
            ("completion zsh >> ~/.zshrc", "likewise"),
        ),
        (),
    ),
)


def verb(name: str) -> Verb:
    """The verb of this name. Raises KeyError."""
    return {found.name: found for found in VERBS}[name]
