"""The example, data and test files of a checkout of the REVIVE SDK, unchanged, through `ReviveServer` and a shell.

    python tests/acceptance/reference_files.py CHECKOUT [--keep DIR] [--only WORD ...] [--again]

Each case is a description with its data (random logs of its shape where the checkout holds none), reward, rule, user
module and config file. It is checked by `python -m revive check`, then trained with tiny budgets once through
`ReviveServer` and once through `python -m revive server` with REVIVE's own options; both hand over models whose answers
have to be finite. Pictures, which are most of the work at such budgets, are drawn through the command line alone.
Finished cases are lines of DIR/rows.jsonl and not run again, save those that failed, with --again.
Prints a Markdown table; exits with 1 where fewer than REQUIRED cases are right both ways, or anything ends in a
traceback.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))  # a plain script: the packages of this checkout

from revive.server.translate import chosen_venv  # noqa: E402
from revive.server.venv_learners import USUAL_VENV  # noqa: E402
from tests.acceptance.pictures import blank_picture  # noqa: E402
from tests.acceptance.reference_data import make_logs  # noqa: E402

REQUIRED = 20
TIMEOUT = 900  # seconds of CPU: other work on the machine is no fault of a case
HANGS = 10 * TIMEOUT  # seconds by the clock
BUDGET = {"revive_epoch": 5, "ppo_epoch": 4, "sac_epoch": 4, "train_venv_trials": 2, "train_policy_trials": 2}
SMALL = {"venv.network.hidden": [8], "policy.network.hidden": [8], "venv.members": 3, "venv.keep": 2}
CURRICULUM = {"venv.learner.curriculum": [[5, 3]]}  # where the venv is not cloned alone
OK = "ok"


@dataclass(frozen=True)
class Case:
    """One example or file of the checkout; paths relative to it.

    data: None makes logs of the description's shape. wanted: what the checkout itself does with it.
    """

    name: str
    description: str
    data: str | None = None
    reward: str | None = None
    rule: str | None = None
    user_module: str | None = None
    config: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    wanted: tuple[str, ...] = ("venv", "policy")


_TEST = {"data": "data/test.npz", "reward": "data/test_reward.py"}
_BASIC, _TASK = "examples/functions", "examples/task"


def _function(name: str, **more: Any) -> Case:
    folder = f"{_BASIC}/{name}"
    return Case(name, f"{folder}/{name}.yaml", reward=f"{folder}/{name}_reward.py", **more)


def _task(name: str, task: str, description: str, reward: str, **more: Any) -> Case:
    folder = f"{_TASK}/{task}/data"
    paths = {
        key: f"{folder}/{value}" if key in ("data", "rule") else value
        for key, value in {"config": f"{folder}/config.json", **more}.items()
    }
    return Case(name, f"{folder}/{description}", reward=f"{folder}/{reward}", **paths)


def _tasks() -> Iterator[Case]:
    fridge = ("Refrigerator", "refrigeration.yaml", "refrigeration_reward.py")
    yield _task("HalfCheetah", "HalfCheetah", "halfcheetah-medium-v2.yaml", "halfcheetah_reward.py")
    yield _task("IB, environment", "IB", "ib_env.yaml", "ib_reward.py", wanted=("venv",))
    yield _task("IB, policy", "IB", "ib_policy.yaml", "ib_reward.py")
    lander = ("LanderHover", "LanderHover.yaml", "LanderHover.py")
    yield _task("LanderHover", *lander, data="LanderHover.npz")
    yield _task("LanderHover, data.npz", *lander, data="data.npz", config=None, options={"venv_algo": "bc"})
    pendulum = ("Pendulum", "Env-GAIL-pendulum.yaml", "pendulum-reward.py")
    yield _task("Pendulum", *pendulum, data="expert_data.npz")
    yield _task("Pipeline", "Pipeline", "pipline.yaml", "pipline_reward.py")
    yield _task("Refrigerator", *fridge, data="refrigeration.npz")
    yield _task("Refrigerator, rule", *fridge, data="refrigeration.npz", rule="refrigeration_rule.py")
    bc = {"config": None, "options": {"venv_algo": "bc"}}
    yield _task("Refrigerator, exploration", *fridge, data="refrigeration_exploration_v0.npz", **bc)
    yield _task(
        "Refrigerator, ts",
        fridge[0],
        "refrigeration_ts.yaml",
        fridge[2],
        data="refrigeration.npz",
        config=None,
    )
    yield _task("Refrigerator, csv", *fridge, data="refrigerator.csv", config=None)


def cases() -> list[Case]:
    """Everything in examples/, data/ and tests/data/ that describes something to be learned."""
    described = {"metric_nodes": {}, "dim_fit": {}, "freeze_node": {}}
    module = {"user_module": "tests/data/user_module.py"}
    pendulum = f"{_TASK}/Pendulum/data"
    return [
        Case("data/test", "data/test.yaml", **_TEST),
        Case("data/config.json", "data/test.yaml", config="data/config.json", **_TEST),
        Case("data/all_config.json", "data/test.yaml", config="data/all_config.json", **_TEST),
        *(Case(name, f"tests/data/test_{name}.yaml", **_TEST, **more) for name, more in described.items()),
        Case("user_module", "tests/data/test_user_module.yaml", **_TEST, **module),
        Case(
            "mis_match",
            "data/test.yaml",
            "tests/data/test_mis_match.npz",
            _TEST["reward"],
            options={"ignore_check": 1},
        ),
        Case(
            "nan",
            f"{pendulum}/Env-GAIL-pendulum.yaml",
            "tests/data/test_nan.npz",
            f"{pendulum}/pendulum-reward.py",
        ),
        *(_function(name) for name in ("basic", "custom_node", "expert_function", "multiple_transition")),
        _function("parameter_tuning", wanted=("venv", "policy", "tuning")),
        *_tasks(),
    ]


def _options(case: Case, checkout: Path) -> dict[str, Any]:
    """Tiny budgets, and what the case itself says; of the learners of a venv one has a curriculum."""
    config: dict[str, Any] = {}
    if case.config is not None:
        config = json.loads((checkout / case.config).read_text(encoding="utf-8"))
    staged = chosen_venv({**BUDGET, **case.options}, config) == USUAL_VENV
    return {**BUDGET, **SMALL, **(CURRICULUM if staged else {}), **case.options}


# -- one case, in a process of its own ---------------------------------------------------------


def _paths(case: Case, checkout: Path, folder: Path) -> dict[str, Path | None]:
    """The files of a case under the names of ReviveServer's arguments."""
    named = {
        "dataset_desc_file_path": case.description,
        "dataset_file_path": case.data,
        "reward_file_path": case.reward,
        "matcher_reward_file_path": case.rule,
        "user_module_file_path": case.user_module,
        "revive_config_file_path": case.config,
    }
    paths = {key: None if value is None else checkout / value for key, value in named.items()}
    made = folder / "logs.npz"
    if paths["dataset_file_path"] is None:
        description = paths["dataset_desc_file_path"]
        assert description is not None
        paths["dataset_file_path"] = made if made.exists() else make_logs(description, made)
    return paths


def through_server(case: Case, checkout: Path, folder: Path) -> None:
    """Train with the object, and use what it hands over."""
    from revive.server import ReviveServer

    tuned = "tuning" in case.wanted
    server = ReviveServer(
        **_paths(case, checkout, folder),  # type: ignore[arg-type]
        venv_mode="once",
        policy_mode="once" if "policy" in case.wanted else "None",
        tuning_mode="max" if tuned else "None",
        log_dir=str(folder / "server"),
        run_id="run",
        debug=True,
        **{**_options(case, checkout), "tracking": "none"},
    )
    server.train()
    venv, told, states, _ = server.get_virtualenv_env()
    _require(venv is not None and told["task_state"] == "End", told)
    _require(np.isfinite(told["venv_acc"]) and {state for state, _ in states.values()} == {"finished"}, told)
    if "policy" in case.wanted:
        policy, told, _, _ = server.get_policy_model()
        _require(policy is not None and np.isfinite(told["policy_acc"]), told)
    if tuned:
        best, told = server.get_parameter()
        _require(bool(best) and told["task_state"] == "End", told)


def _require(holds: bool, told: dict[str, Any]) -> None:
    if not holds:
        raise AssertionError(f"not what polling loops wait for: {told}")


_OPTIONS = {
    "dataset_desc_file_path": "-cf",
    "dataset_file_path": "-df",
    "reward_file_path": "-rf",
    "matcher_reward_file_path": "-mrf",
    "user_module_file_path": "-umf",
    "revive_config_file_path": "-rcf",
}


def _shell(case: Case, checkout: Path, folder: Path) -> list[str]:
    files = [
        text
        for key, path in _paths(case, checkout, folder).items()
        if path is not None
        for text in (_OPTIONS[key], str(path))
    ]
    modes = ["-vm", "once", "-pm", "once" if "policy" in case.wanted else "None"]
    modes += ["-tm", "max"] if "tuning" in case.wanted else []
    options = [text for name, value in _options(case, checkout).items() for text in (f"--{name}", str(value))]
    more = ["--debug", "--run_id", "run", "--log_dir", str(folder / "command"), "--tracking", "none"]
    return ["server", *files, *modes, *options, *more]


def _check(case: Case, checkout: Path, folder: Path) -> list[str]:
    paths = _paths(case, checkout, folder)
    values = {
        "dataset.path": paths["dataset_file_path"],
        "dataset.description": paths["dataset_desc_file_path"],
        "reward": paths["reward_file_path"],
        "venv.rules": paths["matcher_reward_file_path"],
        "venv.user_module": paths["user_module_file_path"],
        "log_dir": folder / "checks",
    }
    if case.options.get("ignore_check"):
        values["dataset.ignore_check"] = "true"  # type: ignore[assignment]
    if case.name == "nan":  # REVIVE masks without being asked, `check` asks
        values["dataset.missing"] = "mask"  # type: ignore[assignment]
    if "policy" not in case.wanted:
        values["policy.mode"] = "none"  # type: ignore[assignment]
    words = [f"{key}={value}" for key, value in values.items() if value is not None]
    return ["check", *words]


def use_models(run: Path, code: Path, wanted: tuple[str, ...]) -> None:
    """The bundles of a run answer with finite numbers from its start on; its summary holds no NaN."""
    import revive

    summary = json.loads((run / "summary.json").read_text(encoding="utf-8"), parse_constant=_no_constant)
    venv = revive.load_venv(run / "venv", code)
    assert summary["venv"], "no figures of the venv"
    assert venv is not None
    if "policy" in wanted:
        assert summary["policy"], "no figures of the policy"
        revive.load_policy(run / "policy")


def _no_constant(text: str) -> float:
    raise ValueError(f"the summary holds {text}")


# -- the table ---------------------------------------------------------------------------------


def _run(words: list[str], action: Callable[[list[str]], int]) -> tuple[str, float]:
    """`ok`, or `refused: message`, or `failed: last line`; and the seconds. In a fork of this process, which has
    the heavy imports behind it."""
    started = time.perf_counter()
    with tempfile.TemporaryFile("w+") as said:
        child = os.fork()
        if child == 0:
            os.dup2(said.fileno(), 1)
            os.dup2(said.fileno(), 2)
            resource.setrlimit(resource.RLIMIT_CPU, (TIMEOUT, TIMEOUT))
            os._exit(_code(words, action))
        code = _waited(child)
        said.seek(0)
        text = said.read()
    seconds = time.perf_counter() - started
    if code == 0:
        return OK, seconds
    if code is None or code < 0:
        return f"failed: not done after {TIMEOUT} s of CPU, {seconds:.0f} s in all", seconds
    lines = [line for line in text.strip().splitlines() if line.strip()] or ["no word"]
    if code == 2 and "Traceback" not in text:
        return "refused: " + " / ".join(lines[-2:]), seconds
    return f"failed: {lines[-1]}", seconds


def _code(words: list[str], action: Callable[[list[str]], int]) -> int:
    warnings.simplefilter("ignore")
    try:
        return action(words)
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def _waited(child: int) -> int | None:
    """The exit code, minus the signal where one ended it; None, and the child is killed, after HANGS seconds."""
    deadline = time.monotonic() + HANGS
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.1)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def row_of(case: Case, checkout: Path, folder: Path) -> dict[str, Any]:
    """The case through all of its ways."""
    from revive.__main__ import main as command

    folder.mkdir(parents=True, exist_ok=True)
    code = str((checkout / case.description).parent)
    row: dict[str, Any] = {"case": case.name, "wanted": list(case.wanted), "seconds": {}}
    for way, words, action in (
        ("check", _check(case, checkout, folder), command),
        ("server", [], lambda _: _through_server(case, checkout, folder)),
        ("command", _shell(case, checkout, folder), command),
    ):
        row[way], row["seconds"][way] = _run(words, action)
        if row[way] == OK and way != "check":
            try:
                use_models(folder / way / "run", Path(code), case.wanted)
            except Exception as error:
                row[way] = f"failed: {type(error).__name__}: {error}"
        row["seconds"][way] = round(row["seconds"][way], 1)
    return row


def table(rows: list[dict[str, Any]]) -> str:
    """One Markdown line a case."""
    lines = ["| file | check | learned | ReviveServer | command | s |", "|---|---|---|---|---|---|"]
    for row in rows:
        told = [row[way].replace("|", "/") for way in ("check", "server", "command")]
        learned = ", ".join(row["wanted"])
        seconds = sum(row["seconds"].values())
        lines.append(f"| {row['case']} | {told[0]} | {learned} | {told[1]} | {told[2]} | {seconds:.0f} |")
    return "\n".join(lines)


def _import_all() -> None:
    """What every way imports, once."""
    import matplotlib.pyplot  # noqa: F401
    import pytorch_lightning  # noqa: F401
    import torch

    import revive.pipeline.run
    import revive.policy.learners.auto
    import revive.venv.learners.multi_step  # noqa: F401

    torch.set_num_threads(1)


def _known(file: Path, again: bool) -> dict[str, dict[str, Any]]:
    if not file.is_file():
        return {}
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return {row["case"]: row for row in rows if not again or _right(row)}


def _right(row: dict[str, Any]) -> bool:
    return all(row[way] == OK for way in ("check", "server", "command"))


def main() -> int:
    """Run what is not done, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir()) / "reference_files")
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--again", action="store_true")
    given = parser.parse_args()
    checkout = given.checkout.resolve()
    _import_all()
    given.keep.mkdir(parents=True, exist_ok=True)
    file, chosen = given.keep / "rows.jsonl", cases()
    known = _known(file, given.again)
    for number, case in enumerate(chosen):
        if case.name in known or (given.only and case.name not in given.only):
            continue
        with tempfile.TemporaryDirectory() as folder:
            known[case.name] = row_of(case, checkout, Path(folder) / f"case{number}")
        text = "".join(json.dumps(row) + "\n" for row in known.values())
        file.write_text(text, encoding="utf-8")
        print(json.dumps(known[case.name]), file=sys.stderr, flush=True)
    rows = [known[case.name] for case in chosen if case.name in known]
    print(table(rows))
    right = sum(map(_right, rows))
    broken = [
        row["case"]
        for row in rows
        if any(row[w].startswith("failed") for w in ("check", "server", "command"))
    ]
    print(f"\n{right} of {len(rows)} right both ways; ended in a traceback: {', '.join(broken) or 'none'}")
    return int(bool(broken) or right < min(REQUIRED, len(rows)))


def _through_server(case: Case, checkout: Path, folder: Path) -> int:
    from matplotlib.figure import Figure

    from revive.errors import UserError

    Figure.savefig = blank_picture  # type: ignore[method-assign]  # in this fork alone
    try:
        through_server(case, checkout, folder)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
