"""`ReviveServer`: every training task of an experiment behind one Python object."""

from revive.server.server import ReviveServer
from revive.server.training import TrainingFailed

__all__ = ["ReviveServer", "TrainingFailed"]
