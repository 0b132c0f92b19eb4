"""One generation, from the prompt to the stamped answer, reported as it goes."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import torch

from playground.core.facts import Answer, LoadedModel, Stamp
from playground.core.generation import ChatPrompt, Prompt
from playground.core.protocol import Activity, Finished, Generate, Progress, Started
from playground.engine.decoding.decoder import Decoded, Decoder
from playground.engine.machine import memory
from playground.engine.serving.detokenize import Detokenizer, StopFilter, decode_function
from playground.engine.serving.prompts import prompt_ids
from playground.engine.wire.inbox import Inbox
from playground.engine.wire.sender import Sender


@dataclass(frozen=True)
class Session:
    """A loaded model with all that answering needs."""

    model: Any
    tokenizer: Any
    decoder: Decoder
    loaded: LoadedModel
    versions: dict[str, str]


class Answering:
    """Carries out one Generate."""

    def __init__(self, session: Session, command: Generate, sender: Sender, inbox: Inbox) -> None:
        self._session = session
        self._command = command
        self._sender = sender
        self._inbox = inbox
        self._detokenizer = Detokenizer(decode_function(session.tokenizer))
        self._filter = StopFilter(command.options.stop)
        self._ids: list[int] = []
        self._texts: list[str] = []
        self._times: list[float] = []
        self._warm_up_s = 0.0
        now = time.monotonic()
        # A clock that is none of this machine's would make every figure nonsense.
        sane = math.isfinite(command.sent_at) and command.sent_at <= now
        self._sent_at = command.sent_at if sane else now

    def run(self) -> None:
        """Generate. Raises PlaygroundError or whatever a library raises."""
        command, session = self._command, self._session
        command.options.check()
        self._sender.send(Progress(Activity.READING_PROMPT))
        context = session.loaded.context_length
        ids = prompt_ids(session.tokenizer, command.prompt, context)
        self._sender.send(Started(command.request_id, len(ids)))
        wanted = command.options.max_new_tokens
        limit = min(wanted, context - len(ids)) if context else wanted
        reason = self._prepare(len(ids), limit)
        self._reset_peak()
        decoded = (
            Decoded(reason, time.monotonic())
            if reason
            else session.decoder.decode(
                ids,
                command.options,
                limit,
                self._take,
                self._reason_to_stop,
                reuse=_goes_on(command.prompt),
            )
        )
        tail = ""
        if not self._filter.stopped:
            tail = self._filter.feed(self._detokenizer.flush()) + self._filter.flush()
        stop_reason = decoded.stop_reason
        if self._filter.stopped and stop_reason == "length":
            stop_reason = "stop string"
        elif stop_reason == "length" and limit < wanted:
            stop_reason = "context full"
        answer = Answer(
            text="".join(self._texts) + tail,
            token_ids=tuple(self._ids),
            prompt_tokens=len(ids),
            times=tuple(self._times),
            prefill_s=self._prefill_s(decoded),
            stop_reason=stop_reason,
            peak_memory_bytes=self._peak(),
            stamp=self._stamp(),
            reused_tokens=decoded.reused,
            warm_up_s=self._warm_up_s,
        )
        self._sender.send(Finished(command.request_id, answer, tail))

    def _prepare(self, prompt_tokens: int, limit: int) -> str:
        """Let the decoder do what is done once for texts of this length; its time counts apart.

        Return the reason to stop meanwhile, "" for none.
        """
        told: list[str] = []

        def tell(what: str) -> None:
            told.append(what)
            self._sender.send(Progress(Activity.WARMING_UP, detail=what))

        began = time.monotonic()
        reason = self._session.decoder.prepare(prompt_tokens, limit, tell, self._reason_to_stop)
        if told:
            self._warm_up_s = time.monotonic() - began
            self._sent_at += self._warm_up_s
            self._sender.send(Progress(Activity.READING_PROMPT, detail=f"{prompt_tokens} tokens"))
        return reason

    def _take(self, token_id: int, ready_at: float) -> None:
        text = self._filter.feed(self._detokenizer.feed(token_id))
        since_sent = ready_at - self._sent_at
        self._ids.append(token_id)
        self._texts.append(text)
        self._times.append(since_sent)
        self._sender.token(self._command.request_id, token_id, text, since_sent)

    def _reason_to_stop(self) -> str:
        if self._filter.stopped:
            return "stop string"
        return "cancelled" if self._inbox.is_cancelled(self._command.request_id) else ""

    def _prefill_s(self, decoded: Decoded) -> float:
        return self._sent_at + self._times[0] - decoded.began if self._times else 0.0

    def _reset_peak(self) -> None:
        if self._on_cpu:
            memory.reset_peak()
        else:
            torch.cuda.reset_peak_memory_stats(self._session.loaded.request.device)

    def _peak(self) -> int:
        if self._on_cpu:
            return memory.peak_resident()
        return int(torch.cuda.max_memory_allocated(self._session.loaded.request.device))

    @property
    def _on_cpu(self) -> bool:
        return self._session.loaded.request.device == "cpu"

    def _stamp(self) -> Stamp:
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
            timing=command.timing,
            environment=loaded.request.environment,
            own_code=loaded.request.trust_remote_code,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )


def _goes_on(prompt: Prompt) -> bool:
    """Whether a conversation goes on, so that what was read for its last turn may be kept.

    Every other prompt is read whole: its TTFT shall mean the same at each run.
    """
    return isinstance(prompt, ChatPrompt) and any(m.role == "assistant" for m in prompt.messages)
