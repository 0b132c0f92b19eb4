"""Reads what a model folder holds, without torch, and refuses what cannot be loaded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playground.core.errors import FileError, ModelError
from playground.core.facts import EngineFacts
from playground.core.format import path_text
from playground.core.model.counts import check_counts, positive_int
from playground.core.model.folder import check_folder, file_named
from playground.core.model.kind import (
    check_generates,
    file_not_folder,
    format_reason,
    original_remedy,
    other_format,
)
from playground.core.model.remote_code import brings_code
from playground.core.model.safetensors_header import BITS, StoredTensor, read_header
from playground.core.model.weights import ModelSizes, model_sizes, quantization_of
from playground.core.precision import LOADABLE, Precision
from playground.core.system.reader import TABLE_BYTES, is_folder, read_object

_TOKENIZER_FILES = (
    "tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model",
    "sentencepiece.bpe.model", "tekken.json",
)  # fmt: skip
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")
#: Quantization methods, by the config's names, that a precision of the playground can run.
_QUANTIZED_AS = {"gptq": Precision.GPTQ, "int8": Precision.INT8, "nf4": Precision.NF4}
#: Model types whose linear layers bitsandbytes does not know.
_OWN_LINEAR = frozenset({"falcon"})


@dataclass(frozen=True)
class Checkpoint:
    """A model folder that can be loaded.

    Sizes in bytes; `parameters` counts logical weights, `context_length` and `vocabulary` tokens
    (0 where unknown).
    """

    folder: Path
    architecture: str
    model_type: str
    quantization: str  # "" | "gptq" | "int8" | "nf4" | another method's own name
    stored_dtype: str
    parameters: int
    weight_bytes: int
    context_length: int
    vocabulary: int
    has_chat_template: bool
    remote_code: bool
    sizes: ModelSizes  # for the memory plan


def read_checkpoint(folder: Path) -> Checkpoint:
    """Describe the model in `folder`. Raises ModelError where it cannot be loaded."""
    config = _read_config(folder)
    check_folder(folder)
    check_generates(config)
    tensors, weight_bytes = _read_weights(folder)
    if not any((folder / name).is_file() for name in _TOKENIZER_FILES):
        raise ModelError(
            f"The model in {folder.name} lacks its tokenizer.",
            "Copy the tokenizer files (tokenizer.json or tokenizer.model) into the folder from "
            "the model that this one was made from.",
        )
    text_config = config.get("text_config")
    inner = text_config if isinstance(text_config, dict) else config
    sizes = model_sizes(tensors, _with_settings(folder, config), weight_bytes)
    architectures = config.get("architectures")
    first = architectures[0] if isinstance(architectures, list) and architectures else "unknown"
    return Checkpoint(
        folder=folder,
        architecture=_name(first),
        model_type=_name(config.get("model_type")),
        quantization=sizes.quantization,
        stored_dtype=_main_dtype(tensors),
        parameters=sizes.parameters,
        weight_bytes=weight_bytes,
        context_length=sizes.context,
        vocabulary=positive_int(inner, "vocab_size"),
        has_chat_template=_has_chat_template(folder),
        remote_code=brings_code(folder),
        sizes=sizes,
    )


def precision_reasons(
    checkpoint: Checkpoint, device_id: str, facts: EngineFacts | None
) -> dict[Precision, str]:
    """Return for every precision "" where it is possible, else a sentence on why it is not.

    `facts` are what an engine reported of its libraries and devices. While they are None, only
    the checkpoint decides.
    """
    reasons = {}
    for precision in LOADABLE:
        reasons[precision] = _model_reason(checkpoint, precision) or library_reason(
            precision, device_id, facts
        )
    return reasons


def _model_reason(checkpoint: Checkpoint, precision: Precision) -> str:
    method = checkpoint.quantization
    if not method:
        if "bitsandbytes" in precision.libraries and checkpoint.model_type in _OWN_LINEAR:
            return (
                "bitsandbytes quantizes no layer of this architecture, whose linear layers are of "
                "a class of its own."
            )
        if precision is Precision.GPTQ and find_gptq_sibling(checkpoint.folder) is None:
            return "This model is not GPTQ-quantized: choose a GPTQ checkpoint of it."
        return ""
    stored = _QUANTIZED_AS.get(method)
    if stored is None:
        return format_reason(method)
    if stored is Precision.INT8 and precision is Precision.INT8_WEIGHT_ONLY:
        return ""
    if precision is not stored:
        return f"This checkpoint is stored as {stored.label} and cannot run at another precision."
    return ""


def precision_remedy(checkpoint: Checkpoint, precisions: Iterable[Precision]) -> str:
    """Return what to do where a precision is not possible but those of `precisions` are."""
    if others := ", ".join(precision.value for precision in precisions):
        return f"This model can be loaded in: {others}."
    if checkpoint.quantization:
        return original_remedy(checkpoint.folder)
    return "Choose another model."


def library_reason(precision: Precision, device_id: str, facts: EngineFacts | None) -> str:
    """Return why an engine's environment cannot run a precision on a device, "" where it can."""
    if facts is None:
        return ""
    for library in precision.libraries:
        # An engine probes only the libraries that its environment needs.
        probe = facts.probes.get(library)
        if probe is not None and not probe.ok:
            return f"{probe.detail} {probe.remedy}".strip()
    if all(device.id != device_id for device in facts.devices):
        return f"This machine has no device {device_id}."
    return ""


def find_gptq_sibling(folder: Path) -> Path | None:
    """Return the GPTQ checkpoint beside a plain one, a folder named `<folder>-gptq…`, or None."""
    for sibling in sorted(folder.parent.glob("*")):
        if not sibling.name.lower().startswith(f"{folder.name.lower()}-gptq"):
            continue
        try:
            config = _with_settings(sibling, _read_config(sibling))
            if quantization_of(config)[0] == "gptq":
                return sibling
        except ModelError:
            continue
    return None


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    if not is_folder(folder):
        raise file_not_folder(folder) or ModelError(
            f"There is no folder {path_text(folder)}.",
            "Choose an existing folder, or the id of a Hub model.",
        )
    try:
        str(folder).encode("utf-8")
    except UnicodeEncodeError as error:
        # The path could not be encoded in a message to the engine.
        raise ModelError(
            "The path of the model's folder contains bytes that are not text.",
            "Rename the folder.",
            repr(folder),
        ) from error
    if not path.exists():
        raise other_format(folder) or ModelError(
            f"The folder {folder.name} holds no model: it has no config.json.",
            "Choose the folder of a Hugging Face model, with its config.json and safetensors.",
        )
    config = read_object(path)
    check_counts(config)
    if config.get("configuration_files"):
        # transformers would take one of them in place of config.json, which is all that was seen.
        raise FileError(path.name, "is refused: it passes on to other files (configuration_files)")
    return config


def _name(value: object) -> str:
    return value[:200] if isinstance(value, str) and value else "unknown"


def weight_files(folder: Path) -> tuple[Path | None, list[Path]]:
    """Return the index of a sharded checkpoint (None without one) and its safetensors files.

    Folders written by AutoGPTQ name these files after the quantization; if there are several,
    `model_file_base_name` in quantize_config.json names the right one.
    """
    single, standard = folder / "model.safetensors", folder / "model.safetensors.index.json"
    if single.is_file():  # transformers prefers it to all others
        return None, [single]
    if standard.is_file():
        return standard, []
    # The same weights in Mistral's own format, and adapters, are not what transformers reads.
    files = sorted(
        path
        for path in folder.glob("*.safetensors")
        if not path.name.startswith(("consolidated", "adapter_"))
    )
    path = folder / "quantize_config.json"
    if not path.is_file():
        return None, files
    indexes = sorted(folder.glob("*.safetensors.index.json"))
    base = read_object(path).get("model_file_base_name")
    # A slash could lead out of the folder.
    named = folder / f"{base}.safetensors" if isinstance(base, str) and "/" not in base else None
    if named is not None and named in files:
        return None, [named]
    return (indexes[0], []) if len(indexes) == 1 else (None, files)


def _read_weights(folder: Path) -> tuple[list[StoredTensor], int]:
    index, files = weight_files(folder)
    if index is not None:
        weight_map = read_object(index, TABLE_BYTES).get("weight_map")
        named = weight_map.values() if isinstance(weight_map, dict) else ()
        once = {str(name): name for name in named}  # millions of names, few different ones
        paths = [file_named(folder, once[key], index.name) for key in sorted(once)]
        missing = [path.name for path in paths if not path.is_file()]
        if missing or not paths:
            raise ModelError(
                f"The model in {folder.name} is incomplete: {', '.join(missing[:3]) or 'weights'} "
                "missing.",
                "Download the model again; files that are complete are kept.",
            )
        files = paths
    if not files:
        if found := other_format(folder):
            raise found
        if any(any(folder.glob(pattern)) for pattern in _PICKLES):
            raise ModelError(
                f"The model in {folder.name} has only pickled weights, which can run any code.",
                "Choose a version with safetensors, or convert it with `save_pretrained`.",
            )
        raise ModelError(
            f"The model in {folder.name} has no weights.",
            "Download the model again: it needs a *.safetensors file.",
        )
    tensors: list[StoredTensor] = []
    for path in files:
        tensors += read_header(path)
    return tensors, sum(path.stat().st_size for path in files)


def _with_settings(folder: Path, config: dict[str, Any]) -> dict[str, Any]:
    """Return the config, joined by quantize_config.json, where AutoGPTQ kept its settings."""
    path = folder / "quantize_config.json"
    if isinstance(config.get("quantization_config"), dict) or not path.is_file():
        return config
    return {**config, "quantization_config": {"quant_method": "gptq", **read_object(path)}}


def _main_dtype(tensors: list[StoredTensor]) -> str:
    sizes: dict[str, int] = {}
    for tensor in tensors:
        bytes_ = tensor.elements * BITS.get(tensor.dtype, 8) // 8
        sizes[tensor.dtype] = sizes.get(tensor.dtype, 0) + bytes_
    return max(sizes, key=lambda k: sizes[k]).lower() if sizes else "unknown"


def _has_chat_template(folder: Path) -> bool:
    if (folder / "chat_template.jinja").is_file() or (folder / "chat_template.json").is_file():
        return True
    path = folder / "tokenizer_config.json"
    return path.is_file() and bool(read_object(path).get("chat_template"))
