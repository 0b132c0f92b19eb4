"""Cleans model cards, which strangers write, before anybody sees them.

The result is Markdown without front matter, HTML and images, and with links to web pages and mail
only. It must still be drawn by a renderer that knows no HTML and loads nothing.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Callable, Mapping

import yaml

from playground.core.system.reader import check_bounds

#: Characters kept of a card; the longest honest ones have about 60,000.
CARD_LIMIT = 100_000
#: Bytes read of README.md; the front matter can be long.
CARD_BYTES = 1024 * 1024
_FRONT_LIMIT = 256 * 1024
_CODE_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_INLINE_CODE = re.compile(r"(`+)[^`\n]{1,2000}\1")
#: A tag ends before the next "<", so that no text makes the search quadratic.
_TAG = re.compile(
    r"</?(?:a|abbr|article|aside|audio|b|big|blockquote|body|br|button|caption|center|cite|code|"
    r"col|colgroup|dd|del|details|div|dl|dt|em|embed|figcaption|figure|font|footer|form|h[1-6]|"
    r"head|header|hr|html|i|iframe|img|input|ins|kbd|label|li|link|main|mark|meta|nav|noscript|"
    r"object|ol|option|p|param|picture|pre|q|s|samp|section|select|small|source|span|strike|"
    r"strong|style|script|sub|summary|sup|svg|table|tbody|td|textarea|tfoot|th|thead|title|tr|"
    r"tt|u|ul|var|video|wbr|g|path|math)\b[^<>]{0,5000}>",
    re.IGNORECASE,
)
_BREAKING = re.compile(r"</?(?:br|p|div|tr|li|h[1-6]|table|ul|ol|details|summary)\b", re.I)
_HIDDEN = ("script", "style", "iframe", "object", "svg", "noscript", "textarea", "template")
_TARGET = r"\(((?:[^()\n]|\([^()\n]{0,500}\)){0,3000})\)"
_IMAGE = re.compile(rf"!\[([^\[\]\n]{{0,500}})\](?:{_TARGET}|\[[^\[\]\n]{{0,200}}\])")
_LINK = re.compile(rf"\[([^\[\]\n]{{0,1000}})\]{_TARGET}")
_DEFINITION = re.compile(r"^ {0,3}\[[^\[\]\n]{1,200}\]:\s*<?([^\s>]{0,3000})", re.MULTILINE)
_AUTOLINK = re.compile(r"<([A-Za-z][A-Za-z0-9+.-]{1,31}:[^<>\s]{0,3000})>")
_SCHEME = re.compile(r"\s*<?\s*([A-Za-z][A-Za-z0-9+.\-]*):")
_GOOD_SCHEMES = frozenset({"http", "https", "mailto"})
#: Control characters, and those that change the direction of writing.
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]"
)


#: Written in C where the installation has it, and a hundred times as fast.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def split_card(text: str) -> tuple[Mapping[str, object], str]:
    """Return a card's front matter ({} where it has none or it is damaged) and the rest."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").lstrip("\n")
    if not text.startswith("---\n"):
        return {}, text
    end = text.find("\n---", 3)
    if end < 0:
        return {}, text[4:]
    front, rest = text[4 : end + 1], text[end + 4 :].lstrip("-")
    return read_yaml(front), rest.lstrip("\n")


def read_yaml(text: str) -> Mapping[str, object]:
    """Read a YAML mapping; {} for anything else."""
    value = parse_yaml(text)
    return value if isinstance(value, Mapping) else {}


def parse_yaml(text: str) -> object:
    """Read YAML as plain values; None where it is damaged or too long."""
    if len(text) > _FRONT_LIMIT:
        return None
    try:
        value: object = yaml.load(text, _Loader)  # noqa: S506  # a kind of the safe loader
        check_bounds(value)
    except Exception:  # the parser's own errors are only some of those that it raises
        return None
    return value


def clean_card(text: str) -> tuple[str, bool]:
    """Return the Markdown that may be shown, and whether it was cut at CARD_LIMIT."""
    cut = len(text) > CARD_LIMIT
    text = _UNPRINTABLE.sub("", text[:CARD_LIMIT].replace("\r", "\n"))
    cleaned = "".join(part if is_code else _clean_prose(part) for part, is_code in _blocks(text))
    return re.sub(r"\n{4,}", "\n\n\n", cleaned).strip(), cut


def _blocks(text: str) -> list[tuple[str, bool]]:
    """Split at code fences, since code stays as it is. Return parts, and which are code."""
    blocks: list[tuple[list[str], bool]] = [([], False)]
    fence = ""
    for line in text.splitlines(keepends=True):
        found = _CODE_FENCE.match(line)
        if not fence and found:
            fence = found[1]
            blocks.append(([line], True))
        elif fence and found and found[1].startswith(fence) and not line.strip(" \n`~"):
            fence = ""
            blocks[-1][0].append(line)
            blocks.append(([], False))
        else:
            blocks[-1][0].append(line)
    return [("".join(lines), is_code) for lines, is_code in blocks]


def _clean_prose(text: str) -> str:
    text = _cut_between(text, "<!--", "-->")
    for name in _HIDDEN:
        text = _cut_between(text, f"<{name}", f"</{name}>")
    return _outside_code(text, _clean_span)


def _clean_span(text: str) -> str:
    text = _TAG.sub(lambda tag: "\n" if _BREAKING.match(tag[0]) else "", text)
    text = _IMAGE.sub(r"\1", text)
    text = _LINK.sub(lambda link: link[0] if _is_good(link[2]) else link[1], text)
    text = _DEFINITION.sub(lambda line: line[0] if _is_good(line[1]) else "", text)
    return _AUTOLINK.sub(lambda link: link[0] if _is_good(link[1]) else link[1], text)


def _is_good(target: str) -> bool:
    """Return whether a link leads to a web page, to mail, or within the repository."""
    scheme = _SCHEME.match(target)
    return scheme is None or scheme[1].lower() in _GOOD_SCHEMES


def _outside_code(text: str, change: Callable[[str], str]) -> str:
    """Apply `change` to everything but inline code."""
    parts, end = [], 0
    for code in _INLINE_CODE.finditer(text):
        parts += [change(text[end : code.start()]), code[0]]
        end = code.end()
    return "".join([*parts, change(text[end:])])


def _cut_between(text: str, start: str, end: str) -> str:
    """Remove everything from each `start` to the next `end`, except inside inline code.

    The text is searched once from left to right, so that none makes this slow.
    """
    lowered = text.lower()
    if start not in lowered:
        return text
    if len(lowered) != len(text):  # some characters become two in lower case
        lowered = text
    shown = [code.span() for code in _INLINE_CODE.finditer(text)]
    parts, position, search = [], 0, 0
    while (begin := lowered.find(start, search)) >= 0:
        before = bisect.bisect_right(shown, (begin, len(text))) - 1
        if before >= 0 and begin < shown[before][1]:
            search = shown[before][1]
            continue
        finish = lowered.find(end, begin)
        parts.append(text[position:begin])
        if finish < 0:  # never closed: only `start` goes
            position = begin + len(start)
            break
        position = search = finish + len(end)
    return "".join([*parts, text[position:]])
