"""From what the Hub's API says of a model to a row of the list."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from playground.core.errors import ModelError
from playground.core.facts import ModelSpec
from playground.core.model.safetensors_header import BITS
from playground.hub.catalog import ModelRow, Where
from playground.hub.source import check_hub_id

#: What a list must tell of each model for its row.
ROW_PROPERTIES: tuple[str, ...] = (
    "author", "config", "downloads", "gated", "lastModified", "library_name", "likes",
    "pipeline_tag", "safetensors", "sha", "tags",
)  # fmt: skip
_DTYPES = {
    "F64": "fp64", "F32": "fp32", "F16": "fp16", "BF16": "bf16", "F8_E4M3": "fp8",
    "F8_E5M2": "fp8", "F8_E8M0": "fp8", "F4": "fp4", "I8": "int8", "U8": "uint8",
}  # fmt: skip
#: Quantization methods: the Hub's tag or config name, and how people write it.
METHODS: Mapping[str, str] = {
    "gptq": "GPTQ", "awq": "AWQ", "nf4": "NF4", "int8": "int8 (bitsandbytes)",
    "bitsandbytes": "bitsandbytes", "compressed-tensors": "compressed-tensors", "fp8": "FP8",
    "gguf": "GGUF", "mlx": "MLX", "exl2": "EXL2", "exl3": "EXL3", "aqlm": "AQLM", "hqq": "HQQ",
    "quanto": "Quanto", "torchao": "torchao", "eetq": "EETQ", "higgs": "HIGGS", "spqr": "SpQR",
    "vptq": "VPTQ", "auto-round": "AutoRound", "bitnet": "BitNet", "mxfp4": "MXFP4",
    "openvino": "OpenVINO", "onnx": "ONNX",
}  # fmt: skip
#: Formats of files: many plain models have such files too, besides their own.
_FORMATS = frozenset({"gguf", "mlx", "openvino", "onnx"})
_LONGEST = 200


def hub_row(item: object, here: Collection[str] = ()) -> ModelRow | None:
    """Make a row of one entry of the API; None where it names no model that can be asked for.

    `here` are the ids that are on this machine. Whatever else is missing or odd in the entry
    is "not known": one strange repository must not cost the whole page.
    """
    if not isinstance(item, Mapping):
        return None
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


def quantization(config: Mapping[str, Any], tags: Sequence[str] = ()) -> tuple[str, int]:
    """Return the method ("" for plain weights) and its bits (0 where not told).

    bitsandbytes is told apart as "nf4" and "int8" where the config says which.
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
    """The precision that weights are stored in, for people; "" where it is not known."""
    if method:
        label = METHODS.get(method, method)
        return f"{label} {bits}-bit" if bits and method not in ("nf4", "int8") else label
    if not counts:
        return ""
    most = max(counts, key=lambda dtype: counts[dtype] * BITS.get(dtype, 8))
    return _DTYPES.get(most, most.lower())


def logical_parameters(counts: Mapping[str, int], method: str, bits: int) -> int:
    """Weights that elements by dtype amount to: packed ones hold several in an element."""
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
    """Bytes that elements by dtype take."""
    return sum(count * BITS.get(dtype, 8) // 8 for dtype, count in counts.items())


def dtype_counts(safetensors: object) -> dict[str, int]:
    """Elements by dtype, of the API's `safetensors`; {} where it tells none."""
    counts = mapping(mapping(safetensors).get("parameters"))
    return {
        str(dtype): count
        for dtype, count in counts.items()
        if isinstance(count, int) and not isinstance(count, bool) and count > 0
    }


def licence(item: Mapping[str, Any], tags: Sequence[str]) -> str:
    """The licence's name on the Hub, "" where none is stated."""
    tagged = next((tag for tag in tags if tag.startswith("license:")), "")
    if tagged:
        return tagged.removeprefix("license:")
    stated = mapping(item.get("cardData")).get("license")
    return ", ".join(texts(stated)) if isinstance(stated, list) else text(stated)


# Values of strangers, taken only as what they ought to be


def text(value: object) -> str:
    return value[:_LONGEST] if isinstance(value, str) else ""


def texts(value: object) -> tuple[str, ...]:
    return tuple(map(text, value)) if isinstance(value, list) else ()


def whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def moment(value: object) -> datetime | None:
    """A time of the API, with its zone."""
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return found if found is not None and found.tzinfo is not None else None
