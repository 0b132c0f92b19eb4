"""Grades JSON against a schema, which may refer to nothing outside and match nothing for long."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import regex
from jsonschema import Draft202012Validator, SchemaError, ValidationError, validators
from referencing import Registry
from referencing.exceptions import NoSuchResource, Unresolvable

from playground.core.system.reader import check_bounds

#: Seconds that one pattern may take.
_PATTERN_S = 0.5
_MOST_STARTS = 200
_TOO_DEEP = (RecursionError, ValueError)


def json_in(output: str) -> tuple[object, tuple[int, int]] | None:
    """Return the first JSON object or list in a text, and its place; None without one."""
    decoder = json.JSONDecoder()
    start, tried = 0, 0
    while tried < _MOST_STARTS:
        places = [
            place for place in (output.find("{", start), output.find("[", start)) if place >= 0
        ]
        if not places:
            return None
        begin = min(places)
        try:
            value, end = decoder.raw_decode(output, begin)
            check_bounds(value)
            return value, (begin, end)
        except _TOO_DEEP:
            start, tried = begin + 1, tried + 1
    return None


def schema_problem(value: object, schema: str) -> str:
    """Return why a value does not fit a schema, "" where it does.

    Raises ValueError with a sentence for a schema that cannot be used.
    """
    try:
        parsed = json.loads(schema)
        check_bounds(parsed)
        _Validator.check_schema(parsed)
    except SchemaError as error:
        raise ValueError(f"The schema is not valid: {error.message[:200]}.") from error
    except _TOO_DEEP as error:
        raise ValueError("The schema is no valid JSON.") from error
    try:
        problem = next(iter(_Validator(parsed, registry=_NOTHING_ELSE).iter_errors(value)), None)
    except Unresolvable as error:
        raise ValueError("The schema refers to something outside of it.") from error
    except TimeoutError as error:
        raise ValueError("A pattern of the schema takes too long.") from error
    except RecursionError as error:
        raise ValueError("The schema refers to itself without end.") from error
    return "" if problem is None else problem.message[:300]


def _retrieve(uri: str) -> Any:
    raise NoSuchResource(uri)


_NOTHING_ELSE: Registry[Any] = Registry(retrieve=_retrieve)  # type: ignore[call-arg]


def _matches(pattern: str, text: str) -> bool:
    try:
        return regex.search(pattern, text, timeout=_PATTERN_S) is not None
    except regex.error as error:
        raise ValueError(f"The pattern {pattern[:80]!r} is not valid.") from error


def _pattern(
    validator: Any, pattern: str, instance: object, schema: object
) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not _matches(pattern, instance):
        yield ValidationError(f"{instance[:80]!r} does not match {pattern[:80]!r}")


def _pattern_properties(
    validator: Any, patterns: Mapping[str, Any], instance: object, schema: object
) -> Iterator[ValidationError]:
    if not isinstance(instance, dict):
        return
    for pattern, subschema in patterns.items():
        for key, value in instance.items():
            if _matches(pattern, key):
                yield from validator.descend(value, subschema, path=key, schema_path=pattern)


#: Its patterns have a limit of time.
_Validator: Any = validators.extend(  # type: ignore[no-untyped-call]
    Draft202012Validator, {"pattern": _pattern, "patternProperties": _pattern_properties}
)
