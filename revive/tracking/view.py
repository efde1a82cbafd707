"""What MLflow's page of an experiment shows first, so that its table is readable without any clicking."""

from __future__ import annotations

import json
from typing import Final

VIEW: Final = "revive"
_METRICS = ("policy.predicted", "policy.logged", "policy.gain", "policy.truth", "venv.relative.10")
_COLUMNS = (
    *(f"metrics.`{name}`" for name in _METRICS),
    "params.`seed`",
    "tags.`gate`",
    "tags.`verdicts`",
    "attributes.`Models`",
)
TAGS: Final = {
    "mlflow.experimentKind": "custom_model_development",  # model training, and no language models
    f"mlflow.sharedViewState.{VIEW}": json.dumps({"selectedColumns": _COLUMNS}),
}
"""Tags of an experiment. The view is shown by `.../#/experiments/ID/runs?viewStateShareKey=revive`."""
