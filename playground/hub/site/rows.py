"""Turns what the Hub's API says of a model into a row."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from playground.core.errors import FileError, ModelError
from playground.core.facts import ModelSpec
from playground.core.model.safetensors_header import BITS
from playground.core.system import reader
from playground.hub.catalog import ModelRow, Where
from playground.hub.source import check_hub_id

log = logging.getLogger(__name__)

#: The properties that a row needs, as the API names them.
ROW_PROPERTIES: tuple[str, ...] = (
    "author", "config", "downloads", "gated", "lastModified", "library_name", "likes",
    "pipeline_tag", "safetensors", "sha", "tags",
)  # fmt: skip
_DTYPES = {
    "F64": "fp64", "F32": "fp32", "F16": "fp16", "BF16": "bf16", "F8_E4M3": "fp8",
    "F8_E5M2": "fp8", "F8_E8M0": "fp8", "F4": "fp4", "I8": "int8", "U8": "uint8",
}  # fmt: skip
#: Quantization methods: the tag or config name, and the label.
METHODS: Mapping[str, str] = {
    "gptq": "GPTQ", "awq": "AWQ", "nf4": "NF4", "int8": "int8 (bitsandbytes)",
    "bitsandbytes": "bitsandbytes", "compressed-tensors": "compressed-tensors", "fp8": "FP8",
    "gguf": "GGUF", "mlx": "MLX", "exl2": "EXL2", "exl3": "EXL3", "aqlm": "AQLM", "hqq": "HQQ",
    "quanto": "Quanto", "torchao": "torchao", "eetq": "EETQ", "higgs": "HIGGS", "spqr": "SpQR",
    "vptq": "VPTQ", "auto-round": "AutoRound", "bitnet": "BitNet", "mxfp4": "MXFP4",
    "openvino": "OpenVINO", "onnx": "ONNX",
}  # fmt: skip
#: File formats, in which many plain models have files beside their own.
_FORMATS = frozenset({"gguf", "mlx", "openvino", "onnx"})
_LONGEST = 200
_MOST = 2**53


def hub_row(item: object, here: Collection[str] = ()) -> ModelRow | None:
    """Return the row of one entry of the API; None where it names no valid id.

    `here` are the Hub ids on this machine. Whatever else is missing or malformed in the entry is
    "not known", so that one odd repository does not cost the whole page.
    """
    try:
        return _row(item, here) if isinstance(item, Mapping) else None
    except Exception as error:
        log.warning("a row of the Hub cannot be read: %r", error)
        return None


def _row(item: Mapping[str, object], here: Collection[str]) -> ModelRow | None:
    id_ = text(item.get("id") or item.get("modelId"))
    try:
        check_hub_id(id_)
    except ModelError:
        return None
    tags = texts(item.get("tags"))
    config = mapping(item.get("config"))
    counts = dtype_counts(item.get("safetensors"))
    method, bits = quantization(config, tags)
    if not method and not counts:
        method = next((tag for tag in tags if tag in _FORMATS), "")
    return ModelRow(
        key=f"hub:{id_}",
        spec=ModelSpec(id_),
        where=Where.HUB,
        name=id_,
        author=text(item.get("author")) or (id_.split("/")[0] if "/" in id_ else ""),
        parameters=logical_parameters(counts, method, bits) if counts else None,
        stored=stored_precision(method, bits, counts),
        quantization=method,
        bits=bits,
        licence=licence(item, tags),
        library=text(item.get("library_name")),
        task=text(item.get("pipeline_tag")),
        downloads=whole(item.get("downloads")),
        likes=whole(item.get("likes")),
        updated=moment(item.get("lastModified")),
        gated=bool(item.get("gated")),
        is_here=id_ in here,
        size=stored_bytes(counts) if counts else None,
        commit=text(item.get("sha")),
    )


def quantization(config: Mapping[str, object], tags: Sequence[str] = ()) -> tuple[str, int]:
    """Return the method ("" for plain weights) and its bits (0 where not known).

    The method of bitsandbytes is "nf4" or "int8" where the config says which.
    """
    settings = mapping(config.get("quantization_config"))
    method = text(settings.get("quant_method")).lower()
    bits = whole(settings.get("bits")) or whole(settings.get("w_bit")) or 0
    if settings and not method:
        method = "bitsandbytes" if "load_in_4bit" in settings else "quantized"
    if "bitsandbytes" in method or method.startswith("bnb"):
        if settings.get("load_in_8bit"):
            return "int8", 8
        if settings.get("load_in_4bit"):
            return "nf4", 4
        return "bitsandbytes", bits
    if not method:
        method = next((tag for tag in tags if tag in METHODS and tag not in _FORMATS), "")
    if method and not bits:
        bits = next((int(tag[0]) for tag in tags if tag in ("2-bit", "3-bit", "4-bit", "8-bit")), 0)
    return method, bits if 0 < bits <= 32 else 0


def stored_precision(method: str, bits: int, counts: Mapping[str, int]) -> str:
    """Return the label of the precision that weights are stored in, "" where it is not known."""
    if method:
        label = METHODS.get(method, method)
        return f"{label} {bits}-bit" if bits and method not in ("nf4", "int8") else label
    if not counts:
        return ""
    most = max(counts, key=lambda dtype: counts[dtype] * BITS.get(dtype, 8))
    return _DTYPES.get(most, most.lower())


def logical_parameters(counts: Mapping[str, int], method: str, bits: int) -> int:
    """Return the number of weights in these elements by dtype; packed elements hold several."""
    total = 0
    for dtype, count in counts.items():
        packed = 1
        if dtype == "I32" and method:
            packed = 32 // (bits or 4)
        elif dtype == "U8" and (method in ("nf4", "bitsandbytes") or bits == 4):
            packed = 2
        total += count * packed
    return total


def stored_bytes(counts: Mapping[str, int]) -> int:
    """Return the bytes that these elements by dtype take."""
    return sum(count * BITS.get(dtype, 8) // 8 for dtype, count in counts.items())


def dtype_counts(safetensors: object) -> dict[str, int]:
    """Return the elements by dtype in the API's `safetensors`, {} where it has none."""
    counts = mapping(mapping(safetensors).get("parameters"))
    return {
        str(dtype): count
        for dtype, count in counts.items()
        if isinstance(count, int) and not isinstance(count, bool) and 0 < count <= _MOST
    }


def licence(item: Mapping[str, object], tags: Sequence[str]) -> str:
    """Return the licence's name on the Hub, "" where none is stated."""
    tagged = next((tag for tag in tags if tag.startswith("license:")), "")
    if tagged:
        return tagged.removeprefix("license:")
    stated = mapping(item.get("cardData")).get("license")
    return ", ".join(texts(stated)) if isinstance(stated, list) else text(stated)


def with_quantize_config(
    config: dict[str, object], quantize_config: Mapping[str, object]
) -> dict[str, object]:
    """Return a config with the settings that AutoGPTQ wrote to quantize_config.json."""
    if quantize_config and not mapping(config.get("quantization_config")):
        return {**config, "quantization_config": {"quant_method": "gptq", **quantize_config}}
    return config


# Values written by strangers, each taken only where it has the right type


def parse_object(data: bytes | None) -> dict[str, object]:
    """Read a JSON object; {} for anything else."""
    try:
        return reader.parse_object(data or b"{}", "")
    except FileError:
        return {}


def text(value: object) -> str:
    return value[:_LONGEST] if isinstance(value, str) else ""


def texts(value: object) -> tuple[str, ...]:
    return tuple(map(text, items(value)))


def whole(value: object) -> int | None:
    good = isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _MOST
    return value if isinstance(value, int) and good else None


def items(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def moment(value: object) -> datetime | None:
    """Return a time of the API with its zone, None for anything else."""
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return found if found is not None and found.tzinfo is not None else None
