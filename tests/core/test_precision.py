"""The words for precisions: labels and short labels."""

from __future__ import annotations

import pytest

from playground.core.precision import Precision


def test_short_labels_leave_out_the_library_and_stay_distinct() -> None:
    assert Precision.INT8.short_label == "int8"
    assert Precision.NF4.short_label == "NF4 4-bit"
    assert Precision.INT8_WEIGHT_ONLY.short_label == "int8 weight-only"
    assert len({precision.short_label for precision in Precision}) == len(Precision)


@pytest.mark.parametrize(
    ("precision", "capability", "words"),
    [
        (Precision.BF16, "avx2", "fp32"),
        (Precision.FP16, "avx2", "fp32"),
        (Precision.INT8_WEIGHT_ONLY, "avx2", "fp32"),
        (Precision.NF4, "avx2 avx512f", "unpacked"),
        (Precision.BF16, "avx2 avx512f", ""),
        (Precision.FP32, "avx2", ""),
        (Precision.BF16, "", ""),  # an unknown processor
    ],
)
def test_what_is_slow_on_a_processor_names_what_is_not(
    precision: Precision, capability: str, words: str
) -> None:
    slow = precision.slowness_on("cpu", capability)
    assert words in slow
    assert bool(slow) == bool(words)
    assert precision.slowness_on("cuda:0", "9.0") == ""
