"""The yardstick of `bench start`: plain `from_pretrained`, and nothing around it.

Prints one line of JSON with the seconds that tokenizer and weights took; importing the
libraries is not counted.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def main() -> None:
    """Load the folder given, in bf16."""
    folder = sys.argv[1]
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # no library's print shall come between
    importlib.import_module("transformers.models.llama.modeling_llama")
    began = time.monotonic()
    AutoTokenizer.from_pretrained(folder)
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    model.eval()
    out.write(json.dumps({"load_s": time.monotonic() - began}) + "\n")
    out.flush()


if __name__ == "__main__":
    main()
