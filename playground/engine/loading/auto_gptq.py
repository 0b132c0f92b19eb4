"""Loads a GPTQ checkpoint with the original auto-gptq, in an environment that has it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from transformers import PreTrainedModel

from playground.core.errors import ModelError
from playground.core.model.checkpoint import weight_files
from playground.core.model.safetensors_header import read_header
from playground.engine.loading.gptq import GptqSettings

_BITS = (2, 3, 4, 8)
_NOTE = (
    "Loaded by auto-gptq in fp16. On a CPU its kernel is slow: it unpacks each weight at each call."
)


def load(
    folder: Path, settings: GptqSettings, device: str, *, trust: bool
) -> tuple[PreTrainedModel, str]:
    """Return the model and a note for the user.

    `folder` has the file names that transformers expects. Raises ModelError where weights are
    missing or auto-gptq has no kernel, else what the library raises.
    """
    from auto_gptq import AutoGPTQForCausalLM, BaseQuantizeConfig

    if settings.bits not in _BITS:
        raise ModelError(
            f"auto-gptq has no kernel for {settings.bits} bits.",
            "Load the model in the playground's own environment.",
        )
    try:
        wrapped = AutoGPTQForCausalLM.from_quantized(
            str(folder),
            device=device,
            use_safetensors=True,
            torch_dtype=torch.float16,
            model_basename="model",
            trust_remote_code=trust,
            quantize_config=BaseQuantizeConfig(
                bits=settings.bits,
                group_size=settings.group_size,
                desc_act=settings.act_order,
                sym=settings.symmetric,
            ),
            local_files_only=True,
        )
    except TypeError as error:
        if "supported yet" not in str(error):
            raise
        raise ModelError(
            f"auto-gptq does not know this architecture: {error}",
            "Load the model in the playground's own environment.",
        ) from error
    model: PreTrainedModel = wrapped.model
    missing = _missing(folder, model)
    for name, module in model.named_modules():
        packed: Any = module  # auto-gptq has no annotations
        if not type(module).__module__.startswith("auto_gptq.") or packed.bias is None:
            continue
        # auto-gptq gives each packed layer a bias, of zeros where the model has none.
        if f"{name}.bias" in missing or not packed.bias.any():
            missing.discard(f"{name}.bias")
            packed.bias = None
    check_missing(missing)
    return model, _NOTE if device == "cpu" else "Loaded by auto-gptq."


def check_missing(names: Iterable[str], unknown: Sequence[str] = ()) -> None:
    """Raise ModelError if weights are missing: libraries initialize them at random.

    `unknown` are the names in the files that are no weight of the model.
    """
    missing = sorted(names)
    if not missing:
        return
    message = f"The model's files lack {len(missing)} of its weights, for example {missing[0]}"
    remedy = "Download the model again, or choose one whose weights fit its config.json."
    if unknown:
        message += f", and have {len(unknown)} that it does not know, for example {unknown[0]}"
        remedy = (
            "Rename the tensors in the files to the names that transformers uses, or choose a "
            "version that transformers' `save_pretrained` wrote."
        )
        if prefix := _common_prefix(missing, unknown):
            remedy = (
                f"Remove “{prefix}” from the names of the tensors in the files, with safetensors' "
                "`load_file` and `save_file`."
            )
    raise ModelError(f"{message}.", remedy, "\n".join([*missing, "", *unknown]))


def _common_prefix(missing: Sequence[str], unknown: Sequence[str]) -> str:
    """Return what stands before nearly every missing name in the files, "" for nothing.

    A tied weight is missing under its second name, too.
    """
    known = set(unknown)
    for name in missing[:3]:
        stored = next((other for other in unknown if other.endswith(name)), name)
        prefix = stored.removesuffix(name)
        if prefix and len({prefix + each for each in missing} & known) > 0.9 * len(missing):
            return prefix
    return ""


def _missing(folder: Path, model: PreTrainedModel) -> set[str]:
    """Return the names of weights that are in no file; load tied weights.

    auto-gptq does not report missing weights. A tied weight is stored under one of its names, and
    accelerate 0.30 may keep the memory of the other name, uninitialized.
    """
    index, files = weight_files(folder)
    if index is not None:
        files = sorted(folder.glob("*.safetensors"))
    stored_in = {tensor.name: path for path in files for tensor in read_header(path)}
    state: dict[str, torch.Tensor] = model.state_dict(keep_vars=True)
    filled = {state[name].data_ptr(): name for name in stored_in if name in state}
    absent = {name for name in state if name not in stored_in}
    for pointer in {state[name].data_ptr() for name in absent} & filled.keys():
        name = filled[pointer]
        with safe_open(stored_in[name], framework="pt") as file, torch.no_grad():
            state[name].copy_(file.get_tensor(name))
    return {name for name in absent if state[name].data_ptr() not in filled}
