"""Logged trajectories: readers, checks, splits (numpy), codecs and windows (torch)."""
