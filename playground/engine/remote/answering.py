"""Carries out one generation on a server: from the prompt to the stamped answer."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from playground.core.facts import Answer, LoadedModel, Stamp, TokenCount
from playground.core.generation import Prompt
from playground.core.protocol import Activity, Finished, Generate, Progress, Started, Tokens
from playground.core.server_requests import fields_of, path_of
from playground.core.servers import CountedBy, ServerFacts
from playground.core.stop_strings import StopFilter
from playground.engine.remote.connection import Connection, quiet_text
from playground.engine.remote.faults import ServerError
from playground.engine.remote.pieces import NO_ID, Piece, Usage, read_piece
from playground.engine.wire.sender import Sender

#: Why an answer ended, by what servers say.
_REASONS = {"stop": "eos", "length": "length"}


class Answering:
    """Carries out one Generate command; `cancel` ends the answer where it is."""

    def __init__(
        self, connection: Connection, loaded: LoadedModel, command: Generate, sender: Sender
    ) -> None:
        if loaded.server is None:
            raise ValueError("the model is on no server")
        self._connection = connection
        self._loaded = loaded
        self._server: ServerFacts = loaded.server
        self._command = command
        self._sender = sender
        self._filter = StopFilter(command.options.stop)
        self._text: list[str] = []
        self._ids: list[int] = []
        self._times: list[float] = []
        self._usage: Usage | None = None
        self._told = {"ids": 0, "names": 0, "pieces": 0, "bare": 0}
        self._finish = ""
        self._cancelled = False
        self._receiving: asyncio.Task[None] | None = None

    def cancel(self) -> None:
        """Close the connection, which stops the server; `run` then sends the answer so far."""
        self._cancelled = True
        if self._receiving is not None:
            self._receiving.cancel()

    async def run(self) -> None:
        """Generate and send the answer. Raises PlaygroundError."""
        command = self._command
        command.options.check()
        fields = fields_of(self._loaded.request.name, command.prompt, command.options, self._server)
        self._sender.send(Progress(Activity.READING_PROMPT))
        self._sender.send(Started(command.request_id, 0))
        if not self._cancelled:
            self._receiving = asyncio.ensure_future(self._receive(command.prompt, fields))
            try:
                await self._receiving
            except asyncio.CancelledError:
                if not self._cancelled:
                    raise
        tail = self._filter.flush()
        self._text.append(tail)
        self._sender.send(Finished(command.request_id, self._answer(), tail))

    async def _receive(self, prompt: Prompt, fields: dict[str, object]) -> None:
        async with self._connection.stream(path_of(prompt), fields, self._waiting) as stream:
            async for data, at in stream.events(self._quiet):
                piece = read_piece(data)
                self._take(piece, at - stream.written_at)
                if self._filter.stopped:
                    return  # the connection is closed, which stops the server
        if not self._finish:
            raise ServerError(
                "The server ended the answer in the middle.",
                "Look at the server's log. A prompt that is longer than the server's context "
                "may be a reason.",
                begun=True,
            )

    def _waiting(self, why: str) -> None:
        self._sender.send(Progress(Activity.READING_PROMPT, detail=why))

    def _quiet(self, seconds: float) -> None:
        activity = Activity.GENERATING if self._times else Activity.READING_PROMPT
        self._sender.send(Progress(activity, detail=quiet_text(seconds)))

    def _take(self, piece: Piece, since_written: float) -> None:
        """Pass on what a piece brings; all its tokens have the time at which it came."""
        if piece.usage is not None:
            self._usage = piece.usage
        self._finish = piece.finish or self._finish
        if not piece.text and not piece.tokens:
            return
        self._told["pieces"] += 1
        self._told["ids"] += bool(piece.ids)
        self._told["names"] += bool(piece.names)
        visible = self._filter.feed(piece.text)
        self._text.append(visible)
        count = piece.tokens or 1
        texts = (visible, *([""] * (count - 1)))
        if len(piece.names) == count and "".join(piece.names) == visible:
            texts = piece.names
        ids = piece.ids or (NO_ID,) * count
        times = (since_written,) * count
        self._ids += ids
        self._times += times
        wanted = self._command.options.top and len(piece.details) == count
        self._sender.send(
            Tokens(
                request_id=self._command.request_id,
                ids=ids,
                texts=texts,
                times=times,
                details=piece.details if wanted else (),
            )
        )

    def _answer(self) -> Answer:
        count = self._count()
        reason = _REASONS.get(self._finish, self._finish)
        if self._filter.stopped:
            reason = "stop string"
        elif self._cancelled:
            reason = "cancelled"
        elif reason == "length" and 0 < count.tokens < self._command.options.max_new_tokens:
            reason = "context full"
        return Answer(
            text="".join(self._text),
            token_ids=tuple(self._ids),
            prompt_tokens=self._usage.prompt if self._usage else 0,
            times=tuple(self._times),
            prefill_s=0.0,
            stop_reason=reason,
            peak_memory_bytes=0,
            stamp=self._stamp(),
            reused_tokens=(self._usage.cached if self._usage else None) or 0,
            count=count,
        )

    def _count(self) -> TokenCount:
        """Return how many tokens came, as exactly as the server tells."""
        told, entries = self._told, len(self._times)
        if told["pieces"] and told["ids"] == told["pieces"]:
            return TokenCount(CountedBy.TOKEN_IDS, entries)
        if told["pieces"] and told["names"] == told["pieces"]:
            return TokenCount(CountedBy.LOGPROBS, entries)
        if self._usage is not None and self._usage.answer:
            return TokenCount(CountedBy.USAGE, self._usage.answer)
        return TokenCount(CountedBy.CHUNKS, 0)

    def _stamp(self) -> Stamp:
        loaded, command = self._loaded, self._command
        return Stamp(
            model=loaded.request.name,
            folder="",
            commit="",
            requested_precision=loaded.request.precision,
            verified=loaded.verified,
            kernel=loaded.kernel,
            decoder=self._server.label,
            device=loaded.request.device,
            device_name=loaded.device_name,
            threads=0,
            versions={},
            options=command.options,
            timing=command.timing,
            environment=loaded.request.environment,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            server=self._server,
        )
