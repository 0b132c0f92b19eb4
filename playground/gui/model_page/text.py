"""The words of a model's page beside its card: facts, sentences and table cells, in plain text."""

from __future__ import annotations

from playground.core.format import NOTHING, human_count, plain_line, size_text
from playground.hub.catalog import DerivativeGroup, EvaluationResult, Gate, ModelPage, ModelRow

CAVEAT = (
    "A leaderboard is a rough guide: its questions may have been part of the training data, and "
    "it may have used another precision than you do."
)
_GATES = {
    Gate.OPEN: "open to all",
    Gate.AUTOMATIC: "gated: opens when you agree to its terms",
    Gate.MANUAL: "gated: its authors decide",
}
_RELATIONS = {
    "quantized": "Quantized from",
    "finetune": "Fine-tuned from",
    "adapter": "An adapter to",
    "merge": "Merged from",
}
RESULT_COLUMNS = ("Benchmark", "Value", "Precision", "Measured on", "Source")
FILE_COLUMNS = ("File", "Size", "Needed to load")
#: The label of a local model's path among its facts.
FOLDER = "Folder"
VERSION_COLUMNS = ("Version", "Stored as", "Size", "Downloads", "")


def fact_lines(page: ModelPage) -> list[tuple[str, str]]:
    """Return label and value of each fact of the head, in the order to show them."""
    row = page.row
    unknown = "only with access" if closed(page) else "not stated"
    context = f"{page.context_length:,} tokens" if page.context_length else ""
    facts = [
        ("Parameters", human_count(row.parameters) if row.parameters else ""),
        ("Stored as", row.stored),
        ("Context", context),
        ("Architecture", page.architecture or page.model_type),
        ("Size to load", size_text(page.load_bytes) if page.load_bytes else ""),
        ("Licence", page.licence),
        ("Access", _GATES[page.gate] if page.page_url else "on this machine"),
        ("Chat template", _chat(page)),
        ("Tokenizer", page.tokenizer_class),
        ("Version", page.commit[:12]) if page.commit else (FOLDER, str(row.folder or "")),
    ]
    return [(name, plain_line(value) or unknown) for name, value in facts]


def closed(page: ModelPage) -> bool:
    """Whether the page is that of a gated model whose files the user may not read."""
    return page.gate is not Gate.OPEN and not page.config


def card_text(page: ModelPage) -> str:
    """Return the card's Markdown, or a sentence on why there is none."""
    if page.card.strip():
        return page.card
    return "*Only users with access can read its card.*" if closed(page) else "*It has no card.*"


def _chat(page: ModelPage) -> str:
    if page.chat_template:
        return "yes"
    return "" if closed(page) else "none: raw text only"


def warnings(page: ModelPage) -> list[str]:
    """Return sentences on what to know before choosing the model, the most serious first."""
    sentences = []
    if page.row.problem or page.cannot_load:
        sentences.append(page.row.problem or page.cannot_load)
    if page.remote_code:
        sentences.append("It brings Python code of its own, which runs only if you agree to it.")
    return [plain_line(text) for text in [*sentences, *page.notes]]


def origin(page: ModelPage) -> str:
    """Return the words before the names of the models that this one was made from."""
    return _RELATIONS.get(page.base_relation, "Made from") if page.base_models else ""


def result_cells(result: EvaluationResult) -> tuple[str, ...]:
    """Return a result's row for RESULT_COLUMNS; missing facts read "not stated"."""
    name = result.dataset
    plain = result.task.lower().replace("-", " ") in ("", "default", "text generation")
    if not plain and result.task not in name:
        name = f"{name} ({result.task})"
    texts = (
        " · ".join(filter(None, (name, result.metric))),
        result.value,
        result.precision or "not stated",
        result.measured_on or "not stated",
        result.source or ("checked by the Hub" if result.verified else "its own card"),
    )
    return tuple(plain_line(text) or NOTHING for text in texts)


def result_tip(result: EvaluationResult) -> str:
    """Return everything known of a result, a line each."""
    lines = [
        *result_cells(result),
        result.notes,
        f"Date: {result.date}" if result.date else "",
        f"Dataset at {result.revision}" if result.revision else "",
        result.source_url,
    ]
    return "\n".join(plain_line(line) for line in lines if line)


def files_line(page: ModelPage) -> str:
    """Return a sentence on how many files a load reads, and what happens to the others."""
    needed = sum(file.needed for file in page.files)
    if not page.files:
        return "The files are not known."
    if not needed:
        return f"{len(page.files)} files, none of which the playground can load."
    size = f", {size_text(page.load_bytes)}" if page.load_bytes else ""
    if needed == len(page.files):
        return f"A load reads all {needed} files{size}."
    return (
        f"A load reads {needed} of {len(page.files)} files{size}; the other "
        f"{size_text(page.skipped_bytes)} are not downloaded."
    )


def version_cells(row: ModelRow) -> tuple[str, ...]:
    """Return a quantized version's row for VERSION_COLUMNS."""
    marks = ("gated" if row.gated else "", "here" if row.is_here else "")
    return (
        row.name,
        plain_line(row.stored) or NOTHING,
        size_text(row.size),
        f"{row.downloads:,}" if row.downloads is not None else NOTHING,
        ", ".join(filter(None, marks)),
    )


def group_title(group: DerivativeGroup) -> str:
    """Return the heading over the versions of one method."""
    runs = "" if group.runs else ": the playground cannot run these"
    return f"{plain_line(group.label)} ({len(group.rows)}){runs}"
