"""Verifies how a loaded model is stored: its weights by kind, bytes by dtype, kernels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from playground.core.facts import VerifiedPrecision
from playground.core.precision import Precision
from playground.engine.loading.gptq_int4 import Int4Linear
from playground.engine.loading.int8_weight_only import Int8WeightOnlyLinear

_DTYPE_NAMES = {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}
#: The precision that loads each kind; bitsandbytes' two 4-bit types are loaded alike.
_PRECISIONS = {
    "fp32": Precision.FP32,
    "bf16": Precision.BF16,
    "fp16": Precision.FP16,
    "int8": Precision.INT8,
    "int8 weight-only": Precision.INT8_WEIGHT_ONLY,
    "NF4 4-bit": Precision.NF4,
    "FP4 4-bit": Precision.NF4,
    **{f"GPTQ {bits}-bit": Precision.GPTQ for bits in range(2, 9)},
}
#: The attributes with a packed layer's numbers of inputs and outputs, by library.
_GPTQ_SIZES = {
    "gptqmodel": ("in_features", "out_features"),
    "auto_gptq": ("infeatures", "outfeatures"),
}
#: auto-gptq's CUDA kernels, which unpack the weights at each call on a CPU.
_UNPACKING = ("cuda", "cuda-old")


@dataclass(frozen=True)
class _LinearLayer:
    """How a linear layer stores its weight ("bf16", "NF4 4-bit"), by which library, its kernel."""

    name: str
    kernel: str
    library: str = ""

    @property
    def kind(self) -> str:
        """The name, with the library where it is not obvious: "NF4 (bitsandbytes)"."""
        if not self.library:
            return self.name
        return f"{self.name.removesuffix(' 4-bit')} ({self.library})"


def verify(model: torch.nn.Module) -> tuple[VerifiedPrecision, str]:
    """Return what was counted, and the kernel (or class) of most linear layers."""
    layers: dict[str, _LinearLayer] = {}
    for name, module in model.named_modules():
        if layer := _linear_layer(module):
            layers[name] = layer
    counts = Counter(layer.kind for layer in layers.values())
    most = counts.most_common(1)[0][0] if counts else ""
    kernels = Counter(layer.kernel for layer in layers.values() if layer.kind == most)
    weights, plain = _block_weights(model, layers)
    largest = max(weights, key=lambda name: weights[name], default="")
    verified = VerifiedPrecision(
        precision=_PRECISIONS.get(largest),
        modules=dict(counts.most_common()),
        bytes_by_dtype=_bytes_by_dtype(model),
        skipped=tuple(name for name, layer in layers.items() if layer.kind != most),
        weights=dict(weights.most_common()),
        unquantized=_why_plain(model, plain, weights.total()),
    )
    return verified, kernels.most_common(1)[0][0] if kernels else "no linear layers"


def _block_weights(
    model: torch.nn.Module, layers: Mapping[str, _LinearLayer]
) -> tuple[Counter[str], Counter[str]]:
    """Return the bytes of the blocks' weights by kind, and of the plain ones by module name.

    Embeddings and the output layer are left out, which quantizers leave as they are. Scales count
    with their weights, and experts stacked in one tensor as any other weight.
    """
    outside = [m for m in model.modules() if isinstance(m, torch.nn.Embedding)]
    if isinstance(model, PreTrainedModel):
        outside.append(model.get_output_embeddings())
    weights: Counter[str] = Counter()
    plain: Counter[str] = Counter()
    for name, module in model.named_modules():
        if any(module is other for other in outside):
            continue
        layer = layers.get(name)
        if layer is not None and layer.name not in _DTYPE_NAMES.values():
            bias = getattr(module, "bias", None)
            tensors = {t.data_ptr(): t for t in stored_tensors(module) if t is not bias}
            weights[layer.name] += sum(t.numel() * t.element_size() for t in tensors.values())
            continue
        for parameter in module.parameters(recurse=False):
            if parameter.dim() > 1:  # vectors are norms and biases
                size = parameter.numel() * parameter.element_size()
                weights[_dtype_name(parameter.dtype)] += size
                plain[name] += size
    return weights, plain


def _why_plain(model: torch.nn.Module, plain: Counter[str], total: int) -> str:
    """Return why a quantized model keeps the `plain` bytes of its blocks' `total`, else ""."""
    settings = getattr(getattr(model, "config", None), "quantization_config", None)
    if settings is None or plain.total() < VerifiedPrecision.LEAST_SHARE * total:
        return ""
    method = str(getattr(settings, "quant_method", ""))
    quantizer = "GPTQ" if "gptq" in method.lower() else "bitsandbytes"
    experts = sum(size for name, size in plain.items() if "experts" in name.split("."))
    if 2 * experts > plain.total():
        return f"experts are not quantized by {quantizer}"
    name = max(plain, key=lambda each: plain[each])
    layer = type(model.get_submodule(name))
    if layer is not torch.nn.Linear:
        return f"layers of the class {layer.__name__} are not quantized by {quantizer}"
    return f"{len(plain)} layers are left as they are, for example {name}"


def count_parameters(model: torch.nn.Module) -> int:
    """Return the number of parameters; a packed GPTQ or NF4 weight counts its unpacked values."""
    total = 0
    seen: set[int] = set()
    for module in model.modules():
        if shape := _packed_shape(module):
            total += shape[0] * shape[1]
            bias = getattr(module, "bias", None)
            total += bias.numel() if isinstance(bias, torch.Tensor) else 0
            continue
        if isinstance(module, Int8WeightOnlyLinear):
            total += module.weight.numel()
        for parameter in module.parameters(recurse=False):
            if id(parameter) in seen:
                continue
            seen.add(id(parameter))
            state = getattr(parameter, "quant_state", None)
            shape = getattr(state, "shape", None)
            total += int(torch.Size(shape).numel()) if shape else parameter.numel()
    return total


def _linear_layer(module: Any) -> _LinearLayer | None:
    """Describe a linear layer, of torch or of a quantizer's library; None for other modules."""
    class_name = type(module).__name__
    if isinstance(module, Int4Linear):
        return _LinearLayer("GPTQ 4-bit", "torch _weight_int4pack_mm")
    if is_gptq(module):
        return _LinearLayer(f"GPTQ {int(module.bits)}-bit", _gptq_kernel(module))
    if type(module).__module__.startswith("bitsandbytes."):
        weight = getattr(module, "weight", None)
        if weight is None:
            return None
        kernel = f"bitsandbytes {class_name}"
        # Packed 4-bit weights may be stored in any dtype, bf16 for example.
        if state := getattr(weight, "quant_state", None):
            return _LinearLayer(f"{state.quant_type.upper()} 4-bit", kernel, "bitsandbytes")
        # Layers that were left unquantized keep a floating-point weight.
        if weight.dtype.is_floating_point:
            return _plain(weight, kernel)
        return _LinearLayer("int8", kernel, "bitsandbytes")
    if isinstance(module, Int8WeightOnlyLinear):
        on_cpu = module.weight.device.type == "cpu"
        kernel = f"torch {'_weight_int8pack_mm' if on_cpu else 'product of int8'}"
        return _LinearLayer("int8 weight-only", kernel)
    if isinstance(module, torch.nn.Linear):
        return _plain(module.weight, "torch.nn.Linear")
    if isinstance(module, Conv1D):
        return _plain(module.weight, "transformers Conv1D")
    return None


def _plain(weight: torch.Tensor, kernel: str) -> _LinearLayer:
    name = _dtype_name(weight.dtype)
    return _LinearLayer(name, f"{kernel} ({name})")


def _dtype_name(dtype: torch.dtype) -> str:
    return _DTYPE_NAMES.get(dtype, str(dtype).removeprefix("torch."))


def is_gptq(module: torch.nn.Module) -> bool:
    """Return whether a module is a packed layer of gptqmodel or auto-gptq."""
    return _gptq_shape(module) is not None


def _gptq_shape(module: torch.nn.Module) -> tuple[int, int] | None:
    """Return the inputs and outputs of a packed GPTQ layer, None for other modules."""
    names = _GPTQ_SIZES.get(type(module).__module__.partition(".")[0])
    if names is None or not all(hasattr(module, name) for name in ("bits", *names)):
        return None
    return int(getattr(module, names[0])), int(getattr(module, names[1]))


def _packed_shape(module: torch.nn.Module) -> tuple[int, int] | None:
    if isinstance(module, Int4Linear):
        return module.in_features, module.out_features
    return _gptq_shape(module)


def _gptq_kernel(module: Any) -> str:
    """Return library and class name; auto-gptq's classes share a name, and differ in QUANT_TYPE."""
    library = type(module).__module__.partition(".")[0]
    label = getattr(module, "QUANT_TYPE", "") if library == "auto_gptq" else ""
    name = f"{library.replace('_', '-')} {type(module).__name__}"
    if label in _UNPACKING and module.qweight.device.type == "cpu":
        label += ", unpacked at each call"
    return f"{name} ({label})" if label else name


def _bytes_by_dtype(model: torch.nn.Module) -> dict[str, int]:
    """Return the bytes of all tensors by dtype; tied weights count once.

    Tensors are identified by their addresses, since joined weights share one storage.
    """
    sizes: Counter[str] = Counter()
    seen: set[int] = set()
    for module in model.modules():
        for tensor in stored_tensors(module):
            if tensor.data_ptr() in seen:
                continue
            seen.add(tensor.data_ptr())
            sizes[_dtype_name(tensor.dtype)] += tensor.numel() * tensor.element_size()
    return dict(sizes.most_common())


def stored_tensors(module: torch.nn.Module) -> Iterator[torch.Tensor]:
    """Yield a module's parameters and buffers, without submodules, and its quantization state."""
    for tensor in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
        yield tensor
        yield from _state_tensors(tensor)
    yield from _state_tensors(getattr(module, "state", None))
    # gptqmodel's kernels store repacked scales as plain attributes.
    yield from (value for value in vars(module).values() if isinstance(value, torch.Tensor))


def _state_tensors(holder: object) -> Iterator[torch.Tensor]:
    """Yield bitsandbytes' scales: of an int8 weight, or of a 4-bit weight with nested state."""
    for name in ("CB", "SCB", "absmax", "code", "offset"):
        value = getattr(holder, name, None)
        if isinstance(value, torch.Tensor):
            yield value
    for name in ("quant_state", "state2"):
        inner = getattr(holder, name, None)
        if inner is not None and inner is not holder:
            yield from _state_tensors(inner)
