"""The CUDA-graph loop on a simulated device: the host runs one step behind."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import torch

from playground.core.generation import GenerationOptions
from playground.engine.cuda_graph.graph_loop import GraphDecoder
from playground.engine.cuda_graph.graph_step import FixedStep
from playground.engine.decoding.sampling import Sampled
from tests.engine.cuda_graph.capturing import CONTEXT
from tests.engine.decoders import (
    FUSIBLE,
    decoder_for,
    ids_of,
    make,
    prompt_of,
)


class Device:
    """Work in the order it was given, done only when the host waits for it."""

    def __init__(self) -> None:
        self.work: deque[Callable[[], None]] = deque()
        self.steps_given = 0
        self.steps_done = 0

    def give_step(self, step: FixedStep) -> None:
        self.steps_given += 1

        def run() -> None:
            step()
            self.steps_done += 1

        self.work.append(run)

    def until(self, reached: Callable[[], bool]) -> None:
        while not reached():
            self.work.popleft()()


class QueuedReadback:
    """The readback from it: copies wait their turn in the same queue."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._arrived: deque[tuple[int, float]] = deque()
        self.ahead: list[int] = []
        self.dropped = 0

    def send(self, sampled: Sampled) -> None:
        token, score = sampled
        self._device.work.append(lambda: self._arrived.append((int(token), float(score))))

    def receive(self) -> tuple[int, float]:
        self._device.until(lambda: bool(self._arrived))
        self.ahead.append(self._device.steps_given - self._device.steps_done)
        return self._arrived.popleft()

    def clear(self) -> None:
        """The device finishes what it was given before it does anything else."""
        self._device.until(lambda: not self._device.work)
        self.dropped = len(self._arrived)
        self._arrived.clear()


def test_the_host_is_one_step_behind_and_one_token_too_many_is_dropped() -> None:
    model = make(FUSIBLE["llama"](), torch.float32)
    device = Device()
    readback = QueuedReadback(device)
    working = False

    class Queued:
        name = "queued"

        def __init__(self, step: FixedStep) -> None:
            self._step = step

        def __call__(self) -> None:
            if working:
                device.give_step(self._step)
            else:
                self._step()

    prompt = prompt_of(13)
    whole = ids_of(decoder_for(model, "generate"), prompt, 20)[0]
    eos = frozenset({whole[7]})
    decoder = GraphDecoder(model, eos, CONTEXT, lambda step, tell: Queued(step), readback=readback)
    working = True
    free = GenerationOptions(ignore_eos=True)
    assert ids_of(decoder, prompt, 20, free)[0] == whole
    # At each token but the last the next step was given already.
    assert readback.ahead == [1] * 19 + [0]
    assert device.steps_given == 19
    assert readback.dropped == 0
    found, decoded = ids_of(decoder, prompt, 20)
    assert (found, decoded.stop_reason) == (whole[: whole.index(whole[7]) + 1], "eos")
    assert readback.dropped == 1
    # The step too many has left nothing behind.
    longer = [*prompt, *found, *prompt_of(4, start=50)]
    again, decoded = ids_of(decoder, longer, 12, free, reuse=True)
    assert decoded.reused == len(prompt) + len(found) - 1
    assert again == ids_of(decoder_for(model, "generate"), longer, 12)[0]
