"""Refuses what is no text generator, or in another format, by name and with what would help."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playground.core.errors import FileError, ModelError
from playground.core.system.reader import is_file, read_bytes

#: Model types that are encoder-decoders unless their config says otherwise.
_ENCODER_DECODERS = frozenset({
    "bart", "bigbird_pegasus", "blenderbot", "blenderbot-small", "encoder-decoder", "fsmt", "led",
    "longt5", "m2m_100", "marian", "mbart", "mt5", "mvp", "nllb-moe", "pegasus", "pegasus_x",
    "plbart", "prophetnet", "seamless_m4t", "seamless_m4t_v2", "switch_transformers", "t5",
    "t5gemma", "t5gemma2", "umt5", "vision-encoder-decoder", "whisper",
})  # fmt: skip
#: Model types that read a text in both directions, unless they were trained as a decoder.
_BIDIRECTIONAL = frozenset({
    "albert", "bert", "big_bird", "camembert", "convbert", "data2vec-text", "deberta",
    "deberta-v2", "distilbert", "electra", "ernie", "esm", "eurobert", "flaubert", "fnet",
    "funnel", "ibert", "layoutlm", "longformer", "luke", "megatron-bert", "mobilebert",
    "modernbert", "mpnet", "mra", "nomic_bert", "nystromformer", "rembert", "roberta",
    "roberta-prelayernorm", "roc_bert", "roformer", "squeezebert", "xlm-roberta",
    "xlm-roberta-xl", "xmod", "yoso",
})  # fmt: skip
#: Ends of the names of architectures that end in another head than a language model's.
_OTHER_TASKS = {
    "ForSequenceClassification": "it classifies texts, or scores them",
    "ForTokenClassification": "it labels the words of a text",
    "ForQuestionAnswering": "it marks an answer in a text",
    "ForMultipleChoice": "it chooses among given answers",
    "ForImageClassification": "it classifies images",
}
_GENERATOR = "Choose a model made for text generation, whose architecture ends in ForCausalLM."


def check_generates(config: Mapping[str, Any]) -> None:
    """Raise ModelError where a config.json describes a model that cannot continue a text."""
    model = str(config.get("model_type", ""))
    stated = config.get("architectures")
    name = str(stated[0])[-80:] if isinstance(stated, list) and stated else ""
    if config.get("is_encoder_decoder", model in _ENCODER_DECODERS) is True:
        raise ModelError(
            f"This is an encoder-decoder model ({name or model}), which turns one text into "
            "another, as for translation. The playground runs models that continue a text.",
            _GENERATOR,
        )
    causal = name.endswith(("ForCausalLM", "LMHeadModel")) or config.get("is_decoder") is True
    if name.endswith("ForMaskedLM") or (model in _BIDIRECTIONAL and not causal):
        raise ModelError(
            f"This is a masked language model ({name or model}), which fills gaps in a text and "
            "continues none.",
            _GENERATOR,
        )
    for end, what in _OTHER_TASKS.items():
        if name.endswith(end):
            raise ModelError(f"This is no text generator ({name}): {what}.", _GENERATOR)


def other_format(folder: Path) -> ModelError | None:
    """Return the error for a folder of GGUF files or of an adapter alone; None for others."""
    if next(folder.glob("*.gguf"), None) is not None:
        return _gguf(f"The folder {folder.name} holds GGUF files")
    if (folder / "adapter_config.json").is_file():
        base = _stated(folder / "adapter_config.json", r'"base_model_name_or_path":\s*"([^"\n]+)"')
        of = f"to {base}" if base else "to another model"
        return ModelError(
            f"The folder {folder.name} holds an adapter (LoRA), which is a set of changes {of}, "
            "and no model by itself.",
            "Merge it into that model with the library peft (`merge_and_unload`, then "
            "`save_pretrained`), and choose the folder of the result.",
        )
    return None


def file_not_folder(path: Path) -> ModelError | None:
    """Return the error for a path that is a file; None for others."""
    if not is_file(path):
        return None
    if path.suffix == ".gguf":
        return _gguf(f"{path.name} is a GGUF file")
    return ModelError(
        f"{path.name} is a file, and a model is a folder.",
        "Choose the folder with the model's config.json and safetensors.",
    )


def _gguf(what: str) -> ModelError:
    return ModelError(
        f"{what}, the format of llama.cpp, which the playground cannot load.",
        "Run it with llama.cpp, or choose the model it was made from, usually named the same "
        "without -GGUF.",
    )


@dataclass(frozen=True)
class _Format:
    """A quantized format's name for people, and what reads it."""

    name: str
    reader: str


_FORMATS = {
    "awq": _Format("AWQ", "vLLM"),
    "compressed-tensors": _Format("compressed-tensors", "vLLM"),
    "fp8": _Format("FP8", "vLLM"),
    "fbgemm_fp8": _Format("FP8 (FBGEMM)", "vLLM"),
    "modelopt": _Format("NVIDIA ModelOpt's format", "TensorRT-LLM or vLLM"),
    "mxfp4": _Format("MXFP4", "vLLM or llama.cpp"),
    "exl2": _Format("EXL2", "ExLlamaV2"),
    "exl3": _Format("EXL3", "ExLlamaV3"),
    "aqlm": _Format("AQLM", "transformers with the library aqlm"),
    "hqq": _Format("HQQ", "transformers with the library hqq"),
    "quanto": _Format("Quanto's format", "transformers with the library optimum-quanto"),
    "torchao": _Format("torchao's format", "transformers with the library torchao"),
    "eetq": _Format("EETQ", "transformers with the library eetq"),
    "higgs": _Format("HIGGS", "transformers with the library flute-kernel"),
    "spqr": _Format("SpQR", "transformers with the library spqr_quant"),
    "vptq": _Format("VPTQ", "transformers with the library vptq"),
    "bitnet": _Format("BitNet", "bitnet.cpp"),
    "auto-round": _Format("AutoRound", "transformers with the library auto-round"),
    "intel/auto-round": _Format("AutoRound", "transformers with the library auto-round"),
}


def format_reason(method: str) -> str:
    """Return why a checkpoint quantized by another method cannot run here."""
    known = _FORMATS.get(method)
    if known is None:
        return f"This checkpoint is quantized with {method}, which the playground cannot run."
    return (
        f"This checkpoint is stored as {known.name}, which {known.reader} can run and the "
        "playground cannot."
    )


def original_remedy(folder: Path) -> str:
    """Return the advice to take the model that a quantized checkpoint was made from."""
    base = _stated(folder / "README.md", r"^base_model:\s*(?:-\s+)?[\"']?([\w.\-]+/[\w.\-]+)")
    which = base or "the model it was made from, usually named the same without the format,"
    return f"Choose {which} in bf16 or fp16 instead: it can be quantized here."


def _stated(path: Path, pattern: str) -> str:
    """Return the pattern's group in the first bytes of a file, "" without one."""
    try:
        text = read_bytes(path, 1 << 16, cut=True).decode("utf-8", "replace")
    except FileError:
        return ""
    found = re.search(pattern, text, re.MULTILINE)
    return found[1][:200] if found else ""
