"""What agreeing to a model's code means: the model, its commit and the code as it is now."""

from __future__ import annotations

from collections.abc import Sequence

from playground.core.facts import CodeConsent
from playground.core.model.remote_code import RemoteCode
from playground.hub.local.resolve import Resolved


def consent_to(resolved: Resolved, code: RemoteCode) -> CodeConsent:
    """The consent that somebody gives who has looked at this code."""
    return CodeConsent(owner(resolved), resolved.commit, code.digest)


def owner(resolved: Resolved) -> str:
    """Whose code it is: a Hub model's id, else the folder, whose name alone says little."""
    return str(resolved.folder) if resolved.commit.startswith("sha256:") else resolved.name


def earlier(resolved: Resolved, consents: Sequence[CodeConsent]) -> str:
    """The commit of this model that was agreed to last, "" where none was."""
    return next((c.commit for c in consents if c.model == owner(resolved)), "")
