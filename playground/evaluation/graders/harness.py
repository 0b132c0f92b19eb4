"""What lm-evaluation-harness 0.4.13 extracts from an output, and how it scores that."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from playground.evaluation.grade import Column

#: The value where a filter of the harness finds nothing.
INVALID = "[invalid]"

# lm_eval/tasks/gsm8k/gsm8k-cot.yaml, version 3.0
_GSM8K_STRICT = re.compile(r"The answer is (\-?[0-9\.\,]+).")
_GSM8K_FLEXIBLE = re.compile(r"(-?[$0-9.,]{2,})|(-?[0-9]+)")
# lm_eval/tasks/bbh/cot_fewshot/_cot_fewshot_template_yaml, version 4.0
_BBH = re.compile(r"(?<=the answer is )(.*)(?=.)")


def gsm8k_columns(output: str, targets: Iterable[str]) -> dict[str, Column]:
    """Return "strict" and "flexible" as the task gsm8k_cot scores them."""
    values = {"strict": extracted(_GSM8K_STRICT, output, 0)}
    values["flexible"] = extracted(_GSM8K_FLEXIBLE, output, -1)
    expected = {_gsm8k_form(target) for target in targets}
    return {
        name: Column(value, 1.0 if _gsm8k_form(value) in expected else 0.0)
        for name, value in values.items()
    }


def bbh_columns(output: str, targets: Iterable[str]) -> dict[str, Column]:
    """Return both columns of the tasks bbh_cot_fewshot_*, whose one filter both are."""
    value = extracted(_BBH, output, 0)
    right = _stored(value) in {_stored(target) for target in targets}
    column = Column(value, 1.0 if right else 0.0)
    return {"strict": column, "flexible": column}


def extracted(pattern: re.Pattern[str], output: str, select: int) -> str:
    """Return what the harness's filter `regex` finds (lm_eval/filters/extraction.py)."""
    found: Sequence[str | tuple[str, ...]] = pattern.findall(output)
    if not found:
        return INVALID
    chosen = found[select]
    if isinstance(chosen, tuple):
        chosen = next((group for group in chosen if group), INVALID)
    return chosen.strip()


def _gsm8k_form(text: str) -> str:
    """Return what exact_match of gsm8k_cot compares: regexes_to_ignore in turn, then lower case."""
    text = _stored(_stored(text).replace(",", "")).replace("$", "")
    # "(?s).*#### " in linear time
    text = _stored(_stored(text).rpartition("#### ")[2])
    return _stored(re.sub(r"\.$", "", text)).lower()


def _stored(text: str) -> str:
    """Return a text as an array of numpy stores it: without null characters at its end."""
    return text.rstrip("\0")
