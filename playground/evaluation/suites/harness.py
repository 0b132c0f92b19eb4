"""Reads a task of lm-evaluation-harness: its YAML, and the documents that it asks about."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from playground.core.system.reader import check_bounds, is_file, read_bytes
from playground.evaluation.case import Case, GraderKind, GraderSpec, Suite
from playground.evaluation.suites.errors import SuiteError
from playground.evaluation.suites.table import decoded, read_table

_BYTES = 4 << 20
_MOST_DOCUMENTS = 20_000
#: Seconds that rendering all documents may take.
_RENDER_S = 30.0
_REMEDY = "Write the prompt in a template of the task's own, or import another format."


class _Loader(yaml.SafeLoader):
    """Reads plain YAML; a `!function` becomes a value that is refused where it is used."""


class _Function(str):
    """The name of a Python function that a task wants to run."""


def _function(loader: yaml.SafeLoader, node: yaml.Node) -> _Function:
    return _Function(str(node.value))


_Loader.add_constructor("!function", _function)


def read_task(path: Path, data: Path | None = None) -> Suite:
    """Return a task's suite. Its templates run in a sandbox with a limit of time and memory.

    `data` holds the documents; without it they are the local files that the task names. A
    `!function` is refused by its name. Raises PlaygroundError.
    """
    task = _task(path)
    documents = _documents(task, path, data)
    templates = {}
    for field in ("doc_to_text", "doc_to_target", "doc_to_choice"):
        value = task.get(field)
        if isinstance(value, _Function):
            raise SuiteError(path.name, f"{field} runs the Python function {value}.", _REMEDY)
        if value is not None:
            templates[field] = value
    if not isinstance(templates.get("doc_to_text"), str):
        raise SuiteError(path.name, "it has no doc_to_text.", _REMEDY)
    if isinstance(task.get("process_docs"), _Function):
        raise SuiteError(
            path.name, f"process_docs runs the Python function {task['process_docs']}.", _REMEDY
        )
    rendered = _rendered(templates, documents, path.name)
    generated = str(task.get("output_type", "generate_until")) == "generate_until"
    cases = [_case(number, one, generated) for number, one in enumerate(rendered, 1)]
    settings = task.get("generation_kwargs")
    settings = settings if isinstance(settings, dict) else {}
    until = settings.get("until", [])
    until = [until] if isinstance(until, str) else until
    return Suite(
        name=f"{path.stem}.csv",
        cases=tuple(cases),
        prefix=str(task.get("description", "")),
        stop=tuple(str(one) for one in until if one) if isinstance(until, list) else (),
        max_new_tokens=_whole(settings.get("max_gen_toks"), 256),
        source=f"{path.name} (lm-evaluation-harness)",
    )


def _task(path: Path) -> Mapping[str, Any]:
    try:
        task = yaml.load(decoded(read_bytes(path, _BYTES), path.name), _Loader)  # noqa: S506
        check_bounds(task)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark is not None else 0
        raise SuiteError(path.name, "it is not valid YAML.", "Correct it.", line) from error
    if not isinstance(task, dict):
        raise SuiteError(path.name, "it is no task.", "Choose a task's YAML file.")
    if "include" in task:
        raise SuiteError(
            path.name, "it includes another file.", "Write the included settings into it."
        )
    return task


def _documents(task: Mapping[str, Any], path: Path, data: Path | None) -> list[dict[str, object]]:
    if data is None:
        split = str(task.get("test_split") or task.get("validation_split") or "test")
        named = task.get("dataset_kwargs")
        files = named.get("data_files") if isinstance(named, dict) else None
        if isinstance(files, dict):
            files = files.get(split)
        if isinstance(files, list):
            files = files[0] if files else None
        if not isinstance(files, str):
            raise SuiteError(
                path.name,
                f"its documents are in the dataset {task.get('dataset_path', 'that it names')!s}.",
                "Download its file as JSONL or CSV, and name that with --data.",
            )
        data = path.parent / files
        inside = data.resolve().is_relative_to(path.parent.resolve())
        if not inside or not is_file(data):
            raise SuiteError(
                path.name,
                f"its documents {files!r} are not in its folder.",
                "Name their file with --data.",
            )
    rows = read_table(data).rows
    if len(rows) > _MOST_DOCUMENTS:
        raise SuiteError(data.name, f"it has more than {_MOST_DOCUMENTS:,} documents.")
    return [dict(row.values) for row in rows]


def _rendered(
    templates: Mapping[str, object], documents: list[dict[str, object]], name: str
) -> list[Mapping[str, Any]]:
    """Return each document's fields, made in a child process that can be ended."""
    request = json.dumps({"templates": templates, "documents": documents}, default=str)
    command = [sys.executable, "-m", "playground.evaluation.suites.render"]
    try:
        done = subprocess.run(
            command, input=request.encode(), capture_output=True, timeout=_RENDER_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise SuiteError(
            name, f"its templates did not end within {_RENDER_S:.0f} s.", _REMEDY
        ) from error
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        raise SuiteError(name, "its templates took too much memory or time.", _REMEDY) from None
    if "problem" in answer:
        raise SuiteError(name, str(answer["problem"]), _REMEDY)
    rendered: list[Mapping[str, Any]] = answer["rendered"]
    return rendered


def _case(number: int, fields: Mapping[str, Any], generated: bool) -> Case:
    choices = fields.get("doc_to_choice")
    choices = tuple(str(one) for one in choices) if isinstance(choices, list) else ()
    target = fields.get("doc_to_target", "")
    if isinstance(target, int) and 0 <= target < len(choices):
        target = choices[target]
    targets = target if isinstance(target, list) else [target]
    kind = GraderKind.EXACT if generated or not choices else GraderKind.CHOICE
    return Case(
        id=f"{number}",
        input=str(fields["doc_to_text"]),
        targets=tuple(str(one) for one in targets if str(one)),
        choices=choices,
        grader=GraderSpec(kind),
    )


def _whole(value: object, default: int) -> int:
    return value if type(value) is int and 0 < value <= 1_000_000 else default
