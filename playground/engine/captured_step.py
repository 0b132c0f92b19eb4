"""One decode step on buffers that never move, and the ways to run it again and again."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol

import torch

from playground.engine.decoding import Tell
from playground.engine.kept_cache import KeptCache
from playground.engine.step_cache import StepCache

#: Runs before the capture: compilation, tuning and libraries' workspaces happen in them.
_WARM_UPS = 3


class FixedStep:
    """Reads `token` at `position`, leaves `logits`, the likeliest next id and the next position.

    `token` int64 [1, 1], `position` int64 [1], `logits` [1, vocabulary] in the model's dtype.
    """

    def __init__(self, model: Any, kept: KeptCache) -> None:
        """`kept` has its buffers, and they will not grow."""
        device = model.device
        vocabulary = int(model.get_output_embeddings().weight.shape[0])
        self._model = model
        self.token = torch.zeros((1, 1), dtype=torch.long, device=device)
        self.position = torch.zeros(1, dtype=torch.long, device=device)
        self.logits = torch.zeros((1, vocabulary), dtype=model.dtype, device=device)
        self.cache = StepCache(kept, self.position)
        self._range = torch.arange(self.cache.slots, device=device)

    def place(self, token: Any, position: int) -> None:
        """Put an id (an int, or an int64 tensor of one element) at a position."""
        if isinstance(token, int):
            self.token.fill_(token)
        else:
            self.token.copy_(token.view(1, 1))
        self.position.fill_(position)

    def __call__(self) -> None:
        # A mask of four dimensions is taken as it is: models make their own from lengths that
        # they read, and for one query leave it out.
        mask = (self._range <= self.position)[None, None, None]
        output = self._model(
            input_ids=self.token,
            position_ids=self.position[None],
            attention_mask=mask,
            use_cache=True,
            logits_to_keep=1,
            **self.cache.argument,
        )
        logits = output.logits[:, -1]
        self.logits.copy_(logits)
        self.token.copy_(logits.float().argmax(-1, keepdim=True))
        self.position.add_(1)


class StepRunner(Protocol):
    """Runs one step. `name` goes into the stamp."""

    name: str

    def __call__(self) -> None:
        """Run the step, or queue it on the device."""
        ...


class EagerRunner:
    """Runs the step as it is."""

    name = "own loop, fixed step"

    def __init__(self, step: FixedStep) -> None:
        self._step = step

    def __call__(self) -> None:
        self._step()


class GraphRunner:
    """A CUDA graph of the step; `around` is entered while it is warmed up and captured."""

    def __init__(
        self, step: FixedStep, name: str, around: AbstractContextManager[object], tell: Tell
    ) -> None:
        """Warm up and capture. Slot 0 must be free: the warm-up writes there, nowhere else."""
        self.name = name
        device = step.token.device
        token = step.token.clone()
        stream = torch.cuda.Stream(device)
        stream.wait_stream(torch.cuda.current_stream(device))
        with around:
            with torch.cuda.stream(stream):
                for _ in range(_WARM_UPS):
                    step.place(token, 0)
                    step()
            torch.cuda.current_stream(device).wait_stream(stream)
            torch.cuda.synchronize(device)
            tell("capturing the step")
            step.place(token, 0)
            self._graph = torch.cuda.CUDAGraph()
            # Other threads of the engine may call the driver meanwhile.
            with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
                step()
        # Capturing runs nothing: the buffers are as they were placed.
        step.place(token, 0)

    def __call__(self) -> None:
        self._graph.replay()


#: Makes the runner of a step whose cache is empty.
Capture = Callable[[FixedStep, Tell], StepRunner]


def uncaptured(step: FixedStep, tell: Tell) -> StepRunner:
    """Nothing is captured: on a CPU there is no launch to save."""
    return EagerRunner(step)
