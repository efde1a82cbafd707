"""A policy as an MLflow model: a table of what it sees in, a table of what it does out. Needs no torch.

MLflow copies this file into the model beside the bundle, and runs it where the model is loaded. Settings of
`mlflow.pyfunc.load_model(..., model_config={...})`: accept_failed_gate.
"""

from typing import Any

from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel
from pandas import DataFrame


class PolicyModel(PythonModel):
    """Loads the bundle beside it, after its checksums and its gate were looked at."""

    def load_context(self, context: Any) -> None:
        """Read the bundle. Raises UserError where it was changed, or its gate failed and nobody accepted that."""
        from revive.runtime.policy import load_policy
        from revive.runtime.table import PolicyTable

        accept = bool(context.model_config["accept_failed_gate"])
        self.table = PolicyTable(load_policy(context.artifacts["bundle"], accept_failed_gate=accept))

    def predict(
        self, context: Any, model_input: DataFrame, params: dict[str, Any] | None = None
    ) -> DataFrame:
        """What the policy does, a row for each row, in physical units."""
        from revive.errors import UserError

        try:
            return DataFrame(self.table(model_input), index=model_input.index)
        except UserError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from None


set_model(PolicyModel())
