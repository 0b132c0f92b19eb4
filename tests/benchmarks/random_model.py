"""Writes a Llama with random weights for speed measurements: `python -m … FOLDER TOKENIZER`.

Speed does not depend on the weights' values. The checkpoints are FOLDER/plain (bf16) and
FOLDER/gptq (4-bit weights in groups of 128), each with the tokenizer's files.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, LlamaConfig

#: About 350M parameters.
SHAPE: dict[str, Any] = {
    "vocab_size": 32000,
    "hidden_size": 1024,
    "intermediate_size": 2816,
    "num_hidden_layers": 22,
    "num_attention_heads": 16,
    "num_key_value_heads": 16,
    "max_position_embeddings": 2048,
    "bos_token_id": 0,
    "eos_token_id": 1,
}
_GROUP = 128
_TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")


def make(folder: Path, tokenizer: Path) -> None:
    """Write both checkpoints into `folder`."""
    torch.manual_seed(0)
    plain, quantized = folder / "plain", folder / "gptq"
    model = AutoModelForCausalLM.from_config(LlamaConfig(**SHAPE), dtype=torch.bfloat16)
    model.save_pretrained(plain)
    quantized.mkdir()
    tensors: dict[str, torch.Tensor] = {}
    for name, value in model.state_dict().items():
        if name.endswith("_proj.weight"):
            stem = name.removesuffix(".weight")
            tensors |= {f"{stem}.{leaf}": t for leaf, t in packed(*value.shape).items()}
        else:
            tensors[name] = value.contiguous()
    save_file(tensors, quantized / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((plain / "config.json").read_text("utf-8"))
    config["quantization_config"] = {
        "quant_method": "gptq",
        "bits": 4,
        "group_size": _GROUP,
        "sym": True,
        "desc_act": False,
        "checkpoint_format": "gptq",
    }
    (quantized / "config.json").write_text(json.dumps(config), "utf-8")
    for target in (plain, quantized):
        for name in _TOKENIZER:
            if (tokenizer / name).is_file():
                shutil.copyfile(tokenizer / name, target / name)


def packed(rows: int, columns: int, device: torch.device | str = "cpu") -> dict[str, torch.Tensor]:
    """Return a random weight [rows, columns] in GPTQ's format: 8 values an int32, zeros at 8."""
    groups = columns // _GROUP
    with torch.device(device):
        return {
            "qweight": torch.randint(-(2**31), 2**31, (columns // 8, rows), dtype=torch.int32),
            "qzeros": torch.full((groups, rows // 8), 0x77777777, dtype=torch.int32),
            "scales": torch.full((groups, rows), 0.004, dtype=torch.float16),
            "g_idx": torch.arange(columns, dtype=torch.int32) // _GROUP,
        }


if __name__ == "__main__":
    make(Path(sys.argv[1]), Path(sys.argv[2]))
