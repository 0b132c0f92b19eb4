"""Decoders: transformers' `generate`, and a cached loop with sampling and a KV cache of its own."""
