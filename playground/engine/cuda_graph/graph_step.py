"""The CUDA-graph step: one decode step on buffers that never move, and its runners."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import torch
from transformers import PreTrainedModel

from playground.engine.cuda_graph.static_cache import StaticCache
from playground.engine.decoding.decoder import Tell
from playground.engine.decoding.kv_cache import KVCache

#: Runs before the capture, in which kernels are compiled and tuned and workspaces allocated.
_WARM_UPS = 3
#: Prompt tokens in one captured forward: few enough for it to be bound by reading the weights.
CHUNK_TOKENS = 16


class _Fixed:
    """A forward on buffers that never move.

    Its input is `token` int64 [1, n] at `position` int64 [n], its output `logits` [1, vocabulary]
    in the model's dtype.
    """

    def __init__(self, model: PreTrainedModel, cache: KVCache, tokens: int) -> None:
        """`cache` has its buffers, at their final size."""
        self.device = model.device
        vocabulary = int(model.get_output_embeddings().weight.shape[0])
        self._model = model
        self.token = torch.zeros((1, tokens), dtype=torch.long, device=self.device)
        self.position = torch.zeros(tokens, dtype=torch.long, device=self.device)
        self.logits = torch.zeros((1, vocabulary), dtype=model.dtype, device=self.device)
        self.cache = StaticCache(cache, self.position)
        self._range = torch.arange(self.cache.slots, device=self.device)

    def _forward(self, logits_to_keep: int | torch.Tensor) -> None:
        # Models take a mask of four dimensions as it is. Their own they would make from lengths
        # on the host, and leave it out for one query.
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
    """One token: leaves the likeliest next id in `token`, and advances `position`."""

    def __init__(self, model: PreTrainedModel, cache: KVCache) -> None:
        super().__init__(model, cache, 1)

    def place(self, token: int | torch.Tensor, position: int) -> None:
        """Set the next input: an id (an int, or int64 of one element) and its position."""
        if isinstance(token, int):
            self.token.fill_(token)
        else:
            self.token.copy_(token.view(1, 1))
        self.position.fill_(position)

    def reset(self) -> None:
        """Set any token at the first slot."""
        self.place(0, 0)

    def __call__(self) -> None:
        self._forward(1)
        self.token.copy_(self.logits.float().argmax(-1, keepdim=True))
        self.position.add_(1)


class FixedPrefill(_Fixed):
    """A chunk of CHUNK_TOKENS prompt tokens at once; a shorter one is padded.

    The padding fills the slots behind the last token with meaningless states. Nothing attends to
    them before later tokens overwrite them.
    """

    def __init__(self, model: PreTrainedModel, cache: KVCache) -> None:
        super().__init__(model, cache, CHUNK_TOKENS)
        self._last = torch.zeros(1, dtype=torch.long, device=self.device)
        self._each = torch.arange(CHUNK_TOKENS, device=self.device)

    def place(self, ids: Sequence[int], position: int) -> None:
        """Set the next input: at most CHUNK_TOKENS ids, and the position of the first."""
        padded = [*ids, *[0] * (CHUNK_TOKENS - len(ids))]
        self.token.copy_(torch.tensor([padded], dtype=torch.long))
        torch.add(self._each, position, out=self.position)
        self._last.fill_(len(ids) - 1)

    def reset(self) -> None:
        """Set any tokens at the first slots."""
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
    """Runs the step without a graph."""

    name = "CUDA-graph loop, not captured"

    def __init__(self, step: FixedStep | FixedPrefill) -> None:
        self._step = step

    def __call__(self) -> None:
        self._step()


class GraphRunner:
    """Replays a CUDA graph of the step; `around` is entered for its warm-up and capture."""

    def __init__(
        self,
        step: FixedStep | FixedPrefill,
        name: str,
        around: AbstractContextManager[object],
        tell: Tell,
    ) -> None:
        """Warm up and capture. The cache must be empty: its first slots are overwritten."""
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


#: Makes the runner of a step with an empty cache.
Capture = Callable[[FixedStep, Tell], StepRunner]


def uncaptured(step: FixedStep | FixedPrefill, tell: Tell) -> StepRunner:
    """Capture nothing: a CPU has no launches to save."""
    return EagerRunner(step)
