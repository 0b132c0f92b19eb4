"""Errors of every kind end a command with a sentence, and leave an engine that works."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from playground.core.facts import LoadedModel
from playground.core.generation import ChatPrompt, Message
from playground.core.precision import Precision
from playground.core.protocol import Cancel, Failed
from tests.engine.driver import Engine

OWN = """
from transformers import LlamaConfig, LlamaForCausalLM
class Panic(BaseException):
    def __str__(self):
        raise ValueError("no text")
class OwnConfig(LlamaConfig):
    model_type = "own"
class OwnModel(LlamaForCausalLM):
    config_class = OwnConfig
    def __init__(self, config):
        {at_init}
        super().__init__(config)
        {at_end}
    def forward(self, input_ids=None, **more):
        if input_ids.shape[1] == 77:
            {at_forward}
        return super().forward(input_ids=input_ids, **more)
"""


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = Engine({"HF_MODULES_CACHE": str(tmp_path_factory.mktemp("modules"))})
    engine.ready()
    yield engine
    engine.process.close()


def own_model(
    source: Path,
    folder: Path,
    at_init: str = "pass",
    at_end: str = "pass",
    at_forward: str = "pass",
) -> Path:
    shutil.copytree(source, folder)
    code = OWN.format(at_init=at_init, at_end=at_end, at_forward=at_forward)
    (folder / "own.py").write_text(code, "utf-8")
    change(
        folder / "config.json",
        model_type="own",
        auto_map={"AutoConfig": "own.OwnConfig", "AutoModelForCausalLM": "own.OwnModel"},
    )
    return folder


def change(path: Path, **values: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def assert_sentence(failed: object) -> None:
    assert isinstance(failed, Failed), failed
    assert failed.alive
    assert failed.message.endswith(".")
    assert failed.remedy.endswith(".")
    assert failed.detail


@pytest.mark.parametrize(
    "fault",
    [
        {"at_init": "raise SystemExit(3)"},
        {"at_init": "raise Panic"},
        {"at_init": "raise KeyboardInterrupt"},
        {"at_end": "raise RuntimeError('\\udc80 is no text')"},
        # The message that the model is loaded cannot be encoded.
        {"at_end": "type(self).__name__ = '\\udc80'"},
    ],
    ids=["exit", "panic", "interrupt", "no text", "late"],
)
def test_a_load_that_fails_in_any_way(
    bare: Engine, model_folder: Path, tmp_path: Path, fault: dict[str, str]
) -> None:
    folder = own_model(model_folder, tmp_path / f"own_{abs(hash(str(fault)))}", **fault)
    for _ in range(2):  # the engine has no model after a failure
        assert_sentence(
            bare.load(folder, Precision.FP32, trust_remote_code="agreed", warm_up=False)
        )


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("config.json", {"rms_norm_eps": [None]}, "'rms_norm_eps' cannot be used: [null]"),
        ("config.json", {"head_dim": {}}, "'head_dim' cannot be used: {}"),
        ("config.json", {"layer_types": {"a": 1}}, "'layer_types' cannot be used"),
        ("config.json", {"num_attention_heads": 0}, "'num_attention_heads' cannot be used: 0"),
        ("generation_config.json", {"suppress_tokens": "all"}, "'suppress_tokens' cannot be used"),
        ("generation_config.json", {"eos_token_id": ["x"]}, "'eos_token_id' cannot be used"),
        ("generation_config.json", {"bad_words_ids": [["x"]]}, "'bad_words_ids' cannot be used"),
        ("tokenizer_config.json", {"added_tokens_decoder": 5}, "'added_tokens_decoder'"),
        ("tokenizer.json", {"post_processor": 3.7}, "'post_processor' cannot be used: 3.7"),
    ],
)
def test_a_wrong_value_is_named_with_its_file(
    bare: Engine, model_folder: Path, tmp_path: Path, name: str, values: dict[str, Any], words: str
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(model_folder, folder)
    change(folder / name, **values)
    failed = bare.load(folder, Precision.FP32)
    assert_sentence(failed)
    assert isinstance(failed, Failed)
    assert failed.message.startswith(f"{name} is damaged: its value of ")
    assert words in failed.message


def test_a_file_that_is_no_json_is_named(bare: Engine, model_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(model_folder, folder)
    (folder / "tokenizer_config.json").write_bytes(b'{"a": "\xff')
    failed = bare.load(folder, Precision.FP32)
    assert_sentence(failed)
    assert isinstance(failed, Failed)
    assert "tokenizer_config.json" in failed.message


@pytest.mark.parametrize("fault", ["raise Panic", "raise SystemExit(3)", "1 / 0"])
def test_a_generation_that_fails_leaves_the_model_loaded(
    model_folder: Path, tmp_path: Path, fault: str
) -> None:
    engine = Engine({"HF_MODULES_CACHE": str(tmp_path / "modules")})
    engine.ready()
    folder = own_model(model_folder, tmp_path / "own", at_forward=fault)
    loaded = engine.load(folder, Precision.FP32, trust_remote_code="agreed", decoder="generate")
    assert isinstance(loaded, LoadedModel), loaded
    whole = engine.ask("Hello", max_new_tokens=3).answer
    failed = engine.ask(exactly(engine, 77), max_new_tokens=3).failed
    assert_sentence(failed)
    assert failed.request_id == engine.last_id
    assert engine.ask("Hello", max_new_tokens=3).answer.text == whole.text
    engine.process.close()


def exactly(engine: Engine, tokens: int) -> str:
    """A prompt of this many tokens."""
    one, two = (engine.ask("a" + " a" * n, max_new_tokens=1).answer for n in (0, 1))
    each = two.prompt_tokens - one.prompt_tokens
    count, rest = divmod(tokens - one.prompt_tokens, each)
    assert not rest
    return "a" + " a" * count


def test_an_endless_template_is_cancelled_and_the_model_stays(
    model_folder: Path, tmp_path: Path
) -> None:
    """The limits of time and memory are tested with the encoder."""
    folder = tmp_path / "model"
    shutil.copytree(model_folder, folder)
    template = "{% for a in range(9**5) %}{% for b in range(9**5) %}{% endfor %}{% endfor %}"
    (folder / "chat_template.jinja").write_text(template, "utf-8")
    engine = Engine()
    engine.ready()
    assert isinstance(engine.load(folder, Precision.FP32, warm_up=False), LoadedModel)
    request = engine.send(ChatPrompt((Message("user", "Hello"),)))
    engine.process.send(Cancel(request))
    answer = engine.collect().answer
    assert (answer.stop_reason, answer.token_ids) == ("cancelled", ())
    assert engine.ask("Hello", max_new_tokens=3).answer.text
    engine.process.close()
