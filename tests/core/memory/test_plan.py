"""The memory plan: weights, KV cache, overhead, verdicts, corrections."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from playground.core.memory.corrections import (
    Corrections,
    MeasuredLoad,
    corrections_for,
    record_load,
)
from playground.core.memory.plan import (
    DeviceBudget,
    Fit,
    longest_context,
    plan,
    rough_verdict,
    tokens_left,
    verdict,
)
from playground.core.model.checkpoint import read_checkpoint
from playground.core.model.kv_cache import CacheShape, cache_shape
from playground.core.model.safetensors_header import StoredTensor
from playground.core.model.weights import ModelSizes, model_sizes
from playground.core.precision import Precision
from playground.core.system.resources import resource

LLAMA_7B = {
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "max_position_embeddings": 4096,
    "vocab_size": 32000,
}
GIB = 2**30


def llama(config: dict[str, object], dtype: str = "BF16", tied: bool = False) -> ModelSizes:
    """Return the sizes of a Llama with as many KV heads as query heads."""
    hidden, inner = int(str(config["hidden_size"])), int(str(config["intermediate_size"]))
    shapes = {"model.embed_tokens.weight": (32000, hidden), "model.norm.weight": (hidden,)}
    if not tied:
        shapes["lm_head.weight"] = (32000, hidden)
    for layer in range(int(str(config["num_hidden_layers"]))):
        block = f"model.layers.{layer}"
        shapes |= {f"{block}.self_attn.{n}_proj.weight": (hidden, hidden) for n in "qkvo"}
        shapes |= {f"{block}.mlp.{n}_proj.weight": (inner, hidden) for n in ("gate", "up")}
        shapes[f"{block}.mlp.down_proj.weight"] = (hidden, inner)
        for name in ("input_layernorm", "post_attention_layernorm"):
            shapes[f"{block}.{name}.weight"] = (hidden,)
    tensors = [StoredTensor(name, dtype, shape) for name, shape in shapes.items()]
    return model_sizes(tensors, config, sum(t.elements for t in tensors) * 2)


@pytest.fixture(scope="module")
def seven_billion() -> ModelSizes:
    return llama(dict(LLAMA_7B))


def test_weights_of_a_seven_billion_model(seven_billion: ModelSizes) -> None:
    assert seven_billion.parameters == 6_738_415_616
    outside = 2 * 32000 * 4096 + 65 * 4096
    linear = 6_738_415_616 - outside
    assert seven_billion.weights(Precision.BF16).total == 2 * 6_738_415_616
    assert seven_billion.weights(Precision.FP32).total == 4 * 6_738_415_616
    rows = 32 * (4 * 4096 + 2 * 11008 + 4096)
    assert seven_billion.weights(Precision.INT8).total == linear + 4 * rows + 2 * outside
    nf4 = seven_billion.weights(Precision.NF4, "cuda:0")
    assert (nf4.layers, nf4.scales) == (linear // 2, linear // 64 * 4)
    gptq = seven_billion.weights(Precision.GPTQ, "cuda:0")
    assert gptq.layers == linear // 2
    assert gptq.total == pytest.approx(3.9e9, rel=0.02)  # such checkpoints have 3.9 GB


def test_a_tied_head_counts_once() -> None:
    config = {**LLAMA_7B, "num_hidden_layers": 1, "tie_word_embeddings": True}
    assert llama(config).parameters == llama(config, tied=True).parameters
    assert llama({**config, "tie_word_embeddings": False}).parameters > llama(config).parameters


def test_packed_weights_count_as_the_values_they_hold() -> None:
    plain = read_checkpoint(resource("models", "classics-6m")).sizes
    packed = read_checkpoint(resource("models", "classics-6m-gptq")).sizes
    assert packed.parameters == plain.parameters
    assert plain.weights(Precision.GPTQ) == packed.weights(Precision.GPTQ)
    assert not packed.offers(Precision.BF16)
    assert all(map(plain.offers, Precision))


def test_experts_that_bitsandbytes_leaves_alone_stay_at_16_bits() -> None:
    config = {**LLAMA_7B, "model_type": "mixtral"}
    experts = [StoredTensor("model.layers.0.mlp.experts.gate_up_proj", "BF16", (8, 64, 32))]
    others = [StoredTensor("model.layers.0.self_attn.q_proj.weight", "BF16", (32, 32))]
    weights = model_sizes(experts + others, config, 0).weights(Precision.INT8)
    assert weights.layers == 2 * 8 * 64 * 32 + 32 * 32


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, CacheShape(32 * 2 * 4096)),
        ({"num_key_value_heads": 8}, CacheShape(32 * 2 * 8 * 128)),
        ({"head_dim": 256, "num_key_value_heads": 4}, CacheShape(32 * 2 * 4 * 256)),
        (
            {"model_type": "mistral", "sliding_window": 4096, "num_key_value_heads": 8},
            CacheShape(0, 32 * 2048, 4096),
        ),
        (
            {"model_type": "qwen2", "sliding_window": 4096, "use_sliding_window": False},
            CacheShape(32 * 8192),
        ),
        ({"model_type": "gemma2", "sliding_window": 9}, CacheShape(16 * 8192, 16 * 8192, 9)),
        (
            {"sliding_window": 8, "layer_types": ["sliding_attention"] * 31 + ["full_attention"]},
            CacheShape(8192, 31 * 8192, 8),
        ),
        (
            {"layer_types": ["linear_attention"] * 24 + ["full_attention"] * 8},
            CacheShape(8 * 8192, hybrid=True),
        ),
        ({"layers_block_type": ["mamba"] * 31 + ["hybrid"]}, CacheShape(8192, hybrid=True)),
        (
            {"layers_block_type": ["mamba", "mlp", "moe", "attention"], "num_hidden_layers": None},
            CacheShape(8192, hybrid=True),
        ),
        ({"hybrid_override_pattern": "M-M*" * 8}, CacheShape(8 * 8192, hybrid=True)),
        ({"attn_layer_indices": [9, 18, 27]}, CacheShape(3 * 8192, hybrid=True)),
        ({"full_attn_idxs": [0, 31]}, CacheShape(2 * 8192, hybrid=True)),
        (
            {"linear_attn_config": {"full_attn_layers": [4, 8, 32]}},
            CacheShape(3 * 8192, hybrid=True),
        ),
        ({"full_attention_interval": 4}, CacheShape(8 * 8192, hybrid=True)),
        ({"attn_layer_period": 8, "attn_layer_offset": 4}, CacheShape(4 * 8192, hybrid=True)),
        (
            {
                "block_types": ["recurrent", "recurrent", "attention"],
                "attention_window_size": 2048,
            },
            CacheShape(0, 10 * 8192, 2048, hybrid=True),
        ),
        (
            {
                "layer_types": ["sliding_attention", "full_attention"] * 16,
                "sliding_window": 8,
                "num_kv_shared_layers": 10,
            },
            CacheShape(11 * 8192, 11 * 8192, 8, hybrid=True),
        ),
        ({"attention_head_dim": 64}, CacheShape(32 * 2 * 32 * 64)),
        ({"kv_lora_rank": 512, "qk_rope_head_dim": 64}, CacheShape(32 * 576)),
        ({"multi_query": True}, CacheShape(32 * 2 * 128)),
        ({"num_hidden_layers": None}, None),
    ],
)  # fmt: skip
def test_cache_shapes(changes: dict[str, object], expected: CacheShape | None) -> None:
    assert cache_shape({**LLAMA_7B, **changes}) == expected
    assert cache_shape({"text_config": {**LLAMA_7B, **changes}}) == expected


def test_the_cache_grows_in_buckets_and_a_window_bounds_it() -> None:
    shape = CacheShape(100)
    assert shape.allocated_bytes(1, 2, 4096) == shape.allocated_bytes(512, 2, 4096) == 100 * 512 * 2
    assert shape.allocated_bytes(513, 2, 4096) == 100 * 1024 * 2
    assert shape.allocated_bytes(5000, 2, 4096) == 100 * 4096 * 2  # no longer text is taken
    windowed = CacheShape(100, 50, 256)
    assert windowed.allocated_bytes(1000, 2) == (100 * 1000 + 50 * 256) * 2
    assert windowed.read_bytes(5001, 4) - windowed.read_bytes(5000, 4) == 400


def test_a_plan_is_the_sum_of_its_items(seven_billion: ModelSizes) -> None:
    made = plan(seven_billion, Precision.BF16, context=4096)
    assert made.cache == 32 * 8192 * 4096 * 2
    assert made.needed == made.weights.total + made.cache + made.overhead
    assert made.overhead == made.process + made.workspace
    assert made.unread == 2 * 32000 * 4096  # the rows of an embedding are read one by one
    assert made.peak == made.needed + made.pages - made.unread
    before = MeasuredLoad(Precision.BF16, made.needed, round(1.1 * made.needed), "llama")
    taught = DeviceBudget(corrections=Corrections((before,)))
    corrected = plan(seven_billion, Precision.BF16, budget=taught, context=4096)
    assert corrected.needed == pytest.approx(1.1 * made.needed)
    nf4 = plan(seven_billion, Precision.NF4, context=4096)
    assert nf4.pages == pytest.approx(seven_billion.file_bytes - nf4.weights.rest, rel=0.01)
    assert verdict(nf4.needed, 7 * GIB + GIB // 2) is Fit.TIGHT  # the system may drop those pages
    longer = plan(seven_billion, Precision.FP32, context=4096)
    assert longer.weights.mapped == 0
    assert longer.cache == 2 * made.cache


def test_loads_of_similar_size_and_family_correct_a_prediction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLAYGROUND_HOME", str(tmp_path))
    assert corrections_for("a processor").factor("llama", Precision.BF16, GIB) == 1.0
    for percent in (104, 110, 300):  # one of them disturbed
        load = MeasuredLoad(Precision.BF16, GIB, GIB * percent // 100, "llama")
        record_load("a processor", load)
    known = corrections_for("a processor")
    assert known.factor("llama", Precision.BF16, GIB * 3 // 2) == pytest.approx(1.1, abs=1e-3)
    assert known.factor("llama", Precision.BF16, 3 * GIB) == 1.0
    assert known.factor("llama", Precision.NF4, GIB) == 1.0
    assert known.factor("mamba", Precision.BF16, GIB) == 1.0
    assert corrections_for("another").loads == ()
    for _ in range(40):
        record_load("a processor", MeasuredLoad(Precision.BF16, GIB, GIB // 2, "llama"))
    record_load("a processor", MeasuredLoad(Precision.NF4, GIB, GIB, "llama"))
    known = corrections_for("a processor")
    assert len(known.loads) == 31
    assert known.factor("llama", Precision.BF16, GIB) == 0.9  # pages may have been dropped
    (tmp_path / "cache" / "memory.json").write_text("{")
    assert corrections_for("a processor").loads == ()


def test_loads_of_an_unknown_family_teach_nothing() -> None:
    known = Corrections((MeasuredLoad(Precision.BF16, GIB, 2 * GIB),))  # of an earlier version
    assert known.factor("", Precision.BF16, GIB) == 1.0
    assert known.factor("llama", Precision.BF16, GIB) == 1.0


def test_experts_stored_one_by_one_are_joined_beside_their_pages() -> None:
    config = {**LLAMA_7B, "model_type": "mixtral"}
    one = [
        StoredTensor(f"model.layers.0.mlp.experts.{i}.w1.weight", "BF16", (64, 32))
        for i in range(8)
    ]
    joined = [StoredTensor("model.layers.0.mlp.experts.gate_up_proj", "BF16", (8, 64, 32))]
    other = StoredTensor("model.embed_tokens.weight", "BF16", (100, 32))
    size = 2 * 8 * 64 * 32
    files = size + 2 * other.elements
    apart, together = (model_sizes([*made, other], config, files) for made in (one, joined))
    assert apart.weights(Precision.BF16).total == together.weights(Precision.BF16).total == files
    assert plan(apart, Precision.BF16).pages == size
    assert plan(together, Precision.BF16).pages == 0


def test_a_scan_takes_memory_for_every_token_and_no_cache() -> None:
    mamba = {"model_type": "mamba", "hidden_size": 768, "expand": 2, "state_size": 16}
    second = {
        "model_type": "mamba2", "hidden_size": 768, "num_heads": 24, "head_dim": 64,
        "state_size": 128, "chunk_size": 256, "num_hidden_layers": 2,
    }  # fmt: skip
    first = model_sizes([], mamba, 0)
    assert first.cache == CacheShape(0)
    assert first.state_space is not None
    assert first.state_space.scan_bytes(1000) == 3 * 1536 * 16 * 4 * 1000
    assert first.widest == 1536
    made = plan(first, Precision.BF16, context=1000)
    assert (made.cache, made.cache_known) == (0, True)
    assert made.workspace > first.state_space.scan_bytes(1000)
    chunked = model_sizes([], second, 0).state_space
    assert chunked is not None
    assert chunked.scan_bytes(1) == chunked.scan_bytes(256) == chunked.scan_bytes(257) // 2
    assert model_sizes([], dict(LLAMA_7B), 0).state_space is None


def test_verdicts(seven_billion: ModelSizes) -> None:
    made = plan(seven_billion, Precision.BF16, context=2048)
    assert verdict(made.needed, 64 * GIB) is Fit.FITS
    assert verdict(made.needed, made.needed) is Fit.TIGHT
    assert verdict(made.needed, made.needed - 1) is Fit.TOO_LARGE
    assert verdict(95, 100) is Fit.TIGHT
    assert [f.value for f in Fit] == ["fits", "tight", "too large"]


def test_the_longest_context_is_where_the_verdict_turns(seven_billion: ModelSizes) -> None:
    free = 15 * GIB
    longest = longest_context(seven_billion, Precision.BF16, free)
    assert 512 <= longest < 4096
    assert plan(seven_billion, Precision.BF16, context=longest).needed <= free
    assert plan(seven_billion, Precision.BF16, context=longest + 1).needed > free
    assert longest_context(seven_billion, Precision.BF16, 100 * GIB) == 4096
    assert longest_context(seven_billion, Precision.BF16, 8 * GIB) == 0


def test_rough_verdicts_on_search_results() -> None:
    seven = 6_738_415_616
    assert rough_verdict(seven, 2 * seven, 32 * GIB) is Fit.FITS
    assert (
        rough_verdict(seven, 4 * seven, 32 * GIB) is Fit.FITS
    )  # stored in fp32, loaded in 16 bits
    assert rough_verdict(seven, 2 * seven, 13 * GIB + GIB // 2) is Fit.TIGHT
    assert rough_verdict(seven, 2 * seven, 8 * GIB) is Fit.TOO_LARGE
    assert rough_verdict(seven, int(3.9e9), 8 * GIB, quantized=True) is Fit.FITS
    assert rough_verdict(None, None, 8 * GIB) is None
    assert rough_verdict(seven, None, None) is None


def test_tokens_left_end_with_the_context_or_the_memory() -> None:
    assert tokens_left(1000, 10_000_000, 24, 1024) == 1000
    assert tokens_left(1000, 10_000, 24, 1024) == 10
    assert tokens_left(1000, 10_000, 24, 0) == 10
    assert tokens_left(0, 10_000, 24, 0) is None
    assert tokens_left(1000, 10_000, 2000, 1024) == 0


def test_buffers_of_old_checkpoints_are_not_counted() -> None:
    config = {"model_type": "gpt2", "n_embd": 8, "n_layer": 1, "n_head": 2, "n_positions": 16}
    weight = StoredTensor("h.0.attn.c_attn.weight", "F32", (8, 24))
    buffers = [
        StoredTensor("h.0.attn.bias", "U8", (1, 1, 16, 16)),
        StoredTensor("h.0.attn.masked_bias", "F32", ()),
        StoredTensor("h.0.attn.rotary_emb.inv_freq", "F32", (4,)),
    ]
    sizes = model_sizes([weight, *buffers], config, 0)
    assert sizes.parameters == 8 * 24
    assert (sizes.rows, sizes.columns) == (24, 8)


def test_a_folder_of_autogptq_is_counted(tmp_path: Path) -> None:
    source = resource("models", "classics-6m-gptq")
    for path in source.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    settings = config.pop("quantization_config")
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "quantize_config.json").write_text(json.dumps(settings))
    assert read_checkpoint(tmp_path).sizes == read_checkpoint(source).sizes
