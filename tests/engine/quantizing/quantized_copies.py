"""Prints what plain transformers makes of copies, and how they differ from quantizing at load.

`quantized_copies.py JSON`: the source, and the copies by precision.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("GPTQMODEL_CPU_WORKERS", "2")
# Compiling the kernel for 2, 3 and 8 bits would take longer than everything else here.
os.environ["TORCHDYNAMO_DISABLE"] = "1"

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from playground.core.facts import LoadRequest
from playground.core.precision import Precision
from playground.engine.loading import load as loading
from playground.engine.loading import verify
from playground.engine.wire.progress import LoadProgress
from playground.engine.wire.sender import Sender
from tests.engine.reference import greedy_answer

_IDS = torch.arange(1, 41)[None] * 5 % 256
_PROMPT = "Alice was beginning to get"


def main() -> None:
    torch.set_num_threads(1)
    job = json.loads(sys.argv[1])
    found: dict[str, Any] = {}
    with torch.no_grad():
        reference = _load(job["source"], Precision.FP32)(_IDS).logits
    for name, copy in job["copies"].items():
        plain = AutoModelForCausalLM.from_pretrained(copy, device_map="cpu")
        tokenizer = AutoTokenizer.from_pretrained(copy)
        ids = tokenizer(_PROMPT, return_tensors="pt")["input_ids"]
        with torch.no_grad():
            logits = plain(_IDS).logits.float()
        found[name] = {
            "greedy": greedy_answer(plain, ids, 16),
            "from_source": float((logits - reference).norm() / reference.norm()),
        }
        if name in ("int8", "nf4"):
            found[name]["difference"] = [
                _difference(job["source"], copy, precision) for precision in _at(name)
            ]
    print("\n" + json.dumps(found))  # noqa: T201


def _at(name: str) -> list[Precision]:
    """Return the precisions that a copy can run as."""
    return [Precision.INT8, Precision.INT8_WEIGHT_ONLY] if name == "int8" else [Precision.NF4]


def _difference(source: str, copy: str, precision: Precision) -> float:
    logits = []
    for folder in (source, copy):
        model = _load(folder, precision)
        assert verify.verify(model)[0].precision is precision
        with torch.no_grad():
            logits.append(model(_IDS).logits.float())
    return float((logits[0] - logits[1]).abs().max())


def _load(folder: str, precision: Precision) -> PreTrainedModel:
    progress = LoadProgress(Sender(os.open(os.devnull, os.O_WRONLY)), 0.0)
    request = LoadRequest(
        name="test", folder=str(Path(folder)), commit="", precision=precision, threads=1
    )
    return loading.load(request, progress).model


if __name__ == "__main__":
    main()
