from tests.deploy.conftest import policy, venv

__all__ = ["policy", "venv"]
