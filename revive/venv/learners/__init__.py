"""Learners of the virtual environment: one file, one option of the config group `venv` each."""
