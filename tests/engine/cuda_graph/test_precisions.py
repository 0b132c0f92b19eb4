"""The CUDA-graph loop on the bundled model and quantized layers, and what an engine tells."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from playground.core.facts import LoadedModel, LoadRequest, TokenRules
from playground.core.generation import GenerationOptions, RawPrompt
from playground.core.precision import Precision
from playground.core.protocol import (
    Activity,
    Event,
    Finished,
    FrameDecoder,
    Generate,
    Progress,
    Started,
    event_decoder,
)
from playground.engine.cuda_graph.compiled_layers import compiled_layers
from playground.engine.cuda_graph.graph_step import FixedStep, uncaptured
from playground.engine.decoding.cached_loop import CachedDecoder
from playground.engine.decoding.decoder import Decoder
from playground.engine.decoding.kv_cache import KVCache
from playground.engine.loading.gptq_int4 import Int4Linear, unpack
from playground.engine.loading.verify import verify
from playground.engine.prompts.process import PromptEncoder
from playground.engine.serving.answering import Answering, Session
from playground.engine.serving.choose_decoder import choose_decoder
from playground.engine.serving.detokenize import token_texts
from playground.engine.wire.inbox import Inbox
from playground.engine.wire.sender import Sender
from tests.benchmarks import device_models
from tests.engine.decoders import assert_as_generate, check_greedy, ids_of
from tests.engine.driver import PROMPTS


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """A second thread waits for its core at every layer where another program has it."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def bundled(folder: Path, dtype: torch.dtype = torch.bfloat16) -> Any:
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)
    model.generation_config.eos_token_id = None
    return model.eval()


def bundled_gptq(folder: Path) -> Any:
    """The quantized checkpoint on torch's int4 matmul, without gptqmodel."""
    config = AutoConfig.from_pretrained(folder)
    del config.quantization_config
    model: Any = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    tensors = load_file(folder / "model.safetensors")
    for name, _ in list(model.named_modules()):
        if f"{name}.qweight" in tensors:
            parts = {
                k: tensors.pop(f"{name}.{k}") for k in ("qweight", "qzeros", "scales", "g_idx")
            }
            weight = unpack(**parts, zero_offset=1)
            assert weight is not None
            parent, _, leaf = name.rpartition(".")
            setattr(model.get_submodule(parent), leaf, Int4Linear(weight, None))
    missing, unexpected = model.load_state_dict(tensors, strict=False)
    assert not unexpected
    assert all(".packed" in n or "scales_and" in n or n == "lm_head.weight" for n in missing)
    model.tie_weights()
    model.generation_config.eos_token_id = None
    return model.eval()


def captured(model: Any) -> Decoder:
    chosen = choose_decoder(model, frozenset(), 1024, "auto", captures=[uncaptured])
    assert chosen.note == ""
    assert chosen.decoder.name == "CUDA-graph loop, not captured"
    return chosen.decoder


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32], ids=str)
def test_the_bundled_model_says_what_generate_says(dtype: torch.dtype, model_folder: Path) -> None:
    model, tokenizer = bundled(model_folder, dtype), AutoTokenizer.from_pretrained(model_folder)
    check_prompts(model, tokenizer)


def test_so_does_the_bundled_gptq_checkpoint(gptq_folder: Path) -> None:
    model, tokenizer = bundled_gptq(gptq_folder), AutoTokenizer.from_pretrained(gptq_folder)
    verified, kernel = verify(model)
    assert verified.precision is Precision.GPTQ
    assert kernel == "torch _weight_int4pack_mm"
    check_prompts(model, tokenizer)


def check_prompts(model: Any, tokenizer: Any) -> None:
    decoder = captured(model)
    prompts = [tokenizer(text)["input_ids"] for text in PROMPTS]
    # A prompt of its own, the other, the first again, and one that outgrows the first cache.
    long = (prompts[0] * 60)[:500]
    for ids in (*prompts, prompts[0], long):
        check_greedy(decoder, model, ids, 24)
    # A conversation goes on from the longer cache.
    answer = ids_of(decoder, prompts[1], 24)[0]
    turn = [*prompts[1], *answer, *prompts[0]]
    found, decoded = ids_of(decoder, turn, 24, reuse=True)
    assert decoded.reused == len(prompts[1]) + 24 - 1
    assert_as_generate(model, turn, found)


@pytest.mark.parametrize(
    "precision", [Precision.INT8_WEIGHT_ONLY, Precision.NF4, Precision.GPTQ], ids=str
)
def test_quantized_layers_compile_without_a_break(precision: Precision) -> None:
    if precision is not Precision.GPTQ:
        pytest.importorskip("bitsandbytes")
    model = device_models.make("tiny", precision, "cpu")
    programs: list[Any] = []

    def backend(graph: Any, inputs: Any) -> Any:
        programs.append(graph)
        return graph

    with torch.no_grad():
        model(torch.tensor([[1, 2, 3]]))  # some kernels repack their weights at the first call
        cache = KVCache(model, 1024)
        model(input_ids=torch.tensor([[5]]), use_cache=True, **cache.argument)
        cache.truncate(0)
        step = FixedStep(model, cache)
        step.place(7, 0)
        step()
        expected = step.logits.clone()
        step.place(7, 0)
        with compiled_layers(model, step, backend):
            step()
    assert len(programs) == 2  # one for every layer, one for the head
    assert torch.equal(step.logits, expected)


# What the engine tells


class Told:
    """Runs generations on a decoder as the engine does; returns their events."""

    def __init__(self, model: Any, folder: Path, decoder: Decoder) -> None:
        request = LoadRequest(name="t", folder=str(folder), commit="", precision=Precision.BF16)
        verified, kernel = verify(model)
        loaded = LoadedModel(
            request=request, verified=verified, kernel=kernel, device_name="CPU",
            architecture="LlamaForCausalLM", parameters=0, context_length=1024,
            has_chat_template=False, load_s={}, memory_bytes=0,
        )  # fmt: skip
        tokenizer = AutoTokenizer.from_pretrained(folder)
        self._session = Session(
            model,
            tokenizer,
            PromptEncoder(tokenizer),
            token_texts(tokenizer),
            TokenRules(),
            decoder,
            loaded,
            versions={},
            beyond={},
        )

    def run(self, text: str, inbox: Inbox | None = None, **options: Any) -> list[Event]:
        reading, writing = os.pipe()
        command = Generate(
            request_id=1,
            prompt=RawPrompt(text),
            options=GenerationOptions(ignore_eos=True, **options),
            sent_at=0.0,
        )
        sender = Sender(writing)
        Answering(self._session, command, sender, inbox or Inbox(-1)).run()
        os.close(writing)
        decoder: FrameDecoder[Event] = event_decoder()
        with os.fdopen(reading, "rb") as stream:
            return list(decoder.feed(stream.read()))


def test_a_longer_cache_is_a_warm_up_of_its_own_and_in_no_figure(model_folder: Path) -> None:
    model = bundled(model_folder)
    told = Told(model, model_folder, captured(model))
    text = "Alice was beginning to get very tired of " * 45
    events = told.run(text, max_new_tokens=400)
    kinds = [e.activity if isinstance(e, Progress) else type(e) for e in events]
    begun = kinds.index(Started)
    warm = [i for i, kind in enumerate(kinds) if kind is Activity.WARMING_UP]
    assert warm
    assert begun < warm[0]
    assert kinds[warm[-1] + 1] is Activity.READING_PROMPT
    details = [e.detail for e in events if isinstance(e, Progress) and e.activity in kinds]
    assert "room for 1,024 tokens" in details
    first = events[-1]
    assert isinstance(first, Finished)
    assert first.answer.warm_up_s > 0
    assert first.answer.stamp.decoder == "CUDA-graph loop, not captured"
    again = told.run(text, max_new_tokens=400)
    last = again[-1]
    assert isinstance(last, Finished)
    assert last.answer.warm_up_s == 0
    assert not any(isinstance(e, Progress) and e.activity is Activity.WARMING_UP for e in again)
    assert last.answer.token_ids == first.answer.token_ids


def test_stop_strings_end_both_loops_at_the_same_token(model_folder: Path) -> None:
    model = bundled(model_folder, torch.float32)
    texts = []
    for decoder in (captured(model), CachedDecoder(model, frozenset(), 1024)):
        told = Told(model, model_folder, decoder)
        whole = told.run(PROMPTS[0], max_new_tokens=24)[-1]
        assert isinstance(whole, Finished)
        stop = whole.answer.text[20:23]
        event = told.run(PROMPTS[0], max_new_tokens=24, stop=(stop,))[-1]
        assert isinstance(event, Finished)
        assert event.answer.stop_reason == "stop string"
        assert stop not in event.answer.text
        texts.append((event.answer.text, event.answer.token_ids))
    assert texts[0] == texts[1]
