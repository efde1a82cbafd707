"""The models of a run in MLflow: what is logged, that it answers, and that nothing is logged twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from revive.pipeline.models import model_records
from revive.runtime import load_policy
from tests.pipeline.made_run import BAD, made_run
from tests.pipeline.made_run import record as record_run
from tests.tracking.in_process import copy_database


def record(folder: Path, uri: str | None = None) -> Path:
    return record_run(folder, uri, models=True)


class Found:
    """The models that MLflow knows, by name, and the run."""

    def __init__(self, uri: str) -> None:
        import mlflow

        mlflow.set_tracking_uri(uri)
        self.client = mlflow.MlflowClient(uri)
        experiment = self.client.get_experiment_by_name("demo")
        models = self.client.search_logged_models([experiment.experiment_id])
        self.models = {model.name: model for model in models}
        assert len(models) == len(self.models)
        self.run = self.client.search_runs([experiment.experiment_id])[0]

    def load(self, name: str, **config: Any) -> Any:
        import mlflow.pyfunc

        return mlflow.pyfunc.load_model(f"models:/{self.models[name].model_id}", model_config=config or None)


@pytest.fixture
def runs(tmp_path: Path, new_database: Path) -> Path:
    return copy_database(new_database, tmp_path / "runs")


@pytest.fixture(params=["sqlite", "file"])
def uri(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str | None:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    return None if request.param == "sqlite" else (tmp_path / "store").as_uri()


def test_models_are_logged_once_with_columns_units_figures_and_data(runs: Path, uri: str | None) -> None:
    folder = made_run(runs / "calm-lynx")
    record(folder, uri)
    record(folder, uri)  # the same command again
    found = Found(uri or f"sqlite:///{runs / 'mlflow.db'}")
    assert set(found.models) == {"policy", "venv"}
    policy = found.models["policy"]
    assert policy.source_run_id == found.run.info.run_id
    assert policy.params["source"] == "first_order"
    assert policy.tags["gate"] == "pass"
    metrics = {metric.key: metric for metric in policy.metrics}
    assert metrics["policy.gain"].value == pytest.approx(0.3)
    assert metrics["policy.gain"].dataset_digest == ("ab" * 32)[:32]
    assert len(policy.metrics) == len(metrics)
    assert {m.key for m in found.models["venv"].metrics} >= {"venv.relative.10", "venv.error.level"}
    data = [given.dataset for given in found.run.inputs.dataset_inputs]
    assert [(one.name, one.digest) for one in data] == [("logs", ("ab" * 32)[:32])]
    shown = {output.model_id for output in found.run.outputs.model_outputs}
    assert shown == {model.model_id for model in found.models.values()}


def test_a_loaded_policy_answers_as_its_bundle(runs: Path, uri: str | None) -> None:
    folder = made_run(runs / "calm-lynx")
    record(folder, uri)
    found = Found(uri or f"sqlite:///{runs / 'mlflow.db'}")
    model = found.load("policy")
    assert model.metadata.get_input_schema().input_names() == ["level", "flow"]
    assert model.metadata.get_output_schema().input_names() == ["mode"]
    assert model.metadata.metadata["inputs"][0]["name"] == "level"
    assert list(model.input_example.columns) == ["level", "flow"]
    frame = pd.DataFrame({"flow": [4.0, 6.0, 5.0], "level": [5.0, 2.0, 9.0]}, index=[7, 8, 9])
    answer = model.predict(frame)
    expected = load_policy(folder / "policy").act({"x": frame[["level", "flow"]].to_numpy()})["u"]
    np.testing.assert_array_equal(answer["mode"], expected[:, 0])
    assert list(answer.index) == [7, 8, 9]


def test_a_loaded_venv_steps(runs: Path) -> None:
    record(made_run(runs / "calm-lynx"))
    model = Found(f"sqlite:///{runs / 'mlflow.db'}").load("venv")
    row = {"x0": [1.0], "wind0": [0.25], "u0": [0.5]}
    assert model.metadata.get_input_schema().input_names() == ["x0", "wind0", "u0"]
    assert model.predict(pd.DataFrame(row))["next_x0"].tolist() == pytest.approx([1.75])


def test_what_is_wrong_with_the_input_is_said_in_one_message(runs: Path) -> None:
    from mlflow.exceptions import MlflowException

    record(made_run(runs / "calm-lynx"))
    model = Found(f"sqlite:///{runs / 'mlflow.db'}").load("policy")
    with pytest.raises(MlflowException, match="missing inputs \\['flow'\\]"):
        model.predict(pd.DataFrame({"level": [1.0]}))
    with pytest.raises(MlflowException, match="column 'flow': holds values that are not finite") as error:
        model.predict(pd.DataFrame({"level": [1.0], "flow": [np.nan]}))
    assert error.value.error_code == "INVALID_PARAMETER_VALUE"


def test_a_model_whose_gate_failed_is_loaded_only_by_who_says_so(runs: Path) -> None:
    record(made_run(runs / "bad", BAD))
    found = Found(f"sqlite:///{runs / 'mlflow.db'}")
    assert found.models["policy"].tags["gate"] == "fail"
    with pytest.raises(Exception, match="did not pass its gate: The venv is not the plant"):
        found.load("policy")
    assert (
        found.load("policy", accept_failed_gate=True)
        .predict(pd.DataFrame({"level": [1.0], "flow": [2.0]}))
        .size
    )


def test_a_gate_that_is_accepted_makes_another_model(runs: Path) -> None:
    folder = made_run(runs / "bad", BAD)
    record(folder)
    made_run(folder, {**BAD, "overridden": True})
    record(folder)
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{runs / 'mlflow.db'}")
    models = client.search_logged_models([client.get_experiment_by_name("demo").experiment_id])
    assert sorted(model.name for model in models) == ["policy", "policy", "venv", "venv"]


def test_a_model_holds_no_pickle_and_pins_what_it_needs(runs: Path) -> None:
    record(made_run(runs / "calm-lynx"))
    home = runs / "mlartifacts" / "models"
    files = {path.name for path in home.rglob("*") if path.is_file()}
    assert {
        "MLmodel",
        "policy.py",
        "venv.py",
        "manifest.json",
        "model.safetensors",
        "input_example.json",
    } <= files
    assert not [name for name in files if name.endswith((".pkl", ".pickle"))]
    needs = [(file.read_text(), file) for file in home.rglob("requirements.txt")]
    assert all(line.count("==") == 1 for text, _ in needs for line in text.split())
    assert sorted("torch" in text for text, _ in needs) == [False, True]
    assert all("revive-logs==" in text for text, _ in needs)


def test_a_policy_is_loaded_and_answers_without_torch(runs: Path) -> None:
    import subprocess
    import sys

    record(made_run(runs / "calm-lynx"))
    (folder,) = (file.parent for file in runs.rglob("policy.py"))
    code = (
        "import sys, mlflow.pyfunc, pandas\n"
        f"model = mlflow.pyfunc.load_model({str(folder)!r})\n"
        "print(model.predict(pandas.DataFrame({'level': [5.0], 'flow': [5.0]})).size, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "False"]


def test_metadata_is_plain(runs: Path) -> None:
    for one in model_records(made_run(runs / "calm-lynx")):
        json.dumps(one.metadata)
        assert one.metadata["units"] == {}
