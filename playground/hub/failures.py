"""What went wrong with the Hub, in the user's words."""

from __future__ import annotations

import errno
import traceback
from collections.abc import Iterator

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

_AGAIN = "Try again; finished files are kept."


def explain(error: BaseException, id_: str, revision: str = "") -> ModelError:
    """Turn what the library raised into one sentence and a cure."""
    if isinstance(error, ModelError):
        return error
    chain = list(_chain(error))
    for explainer in (_from_answer, _from_network, _from_disk, _from_library):
        for cause in chain:
            found = explainer(cause, id_, revision)
            if found is not None:
                message, cure = found
                return ModelError(message, cure, redact(_trace(error)))
    return ModelError(f"{id_} could not be downloaded.", _AGAIN, redact(_trace(error)))


def offline_mode() -> ModelError:
    """What to say where the Hub's offline mode is on."""
    return ModelError(
        "Nothing is downloaded, because HF_HUB_OFFLINE is set.",
        "Start the playground without HF_HUB_OFFLINE and TRANSFORMERS_OFFLINE.",
    )


_Found = tuple[str, str] | None


def _from_answer(error: BaseException, id_: str, revision: str) -> _Found:
    """Answers of the Hub. A gated repository's error is a kind of an unknown one's."""
    if isinstance(error, GatedRepoError):
        page = f"{constants.ENDPOINT}/{id_}"
        if error.response.status_code == 403:
            return (
                f"{id_} is gated, and your account has no access to it yet.",
                f"Ask for access at {page}, wait until it is granted, then try again.",
            )
        return (
            f"{id_} is gated: its authors want to know who uses it.",
            f"Ask for access at {page}, log in with `hf auth login`, then try again.",
        )
    if isinstance(error, RevisionNotFoundError):
        return (
            f"{id_} has no revision “{revision or 'main'}”.",
            "Name a branch, a tag or a commit that its page lists, or none.",
        )
    if isinstance(error, DisabledRepoError):
        return f"The Hub has closed access to {id_}.", "Choose another model."
    if not isinstance(error, HfHubHTTPError):
        return None
    return _from_status(error, id_)


def _from_status(error: HfHubHTTPError, id_: str) -> _Found:
    status = error.response.status_code
    if status == 401 and "invalid credentials" in _said(error):
        return "The Hub does not accept the stored token.", "Log in again with `hf auth login`."
    if isinstance(error, RepositoryNotFoundError) or status in (401, 404):
        return (
            f"The Hub knows no model {id_}, or it is private.",
            "Check the spelling; for a private model log in with `hf auth login`.",
        )
    if status == 403:
        return (
            f"The Hub refuses access to {id_}.",
            "Check what your token may read, and log in again with `hf auth login`.",
        )
    if status == 429:
        wait = error.response.headers.get("Retry-After", "")
        when = f"in {wait} seconds" if wait.isdigit() else "in some minutes"
        return (
            "The Hub answers no more requests from here for now (429, too many).",
            f"Try again {when}; whoever is logged in (`hf auth login`) may ask more often.",
        )
    if status >= 500:
        return f"The Hub has trouble of its own (HTTP {status}).", "Try again in some minutes."
    return f"The Hub answered with an error (HTTP {status}).", _AGAIN


def _from_network(error: BaseException, _id: str, _revision: str) -> _Found:
    """No answer. The HTTP library's classes go by name: its package changes over versions."""
    if isinstance(error, OfflineModeIsEnabled):
        offline = offline_mode()
        return offline.message, offline.cure
    names = {kind.__name__ for kind in type(error).__mro__}
    host = constants.ENDPOINT
    if "ProxyError" in names:
        return (
            "The proxy does not let the request through.",
            "Check HTTP_PROXY, HTTPS_PROXY and NO_PROXY.",
        )
    if "TransportError" not in names:
        return None
    if "CERTIFICATE" in str(error).upper():
        return (
            f"The certificate of {host} is not trusted here.",
            "If your network inspects traffic, name its certificates in SSL_CERT_FILE.",
        )
    if "TimeoutException" in names and "ConnectTimeout" not in names:
        return f"{host} stopped answering.", _AGAIN
    if "ConnectError" in names or "ConnectTimeout" in names:
        return (
            f"{host} cannot be reached.",
            "Check the network; models that are already on this machine can be used offline.",
        )
    return f"The connection to {host} broke off.", _AGAIN


def _from_disk(error: BaseException, _id: str, _revision: str) -> _Found:
    if not isinstance(error, OSError) or isinstance(error, HfHubHTTPError):
        return None
    folder = constants.HF_HUB_CACHE
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"The disk with {folder} is full.",
            "Free some space, or set HF_HOME to a folder on a larger disk.",
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
        return (
            f"The cache folder {folder} cannot be written.",
            "Make it writable, or set HF_HOME to a folder that is.",
        )
    return None


def _from_library(error: BaseException, id_: str, _revision: str) -> _Found:
    text = str(error)
    if isinstance(error, HFValidationError):
        return f"“{id_[:60]}” is no Hub id.", "A Hub id looks like owner/name."
    if "onsistency check failed" in text:
        return f"A file of {id_} arrived incomplete.", _AGAIN
    if "hf_xet" in text and "too large" in text:
        return (
            f"{id_} has files above 50 GB, which need the package hf_xet.",
            "Install it with `pip install hf_xet`.",
        )
    if "X-Repo-Commit" in text or "JSONDecodeError" in type(error).__name__:
        return (
            f"{constants.ENDPOINT} does not answer like a Hugging Face Hub.",
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
