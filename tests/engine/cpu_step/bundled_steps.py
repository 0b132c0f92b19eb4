"""Compares each fused step of the bundled model with `generate`, at each precision."""

from __future__ import annotations

import json
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from playground.engine.cpu_step.choose_step import Trial, fused_steps
from playground.engine.decoding.cached_loop import CachedDecoder, ForwardStep
from playground.engine.loading.int8_weight_only import make_weight_only
from tests.engine.decoders import assert_as_generate, generate, ids_of
from tests.engine.reference import HOW

CONTEXT = 2048
NEW_TOKENS = 32
#: Those with kernels of their own; a step of bitsandbytes' layers takes too long for texts.
TEXTS = ("fp32", "bf16", "int8wo", "gptq")


def main() -> None:
    job = json.loads(sys.argv[1])
    torch.set_num_threads(job["threads"])
    names: dict[str, list[str]] = {}
    for precision, how in HOW.items():
        folder = job["gptq"] if precision == "gptq" else job["model"]
        tokenizer = AutoTokenizer.from_pretrained(folder)
        model = AutoModelForCausalLM.from_pretrained(folder, device_map={"": "cpu"}, **how).eval()
        if precision == "int8wo":
            make_weight_only(model)
        with torch.no_grad():
            model(torch.tensor([[1]]))  # some kernels repack their weights at their first call
        steps = fused_steps(model, CONTEXT)
        names[precision] = [step.name for step in steps]
        trial = Trial(model, CONTEXT, ForwardStep(model))
        for step in steps:
            trial(step)  # raises where logits differ by more than rounding
        if precision not in TEXTS:
            continue
        decoders = [CachedDecoder(model, frozenset(), CONTEXT, step) for step in steps]
        for text in job["prompts"]:
            prompt = tokenizer(text)["input_ids"]
            expected = generate(model, prompt, NEW_TOKENS)
            for decoder in decoders:
                found = ids_of(decoder, prompt, NEW_TOKENS)[0]
                assert_as_generate(model, prompt, found, expected)
    print("\n" + json.dumps(names))  # noqa: T201


if __name__ == "__main__":
    main()
