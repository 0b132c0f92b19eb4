"""One decode step of a Llama-like model on the CPU, without the modules around the arithmetic.

On a small model Python's way through the modules takes longer than the products. There the
step does the same arithmetic in the same order, and is used only where a check found its
logits equal to the model's own, bit for bit.

On a large model reading the weights rules, and torch's products of one row read them at a
fraction of the memory's speed. There native products take their place, over the same stored
weights, and in either case a native norm and rotary embedding, which save Python's time. Those
that add in the order of torch's libraries are taken first, where every one of them and then the
logits are torch's bit for bit. Where they are not, on a large model those are taken that add in
an order of their own: each is checked by itself, and then the logits may be as far from the
model's own as another order of summation puts them (see `summation_noise`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

from playground.core.model.kv_cache import cache_bucket
from playground.engine.cpu_step.attention import attention
from playground.engine.cpu_step.build import library
from playground.engine.cpu_step.kernels import NativeProducts, Product
from playground.engine.cpu_step.linear import product
from playground.engine.decoding.kv_cache import KVCache
from playground.engine.loading.step_bytes import weight_bytes

#: Classes of transformers whose forward is what `FusedStep` does.
_CLASSES = {"LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM"}
_NAMES = {
    None: "lean step",
    True: "lean step, native products",
    False: "lean step, native products in another order of sums",
}
_CHECK_PROMPT = 12  # tokens
_CHECK_STEPS = 4
#: Weights that a step reads, from which on products of another order serve: less lies in
#: caches, where Python's time rules, and equal bits cost nothing.
REORDERED_FROM = 64 << 20
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


class FusedStep:
    """Computes logits from one token; heads and sizes are taken from the modules' config."""

    def __init__(
        self, model: Any, context: int, fuse: bool, native: NativeProducts | None = None
    ) -> None:
        self.name = _NAMES[native.exact if native else None]
        config = model.config
        self._context = context
        self._heads = int(config.num_attention_heads)
        self._kv_heads = int(config.num_key_value_heads)
        self._inner = int(config.intermediate_size)
        first = model.model.layers[0].self_attn
        self._head_dim = int(first.head_dim)
        self._rotary = model.model.rotary_emb
        self._embedding = model.model.embed_tokens.weight.detach()
        self._layers = [_layer(layer, fuse, native) for layer in model.model.layers]
        self._norm = _norm(model.model.norm, native)
        sizes = (self._heads, self._kv_heads, self._head_dim)
        dtype = self._embedding.dtype
        self._attend = attention(*sizes, float(first.scaling), dtype, native)
        self._head = product([model.lm_head], native=native)
        self._cos = self._sin = self._embedding[:0]

    def __call__(self, token: int, cache: KVCache) -> Any:
        """Return logits [1, vocabulary] after `token`, whose states go into the cache."""
        position = cache.layers[0].length
        if position >= len(self._cos):
            self._make_rotations(cache_bucket(position + 1, self._context))
        heads, kv_heads, inner = self._heads, self._kv_heads, self._inner
        both, end = heads + kv_heads, position + 1
        cos, sin = self._cos[position], self._sin[position]
        attend, silu = self._attend, torch._C._nn.silu
        cache.reserve(end)
        x = self._embedding[token : token + 1]
        for layer, kept in zip(self._layers, cache.layers, strict=True):
            states = layer.qkv(layer.input_norm(x)).view(1, both + kv_heads, 1, self._head_dim)
            turnable = states[:, :both]
            if layer.query_norm is not None and layer.key_norm is not None:
                queries, keys = states[:, :heads], states[:, heads:both]
                turnable = torch.cat((layer.query_norm(queries), layer.key_norm(keys)), 1)
            mixed = attend(turnable, states[:, both:], cos, sin, *kept.buffers, position)
            kept.length = end
            x = x + layer.out(mixed)
            gate_up = layer.gate_up(layer.middle_norm(x))
            x = x + layer.down(silu(gate_up[:, :inner]) * gate_up[:, inner:])
        return self._head(self._norm(x))

    def _make_rotations(self, slots: int) -> None:
        """Rows of cos and sin [slots, head_dim], the sign of rotate_half in the sin."""
        cos, sin = self._rotary(self._embedding[:1], torch.arange(slots)[None])
        sin = sin[0].clone()
        sin[:, : self._head_dim // 2].neg_()
        self._cos, self._sin = cos[0], sin


def fused_step(
    model: Any, context: int, wanted: str = "auto", reordered_from: int = REORDERED_FROM
) -> FusedStep | None:
    """Return a step whose logits agree with the model's own, or None.

    Sums in an order of their own may be taken for a model that reads `reordered_from` bytes of
    weights a step: never where `wanted` is "exact", where the model's bits can't be had
    natively where it is "auto", and always where it is "fast".
    """
    if not _is_known(model) or (context and context <= _CHECK_PROMPT):
        return None
    reference = _Reference(model, context)
    may_differ = wanted != "exact" and weight_bytes(model) >= reordered_from
    for step, with_noise in _candidates(model, context, may_differ, wanted == "fast"):
        if reference.agrees(step, with_noise):
            return step
    return None


def _candidates(
    model: Any, context: int, may_differ: bool, fastest: bool
) -> Iterator[tuple[FusedStep, bool]]:
    """Steps in the order to try them, and whether each may differ by the noise of summation."""
    compiled, held = library(), None
    for exact in (False, True) if fastest else (True, False):
        if compiled is None or not (exact or may_differ):
            continue
        products = NativeProducts(compiled, exact)
        step = FusedStep(model, context, True, products)
        if not products.used or (exact and products.wrong):
            continue
        if exact and products.missing and may_differ:
            held = step  # torch's products in it are slow
        else:
            yield step, not exact
    if held:
        yield held, False
    for fuse in (True, False):
        yield FusedStep(model, context, fuse), False


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


class _Reference:
    """Some steps as the model itself computes them."""

    @torch.inference_mode()
    def __init__(self, model: Any, context: int) -> None:
        self._model, self._context = model, context
        vocabulary = int(model.config.vocab_size)
        self._prompt = [(7 * i + 3) % vocabulary for i in range(_CHECK_PROMPT)]
        steps = min(_CHECK_STEPS, context - _CHECK_PROMPT) if context else _CHECK_STEPS
        cache, logits = self._read()
        self._tokens: list[int] = []
        self._logits: list[Any] = []
        for _ in range(steps):
            self._tokens.append(int(logits.argmax()))
            ids = torch.tensor([self._tokens[-1:]])
            logits = model(ids, use_cache=True, **cache.argument).logits[:, -1]
            self._logits.append(logits)

    @torch.inference_mode()
    def agrees(self, step: FusedStep, with_noise: bool) -> bool:
        """Compare logits: equal, or no farther apart than `summation_noise` allows."""
        cache, _ = self._read()
        for token, theirs in zip(self._tokens, self._logits, strict=True):
            ours = step(token, cache)
            if not with_noise:
                if not torch.equal(ours, theirs):
                    return False
                continue
            apart = float((ours.float() - theirs.float()).abs().max())
            if not apart <= summation_noise(self._model, theirs):  # so that NaN fails
                return False
        return True

    def _read(self) -> tuple[KVCache, Any]:
        cache = KVCache(self._model, self._context)
        ids = torch.tensor([self._prompt])
        return cache, self._model(ids, use_cache=True, **cache.argument).logits[:, -1]


def summation_noise(model: Any, logits: Any) -> float:
    """How far two orders of summation may put logits [1, vocabulary] apart.

    A sum of n terms in fp32 differs by about the root of n roundings of fp32 (2 ** -24), and
    its result by one rounding of the model's dtype (bf16: 2 ** -8). Every layer adds two such
    results to the stream that the head reads, and independent errors add up as the root of
    their number. Relative to the largest logit. Measured on 350M random parameters: a
    twentieth of this in fp32, half of it in bf16; a wrong product is off by the logits' size.
    """
    config = model.config
    terms = max(int(config.hidden_size), int(config.intermediate_size))
    rounding = torch.finfo(logits.dtype).eps / 2 + 2**-24 * terms**0.5
    results = 2 * int(config.num_hidden_layers) + 1
    return float(rounding * results**0.5 * float(logits.abs().max()))


def _layer(layer: Any, fuse: bool, native: NativeProducts | None) -> _Layer:
    attention, mlp = layer.self_attn, layer.mlp
    query_norm, key_norm = (getattr(attention, name, None) for name in ("q_norm", "k_norm"))
    return _Layer(
        input_norm=_norm(layer.input_layernorm, native),
        qkv=product([attention.q_proj, attention.k_proj, attention.v_proj], fuse, native),
        query_norm=_norm(query_norm) if query_norm is not None else None,
        key_norm=_norm(key_norm) if key_norm is not None else None,
        out=product([attention.o_proj], native=native),
        middle_norm=_norm(layer.post_attention_layernorm, native),
        gate_up=product([mlp.gate_proj, mlp.up_proj], fuse, native),
        down=product([mlp.down_proj], native=native),
    )


def _norm(module: Any, native: NativeProducts | None = None) -> Norm:
    """RMSNorm as transformers does it: normalized in fp32, rounded, then weighted."""
    weight, epsilon = module.weight.detach(), float(module.variance_epsilon)
    shape = tuple(weight.shape)
    dtype = weight.dtype
    normalize = torch.rms_norm

    def plain(x: Any) -> Any:
        return normalize(x, shape, None, epsilon) * weight

    def widened(x: Any) -> Any:
        return normalize(x.float(), shape, None, epsilon).to(dtype) * weight

    torchs = plain if dtype == torch.float32 else widened
    if native is None:
        return torchs
    return native.norm(weight, epsilon) or torchs
