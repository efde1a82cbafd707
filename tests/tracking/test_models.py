"""What is told of a model, without a database."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

pytest.importorskip("mlflow")

from mlflow import MlflowClient
from mlflow.entities import Metric
from mlflow.utils.validation import _validate_metric

from revive.tracking.models import model_metrics


def told(column: str, known: list[Metric]) -> list[Metric]:
    client = SimpleNamespace(get_logged_model=lambda model_id: SimpleNamespace(metrics=known))
    job: dict[str, Any] = {"dataset": None, "points": [[f"venv.error.{column}", 0.5, 0, 0]]}
    return model_metrics(cast(MlflowClient, client), "m-1", job)


@pytest.mark.parametrize("column", ["Biomass [g/L]", "T (°C)", "level", "a;b=c%"])
def test_names_of_columns_become_ones_that_mlflow_allows(column: str) -> None:
    (metric,) = told(column, [])
    _validate_metric(metric.key, metric.value, metric.timestamp, metric.step)
    assert told(column, [metric]) == []  # told once
