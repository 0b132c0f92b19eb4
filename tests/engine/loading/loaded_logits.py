"""Prints how much the logits of GPTQ checkpoints differ from those of their unpacked weights.

`loaded_logits.py JSON [int4]`: pairs of folders, the GPTQ checkpoint and a plain one in fp32.
With `int4` the weights are repacked for torch's product, as they are on a GPU. Runs in any
interpreter that an engine can run in.
"""

from __future__ import annotations

import json
import os
import sys

os.environ.setdefault("GPTQMODEL_CPU_WORKERS", "2")

import torch
from torch._dynamo.utils import counters

from playground.core.facts import LoadRequest
from playground.core.precision import Precision
from playground.engine.loading import gptq, verify
from playground.engine.loading import load as loading
from playground.engine.wire.progress import LoadProgress
from playground.engine.wire.sender import Sender

_IDS = torch.arange(1, 41)[None] * 5 % 256


def main() -> None:
    torch.set_num_threads(1)
    if sys.argv[2:] == ["int4"]:
        repacked = gptq.Kernel("gptq_torch", torch.bfloat16, int4=True)
        gptq.kernels = lambda *_: [repacked]
    progress = LoadProgress(Sender(os.open(os.devnull, os.O_WRONLY)), 0.0)
    found = []
    for old, plain in json.loads(sys.argv[1]):
        packed = _load(old, Precision.GPTQ, progress)
        expected = _load(plain, Precision.FP32, progress)
        verified, kernel = verify.verify(packed.model)
        with torch.no_grad():
            logits = packed.model(_IDS).logits.float()
            wanted = expected.model(_IDS).logits
        found.append(
            {
                "difference": float((logits - wanted).norm() / wanted.norm()),
                "kernel": kernel,
                "modules": verified.modules,
                "parameters": [verify.count_parameters(w.model) for w in (packed, expected)],
                "bytes": verified.weight_bytes,
                "notes": packed.notes,
                "compiled": counters["frames"].total(),
            }
        )
    print("\n" + json.dumps(found))  # noqa: T201


def _load(folder: str, precision: Precision, progress: LoadProgress) -> loading.Weights:
    request = LoadRequest(name="test", folder=folder, commit="", precision=precision)
    return loading.load(request, progress)


if __name__ == "__main__":
    main()
