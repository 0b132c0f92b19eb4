"""Prints what plain transformers generates: the reference that the engine is held to.

Greedy answers come with the tokens that rounding may put in each place, see `assert_greedy`.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

os.environ.setdefault("GPTQMODEL_CPU_WORKERS", "2")

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    GPTQConfig,
)

from playground.engine.loading.int8_weight_only import make_weight_only
from tests.engine.decoders import within_rounding

BF16 = torch.bfloat16
NF4 = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=BF16)
HOW: dict[str, dict[str, Any]] = {
    "fp32": {"dtype": torch.float32},
    "bf16": {"dtype": BF16},
    "fp16": {"dtype": torch.float16},
    "int8": {"dtype": BF16, "quantization_config": BitsAndBytesConfig(load_in_8bit=True)},
    "int8wo": {"dtype": BF16, "quantization_config": BitsAndBytesConfig(load_in_8bit=True)},
    "nf4": {"dtype": BF16, "quantization_config": NF4},
    "gptq": {
        "dtype": BF16,
        "quantization_config": GPTQConfig(bits=4, backend="gptq_torch_aten"),
    },
}
#: Sampling with everything on, and its seed.
SAMPLING = {"temperature": 0.9, "top_k": 40, "top_p": 0.95, "min_p": 0.02}
PENALTY = {"repetition_penalty": 1.2}
SEED = 7


def main() -> None:
    job = json.loads(sys.argv[1])
    torch.set_num_threads(job["threads"])
    answers: dict[str, Any] = {}
    for precision, how in HOW.items():
        folder = job["gptq"] if precision == "gptq" else job["model"]
        tokenizer = AutoTokenizer.from_pretrained(folder)
        model = AutoModelForCausalLM.from_pretrained(folder, device_map={"": "cpu"}, **how)
        if precision == "int8wo":
            make_weight_only(model)

        def generate(
            prompt: str, model: Any = model, tokenizer: Any = tokenizer, **how: Any
        ) -> dict[str, Any]:
            inputs = tokenizer(prompt, return_tensors="pt")
            output = model.generate(
                **inputs,
                max_new_tokens=job["new_tokens"],
                return_dict_in_generate=True,
                output_scores=True,
                output_logits=True,
                **how,
            )
            steps = zip(output.logits, output.scores, strict=True)
            return {
                "ids": output.sequences[0, inputs["input_ids"].shape[1] :].tolist(),
                "likeliest": [sorted(within_rounding(model, *step)) for step in steps],
            }

        answers[precision] = [generate(prompt, do_sample=False) for prompt in job["prompts"]]
        prompt = job["prompts"][0]
        if precision == "bf16":
            answers["penalized"] = generate(prompt, do_sample=False, **PENALTY)
        if precision == "fp32":
            torch.manual_seed(SEED)
            answers["sampled"] = generate(prompt, do_sample=True, **SAMPLING)["ids"]
    print("\n" + json.dumps(answers))  # noqa: T201


if __name__ == "__main__":
    main()
