"""Writes quantized copies of models."""
