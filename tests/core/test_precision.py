"""The words for precisions: labels and short labels."""

from __future__ import annotations

from playground.core.precision import Precision


def test_short_labels_leave_out_the_library_and_stay_distinct() -> None:
    assert Precision.INT8.short_label == "int8"
    assert Precision.NF4.short_label == "NF4 4-bit"
    assert Precision.INT8_WEIGHT_ONLY.short_label == "int8 weight-only"
    assert len({precision.short_label for precision in Precision}) == len(Precision)
