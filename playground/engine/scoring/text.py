"""Scores a text window by window with a loaded model."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from transformers import PreTrainedModel

from playground.core.errors import EngineError, ModelError, OptionsError
from playground.core.scoring import (
    SELF_CHECK_TOKENS,
    Divergence,
    ScoreRequest,
    Window,
    sizes_of,
    windows_of,
)
from playground.engine.decoding.decoder import Decoder
from playground.engine.decoding.interruption import (
    InterruptedForwardError,
    ShouldStop,
    decoder_layers,
    interruptible,
)
from playground.engine.prompts.encode import Text
from playground.engine.prompts.process import PromptEncoder

Rows: TypeAlias = np.ndarray[tuple[int, int], np.dtype[np.float32]]
#: Rows of logits that are in float32 at a time.
_ROWS = 64


@dataclass
class Scores:
    """Float32 values of the counted tokens, in parts; `bos` says how the text began."""

    window: int
    stride: int
    windows: int
    bos: bool
    text_bytes: int
    ids: list[torch.Tensor] = field(default_factory=list)
    nll: list[torch.Tensor] = field(default_factory=list)
    mean: list[torch.Tensor] = field(default_factory=list)
    deviation: list[torch.Tensor] = field(default_factory=list)
    divergence: Divergence | None = None
    self_check: Divergence | None = None


class TextScorer:
    """Scores one text. Log-probabilities are float32 log-softmaxes of the model's logits."""

    def __init__(
        self,
        model: PreTrainedModel,
        prompts: PromptEncoder,
        bos: int | None,
        decoder: Decoder,
        context: int,
        should_stop: ShouldStop,
    ) -> None:
        """`bos`: the id of the beginning-of-text token. `context` in tokens, 0: unknown."""
        self._model = model
        self._prompts = prompts
        self._bos = bos
        self._decoder = decoder
        self._context = context
        self._should_stop = should_stop
        self._layers = decoder_layers(model)

    def score(self, request: ScoreRequest, progress: Callable[[float], None]) -> Scores:
        """Return the scores of the request's windows.

        Raises OptionsError where nothing can be scored, InterruptedForwardError where it was
        stopped, ModelError where the logits are no numbers. `progress` receives a fraction.
        """
        window, stride = sizes_of(request, self._context)
        ids, bos, text_bytes = self._tokens(request.text)
        every = windows_of(len(ids), window, stride)
        if not every:
            raise OptionsError("The text has too few tokens to be scored.", "Choose a longer text.")
        last = request.first + request.windows if request.windows else len(every)
        chosen = every[request.first : last]
        scores = Scores(window, stride, len(every), bos, text_bytes)
        count = sum(w.end - w.counted for w in chosen)
        reference = _Reference(request, count) if request.path else None
        comparison = _Comparison()
        row = 0
        for number, one in enumerate(chosen):
            progress(number / len(chosen))
            logits = self._logits(ids, one)
            targets = torch.tensor(ids[one.counted : one.end], device=logits.device)
            for start in range(0, len(targets), _ROWS):
                lp = log_softmax(logits[start : start + _ROWS])
                self._add(scores, lp, targets[start : start + _ROWS])
                if reference is not None:
                    expected = reference.rows(row, lp)
                    if expected is not None:
                        comparison.add(expected, lp, targets[start : start + _ROWS])
                row += len(lp)
        if comparison.kld:
            scores.divergence = comparison.result()
        if request.self_check and request.first == 0:
            scores.self_check = self._self_check(ids, every[0])
        return scores

    def _tokens(self, text: str) -> tuple[list[int], bool, int]:
        """Return ids with one BOS where the tokenizer has one, and the counted tokens' bytes."""
        encoded = self._prompts.encode_text(Text(text), self._should_stop)
        if isinstance(encoded, str):
            raise InterruptedForwardError(encoded)
        text_bytes = len(text.encode("utf-8", "replace"))
        if self._bos is not None:
            return [self._bos, *encoded.ids], True, text_bytes
        return encoded.ids, False, text_bytes - len(encoded.first.encode())

    @torch.inference_mode()
    def _logits(self, ids: Sequence[int], window: Window) -> torch.Tensor:
        """Return logits [counted, vocabulary], each before the token that it predicts."""
        input_ids = torch.tensor([ids[window.begin : window.end]], device=self._model.device)
        keep = window.end - window.counted + 1
        with interruptible(self._layers, self._should_stop):
            output = self._model(
                input_ids=input_ids, use_cache=False, **keep_argument(self._model, keep)
            )
        logits: torch.Tensor = output.logits[0, -keep:-1]
        return logits

    def _add(self, scores: Scores, lp: torch.Tensor, targets: torch.Tensor) -> None:
        nll = -lp.gather(1, targets[:, None])[:, 0]
        if not bool(torch.isfinite(nll).all()):
            raise ModelError(
                "The model's logits are not numbers.",
                "fp16 overflows in some models: load it in bf16 or fp32.",
            )
        p = lp.exp()
        mean = _expectation(p, lp)
        variance = _expectation(p, lp.square()) - mean.square()
        scores.ids.append(targets.int().cpu())
        scores.nll.append(nll.cpu())
        scores.mean.append(mean.cpu())
        scores.deviation.append(variance.clamp_min(0).sqrt().cpu())

    def _self_check(self, ids: Sequence[int], window: Window) -> Divergence:
        """Compare the first window's logits with those of decoding the same tokens one by one."""
        count = min(window.end - window.counted, SELF_CHECK_TOKENS)
        end = window.counted + count
        at_once = self._logits(ids, Window(window.begin, end, window.counted))
        comparison = _Comparison()
        fed = ids[window.begin : end - 1]
        for position, logits in enumerate(self._decoder.logits_after(fed, self._should_stop)):
            row = position + 1 - window.counted
            if row >= 0:
                target = torch.tensor(ids[window.counted + row : window.counted + row + 1])
                comparison.add(
                    log_softmax(at_once[row : row + 1]),
                    log_softmax(logits),
                    target.to(logits.device),
                )
        return comparison.result()


class _Comparison:
    """Compares log-probabilities [rows, vocabulary] of a reference and of a lane, row by row."""

    def __init__(self) -> None:
        self.kld: list[torch.Tensor] = []
        self._same: list[torch.Tensor] = []
        self._probability: list[torch.Tensor] = []
        self._nll: list[torch.Tensor] = []

    def add(self, reference: torch.Tensor, lane: torch.Tensor, targets: torch.Tensor) -> None:
        width = min(reference.shape[1], lane.shape[1])
        # A vocabulary that was padded to another width has no probability there.
        reference, lane = reference[:, :width], lane[:, :width]
        p = reference.exp()
        change = torch.where(p > 0, reference - lane, 0.0)
        expected, found = (lp.gather(1, targets[:, None])[:, 0] for lp in (reference, lane))
        # Rounding alone can make it negative.
        self.kld.append((p.double() * change.double()).sum(1).clamp_min(0).float().cpu())
        self._same.append((reference.argmax(1) == lane.argmax(1)).to(torch.uint8).cpu())
        self._probability.append((found.exp() - expected.exp()).cpu())
        self._nll.append((expected - found).cpu())

    def result(self) -> Divergence:
        return Divergence(
            kld=as_bytes(self.kld),
            same_top=as_bytes(self._same),
            probability_change=as_bytes(self._probability),
            nll_change=as_bytes(self._nll),
        )


class _Reference:
    """The file of the reference's log-probabilities, float32 [tokens, vocabulary]."""

    def __init__(self, request: ScoreRequest, tokens: int) -> None:
        self._path = Path(request.path)
        self._write = request.write
        self._tokens = tokens
        self._rows: Rows | None = None

    def rows(self, start: int, lp: torch.Tensor) -> torch.Tensor | None:
        """Write these rows and return None, or return the reference's in their place."""
        if self._rows is None:
            self._rows = self._open(lp.shape[1])
        end = start + len(lp)
        if self._write:
            self._rows[start:end] = lp.cpu().numpy()
            return None
        return torch.from_numpy(np.array(self._rows[start:end])).to(lp.device)

    def _open(self, width: int) -> Rows:
        try:
            if self._write:
                rows: Rows = np.lib.format.open_memmap(  # type: ignore[no-untyped-call]
                    self._path, mode="w+", dtype=np.float32, shape=(self._tokens, width)
                )
                return rows
            rows = np.load(self._path, mmap_mode="r")
        except (OSError, ValueError) as error:
            raise EngineError(
                f"The reference's log-probabilities cannot be kept in {self._path.parent}.",
                "Free some space there, or choose a shorter window.",
                str(error),
            ) from error
        if len(rows) != self._tokens:
            raise OptionsError(
                f"The reference's tokenizer makes {len(rows):,} tokens where this model's makes "
                f"{self._tokens:,}: their distributions cannot be compared.",
                "Compare models that share a tokenizer.",
            )
        return rows


def keep_argument(model: PreTrainedModel, tokens: int) -> dict[str, int]:
    """Return the argument of the forward that computes the last tokens' logits only."""
    known = "logits_to_keep" in inspect.signature(model.forward).parameters
    return {"logits_to_keep": tokens} if known else {}


def as_bytes(parts: Sequence[torch.Tensor]) -> bytes:
    """Return the values of all parts, in the machine's byte order."""
    return b"".join(part.contiguous().numpy().tobytes() for part in parts)


def log_softmax(logits: torch.Tensor) -> torch.Tensor:
    return torch.log_softmax(logits.float(), dim=-1)


def _expectation(p: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Return Σ p · values over the vocabulary; what cannot occur counts nothing."""
    return torch.where(p > 0, p * values, 0.0).sum(1)
