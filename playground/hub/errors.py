"""The error that everything which asks the Hub raises; cheap to import."""

from __future__ import annotations

from enum import StrEnum

from playground.core.errors import ModelError


class HubProblem(StrEnum):
    """What kind of failure a HubError is. Code branches on this, never on the words."""

    OFFLINE = "offline"  # HF_HUB_OFFLINE is set
    UNREACHABLE = "unreachable"  # no connection, or it broke off
    BLOCKED = "blocked"  # a proxy or a certificate stands in the way
    GATED = "gated"  # the account has no access yet
    GATED_LOGGED_OUT = "gated, logged out"
    BAD_TOKEN = "bad token"  # noqa: S105  # no secret
    FORBIDDEN = "forbidden"
    NO_MODEL = "no such model"  # or a private one
    NO_REVISION = "no such revision"  # or none any more
    NO_FILE = "no such file"
    DISABLED = "disabled"
    RATE_LIMITED = "rate limited"
    HUB_TROUBLE = "trouble of the Hub's own"
    NO_HUB = "does not answer like a Hub"
    INCOMPLETE = "file arrived incomplete"
    DAMAGED = "file arrived damaged"
    LINK_REFUSED = "a file's link is refused"  # they expire
    DISK = "the disk is full or read-only"
    OTHER = "other"


_RETRYABLE = frozenset(
    {
        HubProblem.UNREACHABLE,
        HubProblem.RATE_LIMITED,
        HubProblem.HUB_TROUBLE,
        HubProblem.INCOMPLETE,
        HubProblem.LINK_REFUSED,
    }
)
_NEEDS_LOGIN = frozenset({HubProblem.GATED_LOGGED_OUT, HubProblem.BAD_TOKEN})
_LOGIN_HELPS = _NEEDS_LOGIN | {
    HubProblem.NO_MODEL,  # a private one is shown to its owner
    HubProblem.FORBIDDEN,
    HubProblem.RATE_LIMITED,
}


class HubError(ModelError):
    """What the Hub, the way to it or the disk refused.

    `status` is the HTTP status of the Hub's answer, 0 where none came. `wait_s` is the number of
    seconds that the Hub asks to wait, 0 where it names none. `ask_at` is the page where access
    to a gated model is asked for, else "".
    """

    def __init__(
        self,
        message: str,
        remedy: str = "",
        detail: str = "",
        *,
        problem: HubProblem = HubProblem.OTHER,
        status: int = 0,
        wait_s: float = 0.0,
        ask_at: str = "",
    ) -> None:
        super().__init__(message, remedy, detail)
        self.problem = problem
        self.status = status
        self.wait_s = wait_s
        self.ask_at = ask_at

    @property
    def answered(self) -> bool:
        """Whether the Hub answered, and said no; otherwise it could not be asked."""
        return self.status > 0

    @property
    def retryable(self) -> bool:
        """Whether the same request may succeed later."""
        return self.problem in _RETRYABLE

    @property
    def needs_login(self) -> bool:
        """Whether logging in is the next step."""
        return self.problem in _NEEDS_LOGIN

    @property
    def login_helps(self) -> bool:
        """Whether logging in, perhaps with another token, may help."""
        return self.problem in _LOGIN_HELPS
