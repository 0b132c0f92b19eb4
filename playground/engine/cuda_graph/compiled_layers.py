"""Compiles a decode step layer by layer: all layers of a model share one compiled program.

Compiling one layer takes seconds, a whole model a minute. In a CUDA graph the whole would gain
little: calls from Python cost nothing there.
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

#: Dynamo's recompile limit: a layer and a head for each cache bucket, with room to spare.
_PROGRAMS = 64


def keep_compiled_programs() -> None:
    """Cache compiled kernels on disk, for later engines. Call before the first compilation."""
    folder = cache_dir() / "compiled"
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(folder / "inductor"))
    os.environ.setdefault("TRITON_CACHE_DIR", str(folder / "triton"))


def _run_layer(layer: torch.nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    return layer.forward(*arguments, **keywords)


@contextmanager
def compiled_layers(
    model: PreTrainedModel, step: FixedStep, backend: str | Callable[..., Any] = "inductor"
) -> Iterator[None]:
    """Inside the block, run the model's layers and head compiled, on the caches of `step`.

    The first run inside compiles, and raises what the compiler raises. Outside the block, for
    example in the prefill, nothing is compiled.
    """
    run = torch.compile(_run_layer, backend=backend, fullgraph=True, dynamic=False)
    layers = decoder_layers(model)
    head = model.get_output_embeddings()
    for layer, cache in zip(layers, step.cache.layers, strict=True):
        layer._compiled_call_impl = _on_own_cache(run, layer, cache, step.cache.whole)
    head._compiled_call_impl = lambda *arguments: run(head, arguments, {})
    try:
        # These settings make the compiler generate reductions for matrix-vector products, which
        # read each weight once, and for attention over the cache.
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
    """Return a call of `layer` that replaces the model's cache by the layer's own.

    The model's cache is indexed by the layer's number, a constant for the compiler: each layer
    would be compiled separately.
    """

    def call(*arguments: Any, **keywords: Any) -> Any:
        return run(
            layer,
            tuple(own if value is whole else value for value in arguments),
            {name: own if value is whole else value for name, value in keywords.items()},
        )

    return call
