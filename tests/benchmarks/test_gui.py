"""What the benchmark of the window accepts."""

from __future__ import annotations

import pytest

from tests.benchmarks.gui import arguments


def test_its_options() -> None:
    given = arguments().parse_args(["--rate", "500"])
    assert (given.lanes, given.rate, given.tokens) == (3, 500.0, 100_000)


def test_a_rate_of_nothing_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        arguments().parse_args(["--rate", "0"])
    assert "not a number above 0" in capsys.readouterr().err
