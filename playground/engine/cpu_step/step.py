"""The fused CPU step: one decode step of a Llama-like model, without calls of its modules.

On a small model the Python overhead of the modules exceeds the arithmetic. On a large one torch's
GEMV reads the weights below the memory's bandwidth. The step calls one function per operation,
native or torch's, on the weights in place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from transformers import PreTrainedModel
from transformers.models.llama.modeling_llama import LlamaDecoderLayer, LlamaModel

from playground.core.model.kv_cache import cache_bucket
from playground.engine.cpu_step.functions import Functions
from playground.engine.cpu_step.kernels import NativeKernels, RowFunction, Tensor
from playground.engine.cpu_step.linear import JoinedLinear, join
from playground.engine.decoding.kv_cache import KVCache

#: Classes of transformers whose forward is what `FusedStep` computes.
_CLASSES = {"LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM"}


def is_fusible(model: PreTrainedModel) -> bool:
    """Return whether `FusedStep` computes what this model's forward does."""
    config, kind = model.config, type(model)
    return (
        kind.__name__ in _CLASSES
        and kind.__module__.startswith("transformers.models.")
        and model.device.type == "cpu"
        and config.hidden_act == "silu"
        and config._attn_implementation == "sdpa"
        and getattr(config, "pretraining_tp", 1) in (None, 1)
    )


@dataclass(frozen=True)
class _LayerWeights:
    qkv: JoinedLinear
    out: JoinedLinear
    gate_up: JoinedLinear
    down: JoinedLinear


class JoinedModel:
    """A model whose linear layers are joined where they share their input; serves several steps."""

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model
        self.base: LlamaModel = model.model  # or one of the same structure
        self.head = join([model.get_output_embeddings()])
        self.modules = [cast(LlamaDecoderLayer, layer) for layer in self.base.layers]
        self.layers = [_join_layer(layer) for layer in self.modules]


def _join_layer(layer: LlamaDecoderLayer) -> _LayerWeights:
    attention, mlp = layer.self_attn, layer.mlp
    return _LayerWeights(
        qkv=join([attention.q_proj, attention.k_proj, attention.v_proj]),
        out=join([attention.o_proj]),
        gate_up=join([mlp.gate_proj, mlp.up_proj]),
        down=join([mlp.down_proj]),
    )


@dataclass(frozen=True)
class _Layer:
    input_norm: RowFunction
    qkv: RowFunction
    query_norm: RowFunction | None
    key_norm: RowFunction | None
    out: RowFunction
    middle_norm: RowFunction
    gate_up: RowFunction
    down: RowFunction


class FusedStep:
    """Computes the logits after one token; `linear`, `attention` and `native` as in `Functions`.

    Weights must not change after construction.
    """

    def __init__(
        self,
        joined: JoinedModel,
        context: int,
        linear: NativeKernels | None = None,
        attention: NativeKernels | None = None,
    ) -> None:
        config, base = joined.model.config, joined.base
        functions = Functions(linear, attention)
        self._context = context
        self._heads = int(config.num_attention_heads)
        self._kv_heads = int(config.num_key_value_heads)
        self._inner = int(config.intermediate_size)
        first = joined.modules[0].self_attn
        self._head_dim = int(first.head_dim)
        self._rotary = base.rotary_emb
        self._embedding: Tensor = base.embed_tokens.weight.detach()
        self._layers = [
            _layer(module, weights, functions)
            for module, weights in zip(joined.modules, joined.layers, strict=True)
        ]
        self._norm = functions.norm(base.norm)
        sizes = (self._heads, self._kv_heads, self._head_dim)
        self._attend = functions.attention(*sizes, float(first.scaling), self._embedding.dtype)
        self._head = functions.linear(joined.head)
        self._cos = self._sin = self._embedding[:0]
        self.native = frozenset(functions.native)

    @property
    def name(self) -> str:
        """The fused step, and which of its functions are native."""
        if len(self.native) == 2:
            return "fused step, native kernels"
        return ", native ".join(("fused step", *self.native))

    def __call__(self, token: int, cache: KVCache) -> Tensor:
        """Return logits [1, vocabulary] after `token`; add its keys and values to the cache."""
        position = cache.layers[0].length
        if position >= len(self._cos):
            self._make_rotations(cache_bucket(position + 1, self._context))
        heads, kv_heads, inner = self._heads, self._kv_heads, self._inner
        both, end = heads + kv_heads, position + 1
        cos, sin = self._cos[position], self._sin[position]
        attend, silu = self._attend, torch._C._nn.silu
        cache.reserve(end)
        x = self._embedding[token : token + 1]
        for layer, cached in zip(self._layers, cache.layers, strict=True):
            states = layer.qkv(layer.input_norm(x)).view(1, both + kv_heads, 1, self._head_dim)
            queries_keys = states[:, :both]
            if layer.query_norm is not None and layer.key_norm is not None:
                queries, keys = states[:, :heads], states[:, heads:both]
                queries_keys = torch.cat((layer.query_norm(queries), layer.key_norm(keys)), 1)
            mixed = attend(queries_keys, states[:, both:], cos, sin, *cached.buffers, position)
            cached.length = end
            x = x + layer.out(mixed)
            gate_up = layer.gate_up(layer.middle_norm(x))
            x = x + layer.down(silu(gate_up[:, :inner]) * gate_up[:, inner:])
        return self._head(self._norm(x))

    def _make_rotations(self, slots: int) -> None:
        """Compute cos and sin [slots, head_dim]; the sin carries the sign of rotate_half."""
        cos, sin = self._rotary(self._embedding[:1], torch.arange(slots)[None])
        sin = sin[0].clone()
        sin[:, : self._head_dim // 2].neg_()
        self._cos, self._sin = cos[0], sin


def _layer(module: LlamaDecoderLayer, weights: _LayerWeights, functions: Functions) -> _Layer:
    attention = module.self_attn
    query_norm, key_norm = (getattr(attention, name, None) for name in ("q_norm", "k_norm"))
    return _Layer(
        input_norm=functions.norm(module.input_layernorm),
        qkv=functions.linear(weights.qkv),
        query_norm=Functions.heads_norm(query_norm) if query_norm is not None else None,
        key_norm=Functions.heads_norm(key_norm) if key_norm is not None else None,
        out=functions.linear(weights.out),
        middle_norm=functions.norm(module.post_attention_layernorm),
        gate_up=functions.linear(weights.gate_up),
        down=functions.linear(weights.down),
    )
