"""Quantized copies before they are made: what a copy costs, where it goes, what its card says."""
