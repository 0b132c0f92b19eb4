"""The least time a token can take: the bytes that its step must read over the bandwidth.

At batch 1 a step reads every weight once, and the keys and values of all tokens before it;
the arithmetic in between is hidden behind that. A model that fits into the processor's
caches reads from those instead, and can be faster than this floor.
"""

from __future__ import annotations

import msgspec


class Floor(msgspec.Struct, frozen=True, kw_only=True):
    """What one decode step of a loaded model reads, and how fast its device reads it.

    `weight_bytes` are the weights as they are stored, scales included. `cache_bytes` are the
    keys and values of one token, in the layers that see every token; `window_bytes` those in
    the layers that see the last `window` tokens only. `bandwidth` is in bytes per second.
    """

    weight_bytes: int
    cache_bytes: int
    bandwidth: float
    window_bytes: int = 0
    window: int = 0

    def step_bytes(self, length: float) -> float:
        """Bytes that the step at `length` tokens in the cache, its own included, must read."""
        seen = min(length, self.window)
        return self.weight_bytes + self.cache_bytes * length + self.window_bytes * seen

    def step_s(self, length: float) -> float:
        """Seconds that the step takes at least."""
        return self.step_bytes(length) / self.bandwidth

    def token_ms(self, prompt_tokens: int, token: float) -> float:
        """The least gap before token `token`, counted from one; defined from the second on.

        Its step reads what the prompt and the tokens before it left in the cache.
        """
        return self.step_s(prompt_tokens + token - 1) * 1e3

    def median_ms(self, prompt_tokens: int, tokens: int) -> float:
        """The median of the least gaps before tokens 2 to `tokens`: that of the middle one."""
        return self.token_ms(prompt_tokens, 1 + tokens / 2)
