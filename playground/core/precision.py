"""The precisions a model can be loaded in, and what each one means."""

from __future__ import annotations

from enum import StrEnum


class Precision(StrEnum):
    """How a linear layer's weights are stored while the model runs; LOADABLE are those here."""

    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"
    INT8 = "int8"
    INT8_WEIGHT_ONLY = "int8wo"
    NF4 = "nf4"
    GPTQ = "gptq"
    SERVER = "server"  # whatever a server has loaded

    @property
    def label(self) -> str:
        """The name shown to people."""
        library = " (bitsandbytes)" if self in _NAMES_LIBRARY else ""
        return f"{self.short_label}{library}"

    @property
    def short_label(self) -> str:
        """The label without the library in brackets, for narrow places: "int8", "NF4 4-bit"."""
        return _SHORT_LABELS[self]

    @property
    def explanation(self) -> str:
        """One sentence on what the precision costs and what it gains."""
        return _EXPLANATIONS[self]

    def explanation_on(self, device_id: str, capability: str) -> str:
        """The explanation for one device; `capability` as in DeviceFacts, "" where unknown."""
        return self.slowness_on(device_id, capability) or self.explanation

    def slowness_on(self, device_id: str, capability: str) -> str:
        """Why the precision is slow on such a device, "" where it is not."""
        if device_id != "cpu" or not capability:
            return ""
        if self.is_unpacked_on(device_id, capability):
            return _NF4_UNPACKED
        slow = self in _SIXTEEN_BITS and "avx512f" not in capability.split()
        return _SLOW_PROMPTS if slow else ""

    def is_unpacked_on(self, device_id: str, capability: str) -> bool:
        """Whether every token is slow there, since each weight is unpacked for it."""
        known = device_id == "cpu" and bool(capability)
        return known and self is Precision.NF4 and "avx512_bf16" not in capability.split()

    @property
    def bits_per_weight(self) -> float:
        """Bits a weight of a linear layer takes, scales included (GPTQ: in groups of 128)."""
        return _BITS[self]

    @property
    def is_plain(self) -> bool:
        """Whether the weights are ordinary floating-point tensors."""
        return self in (Precision.FP32, Precision.BF16, Precision.FP16)

    @property
    def libraries(self) -> tuple[str, ...]:
        """The import names of the libraries it may need beside torch and transformers.

        An engine probes those that its environment really needs.
        """
        return _LIBRARIES.get(self, ())


#: Those that a model on this machine can be loaded in.
LOADABLE: tuple[Precision, ...] = tuple(p for p in Precision if p is not Precision.SERVER)

_LIBRARIES = {
    Precision.INT8: ("bitsandbytes",),
    Precision.INT8_WEIGHT_ONLY: ("bitsandbytes",),
    Precision.NF4: ("bitsandbytes",),
    Precision.GPTQ: ("gptqmodel", "optimum", "auto_gptq"),
}
_SHORT_LABELS = {
    Precision.FP32: "fp32",
    Precision.BF16: "bf16",
    Precision.FP16: "fp16",
    Precision.INT8: "int8",
    Precision.INT8_WEIGHT_ONLY: "int8 weight-only",
    Precision.NF4: "NF4 4-bit",
    Precision.GPTQ: "GPTQ 4-bit",
    Precision.SERVER: "as the server says",
}
#: Precisions whose label names the library that implements them.
_NAMES_LIBRARY = frozenset({Precision.INT8, Precision.NF4})

_EXPLANATIONS = {
    Precision.FP32: "Full precision: the reference, at twice the memory of bf16.",
    Precision.BF16: "What most models are published in: half the memory of fp32.",
    Precision.FP16: "As small as bf16, finer steps, a smaller range.",
    Precision.INT8: (
        "Half the memory of bf16; usually several times slower at batch 1, because activations "
        "are quantized too and outliers computed separately."
    ),
    Precision.INT8_WEIGHT_ONLY: (
        "The weights of int8 (bitsandbytes) with activations left as they are: half the memory "
        "of bf16, and faster than bf16 at batch 1."
    ),
    Precision.NF4: "A quarter of bf16's memory, quantized while loading; slower than bf16.",
    Precision.GPTQ: "A quarter of bf16's memory, calibrated beforehand; may be faster than bf16.",
    Precision.SERVER: "Whatever the server has loaded; its own word stands beside the answer.",
}
#: bitsandbytes multiplies packed 4-bit weights only on processors with avx512_bf16.
_NF4_UNPACKED = (
    "A quarter of bf16's memory, but slow on this processor: without avx512_bf16 every weight "
    "is unpacked for every token."
)
#: Precisions that multiply many rows in bf16 or fp16.
_SIXTEEN_BITS = (Precision.BF16, Precision.FP16, Precision.INT8_WEIGHT_ONLY)
#: 256 rows by 1024 × 1024 on an AMD Zen 3, one thread: fp32 42 GFLOP/s, bf16 5, fp16 4, int8
#: weight-only 3; GPT-2's transposed layers 42, 0.5 and 0.3.
_SLOW_PROMPTS = (
    "Reads long prompts slowly on this processor: without AVX-512, multiplying many tokens takes "
    "eight times as long as in fp32, and in models of GPT-2's kind far longer. Where fp32 fits "
    "into the memory, it answers long prompts sooner."
)
_BITS = {
    Precision.FP32: 32.0,
    Precision.BF16: 16.0,
    Precision.FP16: 16.0,
    Precision.INT8: 8.0,
    Precision.INT8_WEIGHT_ONLY: 8.0,
    Precision.NF4: 4.5,
    Precision.GPTQ: 4.25,
    Precision.SERVER: 0.0,  # unknown
}
