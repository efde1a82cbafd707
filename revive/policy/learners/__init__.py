"""Learners of policies: one file, one option of the config group `policy` each."""
