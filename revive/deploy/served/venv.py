"""A venv as an MLflow model: a table of state, exogenous columns and action in, a table of the next state out.

MLflow copies this file into the model beside the bundle, and runs it where the model is loaded. Settings of
`mlflow.pyfunc.load_model(..., model_config={...})`: accept_failed_gate, and trust, which runs the code in the bundle.
"""

from typing import Any

from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel
from pandas import DataFrame


class VenvModel(PythonModel):
    """Loads the bundle beside it, after its checksums and its gate were looked at."""

    def load_context(self, context: Any) -> None:
        """Read the bundle. Raises UserError where it was changed, or needs what was not allowed."""
        from revive.deploy.bundle import load_venv
        from revive.deploy.tables import VenvTable

        accept, trust = (bool(context.model_config[key]) for key in ("accept_failed_gate", "trust"))
        venv = load_venv(context.artifacts["bundle"], accept_failed_gate=accept, trust=trust)
        self.table = VenvTable(venv)

    def predict(
        self, context: Any, model_input: DataFrame, params: dict[str, Any] | None = None
    ) -> DataFrame:
        """The next state by the mean of the members, a row for each row, in physical units."""
        from revive.errors import UserError

        try:
            return DataFrame(self.table(model_input), index=model_input.index)
        except UserError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from None


set_model(VenvModel())
