"""The benchmark of the history runs whole, on a small one."""

from __future__ import annotations

from tests.cli.commands import benchmark, json_lines


def test_every_read_is_measured() -> None:
    done = benchmark("history", "--runs", "30", "--rounds", "1", "--json")
    *rows, last = json_lines(done.stdout)
    assert {row["what"] for row in rows} >= {"the first page", "a rare word", "one run"}
    assert all(row["seconds"] > 0 for row in rows)
    assert last["runs"] == 30
    assert last["bytes"] > 0
    text = benchmark("history", "--runs", "5", "--rounds", "1").stdout.decode()
    assert "5 runs of 3 lanes with 128 tokens" in text
