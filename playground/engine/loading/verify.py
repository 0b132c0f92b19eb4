"""Counts what a loaded model really is: linear layers by kind, bytes by dtype, the kernel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import torch
from transformers.pytorch_utils import Conv1D

from playground.core.facts import VerifiedPrecision
from playground.core.precision import Precision
from playground.engine.loading.gptq_int4 import Int4Linear
from playground.engine.loading.int8_weight_only import Int8WeightOnlyLinear

_DTYPE_NAMES = {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}
_PRECISIONS = {
    "fp32": Precision.FP32,
    "bf16": Precision.BF16,
    "fp16": Precision.FP16,
    "int8 (bitsandbytes)": Precision.INT8,
    "int8 weight-only": Precision.INT8_WEIGHT_ONLY,
    "NF4 (bitsandbytes)": Precision.NF4,
    **{f"GPTQ {bits}-bit": Precision.GPTQ for bits in range(2, 9)},
}
_GPTQ_SIZES = {
    "gptqmodel": ("in_features", "out_features"),
    "auto_gptq": ("infeatures", "outfeatures"),
}
#: Kernels of auto-gptq that are for CUDA and do something else on a CPU.
_UNPACKING = ("cuda", "cuda-old")


def verify(model: Any) -> tuple[VerifiedPrecision, str]:
    """Return what was counted, and the name of the class (or kernel) of most linear layers."""
    kinds: dict[str, tuple[str, str]] = {}
    for name, module in model.named_modules():
        if found := _kind(module):
            kinds[name] = found
    counts = Counter(kind for kind, _ in kinds.values())
    most = counts.most_common(1)[0][0] if counts else ""
    kernels = Counter(kernel for kind, kernel in kinds.values() if kind == most)
    verified = VerifiedPrecision(
        precision=_PRECISIONS.get(most),
        modules=dict(counts.most_common()),
        bytes_by_dtype=_bytes_by_dtype(model),
        skipped=tuple(name for name, (kind, _) in kinds.items() if kind != most),
    )
    return verified, kernels.most_common(1)[0][0] if kernels else "no linear layers"


def count_parameters(model: Any) -> int:
    """Weights as the model means them: a packed GPTQ or NF4 weight counts all its values."""
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


def _kind(module: Any) -> tuple[str, str] | None:
    """Return (kind, kernel) of a linear layer, None for every other module."""
    class_name = type(module).__name__
    if isinstance(module, Int4Linear):
        return "GPTQ 4-bit", "torch _weight_int4pack_mm"
    if is_gptq(module):
        return f"GPTQ {int(module.bits)}-bit", _gptq_kernel(module)
    if type(module).__module__.startswith("bitsandbytes."):
        weight = getattr(module, "weight", None)
        if weight is None:
            return None
        # Layers that were not quantized after all keep a floating-point weight.
        if weight.dtype.is_floating_point:
            return _plain(weight, f"bitsandbytes {class_name}")
        state = getattr(weight, "quant_state", None)
        kind = f"{state.quant_type.upper()} (bitsandbytes)" if state else "int8 (bitsandbytes)"
        return kind, f"bitsandbytes {class_name}"
    if isinstance(module, Int8WeightOnlyLinear):
        on_cpu = module.weight.device.type == "cpu"
        return "int8 weight-only", f"torch {'_weight_int8pack_mm' if on_cpu else 'product of int8'}"
    if isinstance(module, torch.nn.Linear):
        return _plain(module.weight, f"torch.nn.{torch.nn.Linear.__name__}")
    if isinstance(module, Conv1D):
        return _plain(module.weight, "transformers Conv1D")
    return None


def _plain(weight: Any, kernel: str) -> tuple[str, str]:
    name = _DTYPE_NAMES.get(weight.dtype, str(weight.dtype).removeprefix("torch."))
    return name, f"{kernel} ({name})"


def is_gptq(module: Any) -> bool:
    return _gptq_shape(module) is not None


def _gptq_shape(module: Any) -> tuple[int, int] | None:
    """Inputs and outputs of a packed layer; gptqmodel and auto-gptq name them differently."""
    names = _GPTQ_SIZES.get(type(module).__module__.partition(".")[0])
    if names is None or not all(hasattr(module, name) for name in ("bits", *names)):
        return None
    return int(getattr(module, names[0])), int(getattr(module, names[1]))


def _packed_shape(module: Any) -> tuple[int, int] | None:
    if isinstance(module, Int4Linear):
        return module.in_features, module.out_features
    return _gptq_shape(module)


def _gptq_kernel(module: Any) -> str:
    """Library and class; auto-gptq's classes share a name and differ in a label."""
    library = type(module).__module__.partition(".")[0]
    label = getattr(module, "QUANT_TYPE", "") if library == "auto_gptq" else ""
    name = f"{library.replace('_', '-')} {type(module).__name__}"
    if label in _UNPACKING and module.qweight.device.type == "cpu":
        label += ", unpacked at each call"
    return f"{name} ({label})" if label else name


def _bytes_by_dtype(model: Any) -> dict[str, int]:
    """Sum tensors by dtype; memory that several share (tied weights) counts once.

    Told apart by where they begin: fused weights are parts of one storage.
    """
    sizes: Counter[str] = Counter()
    seen: set[int] = set()
    for module in model.modules():
        for tensor in stored_tensors(module):
            if tensor.data_ptr() in seen:
                continue
            seen.add(tensor.data_ptr())
            name = _DTYPE_NAMES.get(tensor.dtype, str(tensor.dtype).removeprefix("torch."))
            sizes[name] += tensor.numel() * tensor.element_size()
    return dict(sizes.most_common())


def stored_tensors(module: Any) -> Iterator[Any]:
    """Parameters and buffers, and what the quantizers keep beside them."""
    for tensor in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
        yield tensor
        yield from _state_tensors(tensor)
    yield from _state_tensors(getattr(module, "state", None))
    # Kernels of gptqmodel keep repacked scales as plain attributes.
    yield from (value for value in vars(module).values() if isinstance(value, torch.Tensor))


def _state_tensors(holder: Any) -> Iterator[Any]:
    """Scales of bitsandbytes: of an int8 weight, or of a 4-bit one with its nested state."""
    for name in ("CB", "SCB", "absmax", "code", "offset"):
        value = getattr(holder, name, None)
        if isinstance(value, torch.Tensor):
            yield value
    for name in ("quant_state", "state2"):
        inner = getattr(holder, name, None)
        if inner is not None and inner is not holder:
            yield from _state_tensors(inner)
