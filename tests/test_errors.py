"""One message stays readable, however much is wrong."""

from __future__ import annotations

from revive.errors import Problem, UserError, first_few, nearest, suggestion


def test_of_very_many_problems_the_first_are_told_and_all_are_kept() -> None:
    error = UserError(*(Problem(f"column {number} is empty", "logs.csv") for number in range(10_000)))
    lines = str(error).splitlines()
    assert len(lines) == 21
    assert lines[0] == "logs.csv: column 0 is empty"
    assert lines[-1] == "... and 9980 more problems"
    assert len(error.problems) == 10_000


def test_of_very_many_choices_the_nearest_is_named_and_some_are_listed() -> None:
    said = suggestion("s2100x", [f"s{number}" for number in range(3000)])
    assert said.startswith("did you mean 's2100'? possible: s0, s1, s10, ")
    assert said.endswith(" and 2960 more")
    assert suggestion("a", ["b", "c"]) == "possible: b, c"


def test_endless_names_are_compared_by_their_beginning() -> None:
    long = "level" * 100_000
    assert nearest(long, [long + "x", "flow"]) == long + "x"


def test_of_many_words_the_first_are_told_and_the_others_are_counted() -> None:
    assert first_few(["a", "b"], 2) == "a, b"
    assert first_few(["a", "b", "c", "d"], 2) == "a, b and 2 more"
    assert first_few(["a b", "c d", "e"], 2, "; ") == "a b; c d; and 1 more"
