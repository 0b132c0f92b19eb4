"""Checkpoints as AutoGPTQ 0.7 wrote them, packed here, with the weights that they stand for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save

from tests.support.tiny_model import tiny_model_files, write_files

HIDDEN = 128
Tensors = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Kind:
    """How a checkpoint is quantized and kept."""

    bits: int = 4
    group: int = 128  # -1: one for all inputs
    symmetric: bool = True
    act_order: bool = False
    shards: int = 1
    biases: bool = False  # whether the model has biases that are not zero

    @property
    def base(self) -> str:
        """What AutoGPTQ called the weights."""
        return f"gptq_model-{self.bits}bit-{self.group}g"


def write_pair(folder: Path, kind: Kind) -> tuple[Path, Path]:
    """Write an old checkpoint and a plain one of the weights it stands for; return both."""
    files = tiny_model_files(hidden=HIDDEN, biases=kind.biases)
    plain = load(files["model.safetensors"])
    packed: Tensors = {}
    draw = np.random.default_rng(kind.bits)
    for name, value in list(plain.items()):
        if name.endswith("_proj.weight"):
            tensors, plain[name] = pack(value, kind, draw)
            stem = name.removesuffix(".weight")
            packed |= {f"{stem}.{leaf}": tensor for leaf, tensor in tensors.items()}
            # AutoGPTQ's layers all have a bias, whatever the model has.
            packed.setdefault(f"{stem}.bias", np.zeros(len(value), np.float16))
        else:
            packed[name] = value.astype(np.float16)
    packed |= _caches(layers=2)
    old, unpacked = folder / "old", folder / "plain"
    write_files(unpacked, {**files, "model.safetensors": save(plain, {"format": "pt"})})
    del files["model.safetensors"]
    settings = {
        "bits": kind.bits,
        "group_size": kind.group,
        "damp_percent": 0.01,
        "desc_act": kind.act_order,
        "static_groups": False,
        "sym": kind.symmetric,
        "true_sequential": True,
        "model_name_or_path": None,
        "model_file_base_name": None if kind.shards > 1 else kind.base,
        "is_marlin_format": False,
        "quant_method": "gptq",
    }
    files["quantize_config.json"] = json.dumps(settings).encode()
    write_files(old, files | _weights(packed, kind))
    return old, unpacked


def _caches(layers: int) -> Tensors:
    """Return the buffers of the Llama of that time's transformers, which were saved, too."""
    angles = np.outer(np.arange(64), 10000.0 ** -(np.arange(0, 64, 2) / 64)).astype(np.float32)
    whole = np.concatenate([angles, angles], -1)[None, None]
    found: Tensors = {}
    for layer in range(layers):
        stem = f"model.layers.{layer}.self_attn.rotary_emb"
        found[f"{stem}.inv_freq"] = angles[1].astype(np.float16)
        found[f"{stem}.cos_cached"] = np.cos(whole).astype(np.float16)
        found[f"{stem}.sin_cached"] = np.sin(whole).astype(np.float16)
    return found


def pack(
    weight: NDArray[np.float32], kind: Kind, draw: np.random.Generator
) -> tuple[Tensors, NDArray[np.float32]]:
    """Round a weight [out, in] to its nearest; return the packed tensors and what they mean."""
    rows, columns = weight.shape
    size = columns if kind.group == -1 else kind.group
    most = 2**kind.bits - 1
    order = draw.permutation(columns) if kind.act_order else np.arange(columns)
    group_of = np.empty(columns, np.int32)
    group_of[order] = np.arange(columns) // size
    grouped = weight[:, order].reshape(rows, -1, size)
    if kind.symmetric:
        scales = 2 * np.abs(grouped).max(-1) / most
        zeros = np.full(scales.shape, 2 ** (kind.bits - 1))
    else:
        low, high = grouped.min(-1), grouped.max(-1)
        scales = (high - low) / most
        # AutoGPTQ stores a zero less one, and has no way to store the zero 0.
        zeros = np.clip(np.round(-low / scales), 1, most).astype(np.int64)
    scales = scales.astype(np.float16)
    of_column = scales.astype(np.float32)[:, group_of], zeros[:, group_of]
    codes = np.clip(np.round(weight / of_column[0]) + of_column[1], 0, most).astype(np.int64)
    tensors = {
        "qweight": _bits_along_rows(codes.T, kind.bits),
        "qzeros": np.ascontiguousarray(_bits_along_rows(zeros - 1, kind.bits).T),
        "scales": np.ascontiguousarray(scales.T),
        "g_idx": group_of,
    }
    return tensors, ((codes - of_column[1]) * of_column[0]).astype(np.float32)


def _bits_along_rows(values: NDArray[np.int64], bits: int) -> NDArray[np.int32]:
    """Pack values [n, m] into [n · bits / 32, m]: one stream of bits down each column."""
    shifts = np.arange(bits)
    stream = (values[:, None, :] >> shifts[None, :, None]) & 1
    words = stream.reshape(-1, 32, values.shape[1]).astype(np.uint64)
    packed = (words << np.arange(32, dtype=np.uint64)[None, :, None]).sum(1)
    return np.ascontiguousarray(packed.astype(np.uint32).view(np.int32))


def _weights(tensors: Tensors, kind: Kind) -> dict[str, bytes]:
    if kind.shards == 1:
        return {f"{kind.base}.safetensors": save(tensors, {"format": "pt"})}
    names = sorted(tensors)
    files: dict[str, bytes] = {}
    places: dict[str, str] = {}
    for shard in range(kind.shards):
        file = f"{kind.base}-{shard + 1:05d}-of-{kind.shards:05d}.safetensors"
        mine = names[shard :: kind.shards]
        files[file] = save({name: tensors[name] for name in mine}, {"format": "pt"})
        places |= dict.fromkeys(mine, file)
    index = {"metadata": {"total_size": sum(map(len, files.values()))}, "weight_map": places}
    files[f"{kind.base}.safetensors.index.json"] = json.dumps(index).encode()
    return files
