"""Writes the model card of a quantized copy: from which commit, how, and in what time."""

from __future__ import annotations

import hashlib
import json
import statistics
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from playground.core.facts import VerifiedPrecision
from playground.core.format import human_duration, seconds_text, size_text
from playground.core.precision import Precision
from playground.core.quantizing.request import QuantizedModel, QuantizeRequest


def card(
    request: QuantizeRequest,
    model: QuantizedModel,
    verified: VerifiedPrecision,
    computed_in: str,
    device_name: str,
    versions: Mapping[str, str],
) -> str:
    """Return the text of README.md: front matter for the Hub, and a page for people.

    `verified` is what was counted in the model that was saved.
    """
    folder = Path(model.folder).name
    front = [
        "---",
        # A JSON string is a valid YAML string, whatever characters the name has.
        f"base_model: {json.dumps(request.name, ensure_ascii=False)}",
        "base_model_relation: quantized",
        "library_name: transformers",
        "pipeline_tag: text-generation",
        "---",
    ]
    how = _gptq(request) if request.to is Precision.GPTQ else _bitsandbytes(request)
    smaller = model.source_bytes / model.weight_bytes if model.weight_bytes else 0.0
    took = human_duration(model.seconds)
    if model.layer_s:
        took += f" (a layer: {seconds_text(statistics.median(model.layer_s))}, the median of "
        took += f"{len(model.layer_s)})"
    facts = [
        f"- **Made from** `{request.name}`, commit `{request.commit or 'unknown'}`.",
        *how,
        f"- **Counted** in the weights inside the blocks, by bytes: {verified.explained}.",
        f"- **Size**: {size_text(model.weight_bytes)} of weights, {smaller:.2f} times smaller "
        "than the files it was made from.",
        f"- **Took** {took} on {device_name} (`{request.device}`), computed in {computed_in}, "
        f"with at most {size_text(model.peak_memory_bytes)} of memory.",
        f"- **Made** {datetime.now(UTC).strftime('%Y-%m-%d %H:%M UTC')} with "
        + ", ".join(f"{name} {version}" for name, version in versions.items())
        + ".",
    ]
    after = (
        "The licence and the limitations of the original model apply to this copy too. Its "
        "quality was not measured: compare it with the original on your own prompts."
    )
    return "\n".join([*front, "", f"# {folder}", "", *facts, "", after, ""])


def _gptq(request: QuantizeRequest) -> list[str]:
    path = request.calibration_file
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    groups = (
        f"groups of {request.group_size}" if request.group_size > 0 else "one scale for each row"
    )
    order = "with act-order" if request.act_order else "without act-order"
    sides = "symmetric" if request.symmetric else "not symmetric (stored as gptq_v2)"
    return [
        f"- **How**: GPTQ, {request.bits} bits, {groups}, {order}, {sides}. Embeddings, norms and "
        "the head are not quantized.",
        f"- **Calibrated** with {request.samples} pieces of {request.length} tokens of "
        f"`{path.name}`, sha256 `{digest}`.",
    ]


def _bitsandbytes(request: QuantizeRequest) -> list[str]:
    return [
        f"- **How**: {request.to.label}, quantized while it was loaded, and saved as it was then. "
        "Embeddings, norms and the head are not quantized.",
    ]
