"""Readers: data files of every kind into Trajectories; one small module for each container."""

from revive.data.readers.loading import from_arrays, read_trajectories
from revive.data.readers.options import ReadOptions

__all__ = ["ReadOptions", "from_arrays", "read_trajectories"]
