"""What a model's page says beside its card: facts, sentences and tables, as plain text."""

from __future__ import annotations

from collections.abc import Sequence

from playground.core.format import NOTHING, human_count, plain_line, size_text
from playground.hub.catalog import DerivativeGroup, EvaluationResult, Gate, ModelPage, ModelRow

CAVEAT = (
    "A leaderboard is a rough guide: its questions may have been part of the training, and its "
    "precision need not be yours."
)
_GATES = {
    Gate.OPEN: "open to all",
    Gate.AUTOMATIC: "gated: opens on agreeing to its terms",
    Gate.MANUAL: "gated: its authors decide",
}
_RELATIONS = {
    "quantized": "Quantized from",
    "finetune": "Fine-tuned from",
    "adapter": "An adapter to",
    "merge": "Merged from",
}
_UNREAD = " could not be read: "
RESULT_COLUMNS = ("Benchmark", "Value", "Precision", "Measured on", "Source")
FILE_COLUMNS = ("File", "Size", "A load reads it")
VERSION_COLUMNS = ("Version", "Stored as", "Size", "Downloads", "")


def fact_lines(page: ModelPage) -> list[tuple[str, str]]:
    """Label and value of each fact of the head, in the order to show them."""
    row = page.row
    unknown = "for those with access" if closed(page) else "not stated"
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
        ("Version", page.commit[:12]) if page.commit else ("Folder", str(row.folder or "")),
    ]
    return [(name, plain_line(value) or unknown) for name, value in facts]


def closed(page: ModelPage) -> bool:
    """Whether the page is a gated model's whose files were not given out."""
    return page.gate is not Gate.OPEN and not page.config


def card_text(page: ModelPage) -> str:
    """The card's Markdown, or why there is none."""
    if page.card.strip():
        return page.card
    return "*Its card is for those with access.*" if closed(page) else "*It has no card.*"


def _chat(page: ModelPage) -> str:
    if page.chat_template:
        return "yes"
    return "" if closed(page) else "none: raw text only"


def warnings(page: ModelPage) -> list[str]:
    """What to know before choosing the model, in whole sentences, the gravest first."""
    told = []
    if page.row.problem or page.cannot_load:
        told.append(page.row.problem or page.cannot_load)
    if page.remote_code:
        told.append("It brings Python code of its own, which runs only if you agree to it.")
    return [plain_line(text) for text in [*told, *_gathered(page.notes)]]


def _gathered(notes: Sequence[str]) -> list[str]:
    """The notes; files that could not be read for one and the same reason in one sentence."""
    unread: dict[str, list[str]] = {}
    others = []
    for note in notes:
        name, found, reason = note.partition(_UNREAD)
        if found:
            unread.setdefault(reason, []).append(name)
        else:
            others.append(note)
    for reason, names in unread.items():
        shown = " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
        others.append(f"{shown}{_UNREAD}{reason}")
    return others


def origin(page: ModelPage) -> str:
    """What stands before the names of the models that this one was made from."""
    return _RELATIONS.get(page.base_relation, "Made from") if page.base_models else ""


def result_cells(result: EvaluationResult) -> tuple[str, ...]:
    """A result's row, as RESULT_COLUMNS; what nobody states is said to be so."""
    name = result.dataset
    plain = result.task.lower().replace("-", " ") in ("", "default", "text generation")
    if not plain and result.task not in name:
        name = f"{name} ({result.task})"
    told = (
        " · ".join(filter(None, (name, result.metric))),
        result.value,
        result.precision or "not stated",
        result.measured_on or "not stated",
        result.source or ("checked by the Hub" if result.verified else "its own card"),
    )
    return tuple(plain_line(text) or NOTHING for text in told)


def result_tip(result: EvaluationResult) -> str:
    """All that is known of a result, a line each."""
    lines = [
        *result_cells(result),
        result.notes,
        f"Date: {result.date}" if result.date else "",
        f"Dataset at {result.revision}" if result.revision else "",
        result.source_url,
    ]
    return "\n".join(plain_line(line) for line in lines if line)


def files_line(page: ModelPage) -> str:
    """How many files a load reads, and what the others are."""
    needed = sum(file.needed for file in page.files)
    if not page.files:
        return "The files are not known."
    if not needed:
        return f"{len(page.files)} files, none that the playground loads."
    size = f", {size_text(page.load_bytes)}" if page.load_bytes else ""
    if needed == len(page.files):
        return f"A load reads all {needed} files{size}."
    return (
        f"A load reads {needed} of {len(page.files)} files{size}; the other "
        f"{size_text(page.skipped_bytes)} are not downloaded."
    )


def version_cells(row: ModelRow) -> tuple[str, ...]:
    """A quantized version's row, as VERSION_COLUMNS."""
    told = ("gated" if row.gated else "", "here" if row.is_here else "")
    return (
        row.name,
        plain_line(row.stored) or NOTHING,
        size_text(row.size),
        f"{row.downloads:,}" if row.downloads is not None else NOTHING,
        ", ".join(filter(None, told)),
    )


def group_title(group: DerivativeGroup) -> str:
    """A heading over the versions of one method."""
    runs = "" if group.runs else ": the playground cannot run these"
    return f"{plain_line(group.label)} ({len(group.rows)}){runs}"
