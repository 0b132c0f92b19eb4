"""What a load will take, item by item, before it is made, and whether that fits.

The weights and the cache are counted from the tensors' shapes. The rest was measured: what a
process with its libraries holds, and the space for reading a prompt, as multiples of a model's
own widths. `memory_corrections` puts right for one machine what these got wrong.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum

from playground.core.errors import MemoryShortageError
from playground.core.format import size_text
from playground.core.memory.corrections import Learned
from playground.core.model.weights import ModelSizes, WeightBytes
from playground.core.precision import Precision

_MB = 10**6
#: An engine that waits for a model, where none has told yet: measured on a CPU with torch 2.13
#: and transformers 5.24. The model's own code and the quantizers' libraries come on top.
_PROCESS = 365 * _MB
_MODEL_CODE = 55 * _MB
_LIBRARIES = {
    Precision.INT8: 30 * _MB,
    Precision.INT8_WEIGHT_ONLY: 30 * _MB,
    Precision.NF4: 30 * _MB,
    Precision.GPTQ: 175 * _MB,
}
#: On a GPU: CUDA's context and kernels. An assumption, not measured.
_CUDA_PROCESS = 500 * _MB
#: Reading a prompt holds about so many copies of each token in the widest layer (measured 6 to
#: 9 with Llama, Qwen3, GPT-2 and Gemma-2) …
_ACTIVATIONS = 8
#: (bitsandbytes' exact int8 product on a CPU: 30 to 45, outliers are computed apart) …
_ACTIVATIONS_INT8 = 33
#: … and where attention writes its table of scores, so many bytes for each (10 with Gemma-2).
_SCORES = 10
#: Bytes for each value of the largest layer while it is quantized on a GPU, where one layer at
#: a time is: 2 as stored, 4 in between. Not measured.
_CONVERSION = 6
#: More than this part of what is free is tight: predictions are good to about 10 %.
TIGHT = 0.9
#: A lane that cannot hold so many tokens is of no use; what refuses a load asks for no more.
SHORTEST = 512


class Fit(StrEnum):
    """How a need stands to what is free; the values are shown."""

    FITS = "fits"
    TIGHT = "tight"
    TOO_LARGE = "too large"


@dataclass(frozen=True, kw_only=True)
class MemoryPlan:
    """Bytes that a model takes at a precision and a context, on one device.

    `cache` is the key-value cache at `context` tokens; `process` the engine process with its
    libraries (on a GPU the context of CUDA); `workspace` what reading a prompt of that length
    takes meanwhile; `loading` what only the load takes. `pages` are mapped pages of the files
    that nobody needs any more: they count in a process's resident set, and the system drops them
    when memory runs short. `correction` is what measurements on this machine say is missing (or
    too much, then negative).
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
    correction: int = 0
    cache_known: bool = True

    @property
    def overhead(self) -> int:
        """Everything that must be there beside the weights and the cache."""
        return max(0, self.process + self.workspace + self.loading + self.correction)

    @property
    def needed(self) -> int:
        """What must be there: this is compared with what is free."""
        return self.weights.total + self.cache + self.overhead

    @property
    def peak(self) -> int:
        """The most that is held at once, as it is measured: on a CPU the resident set."""
        return self.needed + self.pages


@dataclass(frozen=True, kw_only=True)
class DeviceBudget:
    """Where a model shall run. `capability` is that of DeviceFacts, `process` what a waiting
    engine holds there in bytes (0: not known), `learned` what loads on this device taught.
    """

    device: str = "cpu"
    capability: str = ""
    process: int = 0
    learned: Learned = field(default_factory=Learned)

    @property
    def on_cpu(self) -> bool:
        return self.device == "cpu"


_CPU = DeviceBudget()


def plan(
    sizes: ModelSizes, precision: Precision, place: DeviceBudget = _CPU, context: int = 0
) -> MemoryPlan:
    """Predict a load. `context` in tokens (0: `default_context`), prompt and answer together;
    the whole of it may be prompt.
    """
    context = context or default_context(sizes)
    weights = sizes.weights(precision, place.device, place.capability)
    element = 4 if precision is Precision.FP32 else 2
    cache = sizes.cache.held_bytes(context, element, sizes.context) if sizes.cache else 0
    workspace = _workspace(sizes, precision, context, element, place.on_cpu)
    process = _CUDA_PROCESS
    if place.on_cpu:
        process = (place.process or _PROCESS) + _MODEL_CODE + _LIBRARIES.get(precision, 0)
    made = MemoryPlan(
        precision=precision,
        device=place.device,
        context=context,
        weights=weights,
        cache=cache,
        process=process,
        workspace=workspace,
        loading=0 if place.on_cpu or precision.is_plain else _CONVERSION * sizes.largest,
        pages=_pages(sizes, precision, weights, cache + workspace) if place.on_cpu else 0,
        cache_known=sizes.cache is not None,
    )
    factor = place.learned.factor(precision, made.needed)
    return replace(made, correction=round((factor - 1.0) * made.needed))


def default_context(sizes: ModelSizes) -> int:
    """The context, in tokens, that a plan is made for where none is asked for."""
    return min(sizes.context or 4096, 4096)


def judge(needed: int, free: int) -> Fit:
    """Compare bytes with what is free now."""
    if needed > free:
        return Fit.TOO_LARGE
    return Fit.FITS if needed <= TIGHT * free else Fit.TIGHT


def fit(made: MemoryPlan, free: int) -> Fit:
    """The verdict on a plan; `free` bytes count what a lane that is replaced gives back."""
    return judge(made.needed, free)


def shortage(name: str, made: MemoryPlan, free: int) -> MemoryShortageError:
    """Return the error that refuses a load for want of memory.

    Window and engine both use it, so that they give the same words and figures. `name` is the
    model's, `free` the bytes free on the plan's device.
    """
    where = "" if made.device == "cpu" else f" on {made.device}"
    return MemoryShortageError(
        f"{name} in {made.precision.label} needs about {size_text(made.needed)} of memory, "
        f"{size_text(made.weights.total)} of them for the weights, and {size_text(free)} are "
        f"free{where}.",
        "Choose fewer bits or a smaller model, unload another lane, or close other programs.",
    )


def longest_context(
    sizes: ModelSizes, precision: Precision, free: int, place: DeviceBudget = _CPU
) -> int:
    """The most tokens for which the plan is not too large, at most the model's own context.

    0: not even the weights and a short text fit. Models that tell no context: at most 2²⁰.
    """
    low, high = 0, sizes.context or 2**20
    while low < high:
        middle = (low + high + 1) // 2
        if plan(sizes, precision, place, middle).needed <= free:
            low = middle
        else:
            high = middle - 1
    return low


def row_fit(
    parameters: int | None,
    stored_bytes: int | None,
    free: int | None,
    *,
    quantized: bool = False,
    device: str = "cpu",
) -> Fit | None:
    """A rough verdict on a row of a list, from what a search tells; None where it tells too little.

    Plain weights are taken at 16 bits (fp32 files are usually loaded so), quantized ones as they
    are stored; `parameters` counts logical weights. Cache and workspace are left out: the model's
    page has them.
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
    return judge(weights + process, free)


def tokens_left(shape_bytes: int, free: int, used_tokens: int, context: int) -> int | None:
    """How many more tokens a running lane can take: of its context (0: unknown), and of the free
    memory at `shape_bytes` a token (0: unknown), whichever ends first. None: neither is known.
    """
    limits = []
    if context:
        limits.append(context - used_tokens)
    if shape_bytes:
        limits.append(free // shape_bytes)
    return max(0, min(limits)) if limits else None


def _workspace(
    sizes: ModelSizes, precision: Precision, tokens: int, element: int, on_cpu: bool
) -> int:
    exact = precision is Precision.INT8 and on_cpu
    space = (_ACTIVATIONS_INT8 if exact else _ACTIVATIONS) * tokens * sizes.widest * element
    if sizes.eager:
        space += _SCORES * sizes.heads * tokens * tokens
    if precision in (Precision.NF4, Precision.INT8_WEIGHT_ONLY):
        space += 2 * sizes.largest  # unpacked for the prompt's product, one layer at a time
    return space


def _pages(sizes: ModelSizes, precision: Precision, weights: WeightBytes, later: int) -> int:
    """Pages of the files beside those that are weights; `later` is what takes their place."""
    if not weights.mapped:
        # The files are let go before the first token.
        return max(0, sizes.file_bytes - later)
    # Some of the weights are pages of the files, which stay mapped as a whole.
    pages = max(0, sizes.file_bytes - weights.mapped)
    if precision.is_plain and sizes.lean:
        # The lean step keeps a copy of these, side by side, and their pages are left behind.
        pages += sizes.fused * int(precision.bits_per_weight) // 8
    return pages
