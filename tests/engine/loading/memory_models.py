"""Writes models of several architectures with random weights, plain and in GPTQ's format.

Memory does not depend on the weights' values. `python memory_models.py FOLDER` writes, for each
architecture, a folder with a bf16 checkpoint and a folder with packed 4-bit weights.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

GROUP = 128
_COMMON: dict[str, Any] = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 0}
#: Between 60 and 110 million parameters, of different widths, heads, ties and vocabularies.
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "llama": {
        "vocab_size": 16000,
        "hidden_size": 768,
        "intermediate_size": 2048,
        "num_hidden_layers": 8,
        "num_attention_heads": 12,
        "num_key_value_heads": 4,
        "max_position_embeddings": 2048,
        "tie_word_embeddings": False,
    },
    "qwen3": {
        "vocab_size": 24000,
        "hidden_size": 640,
        "intermediate_size": 2176,
        "num_hidden_layers": 10,
        "num_attention_heads": 10,
        "num_key_value_heads": 2,
        "head_dim": 128,
        "max_position_embeddings": 4096,
        "tie_word_embeddings": True,
    },
    "gpt_neox": {
        "vocab_size": 50000,
        "hidden_size": 768,
        "intermediate_size": 3072,
        "num_hidden_layers": 6,
        "num_attention_heads": 12,
        "max_position_embeddings": 2048,
        "tie_word_embeddings": False,
    },
    "gemma2": {
        "vocab_size": 20000,
        "hidden_size": 768,
        "intermediate_size": 2304,
        "num_hidden_layers": 8,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "head_dim": 128,
        "sliding_window": 256,
        "max_position_embeddings": 2048,
    },
    "gemma3_text": {
        "vocab_size": 64000,
        "hidden_size": 640,
        "intermediate_size": 2048,
        "num_hidden_layers": 6,
        "num_attention_heads": 4,
        "num_key_value_heads": 1,
        "head_dim": 256,
        "sliding_window": 512,
        "max_position_embeddings": 4096,
    },
    "phi3": {
        "vocab_size": 32064,
        "hidden_size": 768,
        "intermediate_size": 2048,
        "num_hidden_layers": 6,
        "num_attention_heads": 12,
        "max_position_embeddings": 4096,
        "tie_word_embeddings": False,
    },
    "mixtral": {
        "vocab_size": 16000,
        "hidden_size": 512,
        "intermediate_size": 1024,
        "num_hidden_layers": 6,
        "num_attention_heads": 8,
        "num_key_value_heads": 2,
        "num_local_experts": 8,
        "max_position_embeddings": 4096,
        "tie_word_embeddings": False,
    },
    "qwen3_moe": {
        "vocab_size": 24000,
        "hidden_size": 512,
        "intermediate_size": 1536,
        "moe_intermediate_size": 384,
        "num_hidden_layers": 6,
        "num_attention_heads": 8,
        "num_key_value_heads": 2,
        "head_dim": 64,
        "num_experts": 16,
        "num_experts_per_tok": 4,
        "max_position_embeddings": 4096,
        "tie_word_embeddings": False,
    },
    "mamba": {
        "vocab_size": 24000,
        "hidden_size": 1024,
        "num_hidden_layers": 2,
        "state_size": 16,
    },
    "mamba2": {
        "vocab_size": 24000,
        "hidden_size": 1024,
        "num_hidden_layers": 3,
        "num_heads": 32,
        "head_dim": 64,
        "state_size": 128,
        "n_groups": 1,
        "chunk_size": 256,
    },
}
#: Families whose packed weights are not written, since no GPTQ checkpoint of them can be loaded.
PLAIN_ONLY = ("mixtral", "qwen3_moe", "mamba", "mamba2")


def make(folder: Path, architecture: str) -> tuple[Path, Path]:
    """Write the checkpoints of an architecture; return the plain folder and the packed one."""
    torch.manual_seed(0)
    plain, packed = folder / architecture, folder / f"{architecture}-gptq"
    config = AutoConfig.for_model(architecture, **_COMMON, **ARCHITECTURES[architecture])
    model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.save_pretrained(plain)
    tokenizer = _tokenizer(config.vocab_size)
    if architecture not in PLAIN_ONLY:
        _save_packed(model, plain, packed)
    for target in filter(Path.is_dir, (plain, packed)):
        (target / "tokenizer.json").write_text(tokenizer, "utf-8")
        (target / "tokenizer_config.json").write_text(
            '{"tokenizer_class": "PreTrainedTokenizerFast"}', "utf-8"
        )
    return plain, packed


def _save_packed(model: PreTrainedModel, plain: Path, packed: Path) -> None:
    packed.mkdir()
    tied = set(model.all_tied_weights_keys)
    tensors = {
        name: value.contiguous() for name, value in model.state_dict().items() if name not in tied
    }
    for name, module in model.named_modules():
        if not any(part.isdigit() for part in name.split(".")):
            continue
        if isinstance(module, torch.nn.Linear):
            weight = tensors.pop(f"{name}.weight")
            tensors |= {f"{name}.{leaf}": t for leaf, t in _packed(*weight.shape).items()}
    save_file(tensors, packed / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((plain / "config.json").read_text("utf-8"))
    config["quantization_config"] = {
        "quant_method": "gptq",
        "bits": 4,
        "group_size": GROUP,
        "sym": True,
        "desc_act": False,
        "checkpoint_format": "gptq",
    }
    (packed / "config.json").write_text(json.dumps(config), "utf-8")


def _packed(rows: int, columns: int) -> dict[str, torch.Tensor]:
    """Return a random weight [rows, columns] in GPTQ's format: 8 values an int32, zeros at 8."""
    groups = columns // GROUP
    return {
        "qweight": torch.randint(-(2**31), 2**31, (columns // 8, rows), dtype=torch.int32),
        "qzeros": torch.full((groups, rows // 8), 0x77777777, dtype=torch.int32),
        "scales": torch.full((groups, rows), 0.004, dtype=torch.float16),
        "g_idx": torch.arange(columns, dtype=torch.int32) // GROUP,
    }


def _tokenizer(vocabulary: int) -> str:
    """Return a byte-level tokenizer; each id above its alphabet has a token of its own."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = alphabet + [f"<{i}>" for i in range(vocabulary - len(alphabet))]
    tokenizer = Tokenizer(models.BPE(vocab={word: i for i, word in enumerate(words)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return str(tokenizer.to_str())


if __name__ == "__main__":
    for name in ARCHITECTURES:
        make(Path(sys.argv[1]), name)
    print(json.dumps(list(ARCHITECTURES)))  # noqa: T201
