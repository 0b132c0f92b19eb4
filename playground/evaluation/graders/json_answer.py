"""`json`: the first JSON object in an output, checked against a JSON schema or a target."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator
from functools import partial

from playground.core.errors import FileError
from playground.core.system.reader import parse_json
from playground.evaluation.case import Case
from playground.evaluation.grade import Grade, GradeState
from playground.evaluation.graders.found import RefusedCaseError, graded, quoted, targets

#: Places where an object may begin that are tried.
_TRIES = 200
_FENCE = re.compile(r"```[A-Za-z0-9]*[^\S\n]*\n(.*?)```", re.DOTALL)
_OPENING = re.compile(r"[{\[]")
_TYPES = ("object", "array", "string", "number", "integer", "boolean", "null")
_SHOWN = 200


def json_answer(output: str, case: Case) -> Grade:
    """Check the first object or fenced value of an output.

    Right is what the case's schema allows, or the schema that is its target; another target is
    compared as JSON.
    """
    check, expected = _expected(case)
    found = _find(output)
    if found is None:
        return Grade(state=GradeState.NO_ANSWER, score=0.0, note="There is no JSON object.")
    (begin, end), how = found
    try:
        value = parse_json(output[begin:end].encode("utf-8", "surrogatepass"), "The answer")
    except FileError as error:
        return graded(False, output[begin:end][:_SHOWN], how, (begin, end), error.message)
    note = "" if check is None else check(value)
    right = not note if check is not None else any(_same(value, one) for one in expected)
    return graded(right, json.dumps(value, ensure_ascii=False), how, (begin, end), note)


def _expected(case: Case) -> tuple[Callable[[object], str] | None, list[object]]:
    """Return the check by a schema, None without one, and the values that are right then."""
    if case.schema:
        return _checked_by(case.schema), []
    values: list[object] = []
    for target in targets(case):
        try:
            values.append(json.loads(target))
        except (ValueError, RecursionError) as error:
            raise RefusedCaseError(
                f"The target {quoted(target)} is no JSON, and the case has no schema."
            ) from error
    if _is_schema(values[0]):
        return _checked_by(case.targets[0]), []
    return None, values


def _checked_by(schema: str) -> Callable[[object], str]:
    # The library is imported where a schema is checked: it would slow the window's start.
    from playground.evaluation.graders.schema import checked_schema, first_violation

    return partial(first_violation, checked_schema(schema))


def _is_schema(value: object) -> bool:
    """Whether a target is a schema, and not the answer itself."""
    if not isinstance(value, dict):
        return False
    named = value.get("type")
    return (
        isinstance(value.get("$schema") or value.get("$ref"), str)
        or isinstance(value.get("properties"), dict)
        or (isinstance(named, str) and named in _TYPES)
    )


def _same(value: object, target: object) -> bool:
    """Whether two values are the same JSON: 1 is 1.0, but not true."""
    if isinstance(value, bool) or isinstance(target, bool):
        return value is target
    if isinstance(value, dict) and isinstance(target, dict):
        return value.keys() == target.keys() and all(_same(v, target[k]) for k, v in value.items())
    if isinstance(value, list) and isinstance(target, list):
        pairs = zip(value, target, strict=False)
        return len(value) == len(target) and all(_same(a, b) for a, b in pairs)
    return value == target


def _find(output: str) -> tuple[tuple[int, int], str] | None:
    """Return the place of the first value, and how it was found.

    An array counts before an object where it holds some, else only where there is no object: "[1]"
    may be a footnote.
    """
    decoder = json.JSONDecoder()
    array = None
    for begin, how in _candidates(output):
        try:
            value, end = decoder.raw_decode(output, begin)
        except (ValueError, RecursionError):
            continue
        if how != "first array" or any(isinstance(item, dict) for item in value):
            return (begin, end), how
        array = array or ((begin, end), how)
    return array


def _candidates(output: str) -> Iterator[tuple[int, str]]:
    """Yield where a value may begin: what a fence holds, an object, an array, or all of it."""
    places = {m.start(1) + _indent(m[1]): "fenced" for m in _FENCE.finditer(output)}
    for match in itertools.islice(_OPENING.finditer(output), _TRIES):
        places.setdefault(match.start(), "first object" if match[0] == "{" else "first array")
    yield from sorted(places.items())
    if output.strip() and output.strip()[0] not in "[{":
        yield _indent(output), "whole output"


def _indent(text: str) -> int:
    return len(text) - len(text.lstrip())
