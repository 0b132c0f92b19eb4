"""`regex`: a pattern that an output must match, searched under a time limit."""

from __future__ import annotations

from functools import lru_cache

import regex

from playground.evaluation.case import Case
from playground.evaluation.grade import Grade
from playground.evaluation.graders.found import (
    NO_ANSWER,
    RefusedCaseError,
    folded,
    graded,
    nfkc,
    option,
    quoted,
    targets,
)

#: Seconds that one search may take, and characters of a pattern.
TIME_LIMIT = 1.0
_LONGEST = 2_000


def regex_match(output: str, case: Case) -> Grade:
    """Search the output for a pattern; what its group 1 holds is the extracted answer.

    Each target is a pattern, and a match of any is right. With the option `pattern` that one is
    searched, and what it extracts is compared with the targets. The option `case` is "match", or
    "ignore".
    """
    ignore = option(case, "case", "match", ("match", "ignore")) == "ignore"
    form = folded if ignore else nfkc
    pattern = option(case, "pattern", "")
    compiled = [compiled_pattern(p, ignore) for p in ((pattern,) if pattern else targets(case))]
    expected = [form(target) for target in case.targets] if pattern else []
    for each in compiled:
        match = search(each, output)
        if match is None:
            continue
        group = 1 if each.groups and match[1] is not None else 0
        value = nfkc(match[group])
        right = not expected or form(value) in expected
        return graded(right, value, "matched", match.span(group))
    return NO_ANSWER


@lru_cache(maxsize=256)
def compiled_pattern(pattern: str, ignore_case: bool = False) -> regex.Pattern[str]:
    """Return a compiled pattern. Raises RefusedCaseError where it is none."""
    if len(pattern) > _LONGEST:
        raise RefusedCaseError(f"A pattern has more than {_LONGEST:,} characters.")
    try:
        return regex.compile(pattern, regex.IGNORECASE if ignore_case else 0)
    except regex.error as error:
        raise RefusedCaseError(f"The pattern {quoted(pattern)} is not valid: {error}.") from error
    except (RecursionError, MemoryError, OverflowError) as error:
        raise RefusedCaseError(f"The pattern {quoted(pattern)} is nested too deeply.") from error


def search(pattern: regex.Pattern[str], text: str) -> regex.Match[str] | None:
    """Search under the time limit. Raises RefusedCaseError where it is reached."""
    try:
        # Other threads go on meanwhile.
        return pattern.search(text, timeout=TIME_LIMIT, concurrent=True)
    except (TimeoutError, MemoryError, RecursionError) as error:
        raise RefusedCaseError(
            f"The pattern {quoted(pattern.pattern)} takes more than {TIME_LIMIT:g} s on this "
            "output; write it without nested repeats."
        ) from error
