"""A kept cache as a captured step sees it: all slots, always, and a position in a tensor.

The prompt is read through `KVCache`, whose layers return views of what counts, so that its
attention is that of `generate`. A captured step needs the same addresses and shapes at every
token: it writes into the same buffers at `position` and reads all slots behind a mask.
"""

from __future__ import annotations

from typing import Any

from transformers import Cache
from transformers.cache_utils import CacheLayerMixin

from playground.engine.decoding.kv_cache import KVCache


class StaticCacheLayer(CacheLayerMixin):
    """One layer's whole buffers, each [1, heads, slots, head_dim].

    It takes the place of the model's cache too: attention calls `update` with its layer's
    number, which one layer has no use for.
    """

    is_sliding = False
    is_compileable = True

    def __init__(self, keys: Any, values: Any, position: Any) -> None:
        """`position` is an int64 tensor [1] that the step advances."""
        super().__init__()  # type: ignore[no-untyped-call]
        self.keys = keys
        self.values = values
        self.position = position
        self.is_initialized = True

    def lazy_initialization(self, key_states: Any, value_states: Any) -> None:
        """The buffers are there from the beginning."""

    def update(
        self, key_states: Any, value_states: Any, *args: Any, **kwargs: Any
    ) -> tuple[Any, Any]:
        """Write states [1, heads, 1, head_dim] at the position; return all slots."""
        keys: Any = self.keys
        values: Any = self.values
        keys.index_copy_(2, self.position, key_states)
        values.index_copy_(2, self.position, value_states)
        return keys, values

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Length and offset of the keys that a query sees: all slots."""
        return self.get_max_length(), 0

    def get_seq_length(self, *args: Any) -> Any:
        """How many tokens count, as a tensor [1]: reading it would wait for the device."""
        return self.position

    def get_max_length(self) -> int:
        """The slots."""
        keys: Any = self.keys
        return int(keys.shape[-2])


class StaticCache:
    """The layers of a kept cache whose buffers have their final size."""

    def __init__(self, kept: KVCache, position: Any) -> None:
        self.layers = [StaticCacheLayer(*layer.buffers, position) for layer in kept.layers]
        self.slots = self.layers[0].get_max_length()
        self.whole = Cache(layers=list(self.layers))
        #: What the model's forward takes; 5.17 and 5.23 of transformers name it differently.
        self.argument = dict.fromkeys(kept.argument, self.whole)
