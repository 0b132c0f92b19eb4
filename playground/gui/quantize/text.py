"""The words of the window for a quantized copy; no widgets."""

from __future__ import annotations

from pathlib import Path

from playground.core.format import clock_text, human_duration, size_text
from playground.core.precision import Precision
from playground.core.quantize import Estimate, QuantizedModel, QuantizeRequest
from playground.gui.quantize.state import QuantizeStage, QuantizeState

KINDS = {
    Precision.GPTQ: (
        "&GPTQ",
        "Fewer bits, calibrated layer by layer on a text: takes a while, once. May run faster than "
        "bf16.",
    ),
    Precision.INT8: (
        "&int8",
        "The int8 weights of bitsandbytes, saved so that they need not be made at every load. Runs "
        "as int8 and as int8 weight-only.",
    ),
    Precision.NF4: (
        "&NF4",
        "The 4-bit weights of bitsandbytes, saved so that they need not be made at every load.",
    ),
}
TIPS = {
    "bits": "Bits of a weight. 4 is usual; 8 is nearer to the original; 3 and 2 lose much",
    "group": "Weights that share one scale: smaller groups are nearer to the original, and larger "
    "files",
    "order": "Quantize the inputs that matter most first: nearer to the original, slower to run in "
    "some kernels",
    "symmetric": "No zero point: every kernel can read it. Without, the newer format gptq_v2",
    "calibration": "A text like those the model is going to read, plain and in UTF-8",
    "samples": "Pieces of the text that every layer reads; more take longer",
    "length": "Tokens of each piece",
    "name": "The folder's name in the model library",
}


def cost_text(state: QuantizeState) -> str:
    """What the copy costs, in one line."""
    estimate = state.estimate
    if estimate is None:
        return ""
    parts = []
    if estimate.most_s:
        about = "About " if state.measured else "Between "
        parts.append(about + _span(estimate, "–" if state.measured else " and "))
    parts.append(f"{size_text(estimate.memory_bytes)} of memory{_free(state)}")
    parts.append(f"{size_text(estimate.disk_bytes)} on the disk")
    return " · ".join(parts)


def memory_is_short(state: QuantizeState) -> bool:
    """Whether the estimate is above what is free."""
    return bool(
        state.estimate and state.free_bytes and state.estimate.memory_bytes > state.free_bytes
    )


def status_text(state: QuantizeState, now: float) -> str:
    """What goes on, with a clock."""
    if state.made is not None:
        return ""
    if state.note:
        return state.note
    if not state.doing:
        return ""
    if state.stopping:
        return "Cancelling …"
    layer = state.layer
    if layer is None:
        return f"{state.doing[:1].upper()}{state.doing[1:]} · {clock_text(now - state.since)}"
    parts = [f"Layer {layer.layer} of {layer.layers}", f"{layer.fraction:.0%}"]
    if layer.layer_s:
        parts.append(f"{clock_text(layer.layer_s)} for the last")
    if state.doing and layer.fraction >= 1.0:
        return f"{state.doing[:1].upper()}{state.doing[1:]} · {clock_text(now - state.since)}"
    parts.append(f"{clock_text(now - state.since)} so far")
    if layer.left_s is not None:
        parts.append(f"about {human_duration(layer.left_s)} left")
    return " · ".join(parts)


def made_text(made: QuantizedModel) -> str:
    """What came of it."""
    smaller = made.source_bytes / made.weight_bytes if made.weight_bytes else 0.0
    return (
        f"{Path(made.folder).name} is in the model library: {size_text(made.weight_bytes)} of "
        f"weights, {smaller:.1f} times smaller, made in {human_duration(made.seconds)} with at "
        f"most {size_text(made.peak_memory_bytes)} of memory."
    )


def start_text(request: QuantizeRequest | None) -> str:
    """What the button says."""
    if request is None or request.to is Precision.GPTQ:
        return "&Make the GPTQ version"
    return f"&Save as {request.to.label.partition(' ')[0]}"


def shows_progress(state: QuantizeState) -> bool:
    return bool(state.doing) or state.stage is QuantizeStage.LOOKING


def _span(estimate: Estimate, between: str) -> str:
    least, most = human_duration(estimate.least_s), human_duration(estimate.most_s)
    return least if least == most else f"{least}{between}{most}"


def _free(state: QuantizeState) -> str:
    if not state.free_bytes:
        return ""
    return f" ({size_text(state.free_bytes)} are free)"
