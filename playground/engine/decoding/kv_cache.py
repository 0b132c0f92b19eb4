"""A KV cache that later prompts reuse, and that grows in buckets."""

from __future__ import annotations

import inspect
from collections.abc import Sequence

import torch
from transformers import Cache, DynamicCache, PreTrainedModel
from transformers.cache_utils import CacheLayerMixin, DynamicLayer

from playground.core.model.kv_cache import cache_bucket


class KVCacheLayer(CacheLayerMixin):
    """One layer's keys and values, each [1, heads, slots, head_dim], the first `length` filled.

    `update` writes in place and returns views of the filled slots: nothing is concatenated, and
    attention reads no empty slot.
    """

    is_sliding = False
    is_croppable = True

    def __init__(self, context: int) -> None:
        """`context`: the model's, in tokens; 0: unknown."""
        super().__init__()  # type: ignore[no-untyped-call]
        self.length = 0
        self._context = context

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Allocate the buffers, with the shapes and dtype of the first states."""
        slots = cache_bucket(key_states.shape[-2], self._context)
        self.keys = _slots_like(key_states, slots)
        self.values = _slots_like(value_states, slots)
        self.is_initialized = True

    @property
    def buffers(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values with all their slots. Raises RuntimeError before the first states."""
        if self.keys is None or self.values is None:
            raise RuntimeError("the cache has no buffers yet")
        return self.keys, self.values

    def reserve(self, tokens: int) -> None:
        """Grow to at least `tokens` slots, keeping the filled ones. No effect before `update`."""
        if self.keys is None or self.values is None or tokens <= self.keys.shape[-2]:
            return
        slots = cache_bucket(tokens, self._context)
        self.keys, self.values = self._grown(self.keys, slots), self._grown(self.values, slots)

    def _grown(self, states: torch.Tensor, slots: int) -> torch.Tensor:
        grown = _slots_like(states, slots)
        grown[:, :, : self.length] = states[:, :, : self.length]
        return grown

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: object, **kwargs: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append states [1, heads, n, head_dim]; return all filled slots."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        end = self.length + key_states.shape[-2]
        self.reserve(end)
        keys, values = self.buffers
        keys[:, :, self.length : end] = key_states
        values[:, :, self.length : end] = value_states
        self.length = end
        return keys[:, :, :end], values[:, :, :end]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Return the number and offset of the keys that a query of this length attends to."""
        return self.length + query_length, 0

    def get_seq_length(self, *args: object) -> int:
        """Return the number of filled slots."""
        return self.length

    def get_max_length(self) -> int:
        """Return -1: no bound."""
        return -1

    def reset(self) -> None:
        """Forget all tokens, but keep the buffers."""
        self.length = 0


class KVCache:
    """A model's cache layers, and the ids of the cached tokens."""

    def __init__(self, model: PreTrainedModel, context: int) -> None:
        layers = len(DynamicCache(config=model.config.get_text_config()).layers)
        self.layers = [KVCacheLayer(context) for _ in range(layers)]
        self.ids: list[int] = []
        self._cache = Cache(layers=list(self.layers))
        parameters = inspect.signature(model.forward).parameters
        # transformers 5.23 renamed the argument.
        self._argument = "cache" if "cache" in parameters else "past_key_values"

    @property
    def argument(self) -> dict[str, Cache]:
        """The cache as a keyword argument of the model's forward."""
        return {self._argument: self._cache}

    def truncate(self, tokens: int) -> None:
        """Forget all but the first `tokens` tokens."""
        del self.ids[tokens:]
        for layer in self.layers:
            layer.length = min(layer.length, tokens)

    def clear(self) -> None:
        """Forget all tokens, and overwrite them: where NaN is stored, masking does not help."""
        self.truncate(0)
        for layer in self.layers:
            if layer.is_initialized:
                for buffer in layer.buffers:
                    buffer.zero_()

    def reserve(self, tokens: int) -> None:
        """Grow each layer to at least `tokens` slots. No effect before the first forward."""
        for layer in self.layers:
            layer.reserve(tokens)

    def append(self, ids: Sequence[int]) -> None:
        """Record the ids of tokens that a forward has just added to every layer."""
        self.ids += ids

    def keep_prefix(self, ids: Sequence[int], most: int) -> int:
        """Forget what is not a prefix of the prompt `ids`; return the number of tokens left.

        They are at most `most`.

        The prompt's last token is never kept: the prefill needs it for its logits.
        """
        shared = 0
        for cached, new in zip(self.ids[:most], ids[:-1], strict=False):
            if cached != new:
                break
            shared += 1
        self.truncate(shared)
        return shared


def can_keep_cache(model: PreTrainedModel) -> str:
    """Return why the cache cannot serve this model, as a noun phrase; "" if it can."""
    config = model.config
    text = config.get_text_config()
    if config.is_encoder_decoder:
        return "an encoder-decoder model"
    if getattr(model, "_is_stateful", False) or not model._supports_default_dynamic_cache():  # type: ignore[operator]
        return "a model with a state of its own"
    if text is not config:
        return "a model of more than text"
    layers = DynamicCache(config=text).layers
    if not layers or any(type(layer) is not DynamicLayer for layer in layers):
        return "sliding windows or layers without plain attention"
    rope = getattr(text, "rope_parameters", None) or {}
    kinds = {v.get("rope_type") for v in (rope, *rope.values()) if isinstance(v, dict)}
    if kinds & {"dynamic", "longrope"}:
        return "position scaling that depends on the length"
    return ""


def _slots_like(states: torch.Tensor, slots: int) -> torch.Tensor:
    return torch.zeros(
        (*states.shape[:2], slots, states.shape[3]), dtype=states.dtype, device=states.device
    )
