"""Scripts that MLflow runs where a model is loaded ("models from code"): copied into it, never imported here."""
