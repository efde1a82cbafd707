"""Stages in order: the inputs, the venv, the policy, what they are worth."""
