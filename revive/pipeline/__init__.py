"""Stages in order: what is given, the venv, the policy, what they are worth."""
