"""Policies of the target node: what they are, what learns them, what they are worth."""
