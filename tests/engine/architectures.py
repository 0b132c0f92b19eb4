"""Tiny models of many architectures, random and with spread logits, and the folders they fill."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    PreTrainedConfig,
    PreTrainedModel,
)

from tests.support.tiny_model import VOCABULARY, tiny_model_files, write_files

_TOKENS: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "bos_token_id": None,
    "eos_token_id": None,
    "tie_word_embeddings": False,
}
#: Sizes that most families share.
_SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
}
_NO_GROUPS = {key: value for key, value in _SIZES.items() if key != "num_key_value_heads"}
_GPT: dict[str, Any] = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 512}
_EXPERTS: dict[str, Any] = {"num_experts_per_tok": 2, "moe_intermediate_size": 24}
_MAMBA2: dict[str, Any] = {
    "mamba_n_heads": 8,
    "mamba_d_head": 8,
    "mamba_d_state": 8,
    "mamba_chunk_size": 16,
}
#: A window shorter than the prompt.
_WINDOW: dict[str, Any] = {"sliding_window": 8}


def _rope(kind: str, **more: Any) -> dict[str, Any]:
    return {"rope_parameters": {"rope_type": kind, "rope_theta": 10000.0, **more}}


_LONG = {"long_factor": [2.0] * 4, "short_factor": [1.0] * 4}
_LLAMA3 = {"low_freq_factor": 1.0, "high_freq_factor": 4.0}
#: Arguments of the configuration, by the name of the test, whose first word is the model type.
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "llama": _SIZES,
    "llama biases": {**_SIZES, "attention_bias": True, "mlp_bias": True},
    "llama rope linear": {**_SIZES, **_rope("linear", factor=2.0)},
    "llama rope dynamic": {**_SIZES, **_rope("dynamic", factor=2.0)},
    "llama rope yarn": {
        **_SIZES,
        **_rope("yarn", factor=4.0, original_max_position_embeddings=16),
    },
    "llama rope llama3": {
        **_SIZES,
        **_rope("llama3", factor=4.0, original_max_position_embeddings=32, **_LLAMA3),
    },
    "llama rope longrope": {
        **_SIZES,
        **_rope("longrope", factor=4.0, original_max_position_embeddings=32, **_LONG),
    },
    "mistral": {**_SIZES, "sliding_window": None},
    "mistral window": {**_SIZES, **_WINDOW},
    "qwen2": {**_SIZES, "tie_word_embeddings": True},
    "qwen2 window": {**_SIZES, **_WINDOW, "use_sliding_window": True, "max_window_layers": 1},
    "qwen3": {**_SIZES, "head_dim": 16},
    "qwen3_moe": {**_SIZES, **_EXPERTS, "head_dim": 16, "num_experts": 4},
    "mixtral": {**_SIZES, "num_local_experts": 4, "num_experts_per_tok": 2},
    "gemma": {**_SIZES, "head_dim": 8},
    "gemma2": {**_SIZES, **_WINDOW, "head_dim": 8},
    "gemma3_text": {**_SIZES, **_WINDOW, "head_dim": 8},
    "phi": _SIZES,
    "phi3": {**_SIZES, "sliding_window": None, "pad_token_id": 0},
    "gpt2": _GPT,
    "gpt_neox": _NO_GROUPS,
    "gptj": {**_GPT, "rotary_dim": 4},
    "gpt_neo": {
        "hidden_size": 32,
        "num_layers": 2,
        "num_heads": 4,
        "max_position_embeddings": 512,
        "attention_types": [[["global", "local"], 1]],
        "window_size": 8,
    },
    "gpt_bigcode": _GPT,
    "opt": {
        "hidden_size": 32,
        "ffn_dim": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 512,
        "word_embed_proj_dim": 32,
    },
    "bloom": {"hidden_size": 32, "n_layer": 2, "n_head": 4},
    "falcon": {**_NO_GROUPS, "multi_query": True, "new_decoder_architecture": False},
    "falcon new": {**_NO_GROUPS, "new_decoder_architecture": True, "num_kv_heads": 2},
    "falcon alibi": {**_NO_GROUPS, "alibi": True, "new_decoder_architecture": False},
    "mpt": {"d_model": 32, "n_layers": 2, "n_heads": 4, "max_seq_len": 512},
    "olmo": _SIZES,
    "olmo2": _SIZES,
    "olmo3": {**_SIZES, **_WINDOW},
    "olmoe": {**_SIZES, "num_experts": 4, "num_experts_per_tok": 2},
    "starcoder2": {**_SIZES, **_WINDOW},
    "stablelm": _SIZES,
    "mamba": {"hidden_size": 32, "num_hidden_layers": 2, "state_size": 8},
    "falcon_mamba": {"hidden_size": 32, "num_hidden_layers": 2, "state_size": 8},
    "mamba2": {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "state_size": 8,
        "num_heads": 8,
        "head_dim": 8,
        "n_groups": 2,
        "chunk_size": 16,
    },
    "gpt_oss": {
        **_SIZES,
        **_WINDOW,
        "head_dim": 8,
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
    },
    "cohere": _SIZES,
    "cohere2": {**_SIZES, **_WINDOW, "head_dim": 8},
    "deepseek_v3": {
        **_SIZES,
        "num_key_value_heads": 4,
        "moe_intermediate_size": 16,
        "n_routed_experts": 4,
        "num_experts_per_tok": 2,
        "n_group": 1,
        "topk_group": 1,
        "kv_lora_rank": 16,
        "q_lora_rank": 16,
        "qk_rope_head_dim": 8,
        "qk_nope_head_dim": 8,
        "v_head_dim": 8,
        "first_k_dense_replace": 1,
    },
    "jamba": {
        **_SIZES,
        "attn_layer_period": 2,
        "attn_layer_offset": 1,
        "expert_layer_period": 2,
        "expert_layer_offset": 1,
        "num_experts": 4,
        "mamba_d_state": 8,
        "use_mamba_kernels": False,
    },
    "granitemoehybrid": {
        **_SIZES,
        "layer_types": ["mamba", "attention"],
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
        **_MAMBA2,
    },
    "bamba": {**_SIZES, **_MAMBA2, "attn_layer_indices": [1]},
    "nemotron_h": {
        **_SIZES,
        "num_hidden_layers": 3,
        "hybrid_override_pattern": "M*-",
        "head_dim": 8,
        "mamba_num_heads": 8,
        "mamba_head_dim": 8,
        "ssm_state_size": 8,
        "n_groups": 2,
        "chunk_size": 16,
    },
    "lfm2": {
        **_SIZES,
        "layer_types": ["conv", "full_attention"],
        "block_multiple_of": 16,
    },
    "granite": _SIZES,
    "granitemoe": {**_SIZES, "num_local_experts": 4, "num_experts_per_tok": 2},
    "smollm3": {**_SIZES, "pad_token_id": 0},
    "qwen3_next": {
        **_SIZES,
        **_EXPERTS,
        "head_dim": 16,
        "num_experts": 4,
        "shared_expert_intermediate_size": 16,
        "linear_num_key_heads": 2,
        "linear_num_value_heads": 4,
        "linear_key_head_dim": 8,
        "linear_value_head_dim": 8,
        "layer_types": ["linear_attention", "full_attention"],
    },
}
_VISION: dict[str, Any] = {
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "image_size": 28,
    "patch_size": 14,
}
_TEXT = {**_SIZES, "vocab_size": VOCABULARY, "bos_token_id": None, "eos_token_id": None}
#: Vision-language models: their text is read by a language model inside.
ARCHITECTURES |= {
    "llava": {"text_config": {"model_type": "llama", **_TEXT}, "vision_config": _VISION},
    "gemma3": {"text_config": {**_TEXT, **_WINDOW, "head_dim": 8}, "vision_config": _VISION},
    "mistral3": {
        "text_config": {"model_type": "mistral", **_TEXT},
        "vision_config": {**_VISION, "model_type": "pixtral"},
    },
    "qwen2_vl": {
        "text_config": {**_TEXT, **_rope("default", mrope_section=[1, 1, 2])},
        "vision_config": {"depth": 1, "embed_dim": 16, "num_heads": 2, "hidden_size": 32},
    },
}


def auto_class(config: PreTrainedConfig) -> Any:
    """Return the class that has a model for the configuration."""
    causal = type(config) in MODEL_FOR_CAUSAL_LM_MAPPING
    return AutoModelForCausalLM if causal else AutoModelForImageTextToText


def make(name: str, seed: int) -> PreTrainedModel:
    """Return the model of an entry of ARCHITECTURES in fp32, without an end-of-text token."""
    torch.manual_seed(seed)
    config = AutoConfig.for_model(
        name.split()[0],
        **_TOKENS | ARCHITECTURES[name],
    )
    model: PreTrainedModel = auto_class(config).from_config(config, dtype=torch.float32)
    embeddings = model.get_input_embeddings().weight
    tied = model.get_output_embeddings().weight is embeddings
    with torch.no_grad():
        for name_, parameter in model.named_parameters():
            if name_.endswith("bias"):
                # Initial biases are 0: a step that leaves one out would go unnoticed.
                parameter.uniform_(-0.5, 0.5)
            elif parameter.dim() > 1:
                # With the small initial weights, one token follows itself for ever.
                parameter.mul_(50 if parameter is embeddings and not tied else 8)
    return model.eval()


def write(model: PreTrainedModel, folder: Path) -> Path:
    """Write the model and a tokenizer of bytes into a folder, which is made."""
    files = {name: data for name, data in tiny_model_files().items() if "token" in name}
    model.save_pretrained(write_files(folder, files))
    return folder
