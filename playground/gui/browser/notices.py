"""What the browser says about its list: that it is being read, is empty, or why it is short."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from playground.core.errors import PlaygroundError
from playground.gui.browser.model_list import ON_THE_HUB, Entry, Heading, Line, Scope
from playground.hub.catalog import Sort

#: What the notice's button does.
Action = Literal["", "retry", "loosen", "more"]
ACTION_TEXTS: dict[Action, str] = {
    "retry": "Try again",
    "loosen": "Clear the filters",
    "more": "Look further",
}


@dataclass(frozen=True)
class Notice:
    """A sentence, what to do about it, and the button that does it ("" is none)."""

    text: str = ""
    remedy: str = ""
    action: Action = ""
    level: Literal["busy", "info", "error"] = "info"


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far reading the list is. `reading`: this machine is being looked at; `asking`: the
    Hub is; `more`: it has further rows; `barren`: its last answer had none that fits; `error`:
    why the last question was not answered."""

    reading: bool = False
    asking: bool = False
    more: bool = False
    barren: bool = False
    error: PlaygroundError | None = None


def notice(
    lines: list[Line], progress: Progress, scope: Scope, *, narrowed: bool, again_in_s: float = 0.0
) -> Notice:
    """What to say now; a notice without a text says that all is well."""
    shown = any(isinstance(line, Entry) for line in lines)
    if progress.error is not None and not progress.asking:
        remedy = progress.error.remedy
        if again_in_s:
            remedy += " It is tried again by itself then."
        if shown and Heading(ON_THE_HUB) not in lines:
            remedy += " Until then the list shows what is here."
        return Notice(progress.error.message, remedy.strip(), "retry", "error")
    if progress.more and progress.barren and not progress.asking:
        return Notice(
            "None of the next models of the Hub fits.",
            "Loosen the filters, or look further.",
            "more",
        )
    if shown:
        return Notice()
    if progress.reading or progress.asking:
        what = "Asking the Hub …" if progress.asking else "Looking at this machine …"
        return Notice(what, level="busy")
    return _empty(scope, narrowed)


def _empty(scope: Scope, narrowed: bool) -> Notice:
    if narrowed:
        return Notice(
            "No model fits.", "Loosen the filters, or look for a part of the name.", "loosen"
        )
    match scope:
        case Scope.FAVOURITES:
            return Notice(
                "You have no favourites yet.",
                "Add a model with Ctrl+D or the star, and it stands here.",
            )
        case Scope.RECENT:
            return Notice("You have used no model yet.", "The models you use will stand here.")
        case _:
            return Notice("The Hub lists no model.", "Try again later.", "retry")


def summary(lines: list[Line], progress: Progress, sort: Sort) -> str:
    """The line below the list: how many models stand in it, and whether there are more."""
    rows = [line.row for line in lines if isinstance(line, Entry)]
    if not rows:
        return ""
    hub = sum(not row.is_local for row in rows)
    here = sum(row.is_local and row.is_here for row in rows)
    told = " · ".join(
        f"{count} {place}" for count, place in ((here, "here"), (hub, "on the Hub")) if count
    )
    if progress.asking:
        return f"{told} · asking for more …"
    if progress.more and not progress.barren:
        told += ", more on scrolling"
        if not sort.by_hub:
            told += f". The Hub has no such order: the most downloaded, by {sort.value}"
    return told
