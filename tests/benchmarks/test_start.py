"""The benchmark with real engines and the bundled model."""

from __future__ import annotations

import pytest

from playground.cli.console import Console
from tests.benchmarks import start
from tests.cli.commands import benchmark, json_lines


def test_the_way_to_the_first_token_is_split_by_phase() -> None:
    done = benchmark(
        *("start", "--bundled-only", "--rounds", "1", "--precisions", "bf16", "--json")
    )
    assert done.returncode == 0, done.stderr
    lines = json_lines(done.stdout)
    runs = {line["way"]: line for line in lines if line["event"] == "run"}
    assert set(runs) == {"fresh process", "standby engine"}
    fresh, standby = runs["fresh process"], runs["standby engine"]
    for run in (fresh, standby):
        assert run["to_first_token_s"] == pytest.approx(run["to_ready_s"] + run["first_token_s"])
        assert run["phases_s"]["reading weights"] > 0
        assert run["phases_s"]["warming up"] > 0
    phases = ("starting", "importing", "reading weights", "warming up")
    assert sum(fresh["phases_s"][name] for name in phases) <= fresh["to_ready_s"] * 1.01
    # That an imported engine waited is the whole difference.
    assert "importing" not in standby["phases_s"]
    assert fresh["phases_s"]["importing"] > 0
    last = lines[-1]
    assert last["event"] == "finished"
    assert last["weights"] is None
    assert [(row["precision"], row["way"]) for row in last["starts"]] == [
        ("bf16", "fresh process"),
        ("bf16", "standby engine"),
    ]


def test_the_table_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        {
            "precision": "bf16",
            "way": way,
            "to_ready_s": ready,
            "first_token_s": 0.5,
            "to_first_token_s": ready + 0.5,
            "phases_s": {
                **{phase.value: 0.0 for phase in start._PHASES},
                "importing": 3.0,
                "reading weights": 0.25,
            },
        }
        for way, ready in (("fresh process", 3.5), ("standby engine", 0.5))
    ]
    start._print_starts(rows, Console())
    text = capsys.readouterr().out
    assert "to the first token" in text
    assert "reading weights" in text
    assert "250 ms" in text
    assert "bf16: 4.00× as fast with a standby engine." in text
