"""A policy at work beside a plant: checked requests, sessions per plant, shadow mode. No torch.

`Service` is all of it without a network: a dict as a request holds it to a dict as the answer holds it. `app` puts it
behind HTTP.
"""

from revive.serving.service import Service
from revive.serving.shadow import ShadowLog

__all__ = ["Service", "ShadowLog"]
