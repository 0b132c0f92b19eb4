"""What agreeing to a model's own code means: the model, its commit, and the code as it is now."""

from __future__ import annotations

from collections.abc import Sequence

from playground.core.errors import ModelError
from playground.core.facts import CodeConsent
from playground.core.model.remote_code import RemoteCode, check_reviewable, read_code
from playground.hub.local.fingerprint import SAMPLED, WHOLE
from playground.hub.local.resolve import Resolved


def consent_to(resolved: Resolved, code: RemoteCode) -> CodeConsent:
    """Return the consent of somebody who has reviewed this code."""
    return CodeConsent(owner(resolved), code_version(resolved, code), code.digest)


def code_version(resolved: Resolved, code: RemoteCode) -> str:
    """Return what names the code's version: the commit, or in a folder the code's own hash.

    A folder's fingerprint would not do, because it changes when the whole files are hashed.
    """
    return code.version if _is_folder(resolved) else resolved.commit


def consent_to_commit(resolved: Resolved, commit: str) -> CodeConsent:
    """Return the consent of somebody who names the commit whose code may run.

    Raises ModelError where the model is of another commit, or its code in another repository.
    """
    code = read_code(resolved.folder)
    check_reviewable(code)
    version = code_version(resolved, code)
    if commit != version:
        raise ModelError(
            f"The code of {resolved.name} is of commit {version}, not of {commit}.",
            f"Look at it in {resolved.folder}, and name that commit if you trust it.",
        )
    return consent_to(resolved, code)


def owner(resolved: Resolved) -> str:
    """Return whose code it is: a Hub model's id, else the folder, whose name alone is ambiguous."""
    return str(resolved.folder) if _is_folder(resolved) else resolved.name


def _is_folder(resolved: Resolved) -> bool:
    return resolved.commit.startswith((WHOLE, SAMPLED))


def earlier(resolved: Resolved, consents: Sequence[CodeConsent]) -> str:
    """Return the commit of this model that was agreed to last, "" where none was."""
    return next((c.commit for c in consents if c.model == owner(resolved)), "")
