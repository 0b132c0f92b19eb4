"""One decode step on buffers that never move, and the ways to run it again and again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import torch

from playground.engine.cuda_graph.static_cache import StaticCache
from playground.engine.decoding.decoder import Tell
from playground.engine.decoding.kv_cache import KVCache

#: Runs before the capture: compilation, tuning and libraries' workspaces happen in them.
_WARM_UPS = 3
#: Tokens of a prompt that are read at once: few enough for a product to be bound by its weights.
READ_TOKENS = 16


class _Fixed:
    """A forward on buffers that never move.

    Reads `token` int64 [1, n] at `position` int64 [n], leaves `logits` [1, vocabulary] in the
    model's dtype.
    """

    def __init__(self, model: Any, kept: KVCache, tokens: int) -> None:
        """`kept` has its buffers, and they will not grow."""
        self.device = model.device
        vocabulary = int(model.get_output_embeddings().weight.shape[0])
        self._model = model
        self.token = torch.zeros((1, tokens), dtype=torch.long, device=self.device)
        self.position = torch.zeros(tokens, dtype=torch.long, device=self.device)
        self.logits = torch.zeros((1, vocabulary), dtype=model.dtype, device=self.device)
        self.cache = StaticCache(kept, self.position)
        self._range = torch.arange(self.cache.slots, device=self.device)

    def _forward(self, logits_to_keep: Any) -> None:
        # A mask of four dimensions is taken as it is: models make their own from lengths that
        # they read, and for one query leave it out.
        mask = (self._range <= self.position[:, None])[None, None]
        output = self._model(
            input_ids=self.token,
            position_ids=self.position[None],
            attention_mask=mask,
            use_cache=True,
            logits_to_keep=logits_to_keep,
            **self.cache.argument,
        )
        self.logits.copy_(output.logits[:, -1])


class FixedStep(_Fixed):
    """One token: leaves the likeliest next id in `token`, and `position` one further on."""

    def __init__(self, model: Any, kept: KVCache) -> None:
        super().__init__(model, kept, 1)

    def place(self, token: Any, position: int) -> None:
        """Put an id (an int, or an int64 tensor of one element) at a position."""
        if isinstance(token, int):
            self.token.fill_(token)
        else:
            self.token.copy_(token.view(1, 1))
        self.position.fill_(position)

    def reset(self) -> None:
        """Any token in the first slot."""
        self.place(0, 0)

    def __call__(self) -> None:
        self._forward(1)
        self.token.copy_(self.logits.float().argmax(-1, keepdim=True))
        self.position.add_(1)


class FixedRead(_Fixed):
    """A few tokens of a prompt at once; what is missing to their number is filled up.

    The slots behind the last token then hold nothing of meaning, until later tokens take them;
    nothing looks at them before.
    """

    def __init__(self, model: Any, kept: KVCache) -> None:
        super().__init__(model, kept, READ_TOKENS)
        self._last = torch.zeros(1, dtype=torch.long, device=self.device)
        self._each = torch.arange(READ_TOKENS, device=self.device)

    def place(self, ids: Sequence[int], position: int) -> None:
        """Put at most READ_TOKENS ids at positions from this one on."""
        filled = [*ids, *[0] * (READ_TOKENS - len(ids))]
        self.token.copy_(torch.tensor([filled], dtype=torch.long))
        torch.add(self._each, position, out=self.position)
        self._last.fill_(len(ids) - 1)

    def reset(self) -> None:
        """Any tokens in the first slots."""
        self.place([0], 0)

    def __call__(self) -> None:
        self._forward(self._last)


class StepRunner(Protocol):
    """Runs one step. `name` goes into the stamp."""

    name: str

    def __call__(self) -> None:
        """Run the step, or queue it on the device."""
        ...


class EagerRunner:
    """Runs the step as it is."""

    name = "own loop, fixed step"

    def __init__(self, step: FixedStep | FixedRead) -> None:
        self._step = step

    def __call__(self) -> None:
        self._step()


class GraphRunner:
    """A CUDA graph of the step; `around` is entered while it is warmed up and captured."""

    def __init__(
        self,
        step: FixedStep | FixedRead,
        name: str,
        around: AbstractContextManager[object],
        tell: Tell,
    ) -> None:
        """Warm up and capture. The cache must be empty: its first slots are written to."""
        self.name = name
        stream = torch.cuda.Stream(step.device)
        stream.wait_stream(torch.cuda.current_stream(step.device))
        with around:
            with torch.cuda.stream(stream):
                for _ in range(_WARM_UPS):
                    step.reset()
                    step()
            torch.cuda.current_stream(step.device).wait_stream(stream)
            torch.cuda.synchronize(step.device)
            tell("capturing the step")
            step.reset()
            self._graph = torch.cuda.CUDAGraph()
            # Other threads of the engine may call the driver meanwhile.
            with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
                step()

    def __call__(self) -> None:
        self._graph.replay()


#: Makes the runner of a step whose cache is empty.
Capture = Callable[[FixedStep, Tell], StepRunner]


def uncaptured(step: FixedStep | FixedRead, tell: Tell) -> StepRunner:
    """Nothing is captured: on a CPU there is no launch to save."""
    return EagerRunner(step)
