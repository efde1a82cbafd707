from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from revive.policy import choice
from revive.policy.candidate import Candidate
from revive.policy.choice import Court, Score
from revive.policy.coverage import covering
from revive.policy.policy import Policy
from revive.policy.problem import PolicyProblem
from revive.policy.reward import Reward
from revive.venv.node_model import NetworkSpec
from revive.venv.virtual_env import VirtualEnv
from tests.policy.conftest import BEHAVIOUR, Plant
from tests.policy.problems import candidates_of, problem_of, row_rewards
from tests.venv.plants import hand_set

TIMID = ([[BEHAVIOUR]], [0.0])


def biased(plant: Plant, bias: list[float], gain: list[float] | float = 0.5) -> VirtualEnv:
    """The plant without noise; each member adds its bias to x and has its gain."""
    weight = torch.zeros(4, 3, 1)
    weight[:, 0], weight[:, 1, 0] = -0.1, torch.as_tensor(gain).expand(4)
    linear: Any = {"next_x": (weight, torch.tensor(bias).view(4, 1, 1)), "u": TIMID}
    return hand_set(plant.graph, linear, members=4).requires_grad_(False)


def court_of(plant: Plant, problem: PolicyProblem | None = None, **changed: Any) -> Court:
    return Court(problem or problem_of(plant, row_reward=row_rewards(0.5)), **changed)


# -- scores --------------------------------------------------------------------------------------


def test_a_candidate_is_scored_in_the_half_it_never_saw(plant: Plant) -> None:
    """Half 0 of this venv is biased; whoever acts in it pays."""
    venv = biased(plant, [1.0, 1.0, 0.0, 0.0])
    court = court_of(plant, problem_of(plant, venv=venv))
    learned_in_0, learned_in_1 = court.scores(candidates_of(plant.linear_policy(0.0, 0.0)))
    assert (learned_in_0.candidate.half, learned_in_1.candidate.half) == (0, 1)
    assert learned_in_0.mean > -1.0
    assert learned_in_1.mean < -5.0


def test_a_score_is_that_of_the_policy_it_is_noted_for(plant: Plant) -> None:
    sound, unstable = court_of(plant).scores(candidates_of(plant.linear_policy(plant.best_gain, 3.0)))
    assert sound.mean > -1.0
    assert unstable.mean < -100.0


def test_many_candidates_at_once_get_the_scores_they_get_alone(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More of one half than of the other, of two shapes, more than fit into one rollout, in any order."""
    at_once = 8
    monkeypatch.setattr(choice, "STEPS_AT_ONCE", at_once * plant.bed.horizon)
    gains = [BEHAVIOUR - 0.02 * i for i in range(at_once + 3)]
    policy = plant.linear_policy(*gains)
    found = [Candidate("many", "", 1, i, policy.single(i)) for i in range(len(gains))]
    found += candidates_of(plant.linear_policy(-0.5, -0.6), "few")
    torch.manual_seed(0)
    edge = torch.tensor([20.0])
    larger = Policy(plant.graph, plant.venv.codec, "u", NetworkSpec(hidden=(16,)), 1, -edge, edge)
    found.insert(3, Candidate("larger", "", 0, 1, larger))
    together = court_of(plant).scores(found)
    for candidate, score in zip(found, together, strict=True):
        alone = court_of(plant).scores([candidate])[0]
        assert score.candidate is candidate
        assert score.per_member == pytest.approx(alone.per_member, rel=1e-5)
        assert score.doubt == pytest.approx(alone.doubt, rel=1e-4, abs=1e-6)
        bed = plant.bed.rewards(candidate.policy.actor()).mean(1).view(2, 2)
        assert score.per_member == pytest.approx(bed[1 - candidate.half].tolist(), rel=1e-5)


def test_a_score_is_worked_out_once(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    court, ran = court_of(plant), []
    run = Court._run
    monkeypatch.setattr(Court, "_run", lambda self, policies: ran.append(1) or run(self, policies))
    first = candidates_of(plant.linear_policy(-0.5, -0.5))
    one = court.scores(first)
    again = court.scores([*first, *candidates_of(plant.linear_policy(-0.6, -0.6), iteration=2)])
    assert len(ran) == 2
    assert again[0] is one[0]
    court.choose(first)
    court.choose(first)
    assert len(ran) == 3  # the clone's


def test_the_reward_is_that_of_physical_units(plant: Plant) -> None:
    court = court_of(plant, problem_of(plant, row_reward=row_rewards(0.5, limit=9.0)))
    score = court.clone_scores()[0]
    bed = plant.bed.rewards(plant.linear_policy(BEHAVIOUR).actor())
    assert score.mean == pytest.approx(float(bed[2:].mean()), rel=1e-5)


def made_score(per_member: list[float], over_clone: list[float], **changed: Any) -> Score:
    usual: dict[str, Any] = {
        "doubt": 0.0,
        "clone_doubt": 0.0,
        "penalty": 0.0,
        "caution": 0.5,
        "rejected": None,
    }
    return Score(None, tuple(per_member), tuple(over_clone), **{**usual, **changed})  # type: ignore[arg-type]


def test_the_metrics_of_a_score() -> None:
    score = made_score([-3.0, -1.0], [1.0, 2.0], penalty=0.25)
    assert score.by("mean_reward") == -2.0
    assert score.by("pessimistic_score") == pytest.approx(-2.0 - 0.5 * 1.0)
    assert score.by("pessimistic_gain") == pytest.approx(1.5 - 0.5 * 0.5 - 0.25)
    assert score.standard_error == pytest.approx(1.0 / 2**0.5)


def test_the_gain_is_paired_member_by_member(plant: Plant) -> None:
    """What one member of the half dislikes in clone and candidate alike is no spread of the gain."""
    venv = biased(plant, [0.0, 0.6, 0.0, 0.6])
    found = court_of(plant, problem_of(plant, venv=venv)).scores(
        candidates_of(plant.linear_policy(-0.3, -0.3))
    )
    for score in found:
        assert score.mean - score.pessimistic > 0.5  # members differ much about the reward
        rewards = [
            problem_of(plant, venv=venv).evaluation.rewards(plant.linear_policy(gain).actor()).mean(1)
            for gain in (-0.3, BEHAVIOUR)
        ]
        wanted = (rewards[0] - rewards[1]).view(2, 2)[1 - score.candidate.half]
        assert score.over_clone == pytest.approx(wanted.tolist(), abs=1e-5)
        worth = float(wanted.mean() - wanted.std(unbiased=False)) - score.penalty
        assert score.gain == pytest.approx(worth, abs=1e-5)


def test_caution_is_how_many_standard_deviations_are_taken_off(plant: Plant) -> None:
    venv = biased(plant, [0.0, 0.6, 0.0, 0.6])
    candidates = candidates_of(plant.linear_policy(-0.5, -0.5))
    bold, shy = (Court(problem_of(plant, venv=venv), caution=c).scores(candidates)[0] for c in (0.0, 2.0))
    assert bold.pessimistic == bold.mean == shy.mean
    spread = torch.tensor(shy.per_member).std(unbiased=False)
    assert shy.pessimistic == pytest.approx(shy.mean - 2.0 * float(spread))


def doubtful(plant: Plant) -> PolicyProblem:
    """Members disagree about what the action does; the logs hold little of it."""
    venv = biased(plant, [0.0] * 4, [0.45, 0.55, 0.45, 0.55])
    return problem_of(plant, venv=venv, row_reward=row_rewards(0.5))


def test_more_doubt_than_the_clones_costs_and_less_gains_nothing(plant: Plant) -> None:
    court = court_of(plant, doubtful(plant))
    pushing = plant.linear_policy(0.0, 0.0)
    pushing.net.put_linear(torch.zeros(2, 1, 1), torch.full((2, 1, 1), 3.0))
    jumpy = court.scores(candidates_of(pushing, "jumpy"))[0]
    still = court.scores(candidates_of(plant.linear_policy(0.0, 0.0), "still"))[0]
    assert jumpy.doubt > jumpy.clone_doubt > still.doubt
    excess = jumpy.doubt - max(1.0, jumpy.clone_doubt)
    assert excess > 0.5
    assert jumpy.penalty == pytest.approx(0.5 * excess, rel=1e-4)  # spreads of the logged reward
    assert still.penalty == 0.0
    heavy = Court(doubtful(plant), doubt_weight=3.0)
    assert heavy.scores(candidates_of(pushing))[0].penalty == pytest.approx(3 * jumpy.penalty)


def test_the_clone_gains_nothing_over_itself(plant: Plant) -> None:
    for score in court_of(plant, doubtful(plant)).clone_scores():
        assert score.gain == pytest.approx(0.0, abs=1e-6)
        assert score.candidate.is_clone


# -- what is not believed ------------------------------------------------------------------------


def test_a_candidate_that_beats_everything_ever_logged_is_not_believed(plant: Plant) -> None:
    clone = court_of(plant).clone_scores()
    limit = max(score.mean for score in clone) + 1e-3
    court = court_of(plant, problem_of(plant, row_reward=row_rewards(0.5, limit)))
    found = court.scores(candidates_of(plant.linear_policy(plant.best_gain, plant.best_gain)))
    assert [score.rejected for score in court.clone_scores()] == [None, None]
    assert all("more than the logs" in str(score.rejected) for score in found)
    assert all(score.gain > 0 for score in found)
    choice = court.choose([score.candidate for score in found])
    assert choice.fallback == "no learned policy was admissible"
    assert choice.candidate.is_clone


def test_a_candidate_whose_rollouts_diverge_is_not_believed(plant: Plant) -> None:
    broken = plant.linear_policy(float("nan"), float("nan"))
    court = court_of(plant)
    scores = court.scores(candidates_of(broken))
    assert [score.rejected for score in scores] == ["its rollouts diverge"] * 2
    choice = court.choose([score.candidate for score in scores])
    assert choice.candidate.is_clone
    assert choice.fallback == "no learned policy was admissible"


def test_one_diverging_candidate_does_not_touch_the_one_beside_it(plant: Plant) -> None:
    good = candidates_of(plant.linear_policy(-0.5, -0.5), "good")
    alone = court_of(plant).scores(good)
    together = court_of(plant).scores([*candidates_of(plant.linear_policy(*[float("nan")] * 2)), *good])
    for one, other in zip(alone, together[2:], strict=True):
        assert one.per_member == pytest.approx(other.per_member, rel=1e-6)
        assert other.rejected is None


# -- the choice ----------------------------------------------------------------------------------


def test_the_largest_gain_among_admissible_candidates_is_chosen(plant: Plant) -> None:
    """Not the largest reward: half 0's venv is harder, and whoever learned in half 1 is judged in it."""
    venv = biased(plant, [0.5, 0.5, 0.0, 0.0])
    court = court_of(plant, problem_of(plant, venv=venv))
    small = candidates_of(plant.linear_policy(BEHAVIOUR - 0.02, BEHAVIOUR - 0.02), "small")
    large = candidates_of(plant.linear_policy(-0.6, -0.6), "large")
    choice = court.choose([*small, *large])
    assert choice.fallback is None
    assert (choice.candidate.learner, choice.candidate.half) == ("large", 1)
    assert choice.score.mean < min(score.mean for score in court.scores(small[:1]))
    assert choice.judged == 6


def test_where_nothing_gains_the_clone_is_taken_and_it_is_said_why(plant: Plant) -> None:
    choice = court_of(plant).choose(candidates_of(plant.linear_policy(0.1, 0.1)))
    assert choice.candidate.is_clone
    assert choice.fallback == "no learned policy gains over the best clone in the other half's venv"
    nothing = court_of(plant).choose([])
    assert nothing.fallback == "no learned policy was admissible"
    assert nothing.candidate.name == "clone, of the venv"


def test_a_better_clone_raises_what_must_be_outdone(plant: Plant) -> None:
    better = [replace(c, is_clone=True) for c in candidates_of(plant.linear_policy(-0.5, -0.5), "clones")]
    mid = candidates_of(plant.linear_policy(-0.3, -0.3), "learner")
    choice = court_of(plant).choose([*better, *mid])
    assert choice.candidate.learner == "clones"
    assert choice.fallback is not None
    at_fault = court_of(plant).choose([*better, *mid], clone_at_fault=True)
    assert (at_fault.candidate.learner, at_fault.fallback) == ("learner", None)
    best = candidates_of(plant.linear_policy(plant.best_gain, plant.best_gain), "learner", iteration=9)
    assert court_of(plant).choose([*better, *mid, *best]).candidate.learner == "learner"


def test_where_the_venv_is_distrusted_a_clone_is_taken_whatever_is_promised(plant: Plant) -> None:
    learned = candidates_of(plant.linear_policy(plant.best_gain, plant.best_gain))
    choice = court_of(plant).choose(learned, distrust="the venv errs more than standing still")
    assert choice.candidate.is_clone
    assert choice.fallback == "the venv errs more than standing still"


def test_a_policy_that_sees_other_nodes_than_the_controller_is_judged_by_what_it_sees(plant: Plant) -> None:
    """Here the wind, which the logs' controller did not see."""
    seeing = plant.graph.with_inputs("u", ["wind", "x"])
    edge = torch.tensor([20.0])

    def policy(wind: float) -> Policy:
        made = Policy(seeing, plant.venv.codec, "u", NetworkSpec(hidden=(4,)), 2, -edge, edge)
        with torch.no_grad():
            made.net.last.zero_()
        made.net.put_linear(torch.tensor([[[wind], [-1.0]]] * 2), torch.zeros(2, 1, 1))
        return made

    def reward(data: dict[str, Tensor]) -> Tensor:
        return -(data["next_x"] ** 2)

    problem = problem_of(plant, graph=seeing, clone=policy(0.0), reward=Reward(reward, Path("reward.py")))
    choice = Court(problem).choose(
        [*candidates_of(policy(-0.2), "against"), *candidates_of(policy(0.2), "with")]
    )
    assert choice.candidate.learner == "against"


def test_a_fallback_is_the_clone_whose_trajectories_earned_most(plant: Plant) -> None:
    """Whatever the venv, in which nothing gains, thinks of it."""
    problem = problem_of(plant)
    made = [
        Candidate("clone", name, 0, 1, plant.linear_policy(gain), is_clone=True, earned=earned)
        for name, gain, earned in (("all", BEHAVIOUR, 1.0), ("best", 0.5 * BEHAVIOUR, 2.0))
    ]
    choice = Court(problem).choose(made, distrust="a reason")
    assert (choice.candidate.variant, choice.fallback) == ("best", "a reason")


@pytest.mark.parametrize("half", [0, 1])
def test_a_fallback_was_shown_nearly_all_that_was_logged(plant: Plant, half: int) -> None:
    problem = problem_of(plant)
    values = {**problem.rows.values, "x": problem.rows.values["x"].clone()}
    values["x"][problem.rows.parts[half].start] = 10 * values["x"].abs().max()  # the other half never met it
    met = replace(problem, rows=replace(problem.rows, values=values))
    assert covering(met) == (half == 0, half == 1)
    clones = [replace(c, is_clone=True) for c in candidates_of(plant.linear_policy(-0.3, -0.3), "clones")]
    assert Court(met).choose(clones, distrust="a reason").candidate.half == half
