"""The words of the quantizing dialog."""

from __future__ import annotations

from pathlib import Path

from playground.core.format import clock_text, human_duration, size_text
from playground.core.precision import Precision
from playground.core.quantizing.request import Estimate, QuantizedModel, QuantizeRequest
from playground.gui.quantize.state import QuantizeStage, QuantizeState

KINDS = {
    Precision.GPTQ: (
        "&GPTQ",
        "Fewer bits, calibrated on a text layer by layer, which takes a while once. The copy may "
        "run faster than bf16.",
    ),
    Precision.INT8: (
        "&int8",
        "The int8 weights of bitsandbytes, saved so that loading need not convert them. The copy "
        "runs as int8 and as int8 weight-only.",
    ),
    Precision.NF4: (
        "&NF4",
        "The 4-bit weights of bitsandbytes, saved so that loading need not convert them.",
    ),
}
TIPS = {
    "bits": "Bits per weight. 4 is usual; 8 is closer to the original; 3 and 2 lose much",
    "group": "Weights that share one scale. Smaller groups are closer to the original, but larger",
    "order": "Quantize the most important inputs first. Closer to the original, but slower in some "
    "kernels",
    "symmetric": "No zero points, which every kernel can read. Otherwise the newer format gptq_v2",
    "calibration": "A plain UTF-8 text like those that the model will read",
    "samples": "Calibration samples that each layer reads; more samples take longer",
    "length": "Tokens in each calibration sample",
    "name": "The folder's name in the model library",
}


def cost_text(state: QuantizeState) -> str:
    """Return what the copy takes in time, memory and disk, in one line."""
    estimate = state.estimate
    if estimate is None:
        return ""
    parts = []
    if estimate.most_s:
        parts.append(_duration(estimate, state.measured))
    parts.append(f"{size_text(estimate.memory_bytes)} of memory{_free(state)}")
    parts.append(f"{size_text(estimate.disk_bytes)} on disk")
    return " · ".join(parts)


def memory_is_short(state: QuantizeState) -> bool:
    """Whether the estimate exceeds the free memory."""
    return bool(
        state.estimate and state.free_bytes and state.estimate.memory_bytes > state.free_bytes
    )


def status_text(state: QuantizeState, now: float) -> str:
    """Return what is being done and for how long; `now` is in monotonic seconds."""
    if state.result is not None:
        return ""
    if state.note:
        return state.note
    if not state.activity:
        return ""
    if state.stopping:
        return "Cancelling …"
    if state.unresponsive:
        return "The engine does not react. Wait, or cancel: its process is ended then."
    layer = state.layer
    if layer is None or layer.fraction >= 1.0:
        return f"{state.activity[:1].upper()}{state.activity[1:]} · {clock_text(now - state.since)}"
    parts = [f"Layer {layer.layer} of {layer.layers}", f"{layer.fraction:.0%}"]
    if layer.layer_s:
        parts.append(f"{clock_text(layer.layer_s)} for the last")
    parts.append(f"{clock_text(now - state.since)} so far")
    if layer.left_s is not None:
        parts.append(f"about {human_duration(layer.left_s)} left")
    return " · ".join(parts)


def result_text(result: QuantizedModel) -> str:
    """Return a sentence on the finished copy."""
    smaller = result.source_bytes / result.weight_bytes if result.weight_bytes else 0.0
    return (
        f"{Path(result.folder).name} is in the model library: {size_text(result.weight_bytes)} of "
        f"weights, {smaller:.1f} times smaller, written in {human_duration(result.seconds)} with a "
        f"peak of {size_text(result.peak_memory_bytes)} of memory."
    )


def start_text(request: QuantizeRequest | None) -> str:
    """Return the text of the start button."""
    if request is None or request.to is Precision.GPTQ:
        return "&Make the GPTQ version"
    return f"&Save as {request.to.label.partition(' ')[0]}"


def shows_progress(state: QuantizeState) -> bool:
    """Whether the progress bar is shown."""
    return bool(state.activity) or state.stage is QuantizeStage.READING


def _duration(estimate: Estimate, measured: bool) -> str:
    least, most = human_duration(estimate.least_s), human_duration(estimate.most_s)
    if least == most:
        return f"About {least}"
    return f"About {least}–{most}" if measured else f"Between {least} and {most}"


def _free(state: QuantizeState) -> str:
    if not state.free_bytes:
        return ""
    return f" ({size_text(state.free_bytes)} free)"
