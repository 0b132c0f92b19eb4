"""Runs the remote engine: carries out commands on a server until the input ends."""

from __future__ import annotations

import asyncio
import os
import platform
import time
import traceback
from typing import TYPE_CHECKING

from playground.core.errors import EngineError, PlaygroundError
from playground.core.facts import EngineFacts, LoadedModel, LoadRequest, VerifiedPrecision
from playground.core.protocol import (
    Activity,
    Failed,
    Generate,
    Hello,
    Load,
    Loaded,
    LookAtServer,
    Progress,
    Ready,
    ServerSeen,
    Work,
)
from playground.core.servers import ServerRequest
from playground.engine.wire.inbox import Inbox, leave
from playground.engine.wire.sender import Sender

if TYPE_CHECKING:
    from playground.engine.remote.answering import Answering
    from playground.engine.remote.connection import Connection


def serve(commands: int, events: int) -> None:
    """Carry out commands from one file descriptor, send events to the other; never return."""
    sender = Sender(events)
    sender.start_beating()
    sender.send(Hello(pid=os.getpid()))
    inbox = Inbox(commands)
    inbox.start()
    sender.send(Progress(Activity.IMPORTING))
    # The client's library takes longer to import than all the rest.
    import httpx2

    sender.send(
        Ready(EngineFacts(platform.python_version(), (), {"httpx2": httpx2.__version__}, {}))
    )
    asyncio.run(_Remote(sender, inbox).run())


class _Remote:
    """Holds the server and its model once they were asked for."""

    def __init__(self, sender: Sender, inbox: Inbox) -> None:
        self._sender = sender
        self._inbox = inbox
        self._connection: Connection | None = None
        self._loaded: LoadedModel | None = None
        self._request_id = 0
        self._answering: Answering | None = None

    async def run(self) -> None:
        """Carry out commands one after the other; never return."""
        loop = asyncio.get_running_loop()

        def cancel(number: int) -> None:
            loop.call_soon_threadsafe(self._cancel, number)

        self._inbox.on_cancel = cancel
        while True:
            command = await loop.run_in_executor(None, self._inbox.next)
            failed = await self._carry_out(command)
            if not isinstance(command, Load):
                self._inbox.finish(command.request_id)
            if failed is not None:
                self._sender.send(failed)
                if not failed.alive:
                    leave(1)

    async def _carry_out(self, command: Work) -> Failed | None:
        number = None if isinstance(command, Load) else command.request_id
        try:
            match command:
                case Load(request=request):
                    await self._load(request)
                case Generate():
                    await self._generate(command)
                case LookAtServer():
                    await self._look(command)
                case _:
                    raise EngineError(
                        "A server cannot do this.", "Use a lane that runs on this machine."
                    )
        except PlaygroundError as error:
            return Failed(error.message, error.remedy, error.detail, number, number is not None)
        except Exception:
            return Failed(
                "The server's answer could not be understood.",
                "Choose a server that speaks OpenAI's API.",
                traceback.format_exc(),
                number,
                number is not None,
            )
        return None

    async def _load(self, request: LoadRequest) -> None:
        """Look at the server, and ask the model for two tokens, which also warms it up."""
        from playground.engine.remote.connection import Connection
        from playground.engine.remote.probe import TOKENS, look_at, probe

        if request.server is None:
            raise EngineError("No server was named.", "Choose the lane's server again.")
        began = time.monotonic()
        self._sender.send(Progress(Activity.READING_WEIGHTS, detail="looking at the server"))
        self._connection = Connection(request.server)
        name, found = await look_at(self._connection, request.name)
        looked = time.monotonic()
        asking = f"asking the server for {TOKENS} tokens, to see what it can do"
        self._sender.send(Progress(Activity.WARMING_UP, detail=asking))

        def waiting(why: str) -> None:
            self._sender.send(Progress(Activity.WARMING_UP, detail=why))

        facts = await probe(self._connection, name, found, waiting)
        # The key does not go back: what is loaded is shown and kept.
        known = LoadRequest(
            name=name,
            folder="",
            commit="",
            precision=request.precision,
            device=request.device,
            environment=request.environment,
            server=ServerRequest(url=request.server.url),
        )
        self._loaded = LoadedModel(
            request=known,
            verified=VerifiedPrecision(precision=None, modules={}, bytes_by_dtype={}),
            kernel=facts.label,
            device_name=facts.url,
            architecture="",
            parameters=0,
            context_length=facts.context_length,
            has_chat_template=facts.chat,
            load_s={
                Activity.READING_WEIGHTS.value: looked - began,
                Activity.WARMING_UP.value: time.monotonic() - looked,
            },
            memory_bytes=0,
            server=facts,
        )
        self._sender.send(Loaded(self._loaded))

    async def _look(self, command: LookAtServer) -> None:
        """Tell what a server is and has."""
        from playground.engine.remote.connection import Connection
        from playground.engine.remote.kinds import recognise

        connection = Connection(command.server)
        try:
            found = await recognise(connection, "")
        finally:
            await connection.close()
        label = f"{found.kind.label} {found.version}".strip()
        self._sender.send(ServerSeen(command.request_id, label, found.models))

    async def _generate(self, command: Generate) -> None:
        from playground.engine.remote.answering import Answering

        if self._connection is None or self._loaded is None:
            raise EngineError("No server was chosen yet.", "Load the lane first.")
        self._request_id = command.request_id
        self._answering = Answering(self._connection, self._loaded, command, self._sender)
        if self._inbox.is_cancelled(command.request_id):
            self._answering.cancel()
        try:
            await self._answering.run()
        finally:
            self._answering = None

    def _cancel(self, request_id: int) -> None:
        if self._answering is not None and self._request_id == request_id:
            self._answering.cancel()
