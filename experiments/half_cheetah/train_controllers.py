"""Trains the controllers that make the logs of `half_cheetah`: python experiments/half_cheetah/train_controllers.py.

Checkpoints of both seeds, with their returns printed, go into `controllers/`; those that
`simulator.py` names are part of the experiment, the others may be deleted.
"""

from pathlib import Path

from revive.user_code import load_module

HERE = Path(__file__).resolve().parent

if __name__ == "__main__":
    training = load_module(HERE.parent / "gymnasium_tasks" / "training.py")
    training.train("HalfCheetah-v5", HERE / "controllers", steps=1_000_000, every=50_000, gamma=0.99)
