"""The command line: what was typed becomes settings, and a command that is called with them."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Callable, Sequence

from revive import __version__
from revive.errors import NotBelieved, Problem, UserError, suggestion
from revive.outcome import outcome, program


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        The exit code: 0 done, 1 all trials failed, 2 something the user can mend, 3 all done and written but the gate
        fails, 130 interrupted, 143 ended by SIGTERM. Anything else is a mistake of ours and leaves as an exception,
        so that Python shows its traceback and exits with 1.
    """
    return outcome(list(sys.argv[1:] if arguments is None else arguments), _dispatch)


def train(arguments: Sequence[str]) -> None:
    """Learn what the experiment asks for."""
    from revive.config import Settings, check_sections
    from revive.config.launch import launch
    from revive.report.sweep import Sweep

    distrusted: list[Problem] = []  # of the runs of a multirun, each one

    def run(settings: Settings) -> None:
        check_sections(settings.as_dict(), trusted=settings.trust.targets).raise_if_any()
        from revive.pipeline.run import run as run_pipeline  # heavy, and not needed to find wrong settings

        problem = run_pipeline(settings, opened=lambda folder: sweep.add(settings.as_dict(), folder))
        distrusted.extend([problem] if problem else [])

    sweep = Sweep()
    try:
        launch(arguments, run)
    finally:
        sys.stdout.write("".join(f"{line}\n" for line in sweep.lines()))
    if distrusted:
        raise NotBelieved("\n".join(map(str, distrusted)))


def check(arguments: Sequence[str]) -> None:
    """Say what is wrong with, or worth knowing about, the data of an experiment, or bare files of data."""
    from revive.config.launch import launch
    from revive.config.settings import Settings

    given = [text for text in arguments if text != "--json"]

    def run(settings: Settings) -> None:
        from revive.pipeline.check import check as check_experiment

        check_experiment(settings, as_json=len(given) < len(arguments))

    launch(given, run, unnamed="data")


def new(arguments: Sequence[str]) -> None:
    """Make an experiment from a data file."""
    from revive.config.new_arguments import NewArguments

    given = NewArguments.parse([text for text in arguments if text != "--json"])
    from revive.pipeline.new import new as make

    made = make(given.name, given.data, given.folder, given.wishes, given.table)
    where = "" if given.is_found else f"REVIVE_EXPERIMENTS={shlex.quote(str(given.folder))} "
    following = f"{where}{program()} check experiment={given.name}"
    if "--json" in arguments:
        _print_json({"folder": str(made.folder), "name": given.name, "said": made.lines, "next": following})
        return
    lines = "\n".join(made.lines)
    first = (
        f"correct {made.folder / 'description.yaml'} (lines marked GUESS), write reward.py beside it, then"
    )
    sys.stdout.write(f"made {made.folder}\n{lines}\nnext: {first}\n      {following}\n")


def server(arguments: Sequence[str]) -> None:
    """Train with the options of REVIVE's training script."""
    from revive.server.shell import main as train_as_revive

    train_as_revive(arguments)


def show(arguments: Sequence[str]) -> None:
    """Say what a bundle is, who made it, and which code of the user it carries."""
    from revive.config.arguments import BundleParser

    parser = BundleParser("show")
    parser.add_argument("--json", action="store_true")
    given = parser.read(arguments)
    from revive.bundles.show import show as shown
    from revive.bundles.show import told
    from revive.pipeline.named import named_bundle

    with named_bundle(given) as named:
        if given.json:
            _print_json(told(named.folder, named.said))
            return
        sys.stdout.write(f"{shown(named.folder, named.said)}\n")


def design_experiment(arguments: Sequence[str]) -> None:
    """Say how the actions should be moved in new logs, so that they tell what these do not."""
    from revive.pipeline.design_experiment import design_experiment as design

    design(arguments)


def trial_plan(arguments: Sequence[str]) -> None:
    """Say which policies of a run to try on the plant, for how long, and when to stop."""
    from revive.pipeline.trial_plan import trial_plan as plan

    plan(arguments)


def report(arguments: Sequence[str]) -> None:
    """Write the trust report of a finished run anew."""
    from revive.config.run_arguments import RunArguments
    from revive.pipeline.report import remake

    given = RunArguments.parse("report", arguments)
    sys.stdout.write(f"made {remake(given.folders[0])}\n")


def export(arguments: Sequence[str]) -> None:
    """Write a policy as C99 or as ONNX, or one step of a venv as ONNX."""
    from revive.pipeline.export import export as write

    sys.stdout.write(f"{write(arguments)}\n")


def serve(arguments: Sequence[str]) -> None:
    """Answer requests with a policy, or log what it would have done."""
    from revive.pipeline.serve import serve as answer

    answer(arguments)


def completion(arguments: Sequence[str]) -> None:
    """Print a script that makes a shell complete all this."""
    from revive.config.completion import completion as script

    sys.stdout.write(script(arguments))


def promote(arguments: Sequence[str]) -> None:
    """Register the models of a run under an alias."""
    from revive.pipeline.promote import promote as register

    register(arguments)


def compare(arguments: Sequence[str]) -> None:
    """Show runs side by side."""
    from revive.pipeline.compare import compare as side_by_side

    side_by_side(arguments)


COMMANDS: dict[str, Callable[[Sequence[str]], None]] = {
    "train": train,
    "check": check,
    "new": new,
    "show": show,
    "design-experiment": design_experiment,
    "trial-plan": trial_plan,
    "server": server,
    "report": report,
    "export": export,
    "promote": promote,
    "compare": compare,
    "serve": serve,
    "completion": completion,
}


def _dispatch(arguments: list[str]) -> None:
    if {"-h", "--help"} & set(arguments):
        sys.stdout.write(_help(arguments))
        return
    if "--version" in arguments:
        sys.stdout.write(f"revive {__version__}\n")
        return
    command, rest = "train", arguments
    if arguments and re.fullmatch(r"[A-Za-z][\w-]*", arguments[0]):
        command, rest = arguments[0], arguments[1:]
    if command not in COMMANDS:
        raise _unknown_command(command)
    COMMANDS[command](rest)


def _help(arguments: list[str]) -> str:
    """Of a verb, of keys of the config, or of all."""
    from revive.config.verbs import VERBS

    named = {verb.name: verb for verb in VERBS}.get(arguments[0])
    keys = [text.partition("=")[0] for text in arguments if not text.startswith("-") and text not in COMMANDS]
    if keys and not keys[0].startswith("experiment") and (named is None or named.takes == "keys"):
        from revive.config.key_help import key_help

        return "".join(map(key_help, keys))
    from revive.config.usage import usage, verb_usage

    return verb_usage(program(), named.name) if named else usage(program())


def _unknown_command(word: str) -> UserError:
    from revive.config.experiments import find_experiments

    if word in find_experiments():
        return UserError(Problem(f"'{word}' is an experiment", remedy=f"write experiment={word}"))
    return UserError(Problem(f"there is no command '{word}'", remedy=suggestion(word, COMMANDS)))


def _print_json(value: object) -> None:
    import json

    sys.stdout.write(f"{json.dumps(value, indent=2, ensure_ascii=False)}\n")


if __name__ == "__main__":
    sys.exit(main())
