"""The static cache: a KV cache for CUDA graphs, which need fixed addresses and shapes.

The prefill uses `KVCache`, whose layers return views of the filled slots: its attention is that
of `generate`. The captured step writes into the same buffers at `position`, and attends to all
slots through a mask.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import Cache
from transformers.cache_utils import CacheLayerMixin

from playground.engine.decoding.kv_cache import KVCache


class StaticCacheLayer(CacheLayerMixin):
    """One layer's keys and values, each [1, heads, slots, head_dim], with all slots visible.

    It can also replace the model's whole cache: attention passes the layer's number to `update`,
    and a single layer ignores it.
    """

    is_sliding = False
    is_compileable = True

    def __init__(self, keys: torch.Tensor, values: torch.Tensor, position: torch.Tensor) -> None:
        """`position` is an int64 tensor [1] that the step advances."""
        super().__init__()  # type: ignore[no-untyped-call]
        self.keys, self.values = self._buffers = keys, values
        self.position = position
        self.is_initialized = True

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Do nothing: the buffers exist already."""

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: object, **kwargs: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write states [1, heads, 1, head_dim] at the position; return all slots."""
        keys, values = self._buffers
        keys.index_copy_(2, self.position, key_states)
        values.index_copy_(2, self.position, value_states)
        return keys, values

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Return the number and offset of the keys that a query attends to: all slots."""
        return self.get_max_length(), 0

    def get_seq_length(self, *args: object) -> Any:
        """Return the number of tokens, a tensor [1]: an int would make the host wait."""
        return self.position

    def get_max_length(self) -> int:
        """Return the number of slots."""
        return int(self._buffers[0].shape[-2])


class StaticCache:
    """A model's static layers, over the buffers of a KV cache that has its final size."""

    def __init__(self, cache: KVCache, position: torch.Tensor) -> None:
        self.layers = [StaticCacheLayer(*layer.buffers, position) for layer in cache.layers]
        self.slots = self.layers[0].get_max_length()
        self.whole = Cache(layers=list(self.layers))
        #: The keyword argument of the model's forward.
        self.argument = dict.fromkeys(cache.argument, self.whole)
