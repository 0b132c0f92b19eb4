"""Counts GPTQ's forward passes through a model's blocks, to report progress and to cancel."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import torch
from torch.utils.hooks import RemovableHandle

from playground.core.quantizing.request import LayerProgress
from playground.engine.decoding.interruption import InterruptedForwardError

#: Seconds between two reports.
_EVERY_S = 0.2


class Passes:
    """Counts the passes of each text through each model block, inside its `with` statement.

    GPTQ passes all texts once for each linear layer of a block, and once more for the next
    block's inputs: `passes[i]` = (1 + linear layers of block i) × texts. Inside, a forward raises
    InterruptedForwardError once `is_cancelled()` is true.
    """

    def __init__(
        self,
        blocks: Sequence[torch.nn.Module],
        passes: Sequence[int],
        is_cancelled: Callable[[], bool],
        report: Callable[[LayerProgress], None],
    ) -> None:
        self.forward_s: list[float] = []  # of each pass, in order
        self.layer_s: list[float] = []  # of each finished block
        self._blocks = blocks
        self._passes = list(passes)
        self._is_cancelled = is_cancelled
        self._report = report
        self._handles: list[RemovableHandle] = []
        self._began = self._layer_began = self._pass_began = self._reported = 0.0
        self._in_layer = 0

    def __enter__(self) -> Passes:
        for block in self._blocks:
            self._handles.append(block.register_forward_pre_hook(self._before))
            self._handles.append(block.register_forward_hook(self._after))
        self._began = self._layer_began = time.monotonic()
        self._send_report(force=True)
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()

    @property
    def elapsed_s(self) -> float:
        """Seconds since `__enter__`."""
        return time.monotonic() - self._began

    def _before(self, *_: object) -> None:
        if self._is_cancelled():
            raise InterruptedForwardError("cancelled")
        self._pass_began = time.monotonic()

    def _after(self, *_: object) -> None:
        now = time.monotonic()
        self.forward_s.append(now - self._pass_began)
        self._in_layer += 1
        done = len(self.layer_s)
        whole = done < len(self._passes) and self._in_layer >= self._passes[done]
        if whole:
            self.layer_s.append(now - self._layer_began)
            self._layer_began, self._in_layer = now, 0
        self._send_report(force=whole)

    def _send_report(self, *, force: bool) -> None:
        now = time.monotonic()
        if not force and now - self._reported < _EVERY_S:
            return
        self._reported = now
        done = len(self.layer_s)
        fraction = len(self.forward_s) / sum(self._passes)
        elapsed = now - self._began
        # The first passes include slow first calls: they do not predict the rest.
        known = fraction > 0 and (done > 0 or self._in_layer > self._passes[0] // 4)
        self._report(
            LayerProgress(
                layer=min(done + 1, len(self._passes)),
                layers=len(self._passes),
                fraction=fraction,
                elapsed_s=elapsed,
                left_s=elapsed / fraction * (1 - fraction) if known else None,
                layer_s=self.layer_s[-1] if self.layer_s else 0.0,
            )
        )
