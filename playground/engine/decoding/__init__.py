"""Decoders: transformers' `generate`, and the cached loop with its sampling and KV cache."""
