from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import revive
from revive.bundles import Gate, set_gate
from revive.deploy import load_policy, load_venv, save_policy, save_venv
from revive.errors import UserError
from revive.policy.policy import Policy
from revive.venv.virtual_env import VirtualEnv
from tests.bundles.forging import reweigh, sign

MADE_OF = {"experiment": "demo", "seed": 3}
SEEN = {"x": [[18.0], [25.0]]}
LEAVES = {"x": [[18.0], [25.0]], "wind": [[0.0], [1.0]]}


@pytest.fixture
def bundles(tmp_path: Path, venv: VirtualEnv, policy: Policy) -> Path:
    """A run folder with both bundles in it."""
    save_venv(venv, tmp_path / "run" / "venv", MADE_OF)
    save_policy(policy, tmp_path / "run" / "policy", MADE_OF)
    return tmp_path / "run"


def test_a_policy_acts_as_before(bundles: Path, policy: Policy) -> None:
    loaded = load_policy(bundles / "policy")
    before = revive.deploy.PolicySession(policy)
    np.testing.assert_array_equal(loaded.act(SEEN)["u"], before.act(SEEN)["u"])
    np.testing.assert_array_equal(
        loaded.act(SEEN, deterministic=False)["u"], before.act(SEEN, deterministic=False)["u"]
    )
    assert (loaded.target, loaded.inputs) == ("u", ("x",))


def test_a_venv_steps_as_before(bundles: Path, venv: VirtualEnv) -> None:
    loaded, before = load_venv(str(bundles / "venv")), revive.deploy.VenvSession(venv)
    for options in ({}, {"deterministic": False, "seed": 5}):
        mine, theirs = loaded.step(LEAVES, **options), before.step(LEAVES, **options)  # type: ignore[arg-type]
        assert mine.keys() == theirs.keys()
        for name, value in mine.items():
            np.testing.assert_array_equal(value, theirs[name])
    assert loaded.graph == venv.graph


def test_bundles_are_plain_data_that_can_be_moved(bundles: Path, tmp_path: Path) -> None:
    for kind in ("venv", "policy"):
        names = sorted(path.name for path in (bundles / kind).iterdir())
        assert names == sorted(["manifest.json", "model.safetensors", f"{kind}.json"])
        said = json.loads((bundles / kind / f"{kind}.json").read_text())
        assert said["provenance"] == MADE_OF
        assert str(tmp_path) not in json.dumps(said)
    shutil.move(bundles, tmp_path / "elsewhere")
    assert load_policy(tmp_path / "elsewhere" / "policy").act(SEEN)["u"].shape == (2, 1)


def test_nothing_else_is_left_beside_a_bundle(bundles: Path) -> None:
    assert sorted(path.name for path in bundles.iterdir()) == ["policy", "venv"]


def test_saving_again_replaces_all_of_the_former(bundles: Path, venv: VirtualEnv) -> None:
    (bundles / "venv" / "rubbish.txt").write_text("old")
    save_venv(venv, bundles / "venv", {"seed": 4})
    assert not (bundles / "venv" / "rubbish.txt").exists()
    assert json.loads((bundles / "venv" / "venv.json").read_text())["provenance"] == {"seed": 4}


def test_the_run_folder_is_no_bundle_but_the_message_knows_where_one_is(bundles: Path) -> None:
    with pytest.raises(UserError, match="no policy bundle is here") as caught:
        load_policy(bundles)
    assert f"did you mean {bundles / 'policy'}?" in str(caught.value)


@pytest.mark.parametrize("where", ["nowhere", "run/venv"])
def test_what_is_no_policy_bundle_is_refused(bundles: Path, where: str) -> None:
    with pytest.raises(UserError, match=r"no policy bundle is here\n.*folder with policy\.json"):
        load_policy(bundles.parent / where)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is no JSON"),
        ("[]", "holds no manifest"),
        ("{}", "format None cannot be read"),
        ('{"format": 1}', "format 1 cannot be read, this release reads formats 2 and 3"),
        ('{"format": 3, "kind": "policy"}', "Field required"),
    ],
)
def test_a_damaged_manifest_is_explained(bundles: Path, text: str, said: str) -> None:
    (bundles / "policy" / "manifest.json").write_text(text)
    with pytest.raises(UserError, match=said):
        load_policy(bundles / "policy")


def test_a_bundle_of_the_first_format_is_refused_by_name(bundles: Path) -> None:
    (bundles / "policy" / "manifest.json").unlink()
    with pytest.raises(
        UserError, match=r"is of format 1, .* this release reads formats 2 and 3\n.*make it again"
    ):
        load_policy(bundles / "policy")


@pytest.mark.parametrize("kind", ["venv", "policy"])
def test_every_byte_counts(bundles: Path, kind: str) -> None:
    load = load_venv if kind == "venv" else load_policy
    for file in sorted((bundles / kind).iterdir()):
        content = file.read_bytes()
        for at in range(0, len(content), max(1, len(content) // 40)):
            file.write_bytes(content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :])
            with pytest.raises(UserError):
                load(bundles / kind)
        file.write_bytes(content)
    load(bundles / kind)


def test_missing_weights_are_explained(bundles: Path) -> None:
    (bundles / "venv" / "model.safetensors").unlink()
    with pytest.raises(UserError, match=r"model\.safetensors: cannot be read: No such file"):
        load_venv(bundles / "venv")


def test_truncated_weights_are_explained(bundles: Path) -> None:
    file = bundles / "venv" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(UserError, match=r"is \d+ bytes long, the manifest says \d+"):
        load_venv(bundles / "venv")


def test_the_weights_of_another_model_are_refused(bundles: Path) -> None:
    shutil.copy(bundles / "venv" / "model.safetensors", bundles / "policy" / "model.safetensors")
    sign(bundles / "policy")
    with pytest.raises(UserError, match="the description does not call for"):
        load_policy(bundles / "policy")


def test_a_loaded_model_is_not_to_be_trained_by_accident(bundles: Path) -> None:
    assert not any(p.requires_grad for p in load_venv(bundles / "venv").model.parameters())
    assert not any(p.requires_grad for p in load_policy(bundles / "policy").model.parameters())


def test_weights_that_no_training_leaves_are_refused(bundles: Path) -> None:
    def spoil(tensors: dict[str, np.ndarray]) -> None:
        tensors["net.skip.bias"][0, 0, 0] = np.nan

    reweigh(bundles / "policy", spoil)
    with pytest.raises(UserError, match=r"'net\.skip\.bias' holds values that are not finite"):
        load_policy(bundles / "policy")


@pytest.mark.parametrize("status", ["pass", "warn", "fail"])
def test_a_gate_is_noted_and_a_failed_one_keeps_a_bundle_from_being_loaded(
    bundles: Path, status: Any
) -> None:
    set_gate("policy", bundles / "policy", Gate(status=status, reasons=["promises too much"]))
    if status == "fail":
        with pytest.raises(
            UserError, match=r"did not pass its gate: promises too much\n.*accept_failed_gate=True"
        ):
            load_policy(bundles / "policy")
    assert load_policy(bundles / "policy", accept_failed_gate=True).target == "u"
    set_gate("policy", bundles / "policy", Gate(status=status, overridden=True))
    assert load_policy(bundles / "policy").target == "u"
