"""Prints what plain transformers generates: the reference for the engine's tokens.

Another processor may take kernels that sum in a different order, so that two almost equally
likely tokens change places. The reference therefore names, for every step, the tokens that are
as likely as the chosen one up to rounding.
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
from tests.engine.driver import GreedyText

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
#: Logits closer than this, in their standard deviations, are equal up to rounding.
_NEAR_TIE = {torch.float32: 1e-4}
_NEAR_TIE_16_BITS = 0.1


def greedy_text(model: PreTrainedModel, input_ids: torch.Tensor, count: int) -> GreedyText:
    """Return what the model's `generate` continues `input_ids` [1, n] with."""
    output: Any = model.generate(  # type: ignore[operator]  # transformers types it as a tensor
        input_ids,
        max_new_tokens=count,
        do_sample=False,
        output_logits=True,
        return_dict_in_generate=True,
    )
    near = _NEAR_TIE.get(model.dtype, _NEAR_TIE_16_BITS)
    ties = []
    for logits in output.logits:
        scores = logits[0].float()
        ties.append((scores >= scores.max() - near * scores.std()).nonzero()[:, 0].tolist())
    return GreedyText(output.sequences[0, input_ids.shape[1] :].tolist(), ties)


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
        answers[precision] = [vars(greedy_text(model, ids, job["new_tokens"])) for ids in inputs]
        if precision == "fp32":
            # In fp32 rounding changes no draw.
            for name, options in (
                ("sampled", {"do_sample": True, **SAMPLING}),
                ("penalized", {"do_sample": False, **PENALTY}),
            ):
                torch.manual_seed(SEED)
                output = model.generate(inputs[0], max_new_tokens=job["new_tokens"], **options)
                answers[name] = output[0, inputs[0].shape[1] :].tolist()
    print("\n" + json.dumps(answers))  # noqa: T201


if __name__ == "__main__":
    main()
