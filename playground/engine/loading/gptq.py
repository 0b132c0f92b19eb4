"""Reads GPTQ checkpoints: how they were quantized, and which kernels can run them here."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from transformers import PreTrainedModel

from playground.core.errors import ModelError
from playground.core.model.checkpoint import weight_files
from playground.core.model.weights import BUFFERS
from playground.core.system.reader import read_object
from playground.engine.machine import cuda_compiler

#: The file in which AutoGPTQ stored the settings, instead of config.json.
SETTINGS_FILE = "quantize_config.json"
_WEIGHTS, _INDEX = "model.safetensors", "model.safetensors.index.json"
_ATEN = "gptq_torch_aten"
_MARLIN = "gptq_marlin"
_TRITON = "gptq_triton"
_TORCH = "gptq_torch"  # runs anywhere, but unpacks each weight at each call
#: Bits that gptqmodel's torch kernel supports; AutoGPTQ wrote 2, 3, 4 and 8.
BITS = (2, 3, 4, 5, 6, 7, 8)
GROUP_SIZES = (16, 32, 64, 128, 256, 512, 1024)


@dataclass(frozen=True)
class GptqSettings:
    """How a checkpoint was quantized; `stored` is the JSON object of the file."""

    bits: int
    group_size: int
    symmetric: bool
    act_order: bool
    stored: dict[str, Any]


def read_settings(folder: Path) -> GptqSettings:
    """Read the settings from config.json, or from AutoGPTQ's own file.

    Raises ModelError where they are missing, or where no kernel takes the packing.
    """
    stored = read_object(folder / "config.json").get("quantization_config")
    if not isinstance(stored, dict):
        path = folder / SETTINGS_FILE
        stored = read_object(path) if path.is_file() else {}
    try:
        bits, group_size = int(stored["bits"]), int(stored.get("group_size", 128))
    except Exception as error:  # a missing value, or one that is no number
        raise ModelError(
            "The GPTQ checkpoint does not say how it was quantized.",
            "Choose one whose config.json has a quantization_config with bits and group_size.",
            repr(error),
        ) from error
    _check_packing(bits, group_size, stored)
    return GptqSettings(
        bits, group_size, bool(stored.get("sym", True)), bool(stored.get("desc_act")), stored
    )


def _check_packing(bits: int, group_size: int, stored: dict[str, Any]) -> None:
    """Raise ModelError where no kernel takes the packing."""
    packing = str(stored.get("checkpoint_format") or stored.get("format") or "gptq")[:40]
    if stored.get("is_marlin_format"):
        packing = "marlin"
    if packing not in ("gptq", "gptq_v2"):
        raise ModelError(
            f"The weights are packed for {packing}, which only its own kernel can read.",
            "Choose the same model in the plain GPTQ format.",
        )
    if bits not in BITS:
        raise ModelError(
            f"There is no kernel for GPTQ weights of {bits} bits.",
            f"Choose a checkpoint of {', '.join(map(str, BITS[:-1]))} or {BITS[-1]} bits.",
        )
    if group_size != -1 and group_size not in GROUP_SIZES:
        raise ModelError(
            f"There is no kernel for GPTQ weights in groups of {group_size}.",
            f"Choose a checkpoint with groups of {', '.join(map(str, GROUP_SIZES))}, or with none "
            "(-1).",
        )


@dataclass(frozen=True)
class Kernel:
    """A kernel that can run here: gptqmodel's name for it, and a note for the user.

    With `int4` the loaded layers are repacked for torch's int4 matmul.
    """

    backend: str
    dtype: torch.dtype
    note: str = ""
    int4: bool = False


def kernels(settings: GptqSettings, device: str) -> list[Kernel]:
    """Return the kernels that can run on a device, the fastest first.

    gptqmodel's automatic choice checks less: it takes Marlin even without a compiler for it.
    """
    slow = "GPTQ runs on the slow torch kernel, which unpacks each weight at each call."
    if device == "cpu":
        fast = []
        if settings.bits == 4:
            packs = settings.group_size in (16, 32, 64, 128)
            fast.append(Kernel(_ATEN if packs else _TORCH, torch.bfloat16, int4=not packs))
        return [*fast, Kernel(_TORCH, torch.bfloat16, slow)]
    found: list[Kernel] = []
    recent = torch.cuda.get_device_capability(device) >= (8, 0)
    if recent and _marlin_takes(settings) and cuda_compiler.works():
        found.append(Kernel(_MARLIN, torch.float16))
    if recent and settings.bits == 4:
        found.append(Kernel(_TORCH, torch.bfloat16, int4=True))
    if find_spec("triton") and _has_c_compiler() and settings.bits in (2, 4, 8):
        note = "GPTQ runs on the Triton kernel, which unpacks each weight at each call."
        found.append(Kernel(_TRITON, torch.float16, note))
    return [*found, Kernel(_TORCH, torch.float16, slow)]


def translated(folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Return new texts by file name, and new file names by old ones, for a folder of AutoGPTQ.

    AutoGPTQ named the weights after the quantization, and stored the settings in SETTINGS_FILE;
    transformers reads neither. Both dictionaries are empty for any other folder.
    """
    config = read_object(folder / "config.json")
    texts: dict[str, str] = {}
    if not isinstance(config.get("quantization_config"), dict):
        if not (folder / SETTINGS_FILE).is_file():
            return {}, {}
        stored = read_settings(folder).stored
        config["quantization_config"] = {**stored, "quant_method": "gptq"}
        texts["config.json"] = json.dumps(config)
    elif str(config["quantization_config"].get("quant_method", "gptq")).lower() != "gptq":
        return {}, {}
    index, files = weight_files(folder)
    if index is not None:
        return texts, {index.name: _INDEX} if index.name != _INDEX else {}
    named = len(files) == 1 and files[0].name != _WEIGHTS
    return texts, {files[0].name: _WEIGHTS} if named else {}


def without_leftovers(folder: Path, unexpected: Iterable[str]) -> list[str]:
    """Return the unexpected tensors that mean something, sorted.

    Old checkpoints have caches of the rotary embedding, and AutoGPTQ's a bias of zeros for every
    packed layer of a model without biases.
    """
    names = {name for name in unexpected if not name.endswith(BUFFERS)}
    biases = {name for name in names if name.endswith(".bias")}
    stored: set[str] = set()
    zeros: set[str] = set()
    for path in folder.glob("*.safetensors") if biases else ():
        with safe_open(path, framework="pt") as file:
            stored |= set(file.keys())
            zeros |= {name for name in biases & set(file.keys()) if not file.get_tensor(name).any()}
    packed = {name for name in zeros if f"{name.removesuffix('bias')}qweight" in stored}
    return sorted(names - packed)


def run_uncompiled(model: PreTrainedModel) -> None:
    """Undo gptqmodel's torch.compile of the function that unpacks a weight.

    It compiles each layer anew, for seconds to minutes. On a CPU that gained at most a fifth of a
    product's time (8 bits), and lost as much with 2 bits.
    """
    for module in model.modules():
        if _is_gptqmodel(module):
            vars(module).pop("dequantize_weight", None)


def try_kernel(model: PreTrainedModel) -> None:
    """Run the model once: a kernel that cannot run here fails at the load, not later."""
    with torch.inference_mode():
        model(input_ids=torch.ones((1, 2), dtype=torch.long, device=model.device))


def _is_gptqmodel(module: torch.nn.Module) -> bool:
    return type(module).__module__.startswith("gptqmodel.nn_modules.qlinear")


def _marlin_takes(settings: GptqSettings) -> bool:
    return (
        settings.symmetric and settings.bits in (4, 8) and settings.group_size in (-1, 32, 64, 128)
    )


def _has_c_compiler() -> bool:
    named = os.environ.get("CC", "")
    return any(shutil.which(name) for name in (named, "cc", "gcc", "clang") if name)
