"""Policies whose decisions hold for several steps: in rollouts, in sessions, in C, and while they are learned."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from revive import runtime
from revive.deploy.bundle import load_policy, save_policy
from revive.errors import UserError
from revive.policy.learners.ppo import Ppo, by_decision
from revive.policy.memory import controller
from revive.runtime.c99 import export_c99
from revive.runtime.onnx_file import export_onnx
from revive.runtime.table import PolicyTable
from revive.venv.plan import held
from tests.policy.conftest import Plant
from tests.policy.learners.test_ppo import ARGUMENTS
from tests.policy.problems import first_order, horizon_of, problem_of
from tests.runtime.plants import policy_of
from tests.venv.plants import train

REPEAT = 3


def changes(action: torch.Tensor) -> list[int]:
    """The steps in which a series (T, ...) differs from that before."""
    return [t for t in range(1, len(action)) if not torch.equal(action[t], action[t - 1])]


def test_a_decision_stands_until_the_next_one_is_due() -> None:
    decide = held(lambda x: x + 1.0, REPEAT)
    assert [float(decide(torch.tensor(float(t)))) for t in range(7)] == [1, 1, 1, 4, 4, 4, 7]


def test_rollouts_hold_the_policys_decisions_and_not_those_of_the_logs(plant: Plant) -> None:
    problem = problem_of(plant, repeat=REPEAT)
    begin = problem.starts.draw(4, 8, problem.generator())
    for policy, expected in ((problem.started(1), [3, 6]), (problem.clone, [1, 2, 3, 4, 5, 6, 7])):
        for _ in range(2):  # every rollout begins with a decision
            rolled = plant.venv.rollout(begin.state, begin.given, 8, past=begin.past, actor=policy.actor())
            assert changes(rolled["u"]) == expected


@pytest.mark.parametrize("name", ["first_order", "ppo"])
def test_what_is_learned_and_handed_in_holds(plant: Plant, tmp_path: Path, name: str) -> None:
    problem = problem_of(plant, repeat=REPEAT, horizon=horizon_of(10))
    if name == "ppo":
        learner = Ppo(problem, **{**ARGUMENTS, "iterations": 2, "warm_up": 1, "judge_every": 1})
        assert learner.horizon == 12
    else:
        learner = first_order(problem, iterations=2, warm_up=1, judge_every=1)
    train(learner, tmp_path)
    assert {candidate.policy.repeat for candidate in learner.candidates()} == {REPEAT}


def test_the_reward_of_a_decision_is_that_of_its_steps() -> None:
    reward = torch.arange(1.0, 7.0)
    alive = torch.tensor([1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0])
    earned, going = by_decision(reward, alive, 0.5, REPEAT)
    assert earned.tolist() == [1 + 0.5 * 2 + 0.25 * 3, 4 + 0.5 * 5]
    assert going.tolist() == [1.0, 1.0, 0.0]


def test_sessions_count_the_steps_of_each_plant(tmp_path: Path) -> None:
    policy = policy_of("plain")
    policy.repeat = REPEAT
    save_policy(policy, tmp_path / "policy", {})
    x = np.random.default_rng(0).normal(5.0, 2.0, (7, 2, 2))
    taken = []
    for session in (
        load_policy(tmp_path / "policy").session(2),
        runtime.load_policy(tmp_path / "policy").session(2),
    ):
        done = []
        for t, row in enumerate(x):
            if t == 4:
                session.reset([1])  # this plant decides anew
            done.append(session.act({"x": row})["u"])
        taken.append(np.stack(done))
    np.testing.assert_allclose(taken[0], taken[1], atol=1e-5)
    assert changes(torch.as_tensor(taken[1][:, 0])) == [3, 6]
    assert changes(torch.as_tensor(taken[1][:, 1])) == [3, 4]
    act = controller(policy)
    alone = np.stack([act({"x": row})["u"] for row in x])
    np.testing.assert_allclose(alone[:, 0], taken[1][:, 0], atol=1e-5)


def test_c_holds_and_what_counts_no_steps_is_refused(tmp_path: Path) -> None:
    policy = policy_of("plain")
    policy.repeat = REPEAT
    save_policy(policy, tmp_path / "policy", {})
    acting = runtime.load_policy(tmp_path / "policy")
    said = export_c99(acting, tmp_path)
    for refused in (lambda: export_onnx(acting, tmp_path / "p.onnx"), lambda: PolicyTable(acting)):
        with pytest.raises(UserError, match="holds for 3 steps"):
            refused()
    if "not compiled" in said:
        pytest.skip("no C compiler")
    x = np.random.default_rng(0).normal(5.0, 2.0, (7, 2))
    body = "".join(
        f'  {{ double x[2] = {{{a!r}, {b!r}}}; policy_step(&s, x, u); printf("%.9g\\n", u[0]); }}\n'
        for a, b in x.tolist()
    )
    begin = "int main(void) { policy_state s; double u[1]; policy_reset(&s);"
    main = f'#include <stdio.h>\n#include "policy.h"\n{begin}\n{body}  return 0; }}\n'
    (tmp_path / "main.c").write_text(main)
    subprocess.run(["cc", "-o", "run", "main.c", "policy.c", "-lm"], cwd=tmp_path, check=True)
    told = subprocess.run([tmp_path / "run"], capture_output=True, text=True, check=True).stdout.split()
    session = acting.session()
    wanted = [session.act({"x": row})["u"][0] for row in x]
    np.testing.assert_allclose([float(value) for value in told], wanted, rtol=1e-6)
