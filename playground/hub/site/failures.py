"""Turns what the Hub's library, the network and the disk raise into a HubError."""

from __future__ import annotations

import errno
import json
import re
import ssl
import time
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from huggingface_hub import constants
from huggingface_hub.errors import (
    DisabledRepoError,
    EntryNotFoundError,
    FileMetadataError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from playground.core.errors import ModelError
from playground.core.format import human_duration
from playground.hub.errors import HubError, HubProblem
from playground.hub.redaction import redact

_LONGEST_WAIT_S = 24 * 3600.0


def explain(
    error: BaseException,
    id_: str = "",
    revision: str = "",
    *,
    downloading: bool = True,
    endpoint: str = "",
) -> ModelError:
    """Turn what the library raised into one sentence and a remedy.

    `id_` may be empty where no single model was asked for. `endpoint` is the Hub asked, where
    it is not the environment's.
    """
    if isinstance(error, ModelError):
        return error
    chain = list(_chain(error))
    again = "Try again; it goes on where it stopped." if downloading else "Try again."
    request = _Request(id_ or "this search", revision, endpoint or constants.ENDPOINT, again)
    for explainer in (_from_answer, _from_network, _from_disk, _from_library):
        for cause in chain:
            found = explainer(cause, request)
            if found is not None:
                found.detail = redact(_trace(error))
                return found
    done = "downloaded" if downloading else "read from the Hub"
    return HubError(f"{id_ or 'The list'} could not be {done}.", again, redact(_trace(error)))


def offline_mode() -> HubError:
    """Return the error for requests while the Hub's offline mode is on."""
    return HubError(
        "The Hub is not asked, because HF_HUB_OFFLINE is set.",
        "Start the playground without HF_HUB_OFFLINE and TRANSFORMERS_OFFLINE.",
        problem=HubProblem.OFFLINE,
    )


def no_hub(endpoint: str, detail: str = "") -> HubError:
    """Return the error for an address that answers, but not as a Hub does."""
    return HubError(
        f"{endpoint} does not answer like a Hugging Face Hub.",
        "Check HF_ENDPOINT, the proxy and whether this network asks for a login.",
        detail,
        problem=HubProblem.NO_HUB,
    )


@dataclass(frozen=True)
class _Request:
    """What was requested, for the words of its failure; `id` may be "this search"."""

    id: str
    revision: str
    endpoint: str
    again: str  # the remedy where the same request may succeed later


def _from_answer(error: BaseException, request: _Request) -> HubError | None:
    """Explain an answer of the Hub that is an error."""
    if not isinstance(error, HfHubHTTPError):
        return None
    found = _from_kind(error, request) or _from_status(error, request)
    found.status = error.response.status_code
    return found


def _from_kind(error: HfHubHTTPError, request: _Request) -> HubError | None:
    """Explain an answer by the library's class. GatedRepoError is a RepositoryNotFoundError."""
    if isinstance(error, GatedRepoError):
        page = f"{request.endpoint}/{request.id}"
        if error.response.status_code == 403:
            return HubError(
                f"{request.id} is gated, and your account has no access to it yet.",
                f"Ask for access at {page}, wait until it is granted, then try again.",
                problem=HubProblem.GATED,
                ask_at=page,
            )
        return HubError(
            f"{request.id} is gated: its authors want to know who uses it.",
            f"Ask for access at {page}, log in with `hf auth login`, then try again.",
            problem=HubProblem.GATED_LOGGED_OUT,
            ask_at=page,
        )
    if isinstance(error, RevisionNotFoundError):
        return HubError(
            f"{request.id} has no revision “{request.revision or 'main'}”.",
            "Name a branch, a tag or a commit that its page lists, or none.",
            problem=HubProblem.NO_REVISION,
        )
    if isinstance(error, EntryNotFoundError):
        return HubError(
            f"A file of {request.id} is not on the Hub.", request.again, problem=HubProblem.NO_FILE
        )
    if isinstance(error, DisabledRepoError):
        return HubError(
            f"The Hub has closed access to {request.id}.",
            "Choose another model.",
            problem=HubProblem.DISABLED,
        )
    return None


def _from_status(error: HfHubHTTPError, request: _Request) -> HubError:
    """Explain an answer by its HTTP status."""
    status, headers = error.response.status_code, error.response.headers
    # The Hub tells a bad token from a private model in words only.
    said = f"{headers.get('X-Error-Message', '')} {error}".lower()
    if status == 401 and "invalid credentials" in said:
        return HubError(
            "The Hub does not accept the stored token.",
            "Log in again with `hf auth login`.",
            problem=HubProblem.BAD_TOKEN,
        )
    if isinstance(error, RepositoryNotFoundError) or status in (401, 404):
        return HubError(
            f"The Hub knows no model {request.id}, or it is private.",
            "Check the spelling; for a private model log in with `hf auth login`.",
            problem=HubProblem.NO_MODEL,
        )
    server = urlsplit(str(error.response.url)).netloc
    if server != urlsplit(request.endpoint).netloc and status < 500 and status not in (408, 429):
        return _from_file_server(status, server, request)
    if status == 403:
        return HubError(
            f"The Hub refuses access to {request.id}.",
            "Check what your token may read, and log in again with `hf auth login`.",
            problem=HubProblem.FORBIDDEN,
        )
    if status == 429:
        wait = retry_after(headers)
        when = f"in {human_duration(wait)}" if wait else "in some minutes"
        return HubError(
            "The Hub refuses further requests for now: there were too many (HTTP 429).",
            f"Try again {when}; users who are logged in (`hf auth login`) may send more requests.",
            problem=HubProblem.RATE_LIMITED,
            wait_s=wait,
        )
    if status >= 500 or status == 408:
        return HubError(
            f"The Hub has trouble of its own (HTTP {status}).",
            "Try again in some minutes.",
            problem=HubProblem.HUB_TROUBLE,
            wait_s=retry_after(headers),
        )
    return HubError(f"The Hub answered with an error (HTTP {status}).", request.again)


def _from_file_server(status: int, server: str, request: _Request) -> HubError:
    """Explain an answer of a server that the Hub's links lead to."""
    if status == 416:
        return HubError(
            f"A file of {request.id} could not be continued where it stopped.",
            "Try again; this file begins anew.",
            problem=HubProblem.INCOMPLETE,
        )
    return HubError(
        f"{server}, which sends the files of {request.id}, refuses the link that the Hub gave "
        f"(HTTP {status}).",
        "Links expire: try again for a new one. If that does not help, ask whether your network "
        f"blocks {server}.",
        problem=HubProblem.LINK_REFUSED,
    )


def retry_after(headers: Mapping[str, str]) -> float:
    """Return the seconds that an answer asks to wait (Retry-After or RateLimit), 0 for none."""
    stated = headers.get("Retry-After", "").strip()
    if stated.isdecimal():
        return min(float(stated), _LONGEST_WAIT_S)
    if stated:
        try:
            # The server's own clock, since this machine's may be wrong.
            date = headers.get("Date", "")
            now = parsedate_to_datetime(date).timestamp() if date else time.time()
            wait = parsedate_to_datetime(stated).timestamp() - now
        except (ValueError, OverflowError):
            return 0.0
        return min(max(wait, 0.0), _LONGEST_WAIT_S)
    limit = re.search(r"\br=0\s*;\s*t=(\d{1,9})", headers.get("RateLimit", ""))
    return min(float(limit[1]), _LONGEST_WAIT_S) if limit else 0.0


def _from_network(error: BaseException, request: _Request) -> HubError | None:
    """Explain a request without an answer.

    The HTTP library's classes are recognized by name, since its package changes between versions.
    """
    if isinstance(error, OfflineModeIsEnabled):
        return offline_mode()
    names = {kind.__name__ for kind in type(error).__mro__}
    host = request.endpoint
    if "ProxyError" in names:
        return HubError(
            "The proxy does not let the request through.",
            "Check HTTP_PROXY, HTTPS_PROXY and NO_PROXY.",
            problem=HubProblem.BLOCKED,
        )
    if "TooManyRedirects" in names:
        return HubError(
            f"{host} leads from one address to the next without end.",
            "Check HF_ENDPOINT, the proxy and whether this network asks for a login.",
            problem=HubProblem.NO_HUB,
        )
    if "TransportError" not in names:
        return None
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _chain(error)):
        return HubError(
            f"The certificate of {host} is not trusted here.",
            "If your network inspects traffic, name its certificates in SSL_CERT_FILE.",
            problem=HubProblem.BLOCKED,
        )
    unreachable = HubProblem.UNREACHABLE
    if "TimeoutException" in names and "ConnectTimeout" not in names:
        return HubError(f"{host} stopped answering.", request.again, problem=unreachable)
    if "ConnectError" in names or "ConnectTimeout" in names:
        return HubError(
            f"{host} cannot be reached.",
            "Check the network; models that are already on this machine can be used offline.",
            problem=unreachable,
        )
    return HubError(f"The connection to {host} broke off.", request.again, problem=unreachable)


def _from_disk(error: BaseException, _request: _Request) -> HubError | None:
    """Explain an error of the disk that holds the cache."""
    if not isinstance(error, OSError) or isinstance(error, HfHubHTTPError):
        return None
    folder = constants.HF_HUB_CACHE
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return HubError(
            f"The disk with {folder} is full.",
            "Free some space, or set HF_HOME to a folder on a larger disk.",
            problem=HubProblem.DISK,
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
        return HubError(
            f"The cache folder {folder} cannot be written.",
            "Make it writable, or set HF_HOME to a folder that is.",
            problem=HubProblem.DISK,
        )
    return None


def _from_library(error: BaseException, request: _Request) -> HubError | None:
    """Explain what the library itself refuses, by its words where it has no class for it."""
    if isinstance(error, HFValidationError):
        return HubError(f"“{request.id[:60]}” is not a Hub id.", "A Hub id looks like owner/name.")
    if isinstance(error, FileMetadataError | json.JSONDecodeError):
        return no_hub(request.endpoint)
    text = str(error)
    if "onsistency check failed" in text:
        return HubError(
            f"A file of {request.id} arrived incomplete.",
            request.again,
            problem=HubProblem.INCOMPLETE,
        )
    if "hf_xet" in text and "too large" in text:
        return HubError(
            f"{request.id} has files above 50 GB, which need the package hf_xet.",
            "Install it with `pip install hf_xet`.",
        )
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the error and what caused it, the outermost first."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _trace(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))[-8000:]
