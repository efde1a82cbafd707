"""Stages in order: what is given, the venv, the policy, what they are worth."""

from revive.pipeline.run import run

__all__ = ["run"]
