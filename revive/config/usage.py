"""The text of --help."""

from __future__ import annotations

from revive.config.experiments import VARIABLE, find_experiments

_TEXT = """\
Learn a controller from logs: first a virtual environment, then a better policy inside it, with the
evidence for both.

usage: {program} experiment=NAME [key=value ...]
       {program} check experiment=NAME          is the data fit for it? prints and writes a report
       {program} report run=NAME                write the trust report of a finished run again
           [log_dir=DIR]          where the run folders are; ./runs otherwise
       {program} new NAME --data FILE           make an experiment from a data file
           [--trajectory COLUMN]  what tells its trajectories, where the name does not say so
           [--folder FOLDER]      where it is made; ./experiments otherwise
       {program} design-experiment run=NAME     how to move the actions so that logs tell what they do
           [power=0.9] [steps=1000]  the chance to find an effect that matters, and the time for it
           [bound=0.5]            what it may add to an output, in spreads of that output
       {program} trial-plan run=NAME            which policies to try on the plant, how long, when to stop
           [error=0.05] [steps=N] the chance of a wrong verdict; steps of a candidate at most
           [results=FILE]         what the trial says so far: the plan's CSV with its rewards
       {program} show BUNDLE                    what a model is, who made it, and the code it carries
       {program} server -df DATA -cf YAML ...   the options of REVIVE's training script
       {program} export BUNDLE --out FOLDER     a policy as C99 or, with --to onnx, as ONNX
       {program} compare RUN RUN ... [--json]   runs side by side: settings that differ, verdicts, figures
       {program} promote RUN [--json]           make its models versions in MLflow's registry
           [alias=champion]       the alias that says which version is in use
       {program} experiment=NAME --cfg job      show the composed config and stop
       {program} -m experiment=NAME seed=0,1,2  one run after the other

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

--help KEY says what a key means, and what there is in a section: --help dataset, --help venv.budget.
Every key of the config can be set; a relative path starts at the working directory.
"""


def usage(program: str) -> str:
    """What the program does, how to call it, and which experiments there are."""
    found = find_experiments().values()
    width = max((len(experiment.name) for experiment in found), default=0)
    lines = [f"  {e.name:<{width}}  {e.summary()}".rstrip() for e in found] or ["  none found"]
    return _TEXT.format(program=program, experiments="\n".join(lines), variable=VARIABLE)


_NEW = """\
Make an experiment from a data file: a folder with a description, a reward to fill in, and guesses that are marked.

usage: {program} new NAME --data FILE [options]

  NAME                    letters, digits, - and _
  --data FILE             npz, h5, csv, parquet, a folder of tables, or a Minari dataset
  --action COLUMNS        what the controller sets
  --state COLUMNS         what follows from what was before; then no other column is taken for a state
  --exogenous COLUMNS     what comes from outside and is replayed from the logs: weather, demand, set points
  --time COLUMN           the time of a row
  --trajectory COLUMNS    what tells one run, batch or machine from the next
  --folder FOLDER         where it is made; ./experiments otherwise
  dataset.table.KEY=VALUE how a text table is written, where it is not told from the file: header=none, decimal=",", ...

COLUMNS are names with commas between; quote names with blanks. What is not told is guessed, and said.
"""


def new_usage(program: str) -> str:
    """How to call `new`."""
    return _NEW.format(program=program)
