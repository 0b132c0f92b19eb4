"""Logs in to the Hub and out again, with the token that `hf auth login` uses; never shows it.

The token is checked with the Hub that HF_ENDPOINT names, and stored where the Hub's library and
its `hf` command look for it.
"""

from __future__ import annotations

import logging

import huggingface_hub
from huggingface_hub import constants, get_token

from playground.core.errors import PlaygroundError
from playground.hub.errors import HubError
from playground.hub.redaction import redact
from playground.hub.site.api import HubSite
from playground.hub.site.rows import mapping, text

#: The path of the Hub's page where tokens are made.
TOKEN_PATH = "/settings/tokens"  # noqa: S105  # an address, no token


def token_page() -> str:
    """Return the page where a user makes a token; the right to read is enough."""
    return f"{constants.ENDPOINT}{TOKEN_PATH}"


def has_token() -> bool:
    """Return whether requests carry a token, stored or from HF_TOKEN."""
    try:
        return bool(get_token())
    except OSError:  # the file cannot be read
        return False


def login(token: str) -> str:
    """Check a token with the Hub, store it as `hf auth login` does, and return the user's name.

    Blocking. Raises PlaygroundError, whose text and detail never hold the token.
    """
    token = token.strip()
    if not token or not token.isascii() or len(token.split()) != 1:
        raise PlaygroundError(
            "That is not a token of the Hub: a token is one word of letters and digits.",
            f"Make one at {token_page()}; the right to read is enough.",
        )
    name = _whose(token)
    # The library logs what it does, and where it stores the token.
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        huggingface_hub.login(token=token, add_to_git_credential=False)
    except Exception as error:
        raise _not_stored(error, token) from None  # its context may hold the request, and the token
    finally:
        logger.setLevel(level)
    return name


def logout() -> None:
    """Delete the stored token. Raises PlaygroundError where HF_TOKEN still logs in."""
    if not has_token():
        return
    try:
        huggingface_hub.logout()
    except OSError as error:
        raise PlaygroundError(
            "The stored token is deleted, but HF_TOKEN still logs in.",
            "Start the playground without HF_TOKEN.",
            redact(str(error)),
        ) from None


def _whose(token: str) -> str:
    """Return the name of a token's user."""
    try:
        return text(mapping(HubSite(token=token).get_json("/api/whoami-v2", "")).get("name"))
    except HubError as error:
        if error.status in (401, 403):
            raise PlaygroundError(
                "The Hub does not accept this token.",
                f"Copy it again, or make a new one at {token_page()}.",
            ) from None
        raise PlaygroundError(
            error.message, error.remedy, error.detail.replace(token, "…")
        ) from None


def _not_stored(error: Exception, token: str) -> PlaygroundError:
    return PlaygroundError(
        "The token is good, but it could not be stored.",
        f"Make {constants.HF_TOKEN_PATH} writable.",
        redact(str(error)).replace(token, "…"),
    )
