"""Turns what a server or the network did wrong into sentences."""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from http import HTTPStatus

import httpx2

from playground.core.errors import PlaygroundError

_KEPT = 2000  # characters of an answer, for the detail of an error
_SHOWN = 200  # characters of a server's own words


class ServerError(PlaygroundError):
    """A server did not do what was asked.

    `status` is the answer's, 0 without one. `wait_s` are the seconds after which another attempt
    may succeed, None where it would not. `begun`: a part of the answer had arrived.
    """

    def __init__(
        self,
        message: str,
        remedy: str = "",
        detail: str = "",
        *,
        status: int = 0,
        wait_s: float | None = None,
        begun: bool = False,
    ) -> None:
        super().__init__(message, remedy, detail)
        self.status = status
        self.wait_s = wait_s
        self.begun = begun


def of_transport(error: Exception, *, begun: bool = False) -> ServerError:
    """Return the error of a connection that failed; `begun` after a part of the answer."""
    detail = repr(error)
    if begun:
        return ServerError(
            "The connection to the server broke in the middle of the answer.",
            "Look at the server's log, and run the prompt again.",
            detail,
            begun=True,
        )
    if _certificate(error):
        return ServerError(
            "The server's certificate is not valid, so that it may be another machine's.",
            "Correct the address, or have the server's certificate signed by an authority that "
            "this machine trusts.",
            detail,
        )
    if isinstance(error, httpx2.ConnectTimeout):
        return ServerError(
            "The server did not accept a connection within 5 s.",
            "Check its address, and that this machine may reach it.",
            detail,
            wait_s=1.0,
        )
    if isinstance(error, httpx2.ConnectError):
        return ServerError(
            "There is no server at this address.",
            "Start the server, or correct its address.",
            detail,
            wait_s=1.0,
        )
    if isinstance(error, httpx2.InvalidURL | httpx2.UnsupportedProtocol):
        return ServerError(
            "The server's address cannot be used.", "Give one such as http://host:8000/v1.", detail
        )
    return ServerError(
        "The connection to the server broke before an answer came.",
        "Look at the server's log, and try again.",
        detail,
        wait_s=0.0,
    )


def of_status(status: int, headers: Mapping[str, str], body: bytes) -> ServerError:
    """Return the error of an answer with a status other than 200."""
    said = words_of(body)
    detail = f"{status} {body[:_KEPT].decode('utf-8', 'replace')}"
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return ServerError(
            "The server refused the key."
            if status == HTTPStatus.UNAUTHORIZED
            else "The server does not allow this with the key that it was given.",
            "Enter the key that the server expects.",
            detail,
            status=status,
        )
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return ServerError(
            "The server takes no more requests at the moment.",
            "Wait a little, and run the prompt again.",
            detail,
            status=status,
            wait_s=_retry_after(headers),
        )
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return ServerError(
            "The server sends its visitors on to another address, which a key must not follow.",
            "Give the address that it leads to.",
            detail,
            status=status,
        )
    if _is_page(headers, body):
        return ServerError(
            f"A web page answered instead of a server of models (status {status}).",
            "Check the address: a proxy or a log-in page may stand in between.",
            detail,
            status=status,
        )
    if status in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED):
        return ServerError(
            f"The server does not know what it was asked for{said or '.'}",
            "Check the address (it usually ends with /v1) and the model's name.",
            detail,
            status=status,
        )
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        busy = status in (
            HTTPStatus.BAD_GATEWAY,
            HTTPStatus.SERVICE_UNAVAILABLE,
            HTTPStatus.GATEWAY_TIMEOUT,
        )
        return ServerError(
            f"The server failed (status {status}){said or '.'}",
            "Look at the server's log.",
            detail,
            status=status,
            wait_s=_retry_after(headers) if busy else None,
        )
    return ServerError(
        f"The server refused the request (status {status}){said or '.'}",
        "Change what it names, or choose another server.",
        detail,
        status=status,
    )


def odd_answer(kind: str, body: bytes) -> ServerError:
    """Return the error of an answer of 200 that is no stream of events."""
    detail = body[:_KEPT].decode("utf-8", "replace")
    if _is_page({"content-type": kind}, body):
        return ServerError(
            "A web page answered instead of a server of models.",
            "Check the address: a proxy or a log-in page may stand in between.",
            detail,
        )
    said = words_of(body)
    return ServerError(
        f"The server did not stream its answer{said or '.'}",
        "Choose a server that streams answers as OpenAI's API does.",
        detail,
    )


def of_event(error: object) -> ServerError:
    """Return the error that a server sent as an event of its stream."""
    said = _words(error)
    return ServerError(
        f"The server gave up the answer{said or '.'}",
        "Look at the server's log, and run the prompt again.",
        repr(error)[:_KEPT],
        begun=True,
    )


def not_json(data: str) -> ServerError:
    """Return the error of an event that is no JSON object."""
    return ServerError(
        "The server sent something that is no part of an answer.",
        "Choose a server that speaks OpenAI's API.",
        data[:_KEPT],
        begun=True,
    )


def silent(seconds: float) -> ServerError:
    """Return the error of a server that has sent nothing for so long."""
    return ServerError(
        f"The server has sent nothing for {seconds:.0f} s.",
        "Look whether it still runs, and run the prompt again.",
        begun=True,
    )


def words_of(body: bytes) -> str:
    """Return a server's own words as the end of a sentence, ': "…".', or "" without any."""
    try:
        return _words(json.loads(body))
    except (ValueError, RecursionError):
        return _words(body.decode("utf-8", "replace"))


def _words(value: object) -> str:
    while isinstance(value, dict):
        value = next((value[k] for k in ("error", "message", "detail", "msg") if k in value), "")
    if isinstance(value, list):
        return _words(value[0]) if value else ""
    text = " ".join(str(value or "").split())
    text = "".join(c for c in text if c.isprintable())
    if not text or text.startswith("<"):
        return ""
    return f': "{text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"}".'


def _is_page(headers: Mapping[str, str], body: bytes) -> bool:
    start = body[:200].lstrip().lower()
    kind = headers.get("content-type", "")
    return kind.startswith("text/html") or start.startswith((b"<!doctype", b"<html"))


def _retry_after(headers: Mapping[str, str]) -> float:
    """Return the seconds of a Retry-After header; one that names a date counts as a second."""
    try:
        return max(0.0, float(headers.get("retry-after", "1")))
    except ValueError:
        return 1.0


def _certificate(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return True
        error = error.__cause__ or error.__context__
    return False
