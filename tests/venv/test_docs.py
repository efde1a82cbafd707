"""docs/learners.md and docs/policy-learners.md: each learner, head and backbone has a section of its own."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from revive.nn.backbones import Backbone
from revive.nn.family_heads import HeadName
from tests.contract import shipped_learners

DOCS = Path(__file__).parents[2] / "docs"


def headings(page: str) -> set[str]:
    return set(re.findall(r"^##+ (.+)$", (DOCS / page).read_text(encoding="utf-8"), re.M))


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("learners.md", {*shipped_learners("venv"), *get_args(HeadName), *get_args(Backbone)}),
        ("policy-learners.md", shipped_learners("policy")),
    ],
)
def test_everything_that_can_be_chosen_has_a_section(page: str, names: set[str]) -> None:
    assert not names - headings(page)
