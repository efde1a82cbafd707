"""Hyper-parameter search: what may vary, who proposes, what became of each trial; here or on Ray."""
