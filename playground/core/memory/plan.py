"""Predicts the memory that a load takes, item by item, and compares it with what is free.

Weights and KV cache are counted from the tensors' shapes. The other items are measured
constants: what a process with its libraries holds, and the workspace of a prefill as multiples
of the model's widths. `corrections` adjusts the sum by what loads on this machine measured.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum

from playground.core.errors import MemoryShortageError
from playground.core.format import size_text
from playground.core.memory.corrections import Corrections
from playground.core.model.weights import ModelSizes, WeightBytes
from playground.core.precision import Precision

_MB = 10**6
#: The engine process before a load, where no engine has reported its own: measured on a CPU with
#: torch 2.13 and transformers 5.24. The model's Python code and the quantization library add to it.
_PROCESS = 365 * _MB
_MODEL_CODE = 55 * _MB
_LIBRARIES = {
    Precision.INT8: 30 * _MB,
    Precision.INT8_WEIGHT_ONLY: 30 * _MB,
    Precision.NF4: 30 * _MB,
    Precision.GPTQ: 175 * _MB,
}
#: On a GPU: the CUDA context and kernels. An assumption, not measured.
_CUDA_PROCESS = 500 * _MB
#: Prefill workspace, in copies of each token's activations in the widest layer (measured: 6 to 9
#: with Llama, Qwen3, GPT-2 and Gemma-2) …
_ACTIVATIONS = 8
#: … with bitsandbytes' int8 on a CPU, which computes outliers separately (measured: 30 to 45) …
_ACTIVATIONS_INT8 = 33
#: … and bytes for each attention score, where attention stores all of them (10 with Gemma-2).
_SCORES = 10
#: Bytes for each value of the largest layer, while a GPU quantizes one layer at a time: 2 as
#: stored and 4 in between. Not measured.
_CONVERSION = 6
#: A need above this fraction of the free memory is tight: predictions are good to about 10 %.
TIGHT = 0.9
#: Tokens that must fit for a load to be allowed; a lane with a shorter context is of no use.
SHORTEST = 512


class Fit(StrEnum):
    """How needed memory compares with free memory; the values are shown to the user."""

    FITS = "fits"
    TIGHT = "tight"
    TOO_LARGE = "too large"


@dataclass(frozen=True, kw_only=True)
class MemoryPlan:
    """The bytes that a model takes at one precision and context length, on one device.

    `cache`: the KV cache at `context` tokens. `process`: the engine process with its libraries
    (on a GPU the CUDA context). `workspace`: temporary memory of a prefill of that length.
    `loading`: temporary memory of the load itself. `pages`: mapped pages of the files that are
    not needed any more; they count in the resident set, but the system drops them when memory
    runs short. `unread`: mapped pages of the weights that come into the resident set only as a
    text reads them. `correction`: what loads measured on this machine add to or take from the sum.
    """

    precision: Precision
    device: str
    context: int
    weights: WeightBytes
    cache: int
    process: int
    workspace: int
    loading: int
    pages: int = 0
    unread: int = 0
    correction: int = 0
    cache_known: bool = True

    @property
    def overhead(self) -> int:
        """All that is needed beside the weights and the KV cache."""
        return max(0, self.process + self.workspace + self.loading + self.correction)

    @property
    def needed(self) -> int:
        """The bytes that must be free for the load."""
        return self.weights.total + self.cache + self.overhead

    @property
    def peak(self) -> int:
        """The peak as it is measured: on a CPU the resident set, with `pages`, without `unread`."""
        return self.needed + self.pages - self.unread


@dataclass(frozen=True, kw_only=True)
class DeviceBudget:
    """What a plan needs to know about the device that a model shall run on.

    `capability` as in DeviceFacts; `process`: the resident set of the engine before the load, in
    bytes, 0 where unknown; `corrections` by earlier loads on the device.
    """

    device: str = "cpu"
    capability: str = ""
    process: int = 0
    corrections: Corrections = field(default_factory=Corrections)

    @property
    def on_cpu(self) -> bool:
        return self.device == "cpu"


_CPU = DeviceBudget()


def plan(
    sizes: ModelSizes, precision: Precision, budget: DeviceBudget = _CPU, context: int = 0
) -> MemoryPlan:
    """Predict the memory of a load.

    `context`: tokens of prompt and answer together, 0 for `default_context`. The workspace is
    that of a prompt which fills the whole context.
    """
    context = context or default_context(sizes)
    weights = sizes.weights(precision, budget.device, budget.capability)
    element = 4 if precision is Precision.FP32 else 2
    cache = sizes.cache.allocated_bytes(context, element, sizes.context) if sizes.cache else 0
    workspace = _workspace(sizes, precision, context, element, budget.on_cpu)
    process = _CUDA_PROCESS
    if budget.on_cpu:
        process = (budget.process or _PROCESS) + _MODEL_CODE + _LIBRARIES.get(precision, 0)
    uncorrected = MemoryPlan(
        precision=precision,
        device=budget.device,
        context=context,
        weights=weights,
        cache=cache,
        process=process,
        workspace=workspace,
        loading=0 if budget.on_cpu or precision.is_plain else _CONVERSION * sizes.largest,
        pages=_pages(sizes, precision, weights, cache + workspace) if budget.on_cpu else 0,
        unread=weights.unread if budget.on_cpu else 0,
        cache_known=sizes.cache is not None,
    )
    factor = budget.corrections.factor(sizes.family, precision, uncorrected.needed)
    return replace(uncorrected, correction=round((factor - 1.0) * uncorrected.needed))


def default_context(sizes: ModelSizes) -> int:
    """Return the context, in tokens, that is planned for where none is given."""
    return min(sizes.context or 4096, 4096)


def verdict(needed: int, free: int) -> Fit:
    """Compare needed bytes with free ones; `free` includes what a replaced lane would free."""
    if needed > free:
        return Fit.TOO_LARGE
    return Fit.FITS if needed <= TIGHT * free else Fit.TIGHT


def shortage(name: str, planned: MemoryPlan, free: int) -> MemoryShortageError:
    """Return the error that refuses a load because too little memory is free.

    `name` is the model's, `free` the bytes free on the plan's device.
    """
    where = "" if planned.device == "cpu" else f" on {planned.device}"
    return MemoryShortageError(
        f"{name} in {planned.precision.label} needs about {size_text(planned.needed)} of memory, "
        f"{size_text(planned.weights.total)} of them for the weights, and {size_text(free)} are "
        f"free{where}.",
        "Choose fewer bits or a smaller model, unload another lane, or close other programs.",
    )


def longest_context(
    sizes: ModelSizes, precision: Precision, free: int, budget: DeviceBudget = _CPU
) -> int:
    """Return the longest context, in tokens, that fits into `free` bytes; 0 where none does.

    At most the model's own context, or 2²⁰ tokens where the model states none.
    """
    low, high = 0, sizes.context or 2**20
    while low < high:
        middle = (low + high + 1) // 2
        if plan(sizes, precision, budget, middle).needed <= free:
            low = middle
        else:
            high = middle - 1
    return low


def rough_verdict(
    parameters: int | None,
    stored_bytes: int | None,
    free: int | None,
    *,
    quantized: bool = False,
    device: str = "cpu",
) -> Fit | None:
    """Return a rough verdict from what a search result states; None where it states too little.

    Quantized weights count as stored. Plain ones count at 16 bits for each of the `parameters`
    (logical weights), since fp32 files are usually loaded so. KV cache and workspace are left
    out: the model's page includes them.
    """
    if free is None or free <= 0:
        return None
    if quantized:
        weights = stored_bytes
    else:
        known = [n for n in (2 * (parameters or 0), stored_bytes or 0) if n]
        weights = min(known) if known else None
    if not weights:
        return None
    process = _PROCESS + _MODEL_CODE if device == "cpu" else _CUDA_PROCESS
    return verdict(weights + process, free)


def tokens_left(token_bytes: int, free: int, used_tokens: int, context: int) -> int | None:
    """Return how many more tokens a loaded lane can take, None where neither limit is known.

    The limits are the model's `context` in tokens (0 where unknown), and `free` bytes at
    `token_bytes` of KV cache a token (0 where unknown).
    """
    limits = []
    if context:
        limits.append(context - used_tokens)
    if token_bytes:
        limits.append(free // token_bytes)
    return max(0, min(limits)) if limits else None


def _workspace(
    sizes: ModelSizes, precision: Precision, tokens: int, element: int, on_cpu: bool
) -> int:
    int8_on_cpu = precision is Precision.INT8 and on_cpu
    copies = _ACTIVATIONS_INT8 if int8_on_cpu else _ACTIVATIONS
    space = copies * tokens * sizes.widest * element
    if sizes.eager_attention:
        space += _SCORES * sizes.heads * tokens * tokens
    if precision in (Precision.NF4, Precision.INT8_WEIGHT_ONLY):
        space += 2 * sizes.largest  # a prefill unpacks one layer at a time
    if sizes.state_space is not None:
        space += sizes.state_space.scan_bytes(tokens)
    return space


def _pages(sizes: ModelSizes, precision: Precision, weights: WeightBytes, later: int) -> int:
    """Return the mapped bytes of the files that are not weights in use.

    `later` is the memory allocated after the load, which replaces such pages.
    """
    if not weights.mapped:
        # The files are unmapped before the first token.
        return max(0, sizes.file_bytes - later)
    # Some of the weights are pages of the files, which stay mapped as a whole.
    pages = max(0, sizes.file_bytes - weights.mapped)
    if precision.is_plain and sizes.has_fused_step:
        # The fused CPU step copies these weights into joined matrices, and their pages remain.
        pages += sizes.fused * int(precision.bits_per_weight) // 8
    return pages
