"""Counts the bytes that one decode step of a loaded model reads: weights and KV cache."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from transformers import PreTrainedModel

from playground.core.floor import Floor
from playground.engine.loading.verify import is_gptq, stored_tensors

#: The scales that a packed GPTQ layer reads, by their attribute names in different kernels.
_GPTQ_SCALES = (("scales_and_zeros",), ("scales", "qzeros"))
#: The parts of multimodal models that run only for an image or a sound, by their usual names.
_OTHER_SENSES = frozenset({
    "vision_tower", "vision_model", "visual", "audio_tower", "embed_vision", "embed_audio",
    "multi_modal_projector", "connector",
})  # fmt: skip


def step_floor(model: PreTrainedModel, bandwidth: float, *, steady: bool = True) -> Floor:
    """Return the memory-bandwidth bound of a model that has run once; `bandwidth` in bytes/s.

    `steady`: nothing disturbed the measurement of the bandwidth.
    """
    cache, window_bytes, window = _cache_bytes(model)
    return Floor(
        weight_bytes=weight_bytes(model),
        cache_bytes=cache,
        window_bytes=window_bytes,
        window=window,
        bandwidth=bandwidth,
        steady=steady,
    )


def weight_bytes(model: PreTrainedModel) -> int:
    """Return the bytes of weights that a step reads, as stored, scales included.

    Tied weights count once, an embedding that is not tied to the output layer counts one row, and
    a mixture's experts count by the share that a token uses. What reads images or sound, reads
    nothing here.
    """
    tables = [m for m in model.modules() if isinstance(m, torch.nn.Embedding)]
    read = 0
    seen: set[int] = set()
    for name, module in model.named_modules():
        if module in tables or _OTHER_SENSES.intersection(name.split(".")):
            continue
        share = _active_share(model, name)
        for tensor in _read_tensors(module):
            if tensor.data_ptr() not in seen:
                seen.add(tensor.data_ptr())
                read += int(tensor.numel() * tensor.element_size() * share)
    for table in tables:
        if table.weight.data_ptr() not in seen:
            read += table.weight[0].numel() * table.weight.element_size()
    return read


def _read_tensors(module: torch.nn.Module) -> Iterator[torch.Tensor]:
    if not is_gptq(module):
        yield from stored_tensors(module)
        return
    scales = next(names for names in _GPTQ_SCALES if hasattr(module, names[0]))
    for name in ("qweight", *scales, "bias"):
        value = getattr(module, name, None)
        if isinstance(value, torch.Tensor):
            yield value


def _active_share(model: PreTrainedModel, name: str) -> float:
    """Return the share of a module's weights that one token uses: below 1 for experts."""
    if "experts" not in name.split("."):
        return 1.0
    config = model.config
    chosen = getattr(config, "num_experts_per_tok", None)
    for field in ("num_local_experts", "num_experts", "n_routed_experts"):
        if chosen and (count := getattr(config, field, None)):
            return min(1.0, float(chosen) / float(count))
    return 1.0


@torch.inference_mode()
def _cache_bytes(model: PreTrainedModel) -> tuple[int, int, int]:
    """Return the cache bytes per token of full and of sliding layers, and the smallest window.

    Reads them from a cache that the model filled: its content depends on the architecture. Layers
    with a state of constant size count 0.
    """
    ids = torch.ones((1, 1), dtype=torch.long, device=model.device)
    output = model(input_ids=ids, use_cache=True)
    # transformers 5.23 calls it `cache`, others `past_key_values`.
    cache = getattr(output, "cache", None) or getattr(output, "past_key_values", None)
    whole = windowed = 0
    windows: list[int] = []
    for layer in getattr(cache, "layers", None) or cache or ():
        keys, values, window = _layer(layer)
        size = sum(
            tensor.shape[1] * tensor.shape[-1] * tensor.element_size()
            for tensor in (keys, values)
            if isinstance(tensor, torch.Tensor) and tensor.dim() == 4
        )
        if window:
            windowed += size
            windows.append(window)
        else:
            whole += size
    return whole, windowed, min(windows, default=0)


def _layer(layer: object) -> tuple[object, object, int]:
    """Return keys and values [1, heads, tokens, head_dim], and the window (0: none).

    A model with its own cache class may have layers of any type.
    """
    if isinstance(layer, tuple):  # transformers before 5
        return layer[0], layer[1], 0
    window = getattr(layer, "sliding_window", None) or 0
    return getattr(layer, "keys", None), getattr(layer, "values", None), int(window)
