"""docs/serving.md and docs/exports.md, block by block, with bundles of the refrigerator in the place of a run's."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from revive.__main__ import main
from revive.data.codec import Codec
from revive.deploy import save_policy, save_venv
from revive.errors import UserError
from revive.graph.description import read_description
from revive.policy.policy import Policy, action_range
from revive.runtime.envelope import Envelope
from revive.runtime.policy import Policy as NumpyPolicy
from revive.serving import Service
from revive.venv.node_model import NetworkSpec
from revive.venv.virtual_env import VirtualEnv

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.M | re.S)


def blocks(page: str) -> list[tuple[str, str, str]]:
    """(language, what stands behind it, text) of every block that has a language."""
    return [*BLOCK.findall((ROOT / "docs" / page).read_text(encoding="utf-8"))]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with runs/NAME/policy and runs/NAME/venv, random weights in them."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    graph, rng = (
        read_description(ROOT / "experiments" / "refrigerator" / "description.yaml"),
        np.random.default_rng(0),
    )
    logs = {
        "temperature": rng.normal(1.0, 3.0, (400, 1)),
        "door_open": rng.integers(0, 2, (400, 1)).astype(float),
        "action": rng.uniform(0.0, 3.0, (400, 1)),
    }
    codec = Codec.fit(graph, logs)
    encoded = codec["action"].encode(torch.as_tensor(logs["action"]))
    low, high = action_range(graph, codec, "action", encoded.amin(0), encoded.amax(0))
    policy = Policy(graph, codec, "action", NetworkSpec((8,)), 1, low, high)
    tensors = {name: value.detach().numpy() for name, value in policy.state_dict().items()}
    acting = NumpyPolicy(graph, "action", "silu", tensors)
    halves = [
        {name: value[half] for name, value in logs.items()} for half in (slice(0, 200), slice(200, 400))
    ]
    save_policy(
        policy, Path("runs/NAME/policy"), {}, envelope=Envelope.fit(acting, *halves, seed=0).to_json()
    )
    scales = {name: [1.0] * codec.layout(name).ordered for name in graph.learned}
    save_venv(VirtualEnv(graph, codec, 4, NetworkSpec((8,)), scales), Path("runs/NAME/venv"), {})
    return tmp_path


def shape(value: Any) -> Any:
    """An answer without its numbers: keys, and kinds of values."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    return value if isinstance(value, str) else type(value).__name__


def test_requests_and_answers_of_serving(folder: Path) -> None:
    service, shadow = Service.of_bundle("runs/NAME/policy"), None
    asked: Any = None
    answered = 0
    for language, kind, text in blocks("serving.md"):
        if language != "json":
            continue
        if kind in ("/act", "shadow"):
            asked = json.loads(text)
            if kind == "shadow":
                shadow = Service.of_bundle("runs/NAME/policy", shadow=folder / "shadow.csv")
        elif kind == "answer":
            answer = (shadow or service).act(asked)
            told = json.loads(text)
            assert shape(answer) == shape(told)
            answered += 1
        elif kind == "refused":
            with pytest.raises(UserError) as refused:
                service.act(asked)
            told = [problem["what"] for problem in json.loads(text)["problems"]]
            assert [problem.what for problem in refused.value.problems] == told
            answered += 1
    assert answered == 4
    (csv,) = (text for language, _, text in blocks("serving.md") if language == "csv")
    assert csv.splitlines()[0] == (folder / "shadow.csv").read_text().splitlines()[0]


def test_the_python_of_serving(folder: Path) -> None:
    for language, _, text in blocks("serving.md"):
        if language == "python":
            exec(compile(text, "serving.md", "exec"), {})
    assert "proposed.power" in (folder / "shadow.jsonl").read_text()


def test_metrics_of_serving_are_those_that_there_are(folder: Path) -> None:
    pytest.importorskip("prometheus_client")
    pytest.importorskip("starlette")
    pytest.importorskip("httpx")
    from starlette.testclient import TestClient

    from revive.serving.app import app

    service = Service.of_bundle("runs/NAME/policy", shadow=folder / "s.csv")
    said = TestClient(app(service)).get("/metrics").text
    page = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
    for name in set(re.findall(r"revive_[a-z_]+", page.partition("## Metrics")[2])):
        assert name.removesuffix("_total") in said, name


def test_the_page_of_exports(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler")
    made = []
    for language, file, text in blocks("exports.md"):
        if file:
            (folder / file).write_text(text)
        for line in text.splitlines() if language == "sh" else ():
            words = shlex.split(line)
            if words[:3] == ["python", "-m", "revive"]:
                assert main(words[3:]) == 0
                made.append(capsys.readouterr().out)
            else:
                done = subprocess.run(
                    line, shell=True, cwd=folder, capture_output=True, text=True, check=True
                )
                assert done.stdout.startswith("power ")
        if language == "python":
            exec(compile(text, "exports.md", "exec"), {})
    assert len(made) == 3
    assert all("differs from" in line for line in made)
    assert "python" in sys.executable
