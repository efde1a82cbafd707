"""What MLflow runs where a model is loaded: scripts that are copied into it ("models from code"), never imported here."""
