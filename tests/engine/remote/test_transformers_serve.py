"""`transformers serve` as a lane: in each precision the same greedy text as the model here."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from playground.client.engine_process import child_environment
from playground.client.environments import process_of
from playground.client.session import Session
from playground.core.environments import REMOTE
from playground.core.facts import LoadRequest
from playground.core.generation import GenerationOptions, RawPrompt
from playground.core.precision import Precision
from playground.core.servers import CountedBy, ServerKind, ServerRequest
from tests.engine.driver import NEW_TOKENS, PROMPTS
from tests.support.warm_engines import SHARED

pytest.importorskip("fastapi", reason="transformers' extra `serving` is not installed")
SERVE = """
import sys
import torch
from transformers.cli.serve import Serve
torch.set_num_threads(1)
dtype, quantization = sys.argv[1:]
Serve(port=0, dtype=dtype, device="cpu", quantization=quantization or None)
"""
OPTIONS = GenerationOptions(max_new_tokens=NEW_TOKENS)


@contextmanager
def serving(folder: Path, dtype: str, quantization: str = "") -> Iterator[str]:
    """Run the server while inside; its address is the value."""
    script = folder / "serve.py"
    script.write_text(SERVE, encoding="utf-8")
    env = child_environment({"HF_HOME": str(folder)})
    process = SHARED.start(env, (str(script), dtype, quantization))
    address = ""
    for line in process.stderr:
        if found := re.search(rb"running on (http://\S+)", line):
            address = found[1].decode()
            break
    assert address, "the server ended before it listened"
    # bitsandbytes warns at each call, and a full pipe would stop the server.
    drain = threading.Thread(target=process.stderr.read)
    drain.start()
    try:
        yield f"{address}/v1"
    finally:
        process.terminate()
        drain.join()
        for stream in (process.stdin, process.stdout, process.stderr):
            stream.close()


@pytest.mark.parametrize(
    ("precision", "dtype", "quantization"),
    [
        (Precision.BF16, "bfloat16", ""),
        (Precision.FP32, "float32", ""),
        (Precision.INT8, "bfloat16", "bnb-8bit"),
        (Precision.GPTQ, "bfloat16", ""),
    ],
)
def test_the_greedy_text_is_that_of_a_lane_here(
    precision: Precision,
    dtype: str,
    quantization: str,
    model_folder: Path,
    gptq_folder: Path,
    tmp_path: Path,
) -> None:
    folder = gptq_folder if precision is Precision.GPTQ else model_folder
    remote = Session(engine=process_of(REMOTE, ()))
    with serving(tmp_path, dtype, quantization) as url, remote as there:
        asked = LoadRequest(
            name=str(folder),
            folder="",
            commit="",
            precision=Precision.SERVER,
            server=ServerRequest(url=url),
        )
        facts = there.load(asked).server
        assert facts is not None
        assert (facts.kind, facts.completions) == (ServerKind.TRANSFORMERS, True)
        answers = [there.generate(RawPrompt(prompt), OPTIONS) for prompt in PROMPTS]
    for answer in answers:
        assert answer.count is not None
        assert answer.count.by is CountedBy.USAGE
        assert answer.generated_tokens == NEW_TOKENS
    with Session() as here:
        here.load(
            LoadRequest(
                name="here",
                folder=str(folder),
                commit="",
                precision=precision,
                threads=1,
                decoder="generate",
            )
        )
        for prompt, answer in zip(PROMPTS, answers, strict=True):
            assert here.generate(RawPrompt(prompt), OPTIONS).text == answer.text
