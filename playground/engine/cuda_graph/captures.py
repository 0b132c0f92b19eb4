"""The ways to capture a model's decode step in a CUDA graph."""

from __future__ import annotations

from contextlib import nullcontext

import torch
from transformers import PreTrainedModel

from playground.engine.cuda_graph.compiled_layers import compiled_layers, keep_compiled_programs
from playground.engine.cuda_graph.graph_step import (
    Capture,
    EagerRunner,
    FixedPrefill,
    FixedStep,
    GraphRunner,
    StepRunner,
)
from playground.engine.decoding.decoder import Tell, silent


def captures_for(model: PreTrainedModel) -> tuple[list[Capture], str]:
    """Return the ways to try, and a note for the user if a CUDA device has none ("" otherwise)."""
    if model.device.type != "cuda":
        return [], ""
    if reason := waits_for_host(model):
        return [], f"The decode step is not captured in a CUDA graph: {reason}."
    torch.cuda.set_device(model.device)  # the one on which graphs are captured and run
    return [_compiled(model), _plain], ""


def capture_prefill(step: FixedPrefill) -> StepRunner:
    """Return the runner for short prompts, uncompiled: compiling would double the capture time."""
    if step.device.type != "cuda":
        return EagerRunner(step)
    return GraphRunner(step, "", nullcontext(), silent)


def waits_for_host(model: torch.nn.Module) -> str:
    """Return what makes each step wait for the host, for the user; "" if nothing does."""
    for module in model.modules():
        threshold = getattr(getattr(module, "state", None), "threshold", 0.0)
        if type(module).__name__ == "Linear8bitLt" and threshold > 0:
            return "bitsandbytes' exact int8 product finds its outliers on the host"
    return ""


def _compiled(model: PreTrainedModel) -> Capture:
    def capture(step: FixedStep, tell: Tell) -> StepRunner:
        keep_compiled_programs()
        tell("compiling the layers")
        name = "CUDA-graph loop, compiled layers"
        return GraphRunner(step, name, compiled_layers(model, step), tell)

    return capture


def _plain(step: FixedStep, tell: Tell) -> StepRunner:
    """Capture the kernels as the model launches them."""
    return GraphRunner(step, "CUDA-graph loop, model's kernels", nullcontext(), tell)


def still_works(device: torch.device) -> bool:
    """Return whether the device is usable after a failure: a CUDA context may be lost."""
    if device.type != "cuda":
        return True
    try:
        torch.cuda.synchronize(device)
    except RuntimeError:
        return False
    return True
