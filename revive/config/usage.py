"""The text of --help, of the program and of each verb."""

from __future__ import annotations

from revive.config.experiments import VARIABLE, find_experiments
from revive.config.verbs import VERBS, verb

_TEXT = """\
Learn a controller from logs: first a virtual environment, then a better policy inside it, with the
evidence for both.

usage: {program} experiment=NAME [key=value ...]
       {program} VERB ...

verbs
{verbs}

  {program} VERB --help says how a verb is called, with examples.

experiments
{experiments}

  Your own: a folder with an experiment.yaml, in ./experiments or in a folder that the environment
  variable {variable} names.

often used
  seed=N               the random seed
  dataset.path=FILE    other logs with the same columns
  log_dir=DIR          where the run folders go
  run_id=NAME          name the run folder; the same name again continues it
  venv.mode=none       do not learn a virtual environment (venv_path=DIR: use that one)
  policy.mode=none     do not learn a policy
  tracking=none        no MLflow
  debug=fast           tiny limits, to see whether everything runs
  --cfg job            show the composed config and stop
  -m seed=0,1,2        one run after the other

examples
{examples}

--help KEY says what a key means, and what there is in a section: --help dataset, --help venv.budget.
Every key of the config can be set; a relative path starts at the working directory.
"""


def usage(program: str) -> str:
    """What the program does, how to call it, and which experiments there are."""
    found = find_experiments().values()
    lines = _beside([(e.name, e.summary()) for e in found]) or ["  none found"]
    examples = [(f"{program} {v.examples[0][0]}", v.examples[0][1]) for v in VERBS]
    return _TEXT.format(
        program=program,
        verbs="\n".join(_beside([(v.name, v.summary) for v in VERBS])),
        experiments="\n".join(lines),
        examples="\n".join(_examples(examples)),
        variable=VARIABLE,
    )


def verb_usage(program: str, name: str) -> str:
    """How one verb is called, with its options and examples."""
    found = verb(name)
    parts = [
        f"{found.summary[0].upper()}{found.summary[1:]}.",
        "",
        f"usage: {program} {found.name} {found.usage}",
        "",
        found.text,
    ]
    if found.options:
        parts += [
            "",
            *_beside(
                [
                    (f"{o.flag}{'' if o.flag.endswith('=') else ' '}{o.value}".strip(), o.text)
                    for o in found.options
                ]
            ),
        ]
    parts += ["", "examples", *_examples([(f"{program} {typed}", told) for typed, told in found.examples])]
    return "\n".join(parts) + "\n"


def _beside(pairs: list[tuple[str, str]]) -> list[str]:
    width = max((len(left) for left, _ in pairs), default=0)
    return [f"  {left:<{width}}  {right}".rstrip() for left, right in pairs]


def _examples(pairs: list[tuple[str, str]]) -> list[str]:
    """Each on a line, what it does behind it; on the next line where that would be far to the right."""
    width = max((len(left) for left, _ in pairs if len(left) <= 64), default=0)
    return [
        f"  {left:<{width}}  # {right}" if len(left) <= width else f"  {left}\n  {'':<{width}}  # {right}"
        for left, right in pairs
    ]
