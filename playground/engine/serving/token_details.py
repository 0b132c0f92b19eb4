"""Computes how likely each token was, from its logits, and sends it with its token."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Sequence

import torch

from playground.core.protocol import Tokens
from playground.core.token_record import Alternative, TokenDetail
from playground.engine.serving.detokenize import TokenNames
from playground.engine.wire.sender import BATCH_S, Sender

#: Logits that are computed with at once: more leave the processor's cache.
_MOST_LOGITS = 1 << 19
#: Tokens in one batch at most: their logits are kept until then.
_MOST_TOKENS = 64


class DetailedTokens:
    """Sends tokens with their details, in batches of about 16 ms.

    Several tokens share the calls that compute their details. A token that comes BATCH_S or
    longer after the last batch is sent at once with those before it: a slow model's never wait.
    """

    def __init__(self, sender: Sender, request_id: int, top: int, names: TokenNames) -> None:
        """Send the `top` likeliest tokens with each one, with their texts from `names`."""
        self._sender = sender
        self._request_id = request_id
        self._top = top
        self._names = names
        self._logits: deque[torch.Tensor] = deque()
        self._ids: list[int] = []
        self._texts: list[str] = []
        self._times: list[float] = []
        self._sent_at = 0.0

    def logits(self, logits: torch.Tensor) -> None:
        """Take the logits [1, vocabulary] of the next token, as `OnLogits`."""
        self._logits.append(logits)

    def token(self, token_id: int, text: str, time_s: float) -> None:
        """Take the token whose logits came before, as `Sender.token`."""
        self._ids.append(token_id)
        self._texts.append(text)
        self._times.append(time_s)
        if time.monotonic() - self._sent_at >= BATCH_S or len(self._ids) == _MOST_TOKENS:
            self.send()

    def send(self) -> None:
        """Send the tokens that were not sent yet."""
        if not self._ids:
            return
        ids, texts, times = self._ids, self._texts, self._times
        self._ids, self._texts, self._times = [], [], []
        rows = [self._logits.popleft() for _ in ids]
        found = details(rows, ids, self._top, self._names)
        self._sender.send(
            Tokens(self._request_id, tuple(ids), tuple(texts), tuple(times), tuple(found))
        )
        self._sent_at = time.monotonic()


@torch.inference_mode()
def details(
    logits: Sequence[torch.Tensor], ids: Sequence[int], top: int, names: TokenNames
) -> list[TokenDetail]:
    """Return the details of tokens, each sampled from logits [1, vocabulary]."""
    found: list[TokenDetail] = []
    rows = max(1, _MOST_LOGITS // logits[0].shape[-1])
    for start in range(0, len(ids), rows):
        part = slice(start, start + rows)
        found += _details(torch.cat(tuple(logits[part])), ids[part], top, names)
    return found


def _details(
    logits: torch.Tensor, ids: Sequence[int], top: int, names: TokenNames
) -> list[TokenDetail]:
    """As `details`, from logits [tokens, vocabulary]."""
    # Its log-sum-exp is computed in float32.
    logprobs = torch.log_softmax(logits, -1, dtype=torch.float32)
    column = torch.tensor(ids, device=logits.device)[:, None]
    chosen = logprobs.gather(-1, column)
    values, indices = logprobs.topk(min(top, logits.shape[-1]))
    # All that the host reads comes in one copy; float64 holds every id exactly.
    read = torch.cat((chosen.double(), values.double(), indices.double()), -1).tolist()
    count = values.shape[-1]
    found = []
    for at, (logprob, *numbers) in enumerate(read):
        likeliest, its_ids = numbers[:count], numbers[count:]
        if logprob >= likeliest[-1]:
            rank = 1 + sum(value > logprob for value in likeliest)
        else:
            rank = 1 + int((logprobs[at] > chosen[at]).sum())
        found.append(
            TokenDetail(
                logprob,
                rank,
                tuple(
                    Alternative(int(token), names[int(token)], value)
                    for token, value in zip(its_ids, likeliest, strict=True)
                    if math.isfinite(value)
                ),
            )
        )
    return found
