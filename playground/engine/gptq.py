"""GPTQ checkpoints: which kernel can run them here, and folders that AutoGPTQ wrote."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from playground.core.errors import ModelError

_ATEN = "gptq_torch_aten"
_MARLIN = "gptq_marlin"
_TRITON = "gptq_triton"
_TORCH = "gptq_torch"  # unpacks each weight at each call, but runs anywhere


@dataclass(frozen=True)
class GptqSettings:
    """How a checkpoint was quantized."""

    bits: int
    group_size: int
    symmetric: bool
    stored: dict[str, Any]


def read_settings(folder: Path) -> GptqSettings:
    """Read them from config.json, or from where AutoGPTQ wrote them. Raises ModelError."""
    stored = json.loads((folder / "config.json").read_text("utf-8")).get("quantization_config")
    if not isinstance(stored, dict):
        path = folder / "quantize_config.json"
        stored = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    try:
        bits, group_size = int(stored["bits"]), int(stored.get("group_size", 128))
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(
            "The GPTQ checkpoint does not say how it was quantized.",
            "Choose one whose config.json has a quantization_config with bits and group_size.",
            repr(error),
        ) from error
    return GptqSettings(bits, group_size, bool(stored.get("sym", True)), stored)


def backends(settings: GptqSettings, device: str) -> list[tuple[str, str]]:
    """Return gptqmodel's backends that can run here, the fastest first, each with a note.

    The library's own choice asks less: it takes Marlin also where nothing can compile it.
    """
    if device == "cpu":
        packs = settings.bits == 4 and settings.group_size in (16, 32, 64, 128)
        return ([(_ATEN, "")] if packs else []) + [(_TORCH, "GPTQ runs on the slow torch kernel.")]
    found = []
    if _marlin_runs(settings, device):
        found.append((_MARLIN, ""))
    if find_spec("triton") and _has_c_compiler() and settings.bits in (2, 4, 8):
        found.append((_TRITON, "GPTQ runs on the Triton kernel: Marlin needs nvcc and ninja."))
    return [*found, (_TORCH, "GPTQ runs on the slow torch kernel: no compiler was found.")]


def dtype(device: str) -> torch.dtype:
    """What the kernels take: the CPU's bf16, the GPU's fp16."""
    return torch.bfloat16 if device == "cpu" else torch.float16


@contextmanager
def readable_folder(folder: Path, settings: GptqSettings) -> Iterator[Path]:
    """Yield a folder that transformers can read.

    AutoGPTQ named the weights after the quantization and kept the settings in a file of
    their own, and transformers looks at neither: such a folder is mirrored with links.
    """
    config = json.loads((folder / "config.json").read_text("utf-8"))
    weights = sorted(folder.glob("*.safetensors"))
    named = (folder / "model.safetensors").is_file() or any(folder.glob("*.index.json"))
    if isinstance(config.get("quantization_config"), dict) and (named or len(weights) != 1):
        yield folder
        return
    config["quantization_config"] = {**settings.stored, "quant_method": "gptq"}
    with tempfile.TemporaryDirectory(prefix="playground-gptq-") as temporary:
        mirror = Path(temporary)
        for path in folder.iterdir():
            if path.name != "config.json":
                name = path.name if named or path not in weights else "model.safetensors"
                (mirror / name).symlink_to(path.resolve())
        (mirror / "config.json").write_text(json.dumps(config), "utf-8")
        yield mirror


def try_kernel(model: Any) -> None:
    """Run one quantized layer, so that a kernel that cannot run here fails now."""
    for module in model.modules():
        if type(module).__module__.startswith("gptqmodel.nn_modules.qlinear"):
            parameters = next(model.parameters())
            with torch.no_grad():
                module(parameters.new_zeros(1, int(module.in_features)))
            return


def _marlin_runs(settings: GptqSettings, device: str) -> bool:
    home = os.environ.get("CUDA_HOME") or os.environ.get("CUDA_PATH") or "/usr/local/cuda"
    nvcc = shutil.which("nvcc") or shutil.which("nvcc", path=str(Path(home) / "bin"))
    return (
        nvcc is not None
        and (shutil.which("ninja") is not None or find_spec("ninja") is not None)
        and torch.cuda.get_device_capability(device) >= (8, 0)
        and settings.symmetric
        and settings.bits in (4, 8)
        and settings.group_size in (-1, 32, 64, 128)
    )


def _has_c_compiler() -> bool:
    named = os.environ.get("CC", "")
    return any(shutil.which(name) for name in (named, "cc", "gcc", "clang") if name)
