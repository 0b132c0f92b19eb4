"""What a model's row says, in short for its columns and in words for a screen reader."""

from __future__ import annotations

from datetime import datetime

from playground.core.format import age, plain_line, short_count, size_text
from playground.core.memory.plan import Fit
from playground.gui.browser.model_list import Entry
from playground.hub.catalog import ModelRow, Sort, Where

#: Of each column its heading and its share of the width.
COLUMNS: tuple[tuple[str, float], ...] = (
    ("Parameters", 0.14),
    ("Stored as", 0.17),
    ("Size", 0.13),
    ("Licence", 0.17),
    ("Downloads", 0.13),
    ("Updated", 0.14),
    ("Memory", 0.12),
)
#: The orders that a column's heading stands for.
COLUMN_SORTS = {
    "Parameters": Sort.PARAMETERS,
    "Size": Sort.SIZE,
    "Downloads": Sort.DOWNLOADS,
    "Likes": Sort.LIKES,
    "Updated": Sort.UPDATED,
}
FIT_TONES = {Fit.FITS: "success", Fit.TIGHT: "warning", Fit.TOO_LARGE: "danger"}
UNKNOWN = "–"


def headings(sort: Sort) -> tuple[str, ...]:
    """The headings of the columns: a list in the order of likes shows those."""
    names = tuple(heading for heading, _ in COLUMNS)
    if sort is not Sort.LIKES:
        return names
    return tuple("Likes" if name == "Downloads" else name for name in names)


def cells(
    entry: Entry, now: datetime | None = None, sort: Sort = Sort.DOWNLOADS
) -> tuple[str, ...]:
    """The text of each column, UNKNOWN where nothing is known."""
    row = entry.row
    return (
        short_count(row.parameters) or UNKNOWN,
        plain_line(row.stored) or UNKNOWN,
        size_text(row.size) if row.size is not None else UNKNOWN,
        plain_line(row.licence) or UNKNOWN,
        short_count(row.likes if sort is Sort.LIKES else row.downloads) or UNKNOWN,
        age(row.updated, now) or UNKNOWN,
        entry.fit.value if entry.fit is not None else UNKNOWN,
    )


def badges(row: ModelRow) -> list[tuple[str, str]]:
    """Short marks beside the name, each with the tone it has."""
    told = []
    if row.gated:
        told.append(("gated", "warning"))
    if row.problem:
        told.append(("damaged" if row.is_here else "gone", "danger"))
    elif row.is_here:
        told.append(("here", "success"))
    return told


def spoken(entry: Entry) -> str:
    """All of a row in one line, what is not known left out."""
    row = entry.row
    told = [plain_line(row.name)]
    if entry.favourite:
        told.append("favourite")
    told += [where(row), plain_line(row.problem)]
    if row.gated:
        told.append("gated")
    told += [
        f"{heading.lower()} {text}"
        for (heading, _), text in zip(COLUMNS, cells(entry), strict=True)
        if text != UNKNOWN
    ]
    return ", ".join(filter(None, told))


def tip(entry: Entry) -> str:
    """All that is known of a row, a fact a line; as strangers wrote it."""
    row = entry.row
    lines = [row.name, where(row) + (f": {row.folder}" if row.folder else "")]
    lines += [row.problem]
    for (heading, _), text in zip(COLUMNS, cells(entry), strict=True):
        if text != UNKNOWN:
            lines.append(f"{heading}: {text}")
    if entry.fit is not None:
        lines[-1] += " (its weights against what is free now; its page counts the rest)"
    if row.likes is not None:
        lines.append(f"Likes: {row.likes:,}")
    if row.library:
        lines.append(f"Library: {row.library}")
    if row.gated:
        lines.append("Gated: access is asked for on its page")
    return "\n".join(filter(None, lines))


def where(row: ModelRow) -> str:
    """Where a model is, in words."""
    if row.where is Where.HUB:
        return "On the Hub, another revision is here" if row.is_here else "On the Hub"
    return {
        Where.CACHE: "In the Hub's cache here",
        Where.FOLDER: "In a folder here",
        Where.BUNDLED: "Comes with the playground",
    }[row.where]
