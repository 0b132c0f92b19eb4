"""`list`: the items that an output lists, compared one by one."""

from __future__ import annotations

import json
import re

from playground.evaluation.case import Case
from playground.evaluation.grade import Grade
from playground.evaluation.graders.found import NO_ANSWER, folded, graded, option, targets
from playground.evaluation.graders.marked import stated
from playground.evaluation.graders.readable import readable

_BULLET = re.compile(r"^[^\S\n]*(?:[-*•]|[0-9]{1,4}[.)])[^\S\n]+(.*)$", re.MULTILINE)
#: Stands between the last two items: "red, green and blue", "red, green, and blue".
_AND = re.compile(r"(?<!\s)\s+(?:and|or)\s+", re.IGNORECASE)
_FIRST_AND = re.compile(r"^(?:and|or)\s+", re.IGNORECASE)
_SEPARATORS = {"comma": re.compile(r"[,;\n、]"), "space": re.compile(r"\s+")}


def list_items(output: str, case: Case) -> Grade:
    """Compare the listed items with the target's, which are separated by commas.

    Case and quotes make no difference. The option `order` is "kept", or "any"; `separator` is
    "comma" (or semicolon, or a new line), or "space".
    """
    separator = _SEPARATORS[option(case, "separator", "comma", tuple(_SEPARATORS))]
    any_order = option(case, "order", "kept", ("kept", "any")) == "any"
    expected = [_items(target, separator) for target in targets(case)]
    text, how = _listing(readable(output).text)
    found = _items(text, separator)
    if not found:
        return NO_ANSWER
    if any_order:
        right = sorted(found) in [sorted(items) for items in expected]
    else:
        right = found in expected
    return graded(right, ", ".join(found), how)


def _listing(text: str) -> tuple[str, str]:
    """Return the part of an output that lists, and how it was found."""
    for begin, end in stated(text):
        if text[begin:end].strip():
            return text[begin:end], "marked"
    if _BULLET.search(text) or text.strip().startswith("["):
        return text, "bullets"
    lines = [line for line in text.splitlines() if line.strip()]
    return (lines[-1] if lines else ""), "last line"


def _items(text: str, separator: re.Pattern[str]) -> list[str]:
    text = text.strip()
    if (items := _array(text)) is None:
        items = _BULLET.findall(text)
    if not items:
        items = separator.split(text)
        if separator is not _SEPARATORS["space"]:
            items += _AND.split(_FIRST_AND.sub("", items.pop().strip(), count=1))
    plain = [folded(item).strip(" \t.\"'`*_") for item in items]
    return [item for item in plain if item]


def _array(text: str) -> list[str] | None:
    """Return the items of a JSON array of texts or numbers, None where it is none."""
    if not text.startswith("["):
        return None
    try:
        values = json.loads(text.rstrip(" .\n"))
    except (ValueError, RecursionError):
        return text.strip("[]. \n").split(",")
    if not all(isinstance(value, (str, int, float)) for value in values):
        return None
    return [str(value) for value in values]
