"""Quantizes models, and saves the quantized copies."""
