"""`playground bench start` with real engines and the bundled model."""

from __future__ import annotations

import pytest

from tests.cli.commands import json_lines, playground


def test_the_way_to_the_first_token_is_split_by_phase() -> None:
    done = playground(
        *("bench", "start", "--bundled-only", "--rounds", "1", "--precisions", "bf16", "--json")
    )
    assert done.returncode == 0, done.stderr
    lines = json_lines(done.stdout)
    runs = {line["way"]: line for line in lines if line["event"] == "run"}
    assert set(runs) == {"fresh process", "spare"}
    fresh, spare = runs["fresh process"], runs["spare"]
    for run in (fresh, spare):
        assert run["to the first token"] == pytest.approx(run["to ready"] + run["first token"])
        assert run["reading weights"] > 0
        assert run["warming up"] > 0
    phases = ("starting", "importing", "reading weights", "warming up")
    assert sum(fresh[name] for name in phases) <= fresh["to ready"] * 1.01
    # That an imported engine waited is the whole difference.
    assert "importing" not in spare
    assert fresh["importing"] > 0.2
    assert spare["to ready"] < fresh["to ready"]
    last = lines[-1]
    assert last["event"] == "finished"
    assert last["weights"] is None
    assert [(row["precision"], row["way"]) for row in last["starts"]] == [
        ("bf16", "fresh process"),
        ("bf16", "spare"),
    ]


def test_the_table_for_people() -> None:
    done = playground("bench", "start", "--bundled-only", "--rounds", "1", "--precisions", "gptq")
    assert done.returncode == 0, done.stderr
    text = done.stdout.decode()
    for word in ("importing", "reading weights", "to the first token", "as fast with a spare"):
        assert word in text
