"""The model browser: search, filters and the list of models."""
