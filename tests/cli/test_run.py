"""`playground run` with real engines and the bundled model."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest

from playground.cli.console import Console
from playground.cli.run import prompt_text
from tests.cli.commands import (
    command,
    environment,
    json_lines,
    one_sentence,
    playground,
    playground_process,
)
from tests.client.processes import is_gone

PROMPT = "The old house stood at"


def test_json_lines_end_with_the_whole_answer() -> None:
    arguments = ("--prompt", PROMPT, "--new-tokens", "12", "--ignore-eos", "--top", "2", "--json")
    done = playground_process("run", *arguments)
    assert done.returncode == 0, done.stderr
    assert done.stderr == b""
    lines = json_lines(done.stdout)
    last = lines[-1]
    assert [line["event"] for line in lines].count("finished") == 1
    assert last["event"] == "finished"
    assert last["stop_reason"] == "length"
    assert len(last["token_ids"]) == 12
    assert last["verified_precision"] == last["stamp"]["verified_precision"] == "bf16"
    assert last["stamp"]["versions"]["torch"]
    assert last["stamp"]["commit"].startswith("sha256:")

    tokens = [line for line in lines if line["event"] == "tokens"]
    assert [token for line in tokens for token in line["ids"]] == last["token_ids"]
    assert last["text"].startswith("".join(text for line in tokens for text in line["texts"]))
    times = [time for line in tokens for time in line["times"]]
    assert last["ttft_s"] == times[0]
    assert np.allclose(last["itl_s"], np.diff(times))
    assert last["decode_tok_s"] == pytest.approx(11 / (times[-1] - times[0]))
    details = [detail for line in tokens for detail in line["details"]]
    assert details == last["token_details"]
    assert [detail["rank"] for detail in details] == [1] * 12
    assert [detail["top"][0]["id"] for detail in details] == last["token_ids"]
    assert all(len(detail["top"]) == 2 for detail in details)
    loaded = next(line for line in lines if line["event"] == "loaded")
    assert loaded["verified_precision"] == "bf16"
    assert loaded["verified"]["modules"]


def test_generate_can_be_asked_for_and_says_the_same() -> None:
    texts = {}
    for decoder in ("auto", "generate"):
        # In fp32, where rounding is too small to change a token.
        arguments = ("--new-tokens", "12", "--precision", "fp32", "--decoder", decoder, "--json")
        done = playground("run", "--prompt", PROMPT, *arguments)
        last = json_lines(done.stdout)[-1]
        texts[last["stamp"]["decoder"].partition(",")[0]] = last["token_ids"]
        assert last["reused_tokens"] == 0
    assert texts["cached loop"] == texts["transformers generate"]


def test_people_get_text_on_stdout_and_the_rest_on_stderr() -> None:
    arguments = ["run", "--precision", "int8", "--new-tokens", "8", "--seed", "3", "--ignore-eos"]
    arguments += ["--temperature", "0.7", "--top-p", "0.9"]
    done = playground(*arguments, "--prompt", "-", stdin=PROMPT.encode())
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.decode().strip()) > 8
    status = done.stderr.decode()
    assert "8 tokens, reached the limit of 8 tokens · seed 3" in status
    assert "· int8 ·" in status
    assert "decode tok/s" in status
    assert "quantizing" in status


def test_ctrl_c_stops_and_leaves_nothing() -> None:
    process = subprocess.Popen(
        command("run", "--prompt", PROMPT, "--new-tokens", "100000", "--ignore-eos", "--json"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    )
    assert process.stdout is not None
    assert process.stderr is not None
    with process, process.stdout, process.stderr:
        seen = b""
        for line in process.stdout:
            seen += line
            if b'"tokens"' in line:
                break
        children = _children(process.pid)
        process.send_signal(signal.SIGINT)
        seen += process.stdout.read()
        assert process.wait() == 130
        assert process.stderr.read() == b""
    assert children
    assert all(is_gone(child) for child in children)
    last = json_lines(seen)[-1]
    assert (last["event"], last["stop_reason"]) == ("finished", "cancelled")


def test_ctrl_c_while_loading() -> None:
    process = subprocess.Popen(
        command("run", "--prompt", PROMPT, "--json"), stdout=subprocess.PIPE, env=environment()
    )
    assert process.stdout is not None
    with process, process.stdout:
        assert b"importing" in process.stdout.readline()
        children = _children(process.pid)
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
        assert process.wait() == 130
    assert children
    assert all(is_gone(child) for child in children)
    assert json_lines(rest)[-1]["event"] == "interrupted"


@pytest.mark.parametrize("fault", [[], ["--device", "cuda:7"]], ids=["answer", "failure"])
def test_nobody_reads_the_output(fault: list[str]) -> None:
    process = subprocess.Popen(
        command("run", "--prompt", PROMPT, "--json", *fault),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr is not None
    with process.stderr:
        assert process.wait() == 1
        assert process.stderr.read() == b""


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--prompt", ""], "The prompt is empty. Type something"),
        (
            ["--prompt", "x", "--new-tokens", "0"],
            "New tokens must be between 1 and 1,000,000, not 0",
        ),
        (["--prompt", "x", "--temperature", "nan"], "Temperature must be between"),
        (["--prompt", "x", "--top-p", "1.5"], "Top-p must be between"),
        (["--prompt", "x", "--seed", "-1"], "Seed must be between"),
        (["--prompt", "x", "--stop", ""], "A stop string is empty"),
        (["--prompt", "x", "--stop", "\udcff"], "A stop string has broken characters"),
        (["--prompt", "x", "--revision", "v1"], "no revision v1. Leave out --revision"),
        (["--prompt", "x", "--greedy", "--top-k", "5"], "no choice for --top-k"),
        (["--prompt", "x", "--system", "You are"], "--system needs --chat."),
        (["--prompt", "x", "--chat"], "has no chat template. Leave out --chat"),
        (["--prompt", "x", "--model", "/nonexistent"], "There is no folder /nonexistent."),
        (["--prompt", "x", "--model", "a b"], "Hub id"),
    ],
)
def test_bad_input_is_one_sentence_with_its_remedy(arguments: list[str], sentence: str) -> None:
    done = playground("run", *arguments)
    assert done.returncode == 1
    told = one_sentence(done)
    assert sentence in told
    assert told.count(". ") >= 1  # the remedy follows
    assert done.stdout == b""


def test_a_folder_that_is_no_model(tmp_path: Path) -> None:
    done = playground("run", "--prompt", "x", "--model", str(tmp_path), "--json")
    assert done.returncode == 1
    told = one_sentence(done)
    assert "holds no model" in told
    failed = json_lines(done.stdout)[-1]
    assert failed["event"] == "failed"
    assert told == f"{failed['message']} {failed['remedy']}"


def test_a_folder_whose_name_is_no_text(tmp_path: Path) -> None:
    folder = tmp_path / "\udcff"
    folder.mkdir()
    done = playground("run", "--prompt", "x", "--model", str(folder))
    assert done.returncode == 1
    assert "bytes that are not text. Rename the folder." in one_sentence(done)


def test_a_model_that_was_not_downloaded_while_offline(tmp_path: Path) -> None:
    # The Hub's library reads both variables when it is imported.
    done = playground_process(
        *("run", "--prompt", "x", "--model", "nobody/nothing"),
        env={"HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(tmp_path)},
    )
    assert done.returncode == 1
    assert "HF_HUB_OFFLINE is set" in one_sentence(done)


def test_an_unknown_device() -> None:
    done = playground("run", "--prompt", "x", "--device", "cuda:7")
    assert done.returncode == 1
    assert "There is no device cuda:7 here. Choose one of: cpu" in one_sentence(done)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["run", "--prompt", "x", "--precision", "int7"], "did you mean int8"),
        (["run"], "--prompt"),
        (["bench", "--precisions", "bf16,bf16"], "names a precision twice"),
        (["bench", "--repeats", "0"], "not a whole number"),
        (["demo", "--new-tokens", "-1"], "not a whole number"),
        (["--size", "big"], "give it as 1280x720"),
        (["dance"], "dance"),
    ],
)
def test_a_wrong_command_line_exits_with_2(arguments: list[str], sentence: str) -> None:
    done = playground(*arguments)
    assert done.returncode == 2
    assert sentence in one_sentence(done)
    assert "--help" in done.stderr.decode()


def test_hostile_prompts_are_answered() -> None:
    text = "<b>\u202eNUL \u0001 \ud800 <script>"
    data = text.encode("utf-8", "surrogatepass") + b"\0"
    done = playground("run", "--new-tokens", "3", "--json", "--prompt", "-", stdin=data)
    assert done.returncode == 0, done.stderr
    assert len(json_lines(done.stdout)[-1]["token_ids"]) == 3


def test_bytes_that_are_no_text_are_replaced_and_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    # What Python makes of an argument that is not UTF-8.
    assert prompt_text("a\udcff", Console()) == "a\N{REPLACEMENT CHARACTER}"
    assert "1 broken character(s)" in capsys.readouterr().err


def test_a_prompt_longer_than_the_context() -> None:
    done = playground("run", "--prompt", "-", "--json", stdin=b"house " * 160_000)
    assert done.returncode == 1
    assert "context" in one_sentence(done)
    assert json_lines(done.stdout)[-1]["event"] == "failed"


def _children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii")
    return [int(child) for child in text.split()]
