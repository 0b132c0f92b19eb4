"""Scores texts: how likely a model finds each token, and how far two models differ there."""
