"""A few of the kills that `kills.py` makes many of."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.kills import scenarios

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.mark.parametrize("kind", range(4))
def test_a_killed_run_completes(kind: int, tmp_path: Path) -> None:
    outcome = scenarios(tmp_path, 4, seed=1)[kind]()
    assert outcome.missed == []
    assert outcome.kills == 1
