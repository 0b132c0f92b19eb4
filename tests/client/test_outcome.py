"""How an engine's end is told."""

from __future__ import annotations

import pytest

from playground.client.outcome import Outcome


@pytest.mark.parametrize(
    ("outcome", "text", "remedy"),
    [
        (Outcome(None, expected=False), "The engine is running.", ""),
        (Outcome(0, expected=True), "The engine was ended.", ""),
        (Outcome(-9, expected=True), "The engine was ended.", ""),
        (Outcome(0, expected=False), "The engine ended without being asked to.", "Load"),
        (Outcome(3, expected=False), "The engine exited with code 3.", "log"),
        (
            Outcome(-9, expected=False),
            "The engine was killed by signal 9 (SIGKILL).",
            "out-of-memory killer",
        ),
        (
            Outcome(-11, expected=False),
            "The engine was killed by signal 11 (SIGSEGV).",
            "compiled library",
        ),
        (Outcome(-99, expected=False), "The engine was killed by signal 99.", "Load"),
        (Outcome(-9, expected=False, reason="It wrote nonsense."), "It wrote nonsense.", "log"),
    ],
)
def test_text_and_remedy(outcome: Outcome, text: str, remedy: str) -> None:
    assert outcome.text == text
    assert remedy in outcome.remedy
    assert bool(outcome.remedy) == bool(remedy)
