"""`gsm8k` and `bbh`: graded as the harness does, and by what the answer means."""

from __future__ import annotations

import re

import msgspec

from playground.evaluation.case import Case
from playground.evaluation.grade import Grade
from playground.evaluation.graders import harness
from playground.evaluation.graders.found import NO_ANSWER, graded, targets
from playground.evaluation.graders.letter import find_letter, graded_letter, is_letter
from playground.evaluation.graders.marked import stated
from playground.evaluation.graders.number import is_number, number
from playground.evaluation.graders.readable import Readable, readable

#: The words that answer a question, of which the first in an answer counts.
_WORDS = (
    frozenset({"true", "false"}),
    frozenset({"yes", "no"}),
    frozenset({"valid", "invalid"}),
    frozenset({"plausible", "implausible"}),
)
_WORD = re.compile(r"[A-Za-z]+")
#: A sentence ends here; "Q" is where the benchmark's prompts go on.
_SENTENCE_END = re.compile(r"\.(?=\s|Q|$)")
#: What the harness's zero-shot tasks ignore too.
_IGNORED = str.maketrans("", "", ',"\\')


def gsm8k(output: str, case: Case) -> Grade:
    """Grade as `number` does; the columns "strict" and "flexible" are the harness's."""
    columns = harness.gsm8k_columns(output, targets(case))
    return msgspec.structs.replace(number(output, case), columns=columns)


def bbh(output: str, case: Case) -> Grade:
    """Grade by the target's kind: a letter, a number, a word such as Yes, or a text.

    The columns "strict" and "flexible" are the harness's.
    """
    columns = harness.bbh_columns(output, targets(case))
    grades = [_bbh(output, target.strip(), case) for target in case.targets]
    best = max(grades, key=lambda grade: grade.score or 0.0)
    return msgspec.structs.replace(best, columns=columns)


def _bbh(output: str, target: str, case: Case) -> Grade:
    text = readable(output)
    if is_letter(target):
        return graded_letter(find_letter(text), {target.strip("()")})
    if is_number(target):
        return number(output, msgspec.structs.replace(case, targets=(target,)))
    for words in _WORDS:
        if target.casefold() in words:
            return _word(text, target.casefold(), words)
    return _text(text, target)


def _word(text: Readable, target: str, words: frozenset[str]) -> Grade:
    """Compare the first of some words in the stated answer, or the word that stands alone."""
    for begin, end in stated(text.text):
        for match in _WORD.finditer(text.text, begin, end):
            if (word := match[0].casefold()) in words:
                return graded(word == target, word, "marked", text.span(*match.span()))
    begin, end = _last_line(text.text)
    line = text.text[begin:end].strip(" .!*").casefold()
    if line not in words:
        return NO_ANSWER
    return graded(line == target, line, "last line", text.span(begin, end))


def _text(text: Readable, target: str) -> Grade:
    """Compare the first line of the stated answer, or an output of one line."""
    expected = _plain(readable(target).text)
    places = list(stated(text.text))
    for begin, end in places:
        while begin < end and text.text[begin].isspace():
            begin += 1
        line_end = text.text.find("\n", begin, end)
        end = line_end if line_end >= 0 else end
        if stop := _SENTENCE_END.search(text.text, begin, end):
            end = stop.start()
        if value := _plain(text.text[begin:end]):
            return graded(value == expected, value, "marked", text.span(begin, end))
    begin, end = _last_line(text.text)
    value = _plain(text.text[begin:end])
    if places or not value or text.text[:begin].strip():
        return NO_ANSWER
    return graded(value == expected, value, "whole output", text.span(begin, end))


def _last_line(text: str) -> tuple[int, int]:
    """Return the place of the last line that is not blank."""
    end = len(text.rstrip())
    return text.rfind("\n", 0, end) + 1, end


def _plain(text: str) -> str:
    """Return a text without quotes, commas, repeated spaces, or a period at its end."""
    return " ".join(text.translate(_IGNORED).split()).rstrip(".").strip().casefold()
