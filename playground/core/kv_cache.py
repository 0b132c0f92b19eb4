"""How much a model's attention keeps of every token: the key-value cache's sizes."""

from __future__ import annotations

_SMALLEST_BUCKET = 512  # tokens
_ALIGNMENT = 64  # tokens; attention kernels read the cache in tiles


def cache_bucket(tokens: int, context: int = 0) -> int:
    """Return the length, in tokens, of the kept cache that holds `tokens`.

    Lengths double from 512, so that few of them are ever made; the longest is the model's
    `context` (0: unknown, no limit) rounded up to a multiple of 64. Raises ValueError where
    the tokens are more than the context.
    """
    if 0 < context < tokens:
        raise ValueError(f"{tokens} tokens are more than the context of {context}.")
    bucket = _SMALLEST_BUCKET
    while bucket < tokens:
        bucket *= 2
    longest = -(-context // _ALIGNMENT) * _ALIGNMENT
    return min(bucket, longest) if context > 0 else bucket
