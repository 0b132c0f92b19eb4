"""A run as Markdown: prompt, figures, texts with their differences in bold, and conditions."""

from __future__ import annotations

import re

from playground.core.format import plain_line
from playground.history.report.summary import HEAD, LaneReport, RunReport

#: Whatever Markdown or HTML could take for markup.
_MARKUP = re.compile(r"([\\`*_\[\]<>#|~&])")
_TICKS = re.compile("`+")


def markdown_of(report: RunReport) -> str:
    """Return the report of a run."""
    request = report.run.request
    parts = [
        f"# {_plain(report.title)}",
        f"{report.created}. " + _pairs(report.options) + ".",
        "## Prompt",
        *([f"System prompt:\n\n{_block(request.system)}"] if request.system.strip() else []),
        _block(request.typed),
        "## Figures",
        _table(("Lane", *HEAD), [(lane.name, *lane.cells) for lane in report.lanes]),
        "## Answers",
        "Words in bold are not in the reference's answer.",
        *(_lane(lane) for lane in report.lanes),
    ]
    return "\n\n".join(parts) + "\n"


def _lane(lane: LaneReport) -> str:
    star = " (reference)" if lane.is_reference else ""
    text = _marked(lane) if lane.text else "*No text.*"
    conditions = "\n".join(f"- {name}: {_plain(value)}" for name, value in lane.conditions)
    parts = (f"### {_plain(lane.name)}{star}", text, f"*{_plain(lane.ending)}*", conditions)
    return "\n\n".join(part for part in parts if part)


def _marked(lane: LaneReport) -> str:
    """Return the lane's text as a quotation, the words that differ in bold."""
    text, parts, end = lane.text, [], 0
    for low, high in lane.spans:
        parts += [_escaped(text[end:low]), f"**{_escaped(text[low:high])}**"]
        end = high
    parts.append(_escaped(text[end:]))
    return "\n".join(f"> {line}  " for line in "".join(parts).split("\n"))


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(_plain(cell) if cell != "---" else cell for cell in line) + " |"
        for line in lines
    )


def _pairs(pairs: tuple[tuple[str, str], ...]) -> str:
    return ", ".join(f"{name.lower()}: {_plain(value)}" for name, value in pairs)


def _block(text: str) -> str:
    """Return a text as a code block, whose fence is longer than any inside."""
    ticks = "`" * max([3, *(len(run) + 1 for run in _TICKS.findall(text))])
    return f"{ticks}text\n{text}\n{ticks}"


def _plain(text: str) -> str:
    return _escaped(plain_line(text))


def _escaped(text: str) -> str:
    return _MARKUP.sub(r"\\\1", text)
