"""One decode step of a Llama-like model on the CPU, without the modules around the arithmetic.

On a small model Python's way through the modules takes longer than the products. The step
does the same arithmetic in the same order, and is used only where a check found its logits
equal to the model's own, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from playground.core.kv_cache import cache_bucket
from playground.engine.kept_cache import KeptCache
from playground.engine.products import Product, product

#: Classes of transformers whose forward is what `LeanStep` does.
_CLASSES = {"LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM"}
_CHECK_PROMPT = 12  # tokens
_CHECK_STEPS = 4
Norm = Callable[[Any], Any]


@dataclass(frozen=True)
class _Layer:
    input_norm: Norm
    qkv: Product
    query_norm: Norm | None
    key_norm: Norm | None
    out: Product
    middle_norm: Norm
    gate_up: Product
    down: Product


class LeanStep:
    """Computes logits from one token; heads and sizes are taken from the modules' config."""

    def __init__(self, model: Any, context: int, fuse: bool) -> None:
        config = model.config
        self._context = context
        self._heads = int(config.num_attention_heads)
        self._kv_heads = int(config.num_key_value_heads)
        self._inner = int(config.intermediate_size)
        attention = model.model.layers[0].self_attn
        self._head_dim = int(attention.head_dim)
        self._scaling = float(attention.scaling)
        self._rotary = model.model.rotary_emb
        self._embedding = model.model.embed_tokens.weight.detach()
        self._layers = [_layer(layer, fuse) for layer in model.model.layers]
        self._norm = _norm(model.model.norm)
        self._head = product([model.lm_head])
        self._cos = self._sin = self._embedding[:0]

    def __call__(self, token: int, cache: KeptCache) -> Any:
        """Return logits [1, vocabulary] after `token`, whose states go into the cache."""
        position = cache.layers[0].length
        if position >= len(self._cos):
            self._make_rotations(cache_bucket(position + 1, self._context))
        heads, kv_heads, half = self._heads, self._kv_heads, self._head_dim // 2
        both, inner, end = heads + kv_heads, self._inner, position + 1
        cos, sin = self._cos[position], self._sin[position]
        attend = torch._C._nn.scaled_dot_product_attention
        silu = torch._C._nn.silu
        cache.reserve(end)
        x = self._embedding[token : token + 1]
        for layer, kept in zip(self._layers, cache.layers, strict=True):
            states = layer.qkv(layer.input_norm(x)).view(1, both + kv_heads, 1, self._head_dim)
            if layer.query_norm is None or layer.key_norm is None:
                turned = states[:, :both]
            else:
                queries, keys = states[:, :heads], states[:, heads:both]
                turned = torch.cat((layer.query_norm(queries), layer.key_norm(keys)), 1)
            turned = turned * cos + torch.roll(turned, half, -1) * sin
            keys, values = kept.buffers
            keys[:, :, position] = turned[:, heads:, 0]
            values[:, :, position] = states[:, both:, 0]
            kept.length = end
            mixed = attend(
                turned[:, :heads],
                keys[:, :, :end],
                values[:, :, :end],
                scale=self._scaling,
                enable_gqa=heads != kv_heads,
            )
            x = x + layer.out(mixed.reshape(1, heads * self._head_dim))
            gate_up = layer.gate_up(layer.middle_norm(x))
            x = x + layer.down(silu(gate_up[:, :inner]) * gate_up[:, inner:])
        return self._head(self._norm(x))

    def _make_rotations(self, slots: int) -> None:
        """Rows of cos and sin [slots, head_dim], the sign of rotate_half in the sin."""
        cos, sin = self._rotary(self._embedding[:1], torch.arange(slots)[None])
        sin = sin[0].clone()
        sin[:, : self._head_dim // 2].neg_()
        self._cos, self._sin = cos[0], sin


def lean_step(model: Any, context: int) -> LeanStep | None:
    """Return a step whose logits equal the model's own, or None."""
    if not _is_known(model):
        return None
    for fuse in (True, False):
        step = LeanStep(model, context, fuse)
        if _is_equal(model, step, context):
            return step
    return None


def _is_known(model: Any) -> bool:
    config, kind = model.config, type(model)
    return (
        kind.__name__ in _CLASSES
        and kind.__module__.startswith("transformers.models.")
        and model.device.type == "cpu"
        and config.hidden_act == "silu"
        and config._attn_implementation == "sdpa"
        and getattr(config, "pretraining_tp", 1) in (None, 1)
    )


@torch.inference_mode()
def _is_equal(model: Any, step: LeanStep, context: int) -> bool:
    vocabulary = int(model.config.vocab_size)
    ids = [(7 * i + 3) % vocabulary for i in range(_CHECK_PROMPT)]
    steps = min(_CHECK_STEPS, context - len(ids)) if context else _CHECK_STEPS
    if steps < 1:
        return False
    caches = KeptCache(model, context), KeptCache(model, context)
    for cache in caches:
        logits = model(torch.tensor([ids]), use_cache=True, **cache.argument).logits[:, -1]
    for _ in range(steps):
        token = int(logits.argmax())
        own = model(torch.tensor([[token]]), use_cache=True, **caches[0].argument)
        logits = own.logits[:, -1]
        if not torch.equal(logits, step(token, caches[1])):
            return False
    return True


def _layer(layer: Any, fuse: bool) -> _Layer:
    attention, mlp = layer.self_attn, layer.mlp
    query_norm, key_norm = (getattr(attention, name, None) for name in ("q_norm", "k_norm"))
    return _Layer(
        input_norm=_norm(layer.input_layernorm),
        qkv=product([attention.q_proj, attention.k_proj, attention.v_proj], fuse),
        query_norm=_norm(query_norm) if query_norm is not None else None,
        key_norm=_norm(key_norm) if key_norm is not None else None,
        out=product([attention.o_proj]),
        middle_norm=_norm(layer.post_attention_layernorm),
        gate_up=product([mlp.gate_proj, mlp.up_proj], fuse),
        down=product([mlp.down_proj]),
    )


def _norm(module: Any) -> Norm:
    """RMSNorm as transformers does it: normalized in fp32, rounded, then weighted."""
    weight, epsilon = module.weight.detach(), float(module.variance_epsilon)
    shape = tuple(weight.shape)
    dtype = weight.dtype
    normalize = torch.rms_norm
    if dtype == torch.float32:
        return lambda x: normalize(x, shape, None, epsilon) * weight
    return lambda x: normalize(x.float(), shape, None, epsilon).to(dtype) * weight
