"""The CUDA-graph loop on the CPU, where the step runs uncaptured."""

from __future__ import annotations

from typing import Any

from playground.engine.cuda_graph.graph_loop import GraphDecoder
from playground.engine.cuda_graph.graph_step import Capture, uncaptured
from playground.engine.decoding.decoder import Decoder
from playground.engine.serving.choose_decoder import choose_decoder

CONTEXT = 2048


def captured(
    model: Any, eos: frozenset[int] = frozenset(), capture: Capture = uncaptured
) -> Decoder:
    chosen = choose_decoder(model, eos, CONTEXT, "auto", captures=[capture])
    assert isinstance(chosen.decoder, GraphDecoder)
    assert chosen.note == ""
    return chosen.decoder
