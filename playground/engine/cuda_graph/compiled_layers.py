"""Compiles a decode step layer by layer: all layers of a model share one compiled program.

Compiling a whole model takes a minute, a layer seconds. Compiling it whole would gain little
in a CUDA graph, where calls from Python cost nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import Cache, PreTrainedModel

from playground.core.system.paths import cache_dir
from playground.engine.cuda_graph.graph_step import FixedStep
from playground.engine.cuda_graph.static_cache import StaticCacheLayer
from playground.engine.decoding.interruption import decoder_layers

#: More than a layer and a head for each cache bucket of each model in the process.
_PROGRAMS = 64


def keep_compiled_programs() -> None:
    """Keep compiled kernels on disk between starts. Call before the first compilation."""
    folder = cache_dir() / "compiled"
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(folder / "inductor"))
    os.environ.setdefault("TRITON_CACHE_DIR", str(folder / "triton"))


def _run_layer(layer: torch.nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    return layer.forward(*arguments, **keywords)


@contextmanager
def compiled_layers(
    model: PreTrainedModel, step: FixedStep, backend: str | Callable[..., Any] = "inductor"
) -> Iterator[None]:
    """Inside, the model's layers and its head run compiled, on the caches of `step`.

    Raises whatever the compiler raises, at the first run inside. Outside, and so in the prefill,
    the model is as it was.
    """
    run = torch.compile(_run_layer, backend=backend, fullgraph=True, dynamic=False)
    layers = decoder_layers(model)
    head = model.get_output_embeddings()
    for layer, cache in zip(layers, step.cache.layers, strict=True):
        layer._compiled_call_impl = _on_own_cache(run, layer, cache, step.cache.whole)
    head._compiled_call_impl = lambda *arguments: run(head, arguments, {})
    try:
        # The compiler makes reductions of matrix-vector products, which read the weight once, and
        # of attention over the cache.
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


def _on_own_cache(
    run: Callable[..., Any], layer: torch.nn.Module, own: StaticCacheLayer, whole: Cache
) -> Callable[..., Any]:
    """Return a layer's call with its own cache in place of the model's.

    With the model's cache, where a layer looks itself up by number, every layer would become a
    program of its own.
    """

    def call(*arguments: Any, **keywords: Any) -> Any:
        return run(
            layer,
            tuple(own if value is whole else value for value in arguments),
            {name: own if value is whole else value for name, value in keywords.items()},
        )

    return call
