"""What went wrong with the Hub, in the user's words."""

from __future__ import annotations

import errno
import re
import time
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from huggingface_hub import constants
from huggingface_hub.errors import (
    DisabledRepoError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from playground.core.errors import ModelError
from playground.hub.redaction import redact

_AGAIN = "Try again."
_AGAIN_KEPT = "Try again; finished files are kept."
_LONGEST_WAIT_S = 24 * 3600.0


class HubError(ModelError):
    """What the Hub, the way to it or the disk refused.

    `retryable`: the same may work later, after `wait_s` seconds where the Hub named a time
    (else 0). `ask_at` is the page where access to a gated model is asked for, else "";
    `needs_login`: logging in is the next step; `login_may_help`: it is one of the things to try.
    `gone`: the Hub has no such version (any more).
    """

    def __init__(
        self,
        message: str,
        remedy: str = "",
        detail: str = "",
        *,
        retryable: bool = False,
        wait_s: float = 0.0,
        ask_at: str = "",
        needs_login: bool = False,
        login_may_help: bool = False,
        gone: bool = False,
    ) -> None:
        super().__init__(message, remedy, detail)
        self.retryable = retryable
        self.wait_s = wait_s
        self.ask_at = ask_at
        self.needs_login = needs_login
        self.login_may_help = needs_login or login_may_help
        self.gone = gone


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
    asked = _Asked(id_ or "this search", revision, endpoint or constants.ENDPOINT)
    for explainer in (_from_answer, _from_network, _from_disk, _from_library):
        for cause in chain:
            found = explainer(cause, asked)
            if found is not None:
                found.detail = redact(_trace(error))
                if downloading and found.remedy == _AGAIN:
                    found.remedy = _AGAIN_KEPT
                return found
    done = "downloaded" if downloading else "read from the Hub"
    remedy = _AGAIN_KEPT if downloading else _AGAIN
    return HubError(f"{id_ or 'The list'} could not be {done}.", remedy, redact(_trace(error)))


def offline_mode() -> HubError:
    """What to say where the Hub's offline mode is on."""
    return HubError(
        "The Hub is not asked, because HF_HUB_OFFLINE is set.",
        "Start the playground without HF_HUB_OFFLINE and TRANSFORMERS_OFFLINE.",
    )


@dataclass(frozen=True)
class _Asked:
    id: str
    revision: str
    endpoint: str


def _from_answer(error: BaseException, asked: _Asked) -> HubError | None:
    """Answers of the Hub. A gated repository's error is a kind of an unknown one's."""
    if isinstance(error, GatedRepoError):
        page = f"{asked.endpoint}/{asked.id}"
        if error.response.status_code == 403:
            return HubError(
                f"{asked.id} is gated, and your account has no access to it yet.",
                f"Ask for access at {page}, wait until it is granted, then try again.",
                ask_at=page,
            )
        return HubError(
            f"{asked.id} is gated: its authors want to know who uses it.",
            f"Ask for access at {page}, log in with `hf auth login`, then try again.",
            ask_at=page,
            needs_login=True,
        )
    if isinstance(error, RevisionNotFoundError):
        return HubError(
            f"{asked.id} has no revision “{asked.revision or 'main'}”.",
            "Name a branch, a tag or a commit that its page lists, or none.",
            gone=True,
        )
    if isinstance(error, DisabledRepoError):
        return HubError(f"The Hub has closed access to {asked.id}.", "Choose another model.")
    if not isinstance(error, HfHubHTTPError):
        return None
    return _from_status(error, asked.id)


def _from_status(error: HfHubHTTPError, id_: str) -> HubError:
    status = error.response.status_code
    if status == 401 and "invalid credentials" in _said(error):
        return HubError(
            "The Hub does not accept the stored token.",
            "Log in again with `hf auth login`.",
            needs_login=True,
        )
    if isinstance(error, RepositoryNotFoundError) or status in (401, 404):
        return HubError(
            f"The Hub knows no model {id_}, or it is private.",
            "Check the spelling; for a private model log in with `hf auth login`.",
            login_may_help=True,
        )
    if status == 403:
        return HubError(
            f"The Hub refuses access to {id_}.",
            "Check what your token may read, and log in again with `hf auth login`.",
            login_may_help=True,
        )
    if status == 429:
        wait = retry_after(error.response.headers)
        when = f"in {wait:.0f} seconds" if wait else "in some minutes"
        return HubError(
            "The Hub answers no more requests from here for now (429, too many).",
            f"Try again {when}; whoever is logged in (`hf auth login`) may ask more often.",
            retryable=True,
            wait_s=wait,
            login_may_help=True,
        )
    if status >= 500 or status == 408:
        return HubError(
            f"The Hub has trouble of its own (HTTP {status}).",
            "Try again in some minutes.",
            retryable=True,
            wait_s=retry_after(error.response.headers),
        )
    return HubError(f"The Hub answered with an error (HTTP {status}).", _AGAIN)


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds that an answer asks to wait (Retry-After or RateLimit), 0 where it names none."""
    told = headers.get("Retry-After", "").strip()
    if told.isdecimal():
        return min(float(told), _LONGEST_WAIT_S)
    if told:
        try:
            wait = parsedate_to_datetime(told).timestamp() - time.time()
        except (ValueError, OverflowError):
            return 0.0
        return min(max(wait, 0.0), _LONGEST_WAIT_S)
    limit = re.search(r"\br=0\s*;\s*t=(\d{1,9})", headers.get("RateLimit", ""))
    return min(float(limit[1]), _LONGEST_WAIT_S) if limit else 0.0


def _from_network(error: BaseException, asked: _Asked) -> HubError | None:
    """No answer. The HTTP library's classes go by name: its package changes over versions."""
    if isinstance(error, OfflineModeIsEnabled):
        return offline_mode()
    names = {kind.__name__ for kind in type(error).__mro__}
    host = asked.endpoint
    if "ProxyError" in names:
        return HubError(
            "The proxy does not let the request through.",
            "Check HTTP_PROXY, HTTPS_PROXY and NO_PROXY.",
        )
    if "TransportError" not in names:
        return None
    if "CERTIFICATE" in str(error).upper():
        return HubError(
            f"The certificate of {host} is not trusted here.",
            "If your network inspects traffic, name its certificates in SSL_CERT_FILE.",
        )
    if "TimeoutException" in names and "ConnectTimeout" not in names:
        return HubError(f"{host} stopped answering.", _AGAIN, retryable=True)
    if "ConnectError" in names or "ConnectTimeout" in names:
        return HubError(
            f"{host} cannot be reached.",
            "Check the network; models that are already on this machine can be used offline.",
            retryable=True,
        )
    return HubError(f"The connection to {host} broke off.", _AGAIN, retryable=True)


def _from_disk(error: BaseException, _asked: _Asked) -> HubError | None:
    if not isinstance(error, OSError) or isinstance(error, HfHubHTTPError):
        return None
    folder = constants.HF_HUB_CACHE
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return HubError(
            f"The disk with {folder} is full.",
            "Free some space, or set HF_HOME to a folder on a larger disk.",
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
        return HubError(
            f"The cache folder {folder} cannot be written.",
            "Make it writable, or set HF_HOME to a folder that is.",
        )
    return None


def _from_library(error: BaseException, asked: _Asked) -> HubError | None:
    text = str(error)
    if isinstance(error, HFValidationError):
        return HubError(f"“{asked.id[:60]}” is no Hub id.", "A Hub id looks like owner/name.")
    if "onsistency check failed" in text:
        return HubError(f"A file of {asked.id} arrived incomplete.", _AGAIN, retryable=True)
    if "hf_xet" in text and "too large" in text:
        return HubError(
            f"{asked.id} has files above 50 GB, which need the package hf_xet.",
            "Install it with `pip install hf_xet`.",
        )
    if "X-Repo-Commit" in text or "JSONDecodeError" in type(error).__name__:
        return HubError(
            f"{asked.endpoint} does not answer like a Hugging Face Hub.",
            "Check HF_ENDPOINT, the proxy and whether this network asks for a login.",
        )
    return None


def _said(error: HfHubHTTPError) -> str:
    return f"{error.response.headers.get('X-Error-Message', '')} {error}".lower()


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _trace(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))[-8000:]
