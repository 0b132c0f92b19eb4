"""Choosing the model of a lane, and lanes that wait for their model."""
