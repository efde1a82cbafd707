"""What the logs themselves say about how far a model of cause and effect can be believed."""
