"""llama.cpp as a yardstick: converts a Llama folder to GGUF and times its decoding.

Run as `python -m tests.benchmarks.llama_peer FOLDER KIND TOKENS`, in an environment with
llama-cpp-python and gguf. Prints a line when the model is loaded; after that every line on
stdin is answered by a line with the gaps between tokens, in seconds.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

#: gguf's name of the file type, and of the tensors' type, by our name.
KINDS = {"f32": "F32", "bf16": "BF16", "q8_0": "Q8_0", "q4_0": "Q4_0"}
_LAYER = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}
_WHOLE = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}
_PROMPT = list(range(10, 26))


def convert(folder: Path, kind: str, target: Path) -> None:
    """Write the bf16 checkpoint of a Llama as GGUF."""
    import gguf

    config = json.loads((folder / "config.json").read_text("utf-8"))
    heads = int(config["num_attention_heads"])
    writer = gguf.GGUFWriter(str(target), "llama")
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_rope_dimension_count(config["hidden_size"] // heads)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_tokenizer_model("none")
    wanted = gguf.GGMLQuantizationType[KINDS[kind]]
    for name, array in _tensors(folder / "model.safetensors"):
        if name.endswith(("q_proj.weight", "k_proj.weight")):
            array = _interleaved(array, heads)
        matrix = array.ndim == 2
        # Embeddings and head stay in bf16 at most, as they do in the engine.
        at_ends = name in _WHOLE and kind in ("q8_0", "q4_0")
        type_ = gguf.GGMLQuantizationType.BF16 if at_ends else wanted
        if not matrix:
            type_ = gguf.GGMLQuantizationType.F32
        writer.add_tensor(_gguf_name(name), gguf.quants.quantize(array, type_), raw_dtype=type_)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _tensors(path: Path) -> Any:
    """Yield (name, fp32 array) of a bf16 safetensors file."""
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
    data = np.memmap(path, mode="r", offset=8 + size)
    header.pop("__metadata__", None)
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        halves = data[begin:end].view(np.uint16).astype(np.uint32) << 16
        yield name, halves.view(np.float32).reshape(entry["shape"])


def _interleaved(weight: Any, heads: int) -> Any:
    """Return the rows in the order of llama.cpp's rotary embedding, which rotates neighbours."""
    rows, columns = weight.shape
    halves = weight.reshape(heads, 2, rows // heads // 2, columns)
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(rows, columns))


def _gguf_name(name: str) -> str:
    if name in _WHOLE:
        return _WHOLE[name]
    _, _, number, rest = name.split(".", 3)
    return f"blk.{number}.{_LAYER[rest.removesuffix('.weight')]}.weight"


def last_logits(model: Any) -> Any:
    """Return the logits [vocabulary] after the last token that was evaluated."""
    import llama_cpp

    pointer = llama_cpp.llama_get_logits_ith(model.ctx, -1)
    return np.ctypeslib.as_array(pointer, shape=(model.n_vocab(),))


def main() -> None:
    """Serve until the input ends."""
    folder, kind, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    threads = int(sys.argv[4])
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # no library's print shall come between
    import llama_cpp

    path = folder.parent / f"{kind}.gguf"
    if not path.is_file():
        convert(folder, kind, path)
    model: Any = llama_cpp.Llama(str(path), n_ctx=512, n_threads=threads, verbose=False)

    def generate(tokens: int) -> list[float]:
        model.reset()
        model.eval(_PROMPT)
        times = []
        for _ in range(tokens):
            token = int(np.argmax(last_logits(model)))
            times.append(time.monotonic())
            model.eval([token])
        return list(np.diff(times))

    generate(4)
    out.write(json.dumps({"version": llama_cpp.__version__}) + "\n")
    out.flush()
    for _ in sys.stdin:
        out.write(json.dumps({"itl_s": generate(count)}) + "\n")
        out.flush()


if __name__ == "__main__":
    main()
