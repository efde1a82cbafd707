"""Which columns still have limits that `new` has guessed."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from revive.pipeline.drafts import guessed_limits

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
