"""The virtual environment, what learns it, and how far it can be trusted."""
