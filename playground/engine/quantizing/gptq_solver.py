"""GPTQ itself: optimum's loop over the blocks with gptqmodel's solver, packed for every reader."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.pytorch_utils import Conv1D

from playground.core.errors import EngineError, ModelError
from playground.core.model.checkpoint import Checkpoint
from playground.core.quantize import Estimate, QuantizeRequest
from playground.core.quantizing.plan import disk_bytes
from playground.engine.machine import compat, memory
from playground.engine.machine.errors import is_out_of_memory
from playground.engine.quantizing.passes import Passes

#: Pieces of text in a measurement: the first pays for first calls.
_MEASURED = 2
#: gptqmodel packs 32-bit words of both sides.
_WORD = 32


@dataclass(frozen=True)
class Plan:
    """What GPTQ is going to do, known before the weights are read."""

    blocks: str  # the name of the list of blocks
    linear: tuple[int, ...]  # linear layers of each block
    widest: int  # inputs of the widest
    hidden: int

    def passes(self, samples: int) -> list[int]:
        return [(count + 1) * samples for count in self.linear]


def plan(request: QuantizeRequest, folder: Path) -> Plan:
    """Look at the model without its weights. Raises ModelError where GPTQ cannot do it."""
    from optimum.gptq.utils import get_block_name_with_pattern, get_layers

    trust = bool(request.trust_remote_code)
    config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=trust)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, trust_remote_code=trust)
    try:
        name = get_block_name_with_pattern(model)
    except ValueError as error:
        raise ModelError(
            "GPTQ does not know where this architecture keeps its layers.",
            "Save it as int8 or NF4 instead, or choose another model.",
            str(error),
        ) from error
    modules = list(model.get_submodule(name))
    layers = [get_layers(block) for block in modules]
    if any(isinstance(layer, Conv1D) for found in layers for layer in found.values()):
        raise ModelError(
            "transformers cannot load GPTQ versions of GPT-2's kind.",
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
            "Most of this model's weights are not in linear layers that GPTQ can quantize here "
            "(experts are stored together, for one).",
            "Choose another model, or a GPTQ version that its makers published.",
        )
    return Plan(
        blocks=name,
        linear=tuple(len(found) for found in layers),
        widest=max(inputs for inputs, _ in widths.values()),
        hidden=int(compat.text_config(model).hidden_size),
    )


def memory_needed(
    request: QuantizeRequest, checkpoint: Checkpoint, what: Plan, dtype: torch.dtype
) -> int:
    """Bytes by arithmetic: the weights, one layer's inputs and outputs, Hessians, packed copies."""
    size = dtype.itemsize
    activations = 2 * request.samples * request.length * what.hidden * size
    hessians = 4 * what.widest**2 * 4  # it, its inverse and two factors of work, in fp32
    packed = checkpoint.sizes.linear_values * request.bits // 8
    return checkpoint.parameters * size + activations + hessians + packed


def quantize(
    model: Any, request: QuantizeRequest, pieces: list[dict[str, Any]], watch: Passes
) -> Any:
    """Quantize a plain model in place; return optimum's quantizer for `finish`.

    Raises InterruptedForwardError where the watch says so.
    """
    quantizer = _quantizer(request, pieces)
    with watch:
        quantizer.quantize_model(model)
    return quantizer


def finish(model: Any, quantizer: Any, dtype: torch.dtype) -> None:
    """Make a quantized model ready for save_pretrained: the common format, `dtype` elsewhere.

    gptqmodel works with "gptq_v2", where a zero point is stored as it is. Every other program
    reads "gptq", where each is stored less one. That is exact for symmetric weights; without
    symmetry a zero of 0 would not fit, and the newer format stays.
    """
    from gptqmodel.utils.model import convert_gptq_v2_to_v1_format_module

    packed = [m for m in model.modules() if isinstance(m, quantizer.quant_linear)]
    common = bool(quantizer.sym)
    if common:
        for module in packed:
            convert_gptq_v2_to_v1_format_module(module, quantizer.quantizeConfig)
    inside = {id(tensor) for module in packed for tensor in _own(module)}
    for tensor in (*model.parameters(), *model.buffers()):
        # transformers refuses to cast a quantized model as a whole.
        if tensor.is_floating_point() and id(tensor) not in inside:
            tensor.data = tensor.data.to(dtype)
    settings = quantizer.to_dict()
    del settings["dataset"]  # the whole calibration text, of no later use
    settings["format"] = settings["checkpoint_format"] = "gptq" if common else "gptq_v2"
    model.config.quantization_config = settings


def measure(
    request: QuantizeRequest,
    checkpoint: Checkpoint,
    what: Plan,
    folder: Path,
    pieces: Sequence[dict[str, Any]],
    dtype: torch.dtype,
    watch_with: Callable[[list[Any], list[int]], Passes],
) -> Estimate:
    """Quantize the model's first layer with two pieces of text, and reckon from that.

    `watch_with(blocks, passes)` makes the Passes. Raises what `quantize` raises.
    """
    model = first_layer(request, folder, dtype)
    watch = watch_with(blocks(model, what), what.passes(_MEASURED)[:1])
    quantize(model, request, list(pieces[:_MEASURED]), watch)
    rest = watch.elapsed_s - sum(watch.forward_s)  # solving and packing, whatever the text
    passes = sum(what.passes(request.samples))
    slow = statistics.mean(watch.forward_s)
    fast = statistics.median(watch.forward_s[1:])
    solve = rest * sum(what.linear) / what.linear[0]
    least, most = sorted((solve + passes * fast, solve + passes * slow))
    return Estimate(
        least_s=least,
        most_s=most,
        memory_bytes=memory.resident() + memory_needed(request, checkpoint, what, dtype),
        disk_bytes=disk_bytes(request, checkpoint),
        basis=(
            f"Time: the first of {len(what.linear)} layers was quantized with {_MEASURED} pieces "
            "of the text on this device, without reading and writing the files. Memory: "
            f"arithmetic, with the model in {str(dtype).removeprefix('torch.')}."
        ),
    )


def first_layer(request: QuantizeRequest, folder: Path, dtype: torch.dtype) -> Any:
    """Load the model with its first layer only. Raises EngineError where it has no such version."""
    trust = bool(request.trust_remote_code)
    config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=trust)
    text = config.get_text_config()
    text.num_hidden_layers = 1
    if getattr(text, "layer_types", None):
        text.layer_types = text.layer_types[:1]
    try:
        return AutoModelForCausalLM.from_pretrained(
            folder,
            config=config,
            device_map={"": request.device},
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=trust,
            dtype=dtype,
        )
    except (ValueError, RuntimeError) as error:
        if is_out_of_memory(error):
            raise
        raise EngineError(
            "One layer of this model cannot be loaded alone, so nothing could be measured.",
            "Start without an estimate: the time left shows after the first layer.",
            str(error),
        ) from error


def blocks(model: Any, what: Plan) -> list[Any]:
    """The blocks of a model, one after the other."""
    return list(model.get_submodule(what.blocks))


def _quantizer(request: QuantizeRequest, pieces: list[dict[str, Any]]) -> Any:
    from optimum.gptq import GPTQQuantizer

    class Quantizer(GPTQQuantizer):  # type: ignore[misc]  # optimum has no types
        def post_init_model(self, model: Any) -> Any:
            """Keep the weights as packed: kernels would lay them out for themselves."""
            return model

    return Quantizer(
        bits=request.bits,
        dataset=pieces,
        group_size=request.group_size,
        desc_act=request.act_order,
        # Sorting whole groups by activation costs the reader nothing; it needs groups.
        act_group_aware=not request.act_order and request.group_size > 0,
        sym=request.symmetric,
        model_seqlen=request.length,
        backend="gptq_torch",  # packs every number of bits
    )


def _check_widths(request: QuantizeRequest, widths: dict[str, tuple[int, int]]) -> None:
    if not widths:
        raise ModelError(
            "This model's layers have no linear layers.", "Choose another model for GPTQ."
        )
    group = request.group_size if request.group_size > 0 else _WORD
    for name, (inputs, outputs) in widths.items():
        if inputs % _WORD or outputs % _WORD:
            raise ModelError(
                f"GPTQ packs {_WORD} weights a word, and the layer {name} is {inputs} × {outputs}.",
                "Save the model as int8 or NF4 instead.",
            )
        if inputs % group:
            fitting = [size for size in (32, 64, 128) if inputs % size == 0]
            raise ModelError(
                f"Groups of {group} do not divide the {inputs} inputs of the layer {name}.",
                f"Choose groups of {max(fitting)}, or one scale a row (-1).",
            )


def _own(module: Any) -> list[Any]:
    return [*module.parameters(recurse=False), *module.buffers(recurse=False)]
