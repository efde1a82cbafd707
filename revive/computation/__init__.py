"""The names that a custom node written for the REVIVE SDK imports: a base class, and what it builds networks from."""
