"""Compiling the step by its layers: all of a model's layers are one program, compiled once.

A whole model takes a minute to compile and a layer seconds. What compiling as a whole would
add is little once the step is a CUDA graph, in which calls from Python cost nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from playground.core.system.paths import cache_dir
from playground.engine.cuda_graph.graph_step import FixedStep
from playground.engine.decoding.interruption import decoder_layers

#: A layer and a head for each cache bucket of each model in the process, and more.
_PROGRAMS = 64


def keep_compiled_programs() -> None:
    """Have compiled kernels on disk between starts; before the first compilation."""
    folder = cache_dir() / "compiled"
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(folder / "inductor"))
    os.environ.setdefault("TRITON_CACHE_DIR", str(folder / "triton"))


def _run_layer(layer: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    return layer.forward(*arguments, **keywords)


@contextmanager
def compiled_layers(model: Any, step: FixedStep, backend: str = "inductor") -> Iterator[None]:
    """Inside, the model's layers and its head run compiled, on the caches of `step`.

    Raises whatever the compiler raises, at the first run inside. Outside, and so for reading
    prompts of any length, the model is as it was.
    """
    run = torch.compile(_run_layer, backend=backend, fullgraph=True, dynamic=False)
    layers = decoder_layers(model)
    head = model.get_output_embeddings()
    for layer, cache in zip(layers, step.cache.layers, strict=True):
        layer._compiled_call_impl = _on_own_cache(run, layer, cache, step.cache.whole)
    head._compiled_call_impl = lambda *arguments: run(head, arguments, {})
    try:
        # Products of one row become reductions that read the weight once, and attention one
        # over the cache, both made by the compiler.
        with (
            torch._inductor.config.patch(coordinate_descent_tuning=True),
            torch._dynamo.config.patch(
                allow_unspec_int_on_nn_module=True, recompile_limit=_PROGRAMS
            ),
            sdpa_kernel(SDPBackend.MATH),
        ):
            yield
    finally:
        for module in (*layers, head):
            module._compiled_call_impl = None


def _on_own_cache(run: Any, layer: Any, own: Any, whole: Any) -> Any:
    """A layer's call, with its own cache in place of the model's.

    Looked up by number in the model's cache, every layer would be a program of its own.
    """

    def call(*arguments: Any, **keywords: Any) -> Any:
        return run(
            layer,
            tuple(own if value is whole else value for value in arguments),
            {name: own if value is whole else value for name, value in keywords.items()},
        )

    return call
