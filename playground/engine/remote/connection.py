"""Talks to one server: requests with bounded answers, streams of events, errors in words."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx2

from playground.core.servers import ServerRequest, check_key, is_this_machine
from playground.engine.remote.faults import ServerError, odd_answer, of_status, of_transport, silent

#: Bytes of an answer that is no stream, and of one event of a stream.
MOST_BYTES = 4_000_000
MOST_EVENT_BYTES = 1_000_000
CONNECT_S = 5.0
#: Seconds that an answer may take that is no stream.
ANSWER_S = 10.0
#: Seconds of silence in a stream after which it is said, and after which it is given up.
QUIET_S = 10.0
GIVE_UP_S = 600.0
#: Attempts to open a stream, and the longest wait before one.
ATTEMPTS = 4
LONGEST_WAIT_S = 30.0


@dataclass
class Stream:
    """An open stream of events. Times are of time.monotonic().

    `written_at` is when the request had been written, `read_at` when its last bytes arrived.
    """

    response: httpx2.Response
    written_at: float
    read_at: float

    async def events(self, quiet: Callable[[float], None]) -> AsyncIterator[tuple[str, float]]:
        """Yield the data of each event, and when it arrived; those of one read share a time.

        `quiet` is told every QUIET_S without an event how many seconds it has been. Raises
        ServerError where the stream breaks, or stays quiet for GIVE_UP_S.
        """
        source = aiter(httpx2.EventSource(self.response, max_event_size=MOST_EVENT_BYTES))
        coming: asyncio.Future[httpx2.ServerSentEvent] | None = None
        waited = 0.0
        try:
            while True:
                coming = coming or asyncio.ensure_future(anext(source))
                done, _ = await asyncio.wait((coming,), timeout=QUIET_S)
                if not done:
                    waited += QUIET_S
                    if waited >= GIVE_UP_S:
                        raise silent(waited)
                    quiet(waited)
                    continue
                waited = 0.0
                ended, coming = coming, None
                yield ended.result().data, self.read_at
        except StopAsyncIteration:
            return
        except (httpx2.TransportError, httpx2.StreamError) as error:
            raise of_transport(error, begun=True) from error
        finally:
            if coming is not None:
                coming.cancel()


class Connection:
    """One server; opens connections as needed and keeps them open."""

    def __init__(self, request: ServerRequest) -> None:
        """Raise OptionsError where the key would be readable on the way."""
        check_key(request)
        self.url = request.url
        parts = urlsplit(request.url)
        self._origin = f"{parts.scheme}://{parts.netloc}"
        headers = {"Authorization": f"Bearer {request.key}"} if request.key else {}
        # A proxy would not reach this machine's own servers.
        loopback = is_this_machine(request.url)
        self._client = httpx2.AsyncClient(
            headers=headers,
            timeout=httpx2.Timeout(None, connect=CONNECT_S),
            trust_env=not loopback,
            # Building a TLS context reads all certificates, which takes 0.1 s.
            verify=parts.scheme == "https",
            follow_redirects=False,
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def get(self, path: str, *, from_root: bool = False) -> tuple[object, Mapping[str, str]]:
        """Return the JSON (or text) and the headers of an answer. Raises ServerError.

        `path` follows the API's address, or the host with `from_root`.
        """
        url = f"{self._origin if from_root else self.url}{path}"
        try:
            async with asyncio.timeout(ANSWER_S), self._client.stream("GET", url) as response:
                body = await _bounded(response)
        except TimeoutError:
            raise ServerError(
                f"The server did not answer within {ANSWER_S:.0f} s.",
                "Look whether it runs and what it is busy with, and try again.",
            ) from None
        except (httpx2.TransportError, httpx2.StreamError, httpx2.InvalidURL) as error:
            raise of_transport(error) from error
        if response.status_code != httpx2.codes.OK:
            raise of_status(response.status_code, response.headers, body)
        return _parsed(body), response.headers

    @asynccontextmanager
    async def stream(
        self, path: str, fields: Mapping[str, Any], waiting: Callable[[str], None]
    ) -> AsyncIterator[Stream]:
        """Open a stream of events; leaving the block closes its connection at once.

        A server that is busy or unreachable is tried again, which `waiting` is told. Raises
        ServerError for every answer that is no stream.
        """
        for attempt in range(ATTEMPTS):
            try:
                async with self._post(path, fields) as stream:
                    yield stream
                return
            except ServerError as error:
                if error.begun or error.wait_s is None or attempt == ATTEMPTS - 1:
                    raise
                if attempt == 0 and not error.wait_s:
                    continue  # a server closes connections that were kept open for the next request
                wait_s = min(max(error.wait_s, 0.5 * 2**attempt), LONGEST_WAIT_S)
                waiting(f"{error.message} Trying again in {wait_s:.0f} s.")
                await asyncio.sleep(wait_s)

    @asynccontextmanager
    async def _post(self, path: str, fields: Mapping[str, Any]) -> AsyncIterator[Stream]:
        began = time.monotonic()
        times = {"written": began, "read": began}

        async def trace(name: str, _: Mapping[str, Any]) -> None:
            if name.endswith("send_request_body.complete"):
                times["written"] = time.monotonic()

        try:
            request = self._client.build_request(
                "POST",
                f"{self.url}{path}",
                json=dict(fields),
                headers={"Accept": "text/event-stream"},
                extensions={"trace": trace},
            )
            response = await self._client.send(request, stream=True)
        except (httpx2.TransportError, httpx2.InvalidURL) as error:
            raise of_transport(error) from error
        try:
            if response.status_code != httpx2.codes.OK:
                raise of_status(response.status_code, response.headers, await _bounded(response))
            kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind != "text/event-stream":
                raise odd_answer(kind, await _bounded(response))
            stream = Stream(response, times["written"], time.monotonic())
            response.stream = _Timed(response.stream, stream)
            yield stream
        finally:
            await response.aclose()


def quiet_text(seconds: float) -> str:
    """Return what a lane says of a server that sends nothing."""
    return f"the server has sent nothing for {seconds:.0f} s"


class _Timed(httpx2.AsyncByteStream):
    """Notes when each piece of a stream arrives."""

    def __init__(self, inner: Any, stream: Stream) -> None:
        self._inner = inner
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for data in self._inner:
            self._stream.read_at = time.monotonic()
            yield data

    async def aclose(self) -> None:
        await self._inner.aclose()


async def _bounded(response: httpx2.Response) -> bytes:
    """Return the body's first MOST_BYTES."""
    body = bytearray()
    try:
        async for data in response.aiter_bytes():
            body += data
            if len(body) > MOST_BYTES:
                break
    except (httpx2.TransportError, httpx2.StreamError, httpx2.DecodingError) as error:
        raise of_transport(error) from error
    return bytes(body[:MOST_BYTES])


def _parsed(body: bytes) -> object:
    """Return JSON as values, anything else as text."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return body.decode("utf-8", "replace")
