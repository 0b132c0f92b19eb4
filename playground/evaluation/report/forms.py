"""Writes an evaluation's report as Markdown and HTML, and its results as JSONL, CSV or a bundle."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jinja2
import msgspec

from playground.core.errors import PlaygroundError
from playground.evaluation.report.text import HEAD, MARKS, Report, mark_of, report_of
from playground.evaluation.store.records import KeptEvaluation

_MARKUP = re.compile(r"([\\`*_\[\]<>#|~&])")
#: What a spreadsheet would take for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
#: Cases whose answers are in a page; a page of all would be hundreds of megabytes.
_MOST_SHOWN = 500
_PAGE = Path(__file__).with_name("page.html")


def markdown_of(report: Report) -> str:
    """Return the report as Markdown: plan, table, sentences and flips."""
    lines = [
        f"# {_escaped(report.title)}",
        "",
        _escaped(report.plan),
        "",
        "| " + " | ".join(("contestant", *HEAD[1:])) + " |",
        "|" + " --- |" * len(HEAD),
        *("| " + " | ".join(map(_escaped, row)) + " |" for row in report.rows),
        "",
        *(f"- **{_escaped(label)}**: {_escaped(text)}" for label, text in report.sentences),
        "",
        "## Flips",
        "",
    ]
    for case_id, answers in _flips(report):
        lines += [f"### {_escaped(case_id)}", "", *_quoted(report, case_id), ""]
        lines += [f"- {_escaped(label)} {mark}: {_escaped(text)}" for label, mark, text in answers]
        lines.append("")
    return "\n".join(lines)


def page_of(report: Report) -> str:
    """Return the report as one HTML page, which loads nothing."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string(_PAGE.read_text("utf-8"))
    return template.render(
        report=report,
        head=HEAD,
        flips=list(_flips(report)),
        cases=report.evaluation.cases,
        marks=MARKS,
    )


def results_of(evaluation: KeptEvaluation) -> Iterator[dict[str, Any]]:
    """Yield each answer with its case and grade as JSON fields."""
    cases = evaluation.cases
    for position, contestant in enumerate(evaluation.contestants):
        for case_id in evaluation.plan.order:
            item = contestant.items.get(case_id)
            if item is None:
                continue
            answer, final = item.answer, item.final
            yield {
                "case": case_id,
                "input": cases[case_id].input,
                "target": list(cases[case_id].targets),
                "group": cases[case_id].group,
                "contestant": position,
                "label": contestant.label,
                "output": answer.text,
                "stop_reason": answer.stop_reason,
                "prompt_tokens": answer.prompt_tokens,
                "tokens": len(answer.token_ids),
                "total_s": answer.total_s,
                "reused": answer.reused,
                "skipped": answer.skipped or answer.failure,
                "grade": msgspec.to_builtins(final) if final is not None else None,
                "outcome": mark_of(item),
            }


def table_of(evaluation: KeptEvaluation) -> str:
    """Return a CSV with a row a case and a column a contestant, as `eval verdict` reads it."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    labels = [contestant.label for contestant in evaluation.contestants]
    writer.writerow(["id", "group", *map(_no_formula, labels)])
    cases = evaluation.cases
    for case_id in evaluation.plan.order:
        outcomes = [mark_of(one.items.get(case_id)) for one in evaluation.contestants]
        cells = ["" if m in ("", "error") else str(int(m == "right")) for m in outcomes]
        writer.writerow([_no_formula(case_id), _no_formula(cases[case_id].group), *cells])
    return out.getvalue()


def write_bundle(evaluation: KeptEvaluation, path: Path) -> None:
    """Write a zip with everything; folders' paths are left out. Raises PlaygroundError."""
    report = report_of(evaluation)
    plan = msgspec.to_builtins(evaluation.plan)
    for contestant in plan["contestants"]:
        contestant["model"]["source"] = Path(contestant["model"]["source"]).name
    about = {
        "format": 1,
        "created": evaluation.created,
        "state": evaluation.state.value,
        "plan": plan,
        "contestants": [
            {
                "label": one.label,
                "verified": one.loaded.verified.text if one.loaded else "",
                "kernel": one.loaded.kernel if one.loaded else "",
                "commit": one.loaded.request.commit if one.loaded else "",
                "device": one.loaded.device_name if one.loaded else "",
                "failure": one.failure,
            }
            for one in evaluation.contestants
        ],
    }
    try:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("run.json", json.dumps(about, indent=1))
            archive.writestr("suite.json", msgspec.json.encode(evaluation.suite))
            archive.writestr("results.jsonl", lines_of(evaluation))
            archive.writestr("outcomes.csv", table_of(evaluation))
            archive.writestr("report.html", page_of(report))
    except OSError as error:
        raise PlaygroundError(
            f"The evaluation could not be saved to {path}: {error.strerror}.",
            "Choose another folder, or free space on the disk.",
        ) from error


def lines_of(evaluation: KeptEvaluation) -> str:
    """Return the results as JSONL."""
    return "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in results_of(evaluation))


def _flips(report: Report) -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    """Yield the cases in which a contestant differs from the reference, with all answers."""
    ids = dict.fromkeys(
        case_id
        for one in report.summaries
        if one.paired is not None
        for case_id in (*one.paired.flips_down, *one.paired.flips_up)
    )
    for case_id in list(ids)[:_MOST_SHOWN]:
        answers = []
        for contestant in report.evaluation.contestants:
            item = contestant.items.get(case_id)
            if item is not None:
                mark = MARKS.get(mark_of(item), "")
                answers.append((contestant.label, mark, item.answer.text.strip()))
        yield case_id, answers


def _quoted(report: Report, case_id: str) -> Sequence[str]:
    case = report.evaluation.cases[case_id]
    target = " or ".join(case.targets)
    return [f"> {_escaped(case.input)}", *([f"> expected: {_escaped(target)}"] if target else [])]


def _escaped(text: str) -> str:
    return _MARKUP.sub(r"\\\1", text).replace("\n", "<br>")


def _no_formula(text: str) -> str:
    """Return a cell that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text
