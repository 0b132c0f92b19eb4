"""Times a plain `from_pretrained`, for comparison in the start benchmark.

Prints one line of JSON with the seconds that the tokenizer and the weights took, without the
import of the libraries.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def main() -> None:
    """Load the folder given, in bf16."""
    folder = sys.argv[1]
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print goes to stderr
    importlib.import_module("transformers.models.llama.modeling_llama")
    began = time.monotonic()
    AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    model.eval()
    out.write(json.dumps({"load_s": time.monotonic() - began}) + "\n")
    out.flush()


if __name__ == "__main__":
    main()
