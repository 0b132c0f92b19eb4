"""Decoders: transformers' `generate`, and the cached loop with its own sampling and KV cache."""
