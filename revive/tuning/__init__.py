"""Parameter tuning: the best constant values of the tunable nodes, searched in the virtual environment."""
