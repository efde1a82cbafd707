from __future__ import annotations

from pathlib import Path

import pytest

from revive.errors import UserError
from revive.user_code import load_module, raised_in, require_function


def written(folder: Path, text: str, name: str = "reward.py") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_a_file_becomes_a_module_of_its_own(tmp_path: Path) -> None:
    one = load_module(written(tmp_path, "VALUE = 1\n"))
    (tmp_path / "other").mkdir()
    other = load_module(written(tmp_path / "other", "VALUE = 2\n"))
    assert (one.VALUE, other.VALUE) == (1, 2)


def test_what_a_file_defines_can_look_its_module_up(tmp_path: Path) -> None:
    """Dataclasses and pickles do."""
    text = "from __future__ import annotations\nfrom dataclasses import dataclass\n"
    text += "@dataclass\nclass Price:\n    value: float = 2.0\n"
    assert load_module(written(tmp_path, text)).Price().value == 2.0


def test_a_missing_file_suggests_the_nearest_one(tmp_path: Path) -> None:
    written(tmp_path, "", "reward.py")
    written(tmp_path, "", "simulator.py")
    with pytest.raises(UserError, match=r"rewards\.py: no such file\n.*did you mean 'reward\.py'\?"):
        load_module(tmp_path / "rewards.py")


def test_a_missing_file_far_from_any_other_suggests_nothing(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        load_module(tmp_path / "nowhere" / "reward.py")
    assert caught.value.problems[0].remedy is None


def test_a_file_that_is_no_python_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no Python file\n.*ends in \.py"):
        load_module(written(tmp_path, "", "reward.txt"))


def test_a_syntax_error_names_file_and_line(tmp_path: Path) -> None:
    path = written(tmp_path, "a = 1\n\ndef get_reward(data:\n    pass\n")
    with pytest.raises(UserError) as caught:
        load_module(path)
    problem = caught.value.problems[0]
    assert problem.file == path
    assert problem.place == "line 3"
    assert problem.what.startswith("SyntaxError")


def test_what_is_raised_at_import_names_the_users_line(tmp_path: Path) -> None:
    path = written(tmp_path, "import math\n\ndef f():\n    return math.sqrt(-1)\n\nX = f()\n")
    with pytest.raises(UserError) as caught:
        load_module(path)
    problem = caught.value.problems[0]
    assert (problem.file, problem.place) == (path, "line 4")
    assert problem.what.startswith("ValueError: ")
    assert isinstance(caught.value.__cause__, ValueError)


def test_the_innermost_line_of_the_users_file_counts_not_that_of_a_library(tmp_path: Path) -> None:
    path = written(tmp_path, "import json\ndef read(text):\n    return json.loads(text)\n")
    module = load_module(path)
    with pytest.raises(ValueError, match="Expecting") as caught:
        module.read("{")
    assert raised_in(path, caught.value).place == "line 3"


def test_an_error_that_never_touched_the_file_has_no_line(tmp_path: Path) -> None:
    assert raised_in(tmp_path / "reward.py", ValueError("odd")).place is None


def test_a_relative_path_keeps_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, "a = 1\nb = a / 0\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="line 2"):
        load_module(Path("reward.py"))


def test_a_syntax_error_in_an_imported_file_is_blamed_on_that_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path, "\n\n\n\nx = = 3\n", "helper_with_an_error.py")
    monkeypatch.syspath_prepend(tmp_path)
    path = written(tmp_path, "a = 1\nimport helper_with_an_error\n")
    with pytest.raises(UserError) as caught:
        load_module(path)
    problem = caught.value.problems[0]
    assert problem.file == tmp_path / "helper_with_an_error.py"
    assert problem.place == "line 5"


def test_a_function_that_is_not_there_is_missed_by_name(tmp_path: Path) -> None:
    path = written(tmp_path, "def reward(data):\n    return data\n\ndef _hidden():\n    pass\n")
    module = load_module(path)
    with pytest.raises(UserError, match=r"no function 'get_reward'\n.*define get_reward\(\.\.\.\)") as caught:
        require_function(module, "get_reward", path)
    assert "it defines reward" in str(caught.value)
    assert "_hidden" not in str(caught.value)
    require_function(module, "reward", path)


def test_a_constant_is_no_function(tmp_path: Path) -> None:
    path = written(tmp_path, "get_reward = 3\n")
    with pytest.raises(UserError, match="it defines no function"):
        require_function(load_module(path), "get_reward", path)


@pytest.mark.parametrize("code", ["0", "3"])
def test_a_file_that_ends_the_program_is_refused(tmp_path: Path, code: str) -> None:
    """sys.exit(0) would look like a run that went well."""
    with pytest.raises(UserError, match=rf"line 2: SystemExit: {code}"):
        load_module(written(tmp_path, f"import sys\nsys.exit({code})\n"))
