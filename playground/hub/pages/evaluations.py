"""Reads a model's published evaluation results."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping

from playground.hub.catalog import EvaluationResult
from playground.hub.site.rows import items, mapping, text

_MOST = 500
_PRECISION = re.compile(
    r"\b(bf16|bfloat16|fp16|float16|fp32|float32|fp8|int8|int4|nf4|gptq|awq|gguf|[2348]-bit)\b",
    re.IGNORECASE,
)


def from_model_index(index: object, id_: str) -> tuple[EvaluationResult, ...]:
    """Return the results in a card's `model-index`; a malformed one is skipped."""
    found: list[EvaluationResult] = []
    for model in _list(index):
        name = text(mapping(model).get("name"))
        for result in map(mapping, _list(mapping(model).get("results"))):
            found += _of_result(result, name or id_)
    return tuple(found[:_MOST])


def from_eval_results(entries: object, id_: str) -> tuple[EvaluationResult, ...]:
    """Return the results in `.eval_results/*.yaml`, as the Hub's API or a file lists them."""
    found = []
    for item in map(mapping, _list(entries)):
        entry = mapping(item.get("data")) or item
        dataset, source = mapping(entry.get("dataset")), mapping(entry.get("source"))
        value = shown_value(entry.get("value"))
        name = text(dataset.get("id"))
        if "error" in item or not value or not name:
            continue
        notes = text(entry.get("notes"))
        found.append(
            EvaluationResult(
                task=text(dataset.get("task_id")),
                dataset=name,
                metric="",
                value=value,
                source=text(source.get("name") or source.get("org") or source.get("user")),
                source_url=web_address(source.get("url")),
                measured_on=id_,
                precision=_stated_precision(notes),
                revision=text(dataset.get("revision")),
                date=text(str(entry.get("date") or "")),
                notes=notes,
                verified=bool(entry.get("verifyToken") or item.get("verified")),
            )
        )
    return tuple(found[:_MOST])


def shown_value(value: object) -> str:
    """Return a figure as it was given, "" for anything else."""
    if isinstance(value, bool):
        return ""
    if isinstance(value, int | float):
        return repr(value) if math.isfinite(value) else ""
    return text(value).strip()


def web_address(value: object) -> str:
    """Return an http(s) address, "" for anything else."""
    address = text(value)
    return address if address.startswith(("https://", "http://")) else ""


def _of_result(result: Mapping[str, object], measured_on: str) -> Iterator[EvaluationResult]:
    task, dataset = mapping(result.get("task")), mapping(result.get("dataset"))
    source = mapping(result.get("source"))
    for metric in map(mapping, _list(result.get("metrics"))):
        value = shown_value(metric.get("value"))
        if not value:
            continue
        kind = text(metric.get("name")) or text(metric.get("type"))
        settings = {**mapping(dataset.get("args")), **mapping(metric.get("args"))}
        notes = ", ".join(f"{name}={setting}" for name, setting in settings.items())[:200]
        yield EvaluationResult(
            task=text(task.get("name")) or text(task.get("type")),
            dataset=text(dataset.get("name")) or text(dataset.get("type")),
            metric=kind,
            value=value,
            source=text(source.get("name")),
            source_url=web_address(source.get("url")),
            measured_on=measured_on,
            precision=_stated_precision(f"{kind} {notes} {measured_on}"),
            revision=text(dataset.get("revision")),
            notes=notes,
            verified=metric.get("verified") is True,
        )


def _stated_precision(words: str) -> str:
    found = _PRECISION.search(words)
    return found[1].lower() if found else ""


def _list(value: object) -> list[object]:
    """Return a list, cut: repeated YAML aliases can make it endless."""
    return items(value)[:_MOST]
