"""The score of a text under a model: what is asked, its windows, and the arrays that come back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from playground.core.choices import LONGEST_WINDOW
from playground.core.errors import OptionsError
from playground.core.facts import VerifiedPrecision

#: Tokens of the text that the self-check reads one by one.
SELF_CHECK_TOKENS = 64


class Window(NamedTuple):
    """Tokens `begin` to `end` are read at once; those from `counted` on are counted."""

    begin: int
    end: int
    counted: int


class ScoreRequest(msgspec.Struct, frozen=True, kw_only=True):
    """How a text is scored.

    `window` is the most tokens read at once, 0 for the model's context up to LONGEST_WINDOW;
    `stride` the tokens from one window to the next, 0 for half a window. `first` and `windows`
    choose some of the windows, `windows` 0 all that are left. `path` names a file of
    log-probabilities, float32 [tokens, vocabulary], which is written with `write`, else compared
    with; "" for none. `self_check` also reads the first window token by token.
    """

    text: str
    window: int = 0
    stride: int = 0
    first: int = 0
    windows: int = 0
    path: str = ""
    write: bool = False
    self_check: bool = False

    def check(self) -> None:
        """Raise OptionsError for values that make no windows."""
        if not self.text:
            raise OptionsError("The text is empty.", "Choose a text with some words in it.")
        if self.window and self.window < 2:
            raise OptionsError(
                f"A window must hold at least 2 tokens, not {self.window}.", "Make it larger."
            )


class ContinuationScore(msgspec.Struct, frozen=True):
    """How likely a text is after its context.

    `logprob` is the sum over its tokens, in nats; `greedy`: each of them was the likeliest.
    """

    logprob: float
    tokens: int
    text_bytes: int
    greedy: bool


class ScoringProtocol(msgspec.Struct, frozen=True, kw_only=True):
    """What decides a perplexity beside model and text; figures of other protocols differ.

    `bos`: one beginning-of-text token stands before the text; without it the first token of the
    text is not counted.
    """

    window: int
    stride: int
    windows: int
    bos: bool


class Divergence(msgspec.Struct, frozen=True, kw_only=True):
    """Two distributions over the vocabulary, compared at each counted token.

    Arrays of one value a token: `kld` is KL(reference‖lane) in nats, float32; `same_top` whether
    both find the same token likeliest, uint8; `probability_change` is p_lane − p_reference of the
    text's token, float32; `nll_change` is the lane's negative log-likelihood less the
    reference's, float32.
    """

    kld: bytes
    same_top: bytes
    probability_change: bytes
    nll_change: bytes

    @property
    def values(self) -> NDArray[np.float32]:
        """Shape [tokens]: the KL divergences."""
        return np.frombuffer(self.kld, np.float32)


class TextScore(msgspec.Struct, frozen=True, kw_only=True):
    """The score of some windows of a text under a loaded model.

    `ids` are the counted tokens, int32; `nll` their negative log-likelihoods in nats, `mean` and
    `deviation` those of log p under the model's own distribution, float32 each. `text_bytes` are
    the UTF-8 bytes of the whole text's counted tokens. `divergence` compares with the reference,
    `self_check` the windows with the model's own decoding of the first tokens.
    """

    ids: bytes
    nll: bytes
    mean: bytes
    deviation: bytes
    text_bytes: int
    protocol: ScoringProtocol
    verified: VerifiedPrecision
    kernel: str
    decoder: str
    divergence: Divergence | None = None
    self_check: Divergence | None = None

    @property
    def tokens(self) -> int:
        return len(self.nll) // 4


def windows_of(tokens: int, window: int, stride: int) -> list[Window]:
    """Return the windows over `tokens` tokens, each token but the first counted once.

    Window k begins at k · stride and counts what no earlier one did.
    """
    found: list[Window] = []
    begin, counted = 0, 1
    while counted < tokens:
        end = min(begin + window, tokens)
        found.append(Window(begin, end, counted))
        begin, counted = begin + stride, end
    return found


def sizes_of(request: ScoreRequest, context: int) -> tuple[int, int]:
    """Return window and stride in tokens for a model's context, 0 where it is unknown.

    Raises OptionsError for a window longer than the context, or a stride as long as the window.
    """
    request.check()
    if context and request.window > context:
        raise OptionsError(
            f"The window of {request.window:,} tokens is longer than the model's context of "
            f"{context:,}.",
            "Choose a shorter window.",
        )
    window = request.window or min(context or LONGEST_WINDOW, LONGEST_WINDOW)
    stride = request.stride or window // 2
    if not 1 <= stride < window:
        raise OptionsError(
            f"The stride must be below the window of {window:,} tokens, not {stride:,}: each token "
            "needs another one before it.",
            "Make it smaller.",
        )
    return window, stride


def joined(parts: Sequence[TextScore]) -> TextScore:
    """Return the score of consecutive windows as one. Raises ValueError where there is none."""
    if not parts:
        raise ValueError("no scores to join")
    first = parts[0]
    divergences = [part.divergence for part in parts if part.divergence is not None]
    divergence = None
    if divergences:
        divergence = Divergence(
            kld=b"".join(d.kld for d in divergences),
            same_top=b"".join(d.same_top for d in divergences),
            probability_change=b"".join(d.probability_change for d in divergences),
            nll_change=b"".join(d.nll_change for d in divergences),
        )
    return msgspec.structs.replace(
        first,
        ids=b"".join(part.ids for part in parts),
        nll=b"".join(part.nll for part in parts),
        mean=b"".join(part.mean for part in parts),
        deviation=b"".join(part.deviation for part in parts),
        divergence=divergence,
    )


def perplexity(nll: NDArray[np.float32]) -> float:
    """Return exp of the mean negative log-likelihood, summed in float64."""
    return math.exp(float(nll.mean(dtype=np.float64)))
