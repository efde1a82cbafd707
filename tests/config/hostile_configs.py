# ruff: noqa: E501 - tables of words, many to a line
"""Hostile configurations, drawn at random: what is typed, and the experiment.yaml that it names."""

from __future__ import annotations

import random
from collections.abc import Callable

from tests.conftest import EXPERIMENT

Case = tuple[list[str], str]
"""Arguments, text of experiment.yaml."""

SIZES = (
    "venv.members", "venv.keep", "venv.budget", "policy.budget", "policy.history", "policy.horizon", "policy.evaluation.starts",
    "policy.evaluation.horizon", "policy.truth.steps", "policy.clone.batch", "policy.clone.updates", "tuning.starts", "tuning.horizon",
    "trainer.threads", "trainer.devices", "search.trials", "search.seeds", "seed", "venv.learner.batch_size", "venv.learner.block",
    "dataset.split.gap", "search.concurrency",
)  # fmt: skip
WORDS = (
    "", "null", "true", "-1", "0", "1e400", "nan", "inf", "99999999999999999999", "[]", "{}", "[[[[]]]]", "'a b'", "../x", "/", "~",
    "\u202e", "ä", "%s", "${seed}", "${oc.env:HOME}", "${nowhere}", "${.}", "a" * 5000, "1.5", "[1,2,3]", "{a: 1}", "'\"'",
)  # fmt: skip
TARGETS = (
    "os.system", "builtins.eval", "subprocess.Popen", "revive.user_code.load_module", "revive", "revive..x", ".revive", "revive.x",
    "revive.__main__.main", "importlib.import_module", "hydra.utils.call", "pathlib.Path", "revive.errors.UserError", "",
    "revive.deploy.bundle.load_venv", "torch.load", "pickle.loads",
)  # fmt: skip
PLACES = ("venv.learner", "policy.learner", "tracking", "tuning.method")


def bomb(rng: random.Random) -> Case:
    """YAML that unfolds, nests, refers to itself, or carries tags."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, rng.choice((5, 9, 12)))]
    texts = (
        "\n".join(lines),
        "seed: " + "[" * rng.choice((60, 2000, 100_000)),
        "x: " + "[" * 3000 + "]" * 3000,
        "x: " + "{a: " * 300 + "1" + "}" * 300,
        "x: &x [*x]",
        "x: &x {y: *x}",
        "x: !!python/object/apply:os.system ['touch RUN']",
        "x: !!binary " + "A" * 100,
        "? [a, b]\n: 1",
        "1: 2\nnull: 3",
        "seed: 1\nseed: 2",
        "- a\n- b",
        "",
        "\x00",
        "\ufeff" + EXPERIMENT,
        "a" * 200_000,
        "seed: &s 1\nvenv: {<<: *s}",
        "x: 2000-13-45",
        "seed: 0x" + "f" * 4000,
        "seed: " + "9" * 6000,
    )
    return ["experiment=demo"], rng.choice(texts)


def circle(rng: random.Random) -> Case:
    texts = (
        "seed: ${seed}",
        "log_dir: ${run_id}\nrun_id: ${log_dir}",
        "seed: ${venv.members}\nvenv: {members: ${seed}}",
        "venv: {learner: {lr: ${venv.learner.lr}}}",
        "venv: ${venv}",
        "venv: {network: ${venv}}",
        "seed: ${" * 200 + "x" + "}" * 200,
        "seed: ${oc.create:${seed}}",
        "reward: ${oc.env:NOT_THERE_AT_ALL}",
        "log_dir: ${oc.decode:'${log_dir}'}",
        "seed: ${hydra:runtime.cwd}",
        "seed: ${nowhere.at.all}",
        "seed: ${",
        "seed: ???",
    )
    typed = rng.choice(([], ["seed=${seed}"], ["run_id=${log_dir}", "log_dir=${run_id}"], ["venv=${policy}"]))
    return ["experiment=demo", *typed], EXPERIMENT + (rng.choice(texts) if rng.random() < 0.8 else "")


def name(rng: random.Random) -> Case:
    names = (
        "a" * 10_000, "../demo", "/etc", "demo/../demo", ".", "..", "de mo", "demo,demo", "[demo]", "{demo: 1}", "\u202edemo",
        "demo.yaml", "", "null", "demo@x", "d\u0000emo", "%2e%2e", "demo/", "a/" * 2000, "~", "-m", "=",
    )  # fmt: skip
    return [f"experiment={rng.choice(names)}"], EXPERIMENT


def flag(rng: random.Random) -> Case:
    flags = (
        "--info", "--info=all", "--config-dir", "--config-dir=/tmp", "--config-path=/", "--config-name=x", "-cd", "--run", "-r",
        "--shell-completion", "-sc", "--experimental-rerun=x", "--hydra-help", "--package", "--resolve", "--cfg", "--cfg=none", "--cfg=job",
        "--", "-", "--multirun=x", "-M", "-mm", "--cfg", "-c", "@file",
    )  # fmt: skip
    return ["experiment=demo", *rng.sample(flags, rng.choice((1, 1, 2)))], EXPERIMENT


def size(rng: random.Random) -> Case:
    number = rng.choice((0, -1, 10**5, 10**9, 10**12, 10**19, 10**40))
    typed = [f"{rng.choice(SIZES)}={number}"]
    if rng.random() < 0.3:
        typed = [f"{rng.choice(('venv', 'policy'))}.network.hidden=[{number},{number}]"]
    return ["experiment=demo", *typed], EXPERIMENT


def hydras(rng: random.Random) -> Case:
    """Parts of Hydra that an experiment, or a command line, must not switch on."""
    texts = (
        "hydra: {callbacks: {x: {_target_: os.system}}}",
        "hydra: {run: {dir: /tmp/evil}}",
        "hydra: {job: {env_set: {LD_PRELOAD: x}, chdir: true}}",
        "hydra.job.chdir: true",
        "hydra: {searchpath: [file:///]}",
        "defaults: [override /hydra/launcher: joblib]",
        "defaults: [override hydra/job_logging: default]",
        "defaults: [/etc/passwd]",
        "defaults: [../../x]",
        "defaults: x",
        "trust: {targets: [os.system]}",
        "defaults: [/experiment: other]",
    )
    typed = (
        "hydra.run.dir=/tmp/evil", "hydra.job.chdir=true", "+hydra.callbacks.x._target_=os.system", "hydra/launcher=x",
        "++hydra.job.env_set.X=1", "hydra=null", "~hydra", "+hydra@x=y", "hydra.verbose=true", "hydra.output_subdir=x",
    )  # fmt: skip
    if rng.random() < 0.5:
        return ["experiment=demo"], EXPERIMENT + rng.choice(texts)
    return ["experiment=demo", rng.choice(typed)], EXPERIMENT


def target(rng: random.Random) -> Case:
    place, wanted = rng.choice(PLACES), rng.choice(TARGETS)
    if rng.random() < 0.4:
        section, _, key = place.partition(".")
        inner = f"{{{key}: {{_target_: '{wanted}', path: RUN}}}}" if key else f"{{_target_: '{wanted}'}}"
        return ["experiment=demo"], f"{EXPERIMENT}{section}: {inner}"
    typed = [f"{place}._target_={wanted or repr('')}"]
    if rng.random() < 0.4:
        nested = f"{{a: [{{b: {{_target_: {wanted or 'x.y'}, _args_: [touch RUN]}}}}]}}"
        typed = [f"+{place}.{rng.choice(('extra', 'learners', 'variants'))}={nested}"]
    return ["experiment=demo", *typed], EXPERIMENT


def ids(rng: random.Random) -> Case:
    names = (
        "mlflow.db", "mlartifacts", "mlruns", "multirun", "mlflow.db-journal", "../x", ".", "..", "a/b", "/tmp/x", "a" * 5000, "''", "-x",
        "a b", "\u202e", "NUL\u0000", ".new-x", "x.", "[a]",
    )  # fmt: skip
    key = rng.choice(("run_id", "run_id", "tracking.experiment", "log_dir", "policy.target", "dataset.path"))
    return ["experiment=demo", f"{key}={rng.choice(names)}"], EXPERIMENT


def anything(rng: random.Random) -> Case:
    keys = (
        *SIZES,
        "dataset",
        "venv",
        "policy.learner",
        "venv.space",
        "+venv.space.learner.lr",
        "debug",
        "tracking",
        "search",
        "+x.y",
        "~seed",
    )
    typed = [f"{rng.choice(keys)}={rng.choice(WORDS)}" for _ in range(rng.choice((1, 1, 2)))]
    return ["experiment=demo", *typed, *rng.choice(([], [], ["-m"]))], EXPERIMENT


KINDS: tuple[Callable[[random.Random], Case], ...] = (
    bomb,
    circle,
    name,
    flag,
    size,
    hydras,
    target,
    ids,
    anything,
)
