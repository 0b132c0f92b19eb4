"""JSON schemas of strangers: checked within a time limit, and without reading anything else."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

import jsonschema
from jsonschema import validators
from jsonschema.exceptions import SchemaError, ValidationError
from referencing import Registry
from referencing.exceptions import Unresolvable

from playground.core.errors import FileError
from playground.core.system.reader import parse_json
from playground.evaluation.graders.found import RefusedCaseError, quoted
from playground.evaluation.graders.pattern import compiled_pattern, search

#: Characters of a schema, seconds that one check may take, and characters of a violation.
_LONGEST = 200_000
TIME_LIMIT = 2.0
_SHOWN = 200
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")

Keyword = Callable[[Any, Any, Any, Any], Iterator[ValidationError] | None]

#: When the check that is going on has to end, on the monotonic clock.
_deadline: ContextVar[float] = ContextVar("deadline")


@lru_cache(maxsize=64)
def checked_schema(text: str) -> Any:
    """Return a validator of a schema's text. Raises RefusedCaseError where it is none."""
    if len(text) > _LONGEST:
        raise RefusedCaseError(f"The schema has more than {_LONGEST:,} characters.")
    try:
        schema = parse_json(text.encode("utf-8", "surrogatepass"), "The schema")
    except FileError as error:
        raise RefusedCaseError(error.message) from error
    if not isinstance(schema, dict):
        raise RefusedCaseError("The schema is no JSON object.")
    dialect = schema.pop("$schema", "")
    _refuse(schema)
    if {"unevaluatedProperties", "patternProperties"} <= _names(schema):
        raise RefusedCaseError("unevaluatedProperties beside patternProperties is not supported.")
    try:
        standard = validators.validator_for({"$schema": dialect}, jsonschema.Draft202012Validator)
        standard.check_schema(schema)
    except SchemaError as error:
        raise RefusedCaseError(f"The schema is not valid: {_cut(error.message)}.") from error
    except Exception as error:  # whatever the library may raise
        raise RefusedCaseError(f"The schema is not valid: {_cut(str(error))}.") from error
    keywords = {name: _timed(keyword) for name, keyword in standard.VALIDATORS.items()}
    keywords.update(
        pattern=_timed(_pattern),
        patternProperties=_timed(_pattern_properties),
        additionalProperties=_timed(_additional_properties),
        uniqueItems=_timed(_unique_items),
    )
    # In an empty registry no reference to another document is found.
    timed: Any = validators.extend(standard, keywords)  # type: ignore[no-untyped-call]
    return timed(schema, registry=Registry())


def first_violation(validator: Any, value: object) -> str:
    """Return what is wrong with a value, "" for nothing. Raises RefusedCaseError."""
    token = _deadline.set(time.monotonic() + TIME_LIMIT)
    try:
        error = next(validator.iter_errors(value), None)
    except RefusedCaseError:
        raise
    except Unresolvable as problem:
        raise _elsewhere(problem.ref) from problem
    except RecursionError as problem:
        raise RefusedCaseError("The schema refers to itself without end.") from problem
    except Exception as problem:  # whatever the library may raise
        raise RefusedCaseError(f"The schema cannot be used: {_cut(str(problem))}.") from problem
    finally:
        _deadline.reset(token)
    return "" if error is None else f"{error.json_path}: {_cut(error.message)}."


def _refuse(schema: object) -> None:
    """Raise RefusedCaseError for what would leave this schema, or this validator."""
    if isinstance(schema, dict):
        # A dialect further inside would bring a validator without a time limit.
        if isinstance(schema.get("$schema"), str):
            raise RefusedCaseError("The schema names a dialect inside, not only at its head.")
        for name in _REFERENCES:
            if isinstance(target := schema.get(name), str) and not target.startswith("#"):
                raise _elsewhere(target)
    for item in _contents(schema):
        _refuse(item)


def _elsewhere(target: str) -> RefusedCaseError:
    return RefusedCaseError(
        f"The schema refers to {quoted(str(target))}; only what is inside it is read, as '#/…'."
    )


def _names(schema: object) -> set[str]:
    """Return every name in a schema."""
    found = set(schema) if isinstance(schema, dict) else set()
    return found.union(*(_names(item) for item in _contents(schema)))


def _contents(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _timed(keyword: Any) -> Keyword:
    """Return a keyword's check that ends with RefusedCaseError once the time is up."""

    def check(validator: Any, value: Any, instance: Any, schema: Any) -> Any:
        if time.monotonic() > _deadline.get():
            raise RefusedCaseError(f"The schema takes more than {TIME_LIMIT:g} s on this answer.")
        return keyword(validator, value, instance, schema)

    return check


def _pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Any:
    if validator.is_type(instance, "string") and not search(compiled_pattern(pattern), instance):
        yield ValidationError(f"{quoted(instance)} does not match {quoted(pattern)}")


def _pattern_properties(validator: Any, patterns: Any, instance: Any, schema: Any) -> Any:
    if not validator.is_type(instance, "object"):
        return
    for pattern, below in patterns.items():
        for name, value in instance.items():
            if search(compiled_pattern(pattern), name):
                yield from validator.descend(value, below, path=name, schema_path=pattern)


def _additional_properties(validator: Any, allowed: Any, instance: Any, schema: Any) -> Any:
    if not validator.is_type(instance, "object"):
        return
    patterns = [compiled_pattern(pattern) for pattern in schema.get("patternProperties", ())]
    for name, value in instance.items():
        if name in schema.get("properties", ()) or any(search(p, name) for p in patterns):
            continue
        if allowed is False:
            yield ValidationError(f"{quoted(name)} is not allowed")
        else:
            yield from validator.descend(value, allowed, path=name)


def _unique_items(validator: Any, unique: Any, instance: Any, schema: Any) -> Any:
    if unique and validator.is_type(instance, "array"):
        keys = {_key(item) for item in instance}
        if len(keys) < len(instance):
            yield ValidationError("the items are not all different")


def _key(value: Any) -> object:
    """Return what is equal for equal JSON values: 1 is 1.0, but not true."""
    if isinstance(value, dict):
        return "object", frozenset((name, _key(item)) for name, item in value.items())
    if isinstance(value, list):
        return "array", tuple(map(_key, value))
    return ("boolean", value) if isinstance(value, bool) else value


def _cut(message: str) -> str:
    return message if len(message) <= _SHOWN else f"{message[: _SHOWN - 1]}…"
