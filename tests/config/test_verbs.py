"""One help text for all verbs, and completion for shells that is made of the same table."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from revive.__main__ import COMMANDS, main
from revive.config.verbs import VERBS


def test_every_command_is_in_the_table_and_the_reverse() -> None:
    assert {verb.name for verb in VERBS} == set(COMMANDS)


@pytest.mark.parametrize("name", [verb.name for verb in VERBS])
def test_every_verb_has_help_with_examples(
    experiments: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert main([name, "--help"]) == 0
    said = capsys.readouterr().out
    assert f" {name} " in said
    assert "examples\n" in said
    assert all(len(line) <= 120 for line in said.splitlines()), said
    (verb,) = (verb for verb in VERBS if verb.name == name)
    assert all(option.flag in said and option.text in said for option in verb.options)
    assert all(flag.partition("=")[0] in verb.usage or "..." in verb.usage for flag in verb.flags)


def test_the_help_names_every_verb_and_experiment(
    experiments: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--help"]) == 0
    said = capsys.readouterr().out
    assert all(f"  {verb.name} " in said for verb in VERBS)
    assert "demo" in said
    assert main(["--help", "venv.budget"]) == 0
    assert "venv.budget=" in capsys.readouterr().out
    assert main(["train", "--help", "venv.budget"]) == 0
    assert "venv.budget=" in capsys.readouterr().out


def completed(script: str, typed: str, folder: Path) -> list[str]:
    """What bash offers for a line that was typed so far."""
    lines = [
        script,
        "COMP_WORDBREAKS=$' \\t\\n\"\\'><=;|&(:'",
        f"COMP_LINE={typed!r}; COMP_POINT={len(typed)}; COMP_WORDS=($COMP_LINE)",
        "_revive; printf '%s\\n' \"${COMPREPLY[@]}\"",
    ]
    done = subprocess.run(
        ["bash", "-c", "\n".join(lines)], cwd=folder, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_completes(experiments: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "bash"]) == 0
    script = capsys.readouterr().out
    work = Path.cwd()
    (work / "runs" / "calm-otter").mkdir(parents=True)
    (work / "experiments" / "mine").mkdir(parents=True)
    (work / "experiments" / "mine" / "experiment.yaml").touch()
    for typed, wanted in (
        ("revive ser", ["serve", "server"]),
        ("revive experiment=refr", ["refrigerator"]),
        ("revive check experiment=mi", ["mine"]),
        ("revive experiment=dem", ["demo"]),
        ("revive tracking=ml", ["mlflow"]),
        ("revive venv.bud", ["venv.budget="]),
        ("revive ven", ["venv.", "venv=", "venv_path="]),
        ("revive export --to ", ["c99", "onnx"]),
        ("revive export --acc", ["--accept-failed-gate"]),
        ("revive serve runs/ca", ["runs/calm-otter/"]),
        ("revive report run=ca", ["calm-otter"]),
        ("revive compare ca", ["calm-otter"]),
        ("revive dataset.path=ru", ["runs/"]),
        ("revive completion z", ["zsh"]),
        ("revive nonsense --", ["--cfg", "--help", "--version"]),
    ):
        found = completed(script, typed, work)
        assert set(wanted) <= set(found), (typed, found)
        assert len(set(found)) <= len(wanted) + 3, (typed, found)


def test_completion_for_zsh_and_for_no_shell(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "zsh"]) == 0
    assert "bashcompinit" in capsys.readouterr().out
    assert main(["completion", "fish"]) == 2
    assert "invalid choice: 'fish'" in capsys.readouterr().err
    assert main(["completion"]) == 2
    assert "write: completion bash | zsh" in capsys.readouterr().err


def test_show_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from revive.deploy import save_policy
    from tests.runtime.plants import policy_of

    save_policy(policy_of("history"), tmp_path / "policy", {"run_id": "r7"})
    assert main(["show", str(tmp_path), "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert (told["kind"], told["target"], told["provenance"]["run_id"]) == ("policy", "u", "r7")
    assert told["columns"]["x"][0]["name"] == "level"
    assert told["graph"]["u"] == ["ts_x", "ts_u", "step_node_"]
    assert main(["show", str(tmp_path), "--jsn"]) == 2
    assert "did you mean '--json'?" in capsys.readouterr().err
