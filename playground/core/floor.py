"""The memory-bandwidth bound of a token, called "floor": bytes its step must read ÷ bandwidth.

At batch 1 a decode step reads every weight once, and the cached keys and values of all tokens
before it; the arithmetic takes less time than these reads. A model that fits into the
processor's caches is read from there and can be faster than its floor.
"""

from __future__ import annotations

import msgspec


class Floor(msgspec.Struct, frozen=True, kw_only=True):
    """What one decode step of a loaded model reads, and how fast its device reads it.

    `weight_bytes`: all weights as stored, scales included. `cache_bytes`: the keys and values
    of one token in the layers with full attention; `window_bytes`: those in the layers with
    sliding-window attention over the last `window` tokens. `bandwidth`: bytes per second; not
    `steady` where other programs disturbed its measurement.
    """

    weight_bytes: int
    cache_bytes: int
    bandwidth: float
    window_bytes: int = 0
    window: int = 0
    steady: bool = True

    def step_bytes(self, length: float) -> float:
        """Return the bytes that a step must read; `length` counts the cached tokens and its own."""
        seen = min(length, self.window)
        return self.weight_bytes + self.cache_bytes * length + self.window_bytes * seen

    def step_s(self, length: float) -> float:
        """Return the least seconds of a step; `length` counts the cached tokens and its own."""
        return self.step_bytes(length) / self.bandwidth

    def token_ms(self, prompt_tokens: int, token: float) -> float:
        """Return the floor of a token's inter-token latency; `token` counts from 1 and is ≥ 2.

        Its step reads the keys and values of the prompt and of the tokens before it.
        """
        return self.step_s(prompt_tokens + token - 1) * 1e3

    def median_ms(self, prompt_tokens: int, tokens: int) -> float:
        """Return the median floor of tokens 2 to `tokens`, which is the middle token's."""
        return self.token_ms(prompt_tokens, 1 + tokens / 2)
