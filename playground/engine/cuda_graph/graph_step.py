"""The CUDA-graph step: one decode step on buffers with fixed addresses, and its runners."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import torch
from transformers import PreTrainedModel

from playground.engine.cuda_graph.static_cache import StaticCache
from playground.engine.decoding.decoder import Tell
from playground.engine.decoding.kv_cache import KVCache

#: Runs before the capture: they compile and tune kernels, and allocate workspaces.
_WARM_UPS = 3
#: Prompt tokens in one captured forward: few enough that it stays memory-bound.
CHUNK_TOKENS = 16


class _Fixed:
    """A forward on buffers with fixed addresses.

    Input: `token` int64 [1, n] and `position` int64 [n]. Output: `logits` [1, vocabulary] in the
    model's dtype.
    """

    def __init__(self, model: PreTrainedModel, cache: KVCache, tokens: int) -> None:
        """`cache` must have its buffers, at their final size."""
        self.device = model.device
        vocabulary = int(model.get_output_embeddings().weight.shape[0])
        self._model = model
        self.token = torch.zeros((1, tokens), dtype=torch.long, device=self.device)
        self.position = torch.zeros(tokens, dtype=torch.long, device=self.device)
        self.logits = torch.zeros((1, vocabulary), dtype=model.dtype, device=self.device)
        self.cache = StaticCache(cache, self.position)
        self._range = torch.arange(self.cache.slots, device=self.device)

    def _forward(self, logits_to_keep: int | torch.Tensor) -> None:
        # A mask of four dimensions is used as it is. Models would build theirs from lengths on the
        # host, and none for a single query.
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
    """Reads one token; leaves the most likely next id in `token`, and advances `position`.

    `score` float32 [1, 1] is that token's logit.
    """

    def __init__(self, model: PreTrainedModel, cache: KVCache) -> None:
        super().__init__(model, cache, 1)
        self.score = torch.zeros((1, 1), dtype=torch.float32, device=self.device)

    def place(self, token: int | torch.Tensor, position: int) -> None:
        """Set the next input: an id (an int, or int64 of one element) and its position."""
        if isinstance(token, int):
            self.token.fill_(token)
        else:
            self.token.copy_(token.view(1, 1))
        self.position.fill_(position)

    def reset(self) -> None:
        """Place some token at position 0."""
        self.place(0, 0)

    def __call__(self) -> None:
        self._forward(1)
        torch.max(self.logits.float(), -1, keepdim=True, out=(self.score, self.token))
        self.position.add_(1)


class FixedPrefill(_Fixed):
    """Reads a chunk of CHUNK_TOKENS prompt tokens; a shorter one is padded.

    The padding writes meaningless keys and values behind the last token. Later tokens overwrite
    them before anything attends to them.
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
        """Place some token at position 0."""
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
    """Replays a CUDA graph of the step. Warm-up and capture run inside the context `around`."""

    def __init__(
        self,
        step: FixedStep | FixedPrefill,
        name: str,
        around: AbstractContextManager[object],
        tell: Tell,
    ) -> None:
        """Warm up and capture. Overwrites the first slots: the cache must be empty."""
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
            # Other threads of the engine may call the driver during the capture.
            with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
                step()

    def __call__(self) -> None:
        self._graph.replay()


#: Returns the runner of a step, whose cache is empty.
Capture = Callable[[FixedStep, Tell], StepRunner]


def uncaptured(step: FixedStep | FixedPrefill, tell: Tell) -> StepRunner:
    """Return a runner without a graph."""
    return EagerRunner(step)
