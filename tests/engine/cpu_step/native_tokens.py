"""Prints what own loops with native products and `generate` make of prompts, as JSON."""

from __future__ import annotations

import json
import sys
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from playground.core.generation import GenerationOptions
from playground.engine.cpu_step.build import library
from playground.engine.cpu_step.kernels import NativeProducts
from playground.engine.cpu_step.step import FusedStep, fused_step, summation_noise
from playground.engine.decoding.cached_loop import CachedDecoder
from playground.engine.decoding.decoder import Decoder
from playground.engine.decoding.generate import GenerateDecoder
from playground.engine.loading.int8_weight_only import make_weight_only
from tests.engine.reference import HOW

PRECISIONS = ("fp32", "bf16", "int8wo", "gptq")


def main() -> None:
    job = json.loads(sys.argv[1])
    torch.set_num_threads(job["threads"])
    found: dict[str, dict[str, Any]] = {}
    for precision in PRECISIONS:
        folder = job["gptq"] if precision == "gptq" else job["model"]
        tokenizer = AutoTokenizer.from_pretrained(folder)
        model = AutoModelForCausalLM.from_pretrained(
            folder, device_map={"": "cpu"}, **HOW[precision]
        ).eval()
        if precision == "int8wo":
            make_weight_only(model)
        generate = GenerateDecoder(model, frozenset())
        prompts = [tokenizer(prompt)["input_ids"] for prompt in job["prompts"]]
        _ids(generate, prompts[0], 1)  # some kernels repack their weights at their first call
        compiled = library()
        assert compiled
        reordered = FusedStep(model, 2048, True, NativeProducts(compiled, exact=False))
        answers = found[precision] = {
            "generate": [_ids(generate, prompt, job["new_tokens"]) for prompt in prompts]
        }
        for step in (fused_step(model, 2048, "exact"), reordered):
            own = CachedDecoder(model, frozenset(), 2048, step)
            answers[own.name] = [_ids(own, prompt, job["new_tokens"]) for prompt in prompts]
        answers["apart"] = max(
            _apart(model, prompt, ids)
            for prompt, ids in zip(prompts, answers[own.name], strict=True)
        )
    json.dump(found, sys.stdout)


def _ids(decoder: Decoder, prompt: list[int], count: int) -> list[int]:
    ids: list[int] = []
    options = GenerationOptions(ignore_eos=True)
    decoder.decode(prompt, options, count, lambda token, _: ids.append(token), lambda: "")
    return ids


@torch.inference_mode()
def _apart(model: Any, prompt: list[int], ids: list[int]) -> float:
    """How far at most the logit of a chosen token is below the model's best, in its noise."""
    logits = model(torch.tensor([prompt + ids])).logits[0, len(prompt) - 1 : -1].float()
    dtype = model.lm_head.weight.dtype
    return max(
        float(row.max() - row[token]) / summation_noise(model, row.to(dtype)[None])
        for row, token in zip(logits, ids, strict=True)
    )


if __name__ == "__main__":
    main()
