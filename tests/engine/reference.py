"""Prints the answers of plain transformers, with which tests compare the engine's.

Greedy answers include the tokens that rounding may choose at each position, see `assert_greedy`.
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
    PreTrainedModel,
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


def greedy_answer(
    model: PreTrainedModel, input_ids: torch.Tensor, count: int, **how: Any
) -> dict[str, Any]:
    """Return `generate`'s continuation of `input_ids` [1, n], and its near ties."""
    output: Any = model.generate(  # type: ignore[operator]  # transformers types it as a tensor
        input_ids,
        max_new_tokens=count,
        do_sample=False,
        return_dict_in_generate=True,
        output_scores=True,
        output_logits=True,
        **how,
    )
    steps = zip(output.logits, output.scores, strict=True)
    return {
        "ids": output.sequences[0, input_ids.shape[1] :].tolist(),
        "likeliest": [sorted(within_rounding(model, *step)) for step in steps],
    }


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
        inputs = [tokenizer(prompt, return_tensors="pt")["input_ids"] for prompt in job["prompts"]]
        answers[precision] = [greedy_answer(model, ids, job["new_tokens"]) for ids in inputs]
        if precision == "fp32":
            # In fp32 rounding changes no draw.
            answers["penalized"] = greedy_answer(model, inputs[0], job["new_tokens"], **PENALTY)
            torch.manual_seed(SEED)
            output = model.generate(
                inputs[0], max_new_tokens=job["new_tokens"], do_sample=True, **SAMPLING
            )
            answers["sampled"] = output[0, inputs[0].shape[1] :].tolist()
    print("\n" + json.dumps(answers))  # noqa: T201


if __name__ == "__main__":
    main()
