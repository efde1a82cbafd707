"""What becomes of a job whose receiver says no, or dies."""

from __future__ import annotations

import os
import signal
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from revive.tracking.worker import WorkerProcess, state_of, text_of


def raised(make: Any) -> BaseException:
    """What MLflow makes of a request that ends with an error."""
    from mlflow.exceptions import MlflowException

    try:
        try:
            raise make
        except Exception as cause:
            raise MlflowException(f"API request failed with exception {cause}")  # noqa: B904 as MLflow does it
    except MlflowException as error:
        return error


def test_what_passes_is_told_from_what_does_not() -> None:
    import requests
    from mlflow.exceptions import MlflowException
    from mlflow.protos import databricks_pb2 as codes
    from sqlalchemy.exc import IntegrityError, OperationalError

    def answered(status: int) -> requests.HTTPError:
        response = requests.Response()
        response.status_code = status
        return requests.HTTPError("no", response=response)

    expected: dict[BaseException, str] = {
        raised(requests.ConnectionError("refused")): "gone",
        raised(requests.Timeout("late")): "gone",
        raised(requests.exceptions.ChunkedEncodingError("broken off")): "gone",
        raised(requests.exceptions.RetryError("too many 503 error responses")): "gone",
        raised(requests.exceptions.RetryError("too many 500 error responses")): "doubtful",
        MlflowException("locked", error_code=codes.TEMPORARILY_UNAVAILABLE): "gone",
        MlflowException("slow down", error_code=codes.REQUEST_LIMIT_EXCEEDED): "gone",
        MlflowException("what?", error_code=codes.INTERNAL_ERROR): "doubtful",
        MlflowException("bad", error_code=codes.INVALID_PARAMETER_VALUE): "refused",
        MlflowException("who?", error_code=codes.UNAUTHENTICATED): "refused",
        raised(OperationalError("insert", {}, sqlite3.OperationalError("database is locked"))): "gone",
        raised(OperationalError("select", {}, sqlite3.OperationalError("no such table"))): "refused",
        raised(OperationalError("select", {}, OSError("server closed the connection"))): "gone",
        raised(IntegrityError("insert", {}, sqlite3.IntegrityError("unique"))): "doubtful",
        answered(502): "gone",
        answered(500): "doubtful",
        answered(403): "refused",
        sqlite3.OperationalError("database is locked"): "gone",
        FileNotFoundError("no picture"): "refused",
        OSError(28, "disk full"): "doubtful",
        ValueError("bad"): "refused",
        ImportError("no mlflow"): "refused",
    }
    assert [state_of(error) for error in expected] == list(expected.values())


def test_the_reason_is_told_without_what_is_wrapped_around_it() -> None:
    locked = sqlite3.OperationalError("database is locked")
    assert text_of(raised(locked)) == "OperationalError: database is locked"
    assert text_of(raised(ValueError("bad"))) == "MlflowException: API request failed with exception bad"


def test_a_process_that_is_killed_is_started_again(tmp_path: Path) -> None:
    worker = WorkerProcess({"log_dir": str(tmp_path), "uri": "htp://nowhere", "experiment": "demo"})
    assert worker.ask({"do": "connect"}, None).state != "done"
    assert worker._process
    first = worker._process.pid
    os.kill(first, signal.SIGKILL)
    reply = worker.ask({"do": "connect"}, None)
    assert (reply.state, "-9" in reply.error) == ("doubtful", True)
    assert "nowhere" in worker.ask({"do": "connect"}, None).error
    assert worker._process
    second = worker._process.pid
    assert second != first
    worker.dismiss(now=True)
    with pytest.raises(ProcessLookupError):
        os.kill(second, 0)
    assert worker.ask({"do": "connect"}, None).state == "dead"
