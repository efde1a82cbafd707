"""From YAML and the command line to one checked value, `Settings`.

Defaults live in conf/ and nowhere else; this package finds, composes and checks them. It loads no torch.
"""

from revive.config.compose import compose, load_settings
from revive.config.experiments import Experiment, find_experiment, find_experiments
from revive.config.instantiate import check_arguments, check_sections, instantiate
from revive.config.settings import Settings

__all__ = [
    "Experiment",
    "Settings",
    "check_arguments",
    "check_sections",
    "compose",
    "find_experiment",
    "find_experiments",
    "instantiate",
    "load_settings",
]
