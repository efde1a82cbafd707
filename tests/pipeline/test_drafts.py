"""Which columns still have limits that `new` has guessed."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from revive.pipeline.drafts import PLACEHOLDER, guessed_limits, unfinished
from revive.pipeline.new import REWARD

TEXT = """# Guessed: read every line, then delete the word GUESS.
metadata:
  columns:
    - "oven [C]": {dim: state, type: continuous, min: 1, max: 2}  # GUESS: state (what is left)
    - fan: {dim: action, type: continuous, min: 1, max: 2}  # action, as you said; GUESS: the limits
    - wind: {dim: outside, type: continuous}  # GUESS: exogenous (its name)
    - gas: {dim: action, type: continuous, min: 1, max: 2}  # as the plant allows
  graph:  # GUESS: who decides from what
    action: [state]
"""


def test_limits_are_guesses_until_the_word_is_deleted(tmp_path: Path) -> None:
    (tmp_path / "description.yaml").write_text(TEXT)
    settings: Any = SimpleNamespace(dataset=SimpleNamespace(description=tmp_path / "description.yaml"))
    assert guessed_limits(settings) == {"oven [C]", "fan"}
    settings.dataset.description = {"metadata": {}}
    assert guessed_limits(settings) == set()


def test_a_reward_is_a_draft_as_long_as_it_pays_what_new_wrote(tmp_path: Path) -> None:
    reward = tmp_path / "reward.py"
    settings: Any = SimpleNamespace(dataset=SimpleNamespace(description={}), reward=reward)
    draft = REWARD.format(
        name="kiln", node="heat", column=0, after=1, goal=70.5, nodes="    heat", placeholder=PLACEHOLDER
    )
    for code, warned in (
        (draft, True),
        (draft.replace("- 70.5)", "- 70)"), False),
        (draft.replace("return -abs(", "return -torch.square("), False),
    ):
        reward.write_text(code)
        assert [finding.code for finding in unfinished(settings)] == ["placeholder-reward"] * warned
