"""Times transformers' own generate with a streamer, for comparison in the GUI benchmark.

Prints a line when the model is loaded. Then it answers every line on stdin with the decode rate
of one greedy generation, in tokens/s, until the input ends.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.generation.streamers import BaseStreamer


class _Clock(BaseStreamer):
    """Records when each token came."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self._prompt = True

    def put(self, value: torch.Tensor) -> None:
        if self._prompt:
            self._prompt = False
        else:
            self.times.append(time.monotonic())

    def end(self) -> None:
        """Do nothing: no token is held back."""


def main() -> None:
    """Serve until the input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("prompt")
    parser.add_argument("new_tokens", type=int)
    args = parser.parse_args()
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print goes to stderr
    tokenizer = AutoTokenizer.from_pretrained(args.folder)
    model: Any = AutoModelForCausalLM.from_pretrained(args.folder, dtype=torch.bfloat16)
    model.generation_config.eos_token_id = None  # every generation has its full length
    inputs = tokenizer(args.prompt, return_tensors="pt")

    def generate(count: int) -> list[float]:
        clock = _Clock()
        model.generate(
            **inputs,
            max_new_tokens=count,
            do_sample=False,
            streamer=clock,
            pad_token_id=0,
        )
        return clock.times

    generate(8)
    out.write(json.dumps({"threads": torch.get_num_threads()}) + "\n")
    out.flush()
    for _ in sys.stdin:
        times = generate(args.new_tokens)
        rate = (len(times) - 1) / (times[-1] - times[0])
        out.write(json.dumps({"decode_tok_s": rate}) + "\n")
        out.flush()


if __name__ == "__main__":
    main()
