"""The words of the browser on its list: that it is being read, is empty, or why it is short."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from playground.core.errors import ModelError, PlaygroundError
from playground.gui.browser.model_list import ON_THE_HUB, Entry, Heading, Line, Scope
from playground.hub.catalog import Sort
from playground.hub.errors import HubError

#: What the notice's button does.
Action = Literal["", "retry", "loosen", "more"]
ACTION_TEXTS: dict[Action, str] = {
    "retry": "Try again",
    "loosen": "Clear the filters",
    "more": "Look further",
}


@dataclass(frozen=True)
class Notice:
    """A sentence, what to do about it, and the action of its button ("": no button)."""

    text: str = ""
    remedy: str = ""
    action: Action = ""
    level: Literal["busy", "info", "error"] = "info"


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far the list is read.

    `reading`: this machine's models are being listed. `asking`: the Hub is being asked. `more`:
    the Hub has further pages. `nothing_new`: its last pages had no matching model. `error`: why
    the last request failed.
    """

    reading: bool = False
    asking: bool = False
    more: bool = False
    nothing_new: bool = False
    error: PlaygroundError | None = None


def notice(
    lines: list[Line], progress: Progress, scope: Scope, *, narrowed: bool, again_in_s: float = 0.0
) -> Notice:
    """Return what to say now; a notice without a text where there is nothing to say."""
    shown = any(isinstance(line, Entry) for line in lines)
    if progress.error is not None and not progress.asking:
        remedy = progress.error.remedy
        if again_in_s:
            remedy += " The playground tries again automatically then."
        if shown and Heading(ON_THE_HUB) not in lines:
            remedy += " Until then the list shows what is here."
        # An address that leads to no model is not the Hub's failure.
        wrong = isinstance(progress.error, ModelError) and not isinstance(progress.error, HubError)
        action: Action = "" if wrong else "retry"
        return Notice(progress.error.message, remedy.strip(), action, "error")
    if progress.more and progress.nothing_new and not progress.asking:
        return Notice(
            "None of the Hub's next models matches the filters.",
            "Clear some filters, or look further.",
            "more",
        )
    if shown:
        return Notice()
    if progress.reading or progress.asking:
        what = "Asking the Hub …" if progress.asking else "Reading this machine's models …"
        return Notice(what, level="busy")
    return _empty(scope, narrowed)


def _empty(scope: Scope, narrowed: bool) -> Notice:
    if narrowed:
        return Notice(
            "No model matches.", "Clear some filters, or search for a part of the name.", "loosen"
        )
    match scope:
        case Scope.FAVOURITES:
            return Notice(
                "You have no favourites yet.",
                "Ctrl+D or the star adds a model to them.",
            )
        case Scope.RECENT:
            return Notice("You have used no model yet.", "The models you use are listed here.")
        case _:
            return Notice("The Hub lists no model.", "Try again later.", "retry")


def summary(lines: list[Line], progress: Progress, sort: Sort) -> str:
    """Return the line below the list: how many models it has, and whether there are more."""
    rows = [line.row for line in lines if isinstance(line, Entry)]
    if not rows:
        return ""
    hub = sum(not row.is_local for row in rows)
    here = sum(row.is_local and row.is_here for row in rows)
    text = " · ".join(
        f"{count} {place}" for count, place in ((here, "here"), (hub, "on the Hub")) if count
    )
    if progress.asking:
        return f"{text} · asking for more …"
    if progress.more and not progress.nothing_new:
        text += ", more on scrolling"
        if not sort.by_hub:
            text += f". The Hub cannot sort this way: its most downloaded models, by {sort.value}"
    return text
