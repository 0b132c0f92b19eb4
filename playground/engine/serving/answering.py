"""Carries out one generation: from the prompt to the stamped answer, with events on the way."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from playground.core.facts import Answer, LoadedModel, Stamp, TokenRules
from playground.core.generation import ChatPrompt, Prompt
from playground.core.protocol import Activity, Finished, Generate, Progress, Started
from playground.core.stop_strings import StopFilter
from playground.engine.decoding.decoder import Decoded, Decoder
from playground.engine.machine import memory
from playground.engine.prompts.encode import EncodedPrompt, check_length
from playground.engine.prompts.process import PromptEncoder
from playground.engine.serving.detokenize import Detokenizer, TokenNames, TokenTexts
from playground.engine.serving.token_details import DetailedTokens
from playground.engine.serving.unknown_tokens import check_known, check_prefix
from playground.engine.wire.inbox import Inbox
from playground.engine.wire.sender import Sender


@dataclass(frozen=True)
class Session:
    """A loaded model, with all that answering a prompt needs.

    `beyond` are the tokens for which it has no embedding, by id.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    prompts: PromptEncoder
    texts: TokenTexts
    rules: TokenRules
    decoder: Decoder
    loaded: LoadedModel
    versions: dict[str, str]
    beyond: dict[int, str]

    @cached_property
    def names(self) -> TokenNames:
        """The texts of single tokens."""
        return TokenNames(self.texts)


class Answering:
    """Carries out one Generate command."""

    def __init__(self, session: Session, command: Generate, sender: Sender, inbox: Inbox) -> None:
        self._session = session
        self._command = command
        self._sender = sender
        self._inbox = inbox
        self._detokenizer = Detokenizer(session.texts)
        self._filter = StopFilter(command.options.stop)
        self._ids: list[int] = []
        self._texts: list[str] = []
        self._times: list[float] = []
        self._warm_up_s = 0.0
        self._detailed: DetailedTokens | None = None
        if top := command.options.top:
            self._detailed = DetailedTokens(sender, command.request_id, top, session.names)
        now = time.monotonic()
        # A time from another machine's clock would falsify every figure.
        plausible = math.isfinite(command.sent_at) and command.sent_at <= now
        self._sent_at = command.sent_at if plausible else now

    def run(self) -> None:
        """Generate and send the answer. Raises PlaygroundError or whatever a library raises."""
        command, session = self._command, self._session
        command.options.check()
        self._sender.send(Progress(Activity.READING_PROMPT))
        context = session.loaded.context_length
        encoded = session.prompts.encode(command.prompt, self._reason_to_stop)
        reason = ""
        if isinstance(encoded, str):
            reason, encoded = encoded, EncodedPrompt([])
        ids = [*encoded.ids, *command.prompt.prefix_ids]
        check_length(ids, context)
        check_known(ids, session.beyond)
        check_prefix(command.prompt.prefix_ids, session.model)
        for token_id in command.prompt.prefix_ids:
            self._detokenizer.feed(token_id)  # the answer's text goes on from theirs
        self._sender.send(Started(command.request_id, len(ids)))
        requested = command.options.max_new_tokens
        limit = min(requested, context - len(ids)) if context else requested
        reason = reason or self._prepare(len(ids), limit)
        device = session.loaded.request.device
        memory.reset_peak(device)
        decoded = (
            Decoded(reason, time.monotonic())
            if reason
            else session.decoder.decode(
                ids,
                command.options,
                limit,
                self._take,
                self._reason_to_stop,
                reuse=len(ids) if _continues(command.prompt) else command.reuse,
                on_logits=self._detailed.logits if self._detailed is not None else None,
            )
        )
        if self._detailed is not None:
            self._detailed.send()
        tail = ""
        if not self._filter.stopped:
            tail = self._filter.feed(self._detokenizer.flush()) + self._filter.flush()
        stop_reason = decoded.stop_reason
        if self._filter.stopped and stop_reason == "length":
            stop_reason = "stop string"
        elif stop_reason == "length" and limit < requested:
            stop_reason = "context full"
        answer = Answer(
            text="".join(self._texts) + tail,
            token_ids=tuple(self._ids),
            prompt_tokens=len(ids),
            times=tuple(self._times),
            prefill_s=self._prefill_s(decoded),
            stop_reason=stop_reason,
            peak_memory_bytes=memory.peak(device),
            stamp=self._stamp(encoded.parts),
            reused_tokens=decoded.reused,
            warm_up_s=self._warm_up_s,
        )
        self._sender.send(Finished(command.request_id, answer, tail))

    def _prepare(self, prompt_tokens: int, limit: int) -> str:
        """Let the decoder prepare for texts of this length; only `warm_up_s` includes that time.

        Return the reason to stop, "" if the decoder is ready.
        """
        reported = False

        def report(what: str) -> None:
            nonlocal reported
            reported = True
            self._sender.send(Progress(Activity.WARMING_UP, detail=what))

        began = time.monotonic()
        reason = self._session.decoder.prepare(prompt_tokens, limit, report, self._reason_to_stop)
        if reported:
            self._warm_up_s = time.monotonic() - began
            self._sent_at += self._warm_up_s
            self._sender.send(Progress(Activity.READING_PROMPT, detail=f"{prompt_tokens} tokens"))
        return reason

    def _take(self, token_id: int, ready_at: float) -> None:
        text = self._text(token_id)
        since_sent = ready_at - self._sent_at
        self._ids.append(token_id)
        self._texts.append(text)
        self._times.append(since_sent)
        if self._detailed is not None:
            self._detailed.token(token_id, text, since_sent)
        else:
            self._sender.token(self._command.request_id, token_id, text, since_sent)

    def _text(self, token_id: int) -> str:
        """Return the text that the token makes certain, less what may begin a stop string."""
        special = self._session.texts.special.get(token_id)
        if special is None or not self._filter.mentions(special):
            return self._filter.feed(self._detokenizer.feed(token_id))
        # The characters before the special token come first.
        before = self._filter.feed(self._detokenizer.flush_whole())
        if self._filter.stopped:
            return before
        shown = before + self._filter.feed(special, special=True)
        # At the end of the text an incomplete character shows as it is.
        return shown + self._detokenizer.flush() if self._filter.stopped else shown

    def _reason_to_stop(self) -> str:
        if self._filter.stopped:
            return "stop string"
        return "cancelled" if self._inbox.is_cancelled(self._command.request_id) else ""

    def _prefill_s(self, decoded: Decoded) -> float:
        return self._sent_at + self._times[0] - decoded.began if self._times else 0.0

    def _stamp(self, parts: bool) -> Stamp:
        loaded, command = self._session.loaded, self._command
        return Stamp(
            model=loaded.request.name,
            folder=loaded.request.folder,
            commit=loaded.request.commit,
            requested_precision=loaded.request.precision,
            verified=loaded.verified,
            kernel=loaded.kernel,
            decoder=self._session.decoder.name,
            step_seconds=loaded.step_seconds,
            device=loaded.request.device,
            device_name=loaded.device_name,
            threads=torch.get_num_threads(),
            versions=self._session.versions,
            options=command.options,
            rules=self._session.rules,
            content_parts=parts,
            timing=command.timing,
            environment=loaded.request.environment,
            own_code=loaded.request.trust_remote_code,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )


def _continues(prompt: Prompt) -> bool:
    """Return whether the prompt continues a conversation, which the KV cache may still hold.

    Every other prompt is prefilled as a whole: its TTFT means the same in each run.
    """
    return isinstance(prompt, ChatPrompt) and any(m.role == "assistant" for m in prompt.messages)
