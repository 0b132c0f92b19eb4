"""GSM8K and BBH as lm-evaluation-harness 0.4.13 grades them, and in a normal form beside it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from playground.evaluation.graders.answers import (
    Found,
    after_marker,
    normal,
    number_in,
    number_of,
)

#: What the harness extracts where its pattern does not match.
INVALID = "[invalid]"
_GSM8K_STRICT = re.compile(r"The answer is (\-?[0-9\.\,]+).")
_GSM8K_FLEXIBLE = re.compile(r"(-?[$0-9.,]{2,})|(-?[0-9]+)")
_GSM8K_IGNORED = (",", r"\$", "(?s).*#### ", r"\.$")
_BBH = re.compile(r"(?<=the answer is )(.*)(?=.)")
_LETTER_GOLD = re.compile(r"\(([A-Z])\)")
#: A letter in brackets, or alone; "A" and "I" are words where another word follows.
_LETTER = re.compile(r"\(([A-Z])\)|(?<![\w'’])((?![AI] [a-z])[A-Z])(?![\w'’])")
_WORD_GOLD = re.compile(r"[A-Za-z]+")
_ANSWERS = frozenset({"yes", "no", "true", "false", "valid", "invalid"})


@dataclass(frozen=True)
class Scored:
    """An extracted value with its score; None where nothing was found."""

    value: str | None
    score: float


def gsm8k_strict(output: str, gold: str) -> Scored:
    """Return what the harness' filter strict-match extracts, and its exact match."""
    found = _GSM8K_STRICT.findall(output)
    return _gsm8k(found[0] if found else INVALID, gold)


def gsm8k_flexible(output: str, gold: str) -> Scored:
    """Return what the harness' filter flexible-extract extracts, and its exact match."""
    found = _GSM8K_FLEXIBLE.findall(output)
    return _gsm8k(next(filter(None, found[-1]), INVALID) if found else INVALID, gold)


def _gsm8k(extracted: str, gold: str) -> Scored:
    extracted = extracted.strip()
    return Scored(extracted, float(_ignoring(extracted) == _ignoring(gold)))


def _ignoring(text: str) -> str:
    """Return a text as the harness' exact match compares it."""
    for pattern in _GSM8K_IGNORED:
        text = re.sub(pattern, "", text)
    return text.lower()


def bbh_strict(output: str, gold: str) -> Scored:
    """Return what the harness' filter get-answer extracts, and its exact match."""
    found = _BBH.findall(output)
    extracted = found[0].strip() if found else INVALID
    return Scored(extracted, float(extracted == gold))


def gsm8k_normal(output: str, gold: str) -> tuple[Scored, Found | None]:
    """Return the number that an output answers, and whether it is the gold one."""
    found = number_in(normal(output))
    if found is None:
        return Scored(None, 0.0), None
    expected = number_of(gold)
    return Scored(found.text, float(expected is not None and str(expected) == found.text)), found


def bbh_normal(output: str, gold: str) -> tuple[Scored, Found | None]:
    """Return an output's answer in the gold one's kind: a letter, a word, a number, or words."""
    text = normal(output)
    letter = _LETTER_GOLD.fullmatch(gold.strip())
    if letter:
        found = _letter(text)
        return _compared(found, letter[1])
    expected = number_of(gold) if re.fullmatch(r"\s*[-+]?[\d.,/]+\s*", gold) else None
    if expected is not None:
        found = number_in(text)
        if found is not None and found.how != "marked" and found.text != text.strip():
            found = None
        return _compared(found, str(expected))
    if _WORD_GOLD.fullmatch(gold.strip()):
        return _compared(_word(text, gold.strip().casefold()), gold.strip().casefold())
    return _compared(_words(text), " ".join(gold.casefold().split()))


def _compared(found: Found | None, expected: str) -> tuple[Scored, Found | None]:
    if found is None:
        return Scored(None, 0.0), None
    return Scored(found.text, float(found.text == expected)), found


def _letter(text: str) -> Found | None:
    """Return the first letter after the last marker, else the last one in brackets."""
    marked = after_marker(text)
    if marked is not None:
        part, start = marked
        match = _LETTER.search(part)
        if match:
            return Found(match[1] or match[2], "marked", _moved(match.span(), start))
    bracketed = list(_LETTER_GOLD.finditer(text))
    if bracketed:
        return Found(bracketed[-1][1], "last letter", bracketed[-1].span())
    alone = re.fullmatch(r"\s*([A-Z])[.)]?\s*", text)
    return Found(alone[1], "whole", alone.span(1)) if alone else None


def _word(text: str, gold: str) -> Found | None:
    """Return the first word after the last marker; of a yes or no the first that is one."""
    marked = after_marker(text)
    part, start = marked if marked is not None else (text, 0)
    words = list(re.finditer(r"[A-Za-z]+", part))
    if gold in _ANSWERS:
        words = [word for word in words if word[0].casefold() in _ANSWERS]
    if not words or (marked is None and len(re.findall(r"\w+", text)) > 1):
        return None
    return Found(words[0][0].casefold(), "marked", _moved(words[0].span(), start))


def _words(text: str) -> Found | None:
    """Return all words after the last marker up to the line's end."""
    marked = after_marker(text)
    part, start = marked if marked is not None else (text, 0)
    line = part.lstrip().splitlines()[0] if part.strip() else ""
    if not line or (marked is None and len(text.strip().splitlines()) > 1):
        return None
    begin = start + part.index(line)
    value = " ".join(line.rstrip(" .").casefold().split())
    return Found(value, "marked" if marked is not None else "whole", (begin, begin + len(line)))


def _moved(span: tuple[int, int], by: int) -> tuple[int, int]:
    return span[0] + by, span[1] + by
