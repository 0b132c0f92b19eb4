"""Compiled decoder layers on the CPU: one program for all layers, without graph breaks."""

from __future__ import annotations

from typing import Any

import pytest

from playground.engine.cuda_graph.compiled_layers import compiled_layers
from playground.engine.cuda_graph.graph_step import FixedStep
from tests.engine.cuda_graph.capturing import captured
from tests.engine.decoders import (
    FUSIBLE,
    check_greedy,
    decoder_for,
    ids_of,
    make,
    prompt_of,
)


class Compiled:
    """Runs the step with compiled layers, which on a GPU happens while it is captured."""

    name = "compiled"

    def __init__(self, model: Any, step: FixedStep, backend: Any) -> None:
        self._model, self._step, self._backend = model, step, backend

    def __call__(self) -> None:
        with compiled_layers(self._model, self._step, self._backend):
            self._step()


@pytest.mark.parametrize("name", ["llama", "qwen3", "mistral"])
def test_all_layers_are_one_program_without_a_break(name: str) -> None:
    """fullgraph raises at a break, and each further program would be one more call of the
    backend: there is one for all three layers, and one for the head."""
    model = make(FUSIBLE[name]())
    programs: list[Any] = []

    def backend(graph: Any, inputs: Any) -> Any:
        programs.append(graph)
        return graph

    decoder = captured(model, capture=lambda step, tell: Compiled(model, step, backend))
    assert len(programs) == 2
    prompt = prompt_of(9)
    check_greedy(decoder, model, prompt, 6)
    assert len(programs) == 2
    # Outside the step nothing is compiled.
    assert ids_of(decoder_for(model, "generate"), prompt_of(23), 3)[0]
    assert len(programs) == 2


def test_the_program_survives_the_lowering_to_aten() -> None:
    model = make(FUSIBLE["llama"]())
    decoder = captured(model, capture=lambda step, tell: Compiled(model, step, "aot_eager"))
    check_greedy(decoder, model, prompt_of(9), 3)
