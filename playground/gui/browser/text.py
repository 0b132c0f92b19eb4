"""The words of a model's row: short ones for its columns, whole ones for a screen reader."""

from __future__ import annotations

from datetime import datetime

from playground.core.format import NOTHING, age, plain_line, short_count, size_text
from playground.core.memory.plan import Fit
from playground.gui.browser.model_list import Entry
from playground.hub.catalog import ModelRow, Sort, Where

#: Heading of each column and its share of the width.
COLUMNS: tuple[tuple[str, float], ...] = (
    ("Parameters", 0.14),
    ("Stored as", 0.17),
    ("Size", 0.13),
    ("Licence", 0.17),
    ("Downloads", 0.13),
    ("Updated", 0.14),
    ("Memory", 0.12),
)
#: The order that a click on a heading chooses.
COLUMN_SORTS = {
    "Parameters": Sort.PARAMETERS,
    "Size": Sort.SIZE,
    "Downloads": Sort.DOWNLOADS,
    "Likes": Sort.LIKES,
    "Updated": Sort.UPDATED,
}
FIT_TONES = {Fit.FITS: "success", Fit.TIGHT: "warning", Fit.TOO_LARGE: "danger"}


def headings(sort: Sort) -> tuple[str, ...]:
    """Return the headings of the columns; Likes replaces Downloads in a list sorted by likes."""
    names = tuple(heading for heading, _ in COLUMNS)
    if sort is not Sort.LIKES:
        return names
    return tuple("Likes" if name == "Downloads" else name for name in names)


def cells(
    entry: Entry, now: datetime | None = None, sort: Sort = Sort.DOWNLOADS
) -> tuple[str, ...]:
    """Return the text of each column, NOTHING where nothing is known."""
    row = entry.row
    return (
        short_count(row.parameters) or NOTHING,
        plain_line(row.stored) or NOTHING,
        size_text(row.size),
        plain_line(row.licence) or NOTHING,
        short_count(row.likes if sort is Sort.LIKES else row.downloads) or NOTHING,
        age(row.updated, now) or NOTHING,
        entry.fit.value if entry.fit is not None else NOTHING,
    )


def badges(row: ModelRow) -> list[tuple[str, str]]:
    """Return the short marks beside the name, each with its tone."""
    marks = []
    if row.gated:
        marks.append(("gated", "warning"))
    if row.problem:
        marks.append(("damaged" if row.is_here else "gone", "danger"))
    elif row.is_here:
        marks.append(("here", "success"))
    return marks


def spoken(entry: Entry) -> str:
    """Return everything known of a row in one line."""
    row = entry.row
    parts = [plain_line(row.name)]
    if entry.favourite:
        parts.append("favourite")
    parts += [where(row), plain_line(row.problem)]
    if row.gated:
        parts.append("gated")
    parts += [
        f"{heading.lower()} {text}"
        for (heading, _), text in zip(COLUMNS, cells(entry), strict=True)
        if text != NOTHING
    ]
    return ", ".join(filter(None, parts))


def tip(entry: Entry) -> str:
    """Return everything known of a row, one fact a line. The texts are untrusted."""
    row = entry.row
    lines = [row.name, where(row) + (f": {row.folder}" if row.folder else "")]
    lines += [row.problem]
    for (heading, _), text in zip(COLUMNS, cells(entry), strict=True):
        if text != NOTHING:
            lines.append(f"{heading}: {text}")
    if entry.fit is not None:
        lines[-1] += " (weights against the free memory; its page counts the rest)"
    if row.likes is not None:
        lines.append(f"Likes: {row.likes:,}")
    if row.library:
        lines.append(f"Library: {row.library}")
    if row.gated:
        lines.append("Gated: ask for access on its page")
    return "\n".join(filter(None, lines))


def where(row: ModelRow) -> str:
    """Return where a model is, in words."""
    if row.where is Where.HUB:
        return "On the Hub; another revision is here" if row.is_here else "On the Hub"
    return {
        Where.CACHE: "In the Hub's cache here",
        Where.FOLDER: "In a folder here",
        Where.BUNDLED: "Comes with the playground",
    }[row.where]
