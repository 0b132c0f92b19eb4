"""A scripted server on loopback, for answers and faults that a real one does not give on demand."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

#: Waits until the client has gone.
HANG = None
MODELS = {"object": "list", "data": [{"id": "tiny", "object": "model"}]}


@dataclass
class Reply:
    """A status with headers and the body's pieces, each sent at once; HANG keeps quiet."""

    pieces: Sequence[bytes | None]
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


def events(*values: object, done: bool = True) -> Reply:
    """Return a stream of server-sent events, a piece each; text is sent as it stands."""
    lines = [v if isinstance(v, str) else json.dumps(v) for v in values]
    lines += ["[DONE]"] if done else []
    pieces = [f"data: {line}\n\n".encode() for line in lines]
    return Reply(pieces, headers={"content-type": "text/event-stream"})


def json_reply(value: object, status: int = 200, **headers: str) -> Reply:
    """Return a JSON answer."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    kind = {"content-type": "application/json"}
    return Reply([json.dumps(value).encode()], status, kind | named)


def text_chunk(text: str, finish: str | None = None, **more: object) -> dict[str, Any]:
    """Return one chunk of a continued text; `more` goes into its choice."""
    return {"choices": [{"index": 0, "text": text, "finish_reason": finish, **more}]}


#: What the server answers to a request's fields, by path.
Script = Callable[[dict[str, Any]], Reply]


class ModelServer:
    """The server's address, what it was asked, and whether a client has left in an answer."""

    def __init__(self) -> None:
        self.url = ""
        self.scripts: dict[str, Script] = {"/v1/models": lambda _: json_reply(MODELS)}
        self.requests: list[tuple[str, dict[str, Any], dict[str, str]]] = []
        self.left = threading.Event()

    def answers(self, path: str, *replies: Reply) -> None:
        """Give these replies one after the other to the requests of a path, the last for ever."""
        waiting = list(replies)
        self.scripts[path] = lambda _: waiting.pop(0) if len(waiting) > 1 else waiting[0]

    def asked(self, path: str) -> list[dict[str, Any]]:
        """Return the fields of all requests of a path."""
        return [fields for asked, fields, _ in self.requests if asked == path]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                request, *lines = head.decode().split("\r\n")
                headers = dict(line.lower().split(": ", 1) for line in lines if line)
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                path, fields = request.split()[1], json.loads(body or b"{}")
                self.requests.append((path, fields, headers))
                script = self.scripts.get(path, lambda _: json_reply({"detail": "unknown"}, 404))
                await self._reply(script(fields), reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _reply(
        self, reply: Reply, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        headers = {"transfer-encoding": "chunked", **reply.headers}
        lines = [f"HTTP/1.1 {reply.status} x", *(f"{k}: {v}" for k, v in headers.items()), "", ""]
        writer.write("\r\n".join(lines).encode())
        for piece in reply.pieces:
            if piece is HANG:
                await reader.read(1)  # returns when the client closes the connection
                self.left.set()
                raise ConnectionError
            if piece == b"":
                raise ConnectionError  # the answer breaks off
            writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        await writer.drain()


@contextmanager
def model_server() -> Iterator[ModelServer]:
    """Run a server while inside."""
    server = ModelServer()
    loop = asyncio.new_event_loop()
    ready = threading.Event()
    stop = asyncio.Event()

    async def run() -> None:
        listening = await asyncio.start_server(server._serve, "127.0.0.1", 0)
        server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
        ready.set()
        await stop.wait()
        listening.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    def main() -> None:
        loop.run_until_complete(run())
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()

    thread = threading.Thread(target=main)
    thread.start()
    ready.wait()
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
