"""Runs GPTQ (Frantar et al., 2022): optimum's loop over the blocks with gptqmodel's solver."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PretrainedConfig, PreTrainedModel
from transformers.pytorch_utils import Conv1D

from playground.core.errors import EngineError, ModelError
from playground.core.model.checkpoint import Checkpoint
from playground.core.quantizing.plan import disk_bytes
from playground.core.quantizing.request import Estimate, QuantizeRequest
from playground.engine.machine import compat, memory
from playground.engine.machine.errors import is_out_of_memory
from playground.engine.quantizing.calibration import Piece
from playground.engine.quantizing.passes import Passes

#: Pieces of text in a measurement: the first one includes slow first calls.
_MEASURED = 2
#: gptqmodel packs both dimensions of a weight into words of 32 bits.
_WORD = 32

Blocks = Sequence[torch.nn.Module]


@dataclass(frozen=True)
class Plan:
    """The parts of a model that GPTQ quantizes, known before the weights are read."""

    block_list: str  # the name of the module that lists the blocks
    linear: tuple[int, ...]  # the number of linear layers in each block
    widest: int  # the inputs of the widest linear layer
    hidden: int  # the width between the blocks

    def passes(self, samples: int) -> list[int]:
        """Return the forward passes through each block, as Passes counts them."""
        return [(count + 1) * samples for count in self.linear]

    def blocks(self, model: PreTrainedModel) -> list[torch.nn.Module]:
        """Return the model's blocks in order."""
        return list(model.get_submodule(self.block_list).children())


def make_plan(request: QuantizeRequest, folder: Path) -> Plan:
    """Inspect the model without its weights. Raises ModelError if GPTQ cannot quantize it."""
    from optimum.gptq.utils import get_block_name_with_pattern, get_layers

    with torch.device("meta"):
        model: PreTrainedModel = AutoModelForCausalLM.from_config(
            _config(request, folder), trust_remote_code=bool(request.trust_remote_code)
        )
    try:
        name = get_block_name_with_pattern(model)
    except ValueError as error:
        raise ModelError(
            "GPTQ does not know where this architecture keeps its layers.",
            "Save it as int8 or NF4 instead, or choose another model.",
            str(error),
        ) from error
    modules = list(model.get_submodule(name).children())
    layers = [get_layers(block) for block in modules]
    if any(isinstance(layer, Conv1D) for found in layers for layer in found.values()):
        raise ModelError(
            "transformers cannot load GPTQ versions of GPT-2's architecture.",
            "Save it as int8 or NF4 instead, or choose another model.",
        )
    widths = {
        f"{name}.{number}.{inner}": (layer.in_features, layer.out_features)
        for number, found in enumerate(layers)
        for inner, layer in found.items()
    }
    _check_widths(request, widths)
    weights = sum(parameter.numel() for block in modules for parameter in block.parameters())
    if sum(inputs * outputs for inputs, outputs in widths.values()) < weights / 2:
        raise ModelError(
            "Most of this model's weights are not in linear layers that GPTQ can quantize here. "
            "(A mixture's experts, for example, are stored together.)",
            "Choose another model, or a GPTQ version that its makers published.",
        )
    return Plan(
        block_list=name,
        linear=tuple(len(found) for found in layers),
        widest=max(inputs for inputs, _ in widths.values()),
        hidden=int(compat.text_config(model).hidden_size),
    )


def memory_needed(
    request: QuantizeRequest, checkpoint: Checkpoint, plan: Plan, dtype: torch.dtype
) -> int:
    """Return the calculated bytes that GPTQ needs.

    The sum of weights, inputs and outputs of one layer, Hessians, and packed copies.
    """
    size = dtype.itemsize
    activations = 2 * request.samples * request.length * plan.hidden * size
    hessians = 4 * plan.widest**2 * 4  # the Hessian, its inverse and two work copies, in fp32
    packed = checkpoint.sizes.linear_values * request.bits // 8
    return checkpoint.parameters * size + activations + hessians + packed


def quantize(
    model: PreTrainedModel, request: QuantizeRequest, pieces: Sequence[Piece], passes: Passes
) -> Any:
    """Quantize a plain model in place; return optimum's quantizer for `finish`.

    Raises InterruptedForwardError where the request is cancelled.
    """
    quantizer = _quantizer(request, pieces)
    with passes:
        quantizer.quantize_model(model)
    return quantizer


def finish(model: PreTrainedModel, quantizer: Any, dtype: torch.dtype) -> None:
    """Prepare a quantized model for save_pretrained, with `dtype` for unquantized tensors.

    gptqmodel works with the format "gptq_v2", which stores a zero point as it is. Most programs
    read only "gptq", which stores it less one. The conversion is exact for symmetric weights;
    an asymmetric zero point can be 0, which "gptq" cannot store, so these stay "gptq_v2".
    """
    from gptqmodel.utils.model import convert_gptq_v2_to_v1_format_module

    packed = [m for m in model.modules() if isinstance(m, quantizer.quant_linear)]
    common = bool(quantizer.sym)
    if common:
        for module in packed:
            convert_gptq_v2_to_v1_format_module(module, quantizer.quantizeConfig)
    inside = {
        id(tensor)
        for module in packed
        for tensor in (*module.parameters(recurse=False), *module.buffers(recurse=False))
    }
    for tensor in (*model.parameters(), *model.buffers()):
        # transformers refuses to cast a quantized model as a whole.
        if tensor.is_floating_point() and id(tensor) not in inside:
            tensor.data = tensor.data.to(dtype)
    settings = quantizer.to_dict()
    del settings["dataset"]  # the whole calibration text, which nobody needs later
    settings["format"] = settings["checkpoint_format"] = "gptq" if common else "gptq_v2"
    config: Any = model.config  # its annotations leave `quantization_config` out
    config.quantization_config = settings


def measure(
    request: QuantizeRequest,
    checkpoint: Checkpoint,
    plan: Plan,
    folder: Path,
    pieces: Sequence[Piece],
    dtype: torch.dtype,
    make_passes: Callable[[Blocks, Sequence[int]], Passes],
) -> Estimate:
    """Quantize the model's first layer with two pieces of text, and extrapolate.

    Raises what `quantize` raises, and EngineError where one layer cannot be loaded alone.
    """
    model = _first_layer(request, folder, dtype)
    passes = make_passes(plan.blocks(model), plan.passes(_MEASURED)[:1])
    quantize(model, request, pieces[:_MEASURED], passes)
    # The time for solving and packing does not depend on the amount of text.
    solving = passes.elapsed_s - sum(passes.forward_s)
    solve = solving * sum(plan.linear) / plan.linear[0]
    count = sum(plan.passes(request.samples))
    slow = statistics.mean(passes.forward_s)
    fast = statistics.median(passes.forward_s[1:])
    least, most = sorted((solve + count * fast, solve + count * slow))
    return Estimate(
        least_s=least,
        most_s=most,
        memory_bytes=memory.resident() + memory_needed(request, checkpoint, plan, dtype),
        disk_bytes=disk_bytes(request, checkpoint),
        basis=(
            f"Time: the first of {len(plan.linear)} layers was quantized with {_MEASURED} pieces "
            "of the text on this device; reading and writing the files is not included. Memory: "
            f"arithmetic, with the model in {str(dtype).removeprefix('torch.')}."
        ),
    )


def _config(request: QuantizeRequest, folder: Path) -> PretrainedConfig:
    trust = bool(request.trust_remote_code)
    config: PretrainedConfig = AutoConfig.from_pretrained(
        folder, local_files_only=True, trust_remote_code=trust
    )
    return config


def _first_layer(request: QuantizeRequest, folder: Path, dtype: torch.dtype) -> PreTrainedModel:
    """Load the model with its first layer only. Raises EngineError where that is impossible."""
    config = _config(request, folder)
    text: Any = config.get_text_config()
    text.num_hidden_layers = 1
    if getattr(text, "layer_types", None):
        text.layer_types = text.layer_types[:1]
    try:
        model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
            folder,
            config=config,
            device_map={"": request.device},
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=bool(request.trust_remote_code),
            dtype=dtype,
        )
    except (ValueError, RuntimeError) as error:
        if is_out_of_memory(error):
            raise
        raise EngineError(
            "One layer of this model cannot be loaded alone, so nothing could be measured.",
            "Start without an estimate: after the first layer the time left is shown.",
            str(error),
        ) from error
    return model


def _quantizer(request: QuantizeRequest, pieces: Sequence[Piece]) -> Any:
    """Return optimum's quantizer; its library has no annotations."""
    from optimum.gptq import GPTQQuantizer

    class Quantizer(GPTQQuantizer):  # type: ignore[misc]  # optimum has no types
        def post_init_model(self, model: PreTrainedModel) -> PreTrainedModel:
            """Keep the packed weights: optimum would rearrange them for a kernel."""
            return model

    return Quantizer(
        bits=request.bits,
        dataset=list(pieces),
        group_size=request.group_size,
        desc_act=request.act_order,
        # Sorting whole groups by activation does not slow down decoding; it needs groups.
        act_group_aware=not request.act_order and request.group_size > 0,
        sym=request.symmetric,
        model_seqlen=request.length,
        backend="gptq_torch",  # packs every number of bits
    )


def _check_widths(request: QuantizeRequest, widths: dict[str, tuple[int, int]]) -> None:
    if not widths:
        raise ModelError(
            "This model's blocks have no linear layers.", "Choose another model for GPTQ."
        )
    group = request.group_size if request.group_size > 0 else _WORD
    for name, (inputs, outputs) in widths.items():
        if inputs % _WORD or outputs % _WORD:
            raise ModelError(
                f"GPTQ packs weights in multiples of {_WORD}, and the layer {name} has "
                f"{inputs} × {outputs}.",
                "Save the model as int8 or NF4 instead.",
            )
        if inputs % group:
            fitting = [size for size in (32, 64, 128) if inputs % size == 0]
            raise ModelError(
                f"Groups of {group} do not divide the {inputs} inputs of the layer {name}.",
                f"Choose groups of {max(fitting)}, or one scale a row (-1).",
            )
