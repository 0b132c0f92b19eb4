"""Which ways of capturing a decode step can be tried for a model, the fastest first."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import torch

from playground.engine.cuda_graph.compiled_layers import compiled_layers, keep_compiled_programs
from playground.engine.cuda_graph.graph_step import (
    Capture,
    EagerRunner,
    FixedRead,
    FixedStep,
    GraphRunner,
    StepRunner,
)
from playground.engine.decoding.decoder import Tell, silent


def captures_for(model: Any) -> tuple[list[Capture], str]:
    """Return the ways, and why there are none on a device that captures ("" elsewhere)."""
    if model.device.type != "cuda":
        return [], ""
    if reason := waits_for_host(model):
        return [], f"The decode step is not captured in a CUDA graph: {reason}."
    torch.cuda.set_device(model.device)  # graphs are captured and run on the present one
    return [_compiled(model), _as_it_is], ""


def capture_reading(step: FixedRead) -> StepRunner:
    """The runner for short prompts: nothing is compiled for it, which would take as long again."""
    if step.device.type != "cuda":
        return EagerRunner(step)
    return GraphRunner(step, "", nullcontext(), silent)


def waits_for_host(model: Any) -> str:
    """Return what in the model's layers waits for the host in each step; "" where nothing does."""
    for module in model.modules():
        threshold = getattr(getattr(module, "state", None), "threshold", 0.0)
        if type(module).__name__ == "Linear8bitLt" and threshold > 0:
            return "bitsandbytes' exact int8 product finds its outliers on the host"
    return ""


def _compiled(model: Any) -> Capture:
    def capture(step: FixedStep, tell: Tell) -> StepRunner:
        keep_compiled_programs()
        tell("compiling the layers")
        name = "own loop, compiled layers in a CUDA graph"
        return GraphRunner(step, name, compiled_layers(model, step), tell)

    return capture


def _as_it_is(step: FixedStep, tell: Tell) -> StepRunner:
    """Kernels that no compiler sees into are captured as they are launched."""
    return GraphRunner(step, "own loop, CUDA graph", nullcontext(), tell)


def still_works(device: Any) -> bool:
    """Whether the device goes on after a failure: some leave it unusable."""
    if device.type != "cuda":
        return True
    try:
        torch.cuda.synchronize(device)
    except RuntimeError:
        return False
    return True
