"""Counts a checkpoint's weights, and their bytes at each precision, from tensor shapes alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from playground.core.model.context import context_length
from playground.core.model.counts import positive_int
from playground.core.model.kv_cache import CacheShape, cache_shape
from playground.core.model.safetensors_header import StoredTensor
from playground.core.model.state_space import StateSpace, state_space
from playground.core.precision import Precision

#: Last name parts of tensors that only serve to unpack a weight.
_HELPERS = frozenset({
    "qzeros", "scales", "g_idx", "SCB", "absmax", "quant_map", "nested_absmax",
    "nested_quant_map", "weight_format",
})  # fmt: skip
#: Last name parts of buffers in old checkpoints that no load reads.
BUFFERS = ("rotary_emb.inv_freq", "cos_cached", "sin_cached", "masked_bias")
#: Attention masks among them: a bias of this name has one dimension.
_MASKS = ("attn.bias", "attention.bias")
_HEADS = ("lm_head.weight", "embed_out.weight", "output.weight")
#: Layers whose weight has shape (inputs, outputs), by family; all others (outputs, inputs).
_TRANSPOSED = {"gpt2": ("c_attn", "c_proj", "c_fc")}
_EXPERTS = ("experts",)
#: Layers that the fused CPU step joins, and the families that it serves.
_FUSED = ("q_proj", "k_proj", "v_proj", "gate_proj", "up_proj")
_FUSED_STEP = frozenset({"llama", "mistral", "qwen2", "qwen3"})
_STORED: Mapping[str, tuple[Precision, ...]] = {
    "gptq": (Precision.GPTQ,),
    "int8": (Precision.INT8, Precision.INT8_WEIGHT_ONLY),
    "nf4": (Precision.NF4,),
}
_PLAIN = {Precision.FP32: "F32", Precision.BF16: "BF16", Precision.FP16: "F16"}
NF4_BLOCK = 64  # values that share a scale in bitsandbytes' default
_GPTQ_GROUP = 128  # of a GPTQ version that does not exist yet


@dataclass(frozen=True)
class WeightBytes:
    """A model's weights in memory, in bytes.

    `layers`: values of the linear layers; `scales`: what unpacks them; `rest`: everything else
    (embeddings, head, norms, biases). `mapped`: the part that, on a CPU, is mapped from the file.
    `unread`: the part of that which no step reads as a whole, an embedding that is not the head.
    """

    layers: int
    scales: int
    rest: int
    mapped: int = 0
    unread: int = 0

    @property
    def total(self) -> int:
        return self.layers + self.scales + self.rest


@dataclass(frozen=True, kw_only=True)
class ModelSizes:
    """Counts of a checkpoint's values, made by `model_sizes`.

    `family`: the config's model type. `linear`: values of the linear layers inside blocks, by
    stored dtype ("" where packed); `experts`: those of them in mixtures of experts; `stacked`:
    those of the experts that are stored one by one, and which a load joins in one tensor a layer,
    by dtype; `largest`: the values of the largest layer. `lookup`: values by dtype of an input
    embedding that is not the head too, which a step reads a row of.
    `rows` and `columns`: sums of these layers' outputs and inputs; `groups`: their number of
    (group, output) pairs. `rest`: all other values by dtype. `fused`: values that the fused CPU
    step copies. `widest`: the largest width inside a block. `context`: tokens, 0 where unknown.
    """

    family: str
    quantization: str  # "" | "gptq" | "int8" | "nf4" | another method's own name
    bits: int  # of a packed GPTQ weight, else 0
    linear: Mapping[str, int]
    rest: Mapping[str, int]
    rows: int
    columns: int
    groups: int
    experts: int
    stacked: Mapping[str, int]
    lookup: Mapping[str, int]
    largest: int
    fused: int
    nested: bool  # the scales of 4-bit weights are themselves quantized
    file_bytes: int
    context: int
    widest: int
    heads: int
    eager_attention: bool  # stores the score of every pair of tokens
    has_fused_step: bool
    cache: CacheShape | None = field(default=None)
    state_space: StateSpace | None = field(default=None)

    @property
    def parameters(self) -> int:
        return self.linear_values + sum(self.rest.values())

    @property
    def linear_values(self) -> int:
        return sum(self.linear.values())

    def offers(self, precision: Precision) -> bool:
        """Whether a load at the precision is possible, or would be with a GPTQ version."""
        return not self.quantization or precision in _STORED.get(self.quantization, ())

    def weights(
        self, precision: Precision, device: str = "cpu", capability: str = ""
    ) -> WeightBytes:
        """Return the bytes of the weights loaded on a device; `capability` as in DeviceFacts.

        Quantized precisions store the linear layers inside blocks; everything outside
        (embeddings, the head), and experts, which bitsandbytes leaves alone, stay at 16 bits.
        """
        count, rest = self.linear_values, sum(self.rest.values())
        if precision.is_plain:
            size = int(precision.bits_per_weight) // 8
            same = _PLAIN[precision]
            kept = self.linear.get(same, 0) - self.stacked.get(same, 0) + self.rest.get(same, 0)
            unread = size * self.lookup.get(same, 0)
            return WeightBytes(size * count, 0, size * rest, size * kept, unread)
        mapped, unread = 2 * self.rest.get("BF16", 0), 2 * self.lookup.get("BF16", 0)
        if precision is Precision.GPTQ:
            layers, scales = self._gptq(device)
            return WeightBytes(layers, scales, 2 * rest, mapped, unread)
        if precision is Precision.NF4:
            block = 2.0 if device == "cpu" and "avx512_bf16" in capability else 4.0
            if self.nested and block == 4.0:
                block = 1.0 + 4 / 256  # scales in 8 bits, 256 of them share one
            quantized = count - self.experts
            layers, scales = quantized // 2, int(quantized / NF4_BLOCK * block)
        else:
            quantized = count - self.experts
            each = 4 if precision is Precision.INT8 else 2
            layers, scales = quantized, each * self.rows
        return WeightBytes(layers + 2 * self.experts, scales, 2 * rest, mapped, unread)

    def _gptq(self, device: str) -> tuple[int, int]:
        """Return the bytes of the packed values, and of scales, zeros and orders in the kernel."""
        bits = self.bits or 4
        group = self.linear_values / self.groups if self.groups else _GPTQ_GROUP
        layers = self.linear_values * bits // 8
        if device == "cpu" and bits == 4 and group < 256:
            # torch's int4 kernel: scales and zeros in bf16, both apart and interleaved; two orders.
            return layers, 8 * self.groups + 8 * self.columns
        return layers, int((2 + bits / 8) * self.groups) + 4 * self.columns


def model_sizes(
    tensors: Iterable[StoredTensor], config: Mapping[str, Any], file_bytes: int
) -> ModelSizes:
    """Count a checkpoint's values from its tensors.

    `config` is its config.json, including the settings that AutoGPTQ kept in another file;
    `file_bytes` is the size of its weight files.
    """
    inner = config.get("text_config")
    text = inner if isinstance(inner, Mapping) else config
    model = str(text.get("model_type", config.get("model_type", "")))
    quantization, bits = quantization_of(config)
    tensors = list(tensors)
    vocabulary = positive_int(text, "vocab_size")
    counter = _Counter(quantization, bits, model, vocabulary)
    packed = {t.name.removesuffix(".qweight") for t in tensors if t.name.endswith(".qweight")}
    named = {tensor.name for tensor in tensors}
    # AutoGPTQ gave every packed layer a bias; only the values tell those of the model, which are
    # as few as the others.
    added = {f"{stem}.bias" for stem in packed}
    added = added if added <= named else set()
    tied = text.get("tie_word_embeddings", config.get("tie_word_embeddings")) is True
    for tensor in tensors:
        if tensor.name.endswith(_MASKS) and len(tensor.shape) != 1:
            continue
        if tensor.name.endswith(BUFFERS) or tensor.name in added:
            continue
        if tied and tensor.name in _HEADS and len(tensors) > 1:
            continue  # the same memory as the embeddings
        counter.take(tensor)
    heads = positive_int(text, "num_attention_heads", "n_head", "n_heads")
    hidden = positive_int(text, "hidden_size", "n_embd", "d_model")
    spaces = state_space(text)
    widest = positive_int(text, "intermediate_size", "n_inner", "ffn_dim")
    untied = not tied and any(tensor.name in _HEADS for tensor in tensors)
    return ModelSizes(
        family=model,
        quantization=quantization,
        bits=bits,
        linear=dict(counter.linear),
        rest=dict(counter.rest),
        rows=counter.rows,
        columns=counter.columns,
        groups=counter.groups,
        experts=counter.experts,
        stacked=dict(counter.stacked),
        lookup=dict(counter.lookup) if untied else {},
        largest=counter.largest,
        fused=counter.fused if model in _FUSED_STEP else 0,
        nested=counter.nested,
        file_bytes=file_bytes,
        context=context_length(text),
        widest=widest or (spaces.channels if spaces else 4 * hidden),
        heads=heads,
        eager_attention=bool(text.get("attn_logit_softcapping")),
        has_fused_step=model in _FUSED_STEP,
        cache=cache_shape(config),
        state_space=spaces,
    )


def quantization_of(config: Mapping[str, Any]) -> tuple[str, int]:
    """Return a config's quantization method and, for GPTQ, its bits, else 0.

    The method is "" for plain weights, and "int8" or "nf4" for bitsandbytes.
    """
    settings = config.get("quantization_config")
    if not isinstance(settings, Mapping):
        return "", 0
    method = str(settings.get("quant_method", "unknown")).lower()[:40]
    if "bitsandbytes" in method or method.startswith("bnb"):
        return ("int8" if settings.get("load_in_8bit") else "nf4"), 0
    bits = positive_int(settings, "bits")
    return method, bits if bits <= 32 else 0


class _Counter:
    """Sums up tensors, by how a load treats them."""

    def __init__(self, quantization: str, bits: int, model: str, vocabulary: int) -> None:
        self.linear: Counter[str] = Counter()
        self.rest: Counter[str] = Counter()
        self.stacked: Counter[str] = Counter()
        self.lookup: Counter[str] = Counter()
        self.rows = self.columns = self.groups = 0
        self.experts = self.largest = self.fused = 0
        self.nested = False
        self._quantization = quantization
        self._bits = bits
        self._vocabulary = vocabulary
        self._transposed = _TRANSPOSED.get(model, ())
        self._has_groups = quantization == "gptq"

    def take(self, tensor: StoredTensor) -> None:
        parts = tensor.name.split(".")
        leaf = parts[-1]
        if leaf in _HELPERS or ".quant_state." in tensor.name:
            self.nested = self.nested or leaf == "nested_absmax"
            if leaf == "scales":
                self.groups += tensor.elements
        elif leaf == "qweight" and self._bits and len(tensor.shape) == 2:
            self._add(tensor.shape[0] * 32 // self._bits, tensor.shape[1], "", parts)
        elif self._quantization == "nf4" and tensor.dtype == "U8":
            self._add(2 * tensor.elements, 1, "", parts)
        elif _is_linear(tensor, parts):
            rows, columns = tensor.shape[-2:]
            if len(parts) > 1 and parts[-2] in self._transposed:
                rows, columns = columns, rows
            dtype = "" if tensor.dtype in ("I8", "U8", "I32") else tensor.dtype
            self._add(columns, rows, dtype, parts, tensor.elements // max(1, rows * columns))
        else:
            self.rest[tensor.dtype] += tensor.elements
            if tensor.shape[:1] == (self._vocabulary,) and tensor.name not in _HEADS:
                self.lookup[tensor.dtype] += tensor.elements

    def _add(self, columns: int, rows: int, dtype: str, parts: list[str], count: int = 1) -> None:
        self.largest = max(self.largest, rows * columns)
        values = count * rows * columns
        self.linear[dtype] += values
        self.rows += count * rows
        self.columns += count * columns
        if not self._has_groups:
            self.groups += count * rows * -(-columns // _GPTQ_GROUP)
        if any(part in _EXPERTS for part in parts):
            self.experts += values
            if count == 1 and dtype:
                self.stacked[dtype] += values
        if any(part in _FUSED for part in parts):
            self.fused += values


def _is_linear(tensor: StoredTensor, parts: list[str]) -> bool:
    """Whether the tensor is a matrix inside a block, or a stack with one matrix for each expert."""
    stacked = len(tensor.shape) == 3 and any(part in _EXPERTS for part in parts)
    return (len(tensor.shape) == 2 or stacked) and any(map(str.isdigit, parts))
