"""Renders a task's templates in a sandbox; runs as a child process, since a template may not end.

Reads one JSON object with `templates` and `documents` from stdin, and writes one with `rendered`
or `problem` to stdout.
"""

from __future__ import annotations

import ast
import json
import resource
import sys
from collections.abc import Mapping
from typing import Any

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

_CPU_S = 25
_MEMORY = 2 << 30  # bytes of address space


def main() -> None:
    """Answer the one request."""
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_S, _CPU_S))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    request = json.load(sys.stdin)
    try:
        answer: dict[str, object] = {"rendered": _rendered(**request)}
    except jinja2.TemplateError as error:
        answer = {"problem": f"a template failed: {_first_line(error)}."}
    except MemoryError:
        answer = {"problem": "a template makes too much text."}
    except Exception as error:
        answer = {"problem": f"a template failed: {_first_line(error)}."}
    json.dump(answer, sys.stdout)


def _rendered(
    templates: Mapping[str, Any], documents: list[dict[str, object]]
) -> list[dict[str, object]]:
    environment = ImmutableSandboxedEnvironment(
        undefined=jinja2.StrictUndefined, keep_trailing_newline=True
    )
    compiled = {
        field: environment.from_string(value) if isinstance(value, str) else value
        for field, value in templates.items()
    }
    return [
        {field: _value(field, template, document) for field, template in compiled.items()}
        for document in documents
    ]


def _value(field: str, template: Any, document: dict[str, object]) -> object:
    """Return a field of a document; a template of one column's name stands for its value."""
    if not isinstance(template, jinja2.Template):
        return template
    text = template.render(document)
    source = text if field == "doc_to_text" else text.strip()
    if source in document and field != "doc_to_text":
        return document[source]
    if field == "doc_to_text":
        return document.get(source, text) if source in document else text
    if source.startswith("[") or source.isdecimal():
        try:
            return ast.literal_eval(source)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return text
    return text


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)[:200].rstrip(".")


if __name__ == "__main__":
    main()
