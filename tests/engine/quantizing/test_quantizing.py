"""Copies made by a real engine: loaded again here and in plain transformers, and cancelled."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from transformers import GPT2Config, GPT2LMHeadModel, MixtralConfig, MixtralForCausalLM

from playground.client.engine_process import child_environment
from playground.client.session import Interrupted, Session
from playground.core.errors import PlaygroundError
from playground.core.facts import LoadedModel
from playground.core.precision import Precision
from playground.core.protocol import Activity, Event, Progress, Quantizing
from playground.core.quantizing.plan import partial_folder, remove_partial
from playground.core.quantizing.request import Estimate, QuantizedModel, QuantizeRequest
from playground.hub.local.models import local_models
from tests.engine.architectures import make, write
from tests.engine.decoders import assert_as_reference
from tests.engine.driver import Engine, run_script
from tests.support.libraries import needs_gptqmodel
from tests.support.tiny_model import tiny_model_files, write_files

pytestmark = needs_gptqmodel
_OTHERS: dict[str, dict[str, Any]] = {
    "int8": {"to": Precision.INT8},
    "nf4": {"to": Precision.NF4},
    "gptq8": {"bits": 8, "group_size": -1},
    "gptq3": {"bits": 3},
    "gptq2": {"bits": 2},
    "ordered": {"act_order": True, "symmetric": False},
}
_PROMPT = "Alice was beginning to get"


@dataclass
class Made:
    """A tiny model and its copies by precision, made by one engine, with the engine's events."""

    source: Path
    library: Path
    estimate: Estimate
    copies: dict[str, QuantizedModel] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)

    @property
    def folders(self) -> dict[str, str]:
        return {name: copy.folder for name, copy in self.copies.items()}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    return write_files(folder, tiny_model_files(hidden=64, layers=2, seed=3, biases=True))


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    """The engine of all tests that do not kill it."""
    with Session() as session:
        yield session


@pytest.fixture(scope="module")
def made(session: Session, source: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    library = tmp_path_factory.mktemp("library")
    request = ask(source, library / "tiny-gptq-4bit-32g")
    made = Made(source, library, session.estimate(request))
    session.observe = made.events.append
    made.copies["gptq"] = session.quantize(request)
    session.observe = lambda _: None
    for name, options in _OTHERS.items():
        made.copies[name] = session.quantize(ask(source, library / name, **options))
    return made


@pytest.fixture(scope="module")
def plain(made: Made) -> dict[str, Any]:
    """What plain transformers makes of the copies, in a process of its own."""
    job = {"source": str(made.source), "copies": made.folders}
    script = Path(__file__).with_name("quantized_copies.py")
    found: dict[str, Any] = run_script(script, json.dumps(job))
    return found


def ask(source: Path, output: Path, **changes: Any) -> QuantizeRequest:
    """A quick request: one thread, few and short pieces of the shipped text."""
    values: dict[str, Any] = {"group_size": 32, "samples": 4, "length": 64, "threads": 1}
    values.update(changes)
    return QuantizeRequest(
        name="somebody/tiny", folder=str(source), commit="c0ffee", output=str(output), **values
    )


def test_every_layer_is_reported_with_its_time(made: Made) -> None:
    reported = [event.progress for event in made.events if isinstance(event, Quantizing)]
    assert {progress.layers for progress in reported} == {2}
    assert reported[0].layer == 1
    assert reported[0].left_s is None
    assert reported[-1].fraction == 1.0
    fractions = [progress.fraction for progress in reported]
    assert fractions == sorted(fractions)
    assert any(progress.left_s for progress in reported)
    assert len(made.copies["gptq"].layer_s) == 2
    assert reported[-1].layer_s == made.copies["gptq"].layer_s[1]


def test_the_estimate_is_measured_and_says_how(made: Made) -> None:
    assert 0 < made.estimate.least_s <= made.estimate.most_s
    assert "first of 2 layers" in made.estimate.basis
    weights = made.copies["gptq"].weight_bytes
    assert abs(made.estimate.disk_bytes - weights) < 0.3 * weights


def test_the_folder_is_a_model_with_a_card_and_nothing_else_is_left(made: Made) -> None:
    assert {p.name for p in made.library.iterdir()} == {*_OTHERS, "tiny-gptq-4bit-32g"}
    folder = Path(made.folders["gptq"])
    config = json.loads((folder / "config.json").read_text())
    settings = config["quantization_config"]
    assert "dataset" not in settings
    assert settings["format"] == settings["checkpoint_format"] == "gptq"
    assert config["dtype"] == "bfloat16"
    card = (folder / "README.md").read_text("utf-8")
    assert "somebody/tiny" in card
    assert "by bytes: GPTQ 4-bit." in card
    for path in folder.iterdir():
        assert path.stat().st_mode & 0o044 == 0o044  # others may read it


def test_the_library_lists_the_copies(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    home = made.library.parent / f"{made.library.name}-home"
    (home / "data").mkdir(parents=True)
    (home / "data" / "models").symlink_to(made.library)
    monkeypatch.setenv("PLAYGROUND_HOME", str(home))
    rows = {row.name: row for row in local_models(cache=made.library / "no-cache")[1:]}
    assert {row.problem for row in rows.values()} == {""}
    assert {name: (row.quantization, row.bits) for name, row in rows.items()} == {
        "tiny-gptq-4bit-32g": ("gptq", 4),
        "int8": ("int8", 8),
        "nf4": ("nf4", 4),
        "gptq8": ("gptq", 8),
        "gptq3": ("gptq", 3),
        "gptq2": ("gptq", 2),
        "ordered": ("gptq", 4),
    }


@pytest.mark.parametrize("name", ["gptq", "int8", "nf4"])
def test_a_copy_runs_here_as_in_plain_transformers(
    name: str, made: Made, plain: dict[str, Any], start: Callable[..., Engine]
) -> None:
    engine = start()
    loaded = engine.load(Path(made.folders[name]), Precision(name))
    assert isinstance(loaded, LoadedModel), loaded
    assert not loaded.mismatch
    assert loaded.notes == ()
    kinds = {"gptq": "GPTQ 4-bit", "int8": "int8 (bitsandbytes)", "nf4": "NF4 (bitsandbytes)"}
    assert loaded.verified.modules[kinds[name]] == 14
    answer = engine.ask(_PROMPT, max_new_tokens=16, greedy=True).answer
    assert_as_reference(answer, plain[name]["greedy"])


def test_saved_weights_are_those_of_quantizing_at_load(plain: dict[str, Any]) -> None:
    assert plain["int8"]["difference"] == [0.0, 0.0]
    assert plain["nf4"]["difference"] == [0.0]


def test_more_bits_are_nearer_to_the_model_it_was_made_from(plain: dict[str, Any]) -> None:
    far = {name: found["from_source"] for name, found in plain.items()}
    assert far["gptq8"] < 0.05 < far["gptq"] < far["gptq3"] < far["gptq2"]
    # With zero points, in the format that can store a zero of 0.
    assert abs(far["ordered"] - far["gptq"]) < 0.5 * far["gptq"]


@pytest.mark.parametrize(
    ("changes", "words", "remedy"),
    [
        ({"group_size": 128}, "Groups of 128 do not divide the 64 inputs", "groups of 64"),
        ({"samples": 1024, "length": 512}, "text is too short", "longer text"),
        ({"length": 1024}, "reads 512 tokens at once", "at most 512"),
        ({"device": "cuda:9"}, "cuda:9 is not there", "cpu"),
        ({"bits": 7}, "Bits: 7", "2, 3, 4, 8"),
    ],
)
def test_what_cannot_be_made_is_refused_before_anything_is_written(
    changes: dict[str, Any],
    words: str,
    remedy: str,
    session: Session,
    source: Path,
    tmp_path: Path,
) -> None:
    with pytest.raises(PlaygroundError, match=words) as raised:
        session.quantize(ask(source, tmp_path / "library" / "copy", **changes))
    assert remedy in raised.value.remedy
    assert not (tmp_path / "library").exists()


def test_widths_that_no_word_divides(session: Session, tmp_path: Path) -> None:
    odd = write_files(tmp_path / "odd", tiny_model_files(hidden=40, layers=1))
    with pytest.raises(PlaygroundError, match="40 × 40"):
        session.estimate(ask(odd, tmp_path / "copy"))


@pytest.mark.parametrize(
    ("kind", "config", "words"),
    [
        (GPT2LMHeadModel, GPT2Config(n_embd=64, n_layer=1, n_head=2, vocab_size=256), "GPT-2's"),
        (
            MixtralForCausalLM,
            MixtralConfig(
                hidden_size=64, intermediate_size=128, num_hidden_layers=1, vocab_size=256,
                num_attention_heads=2, num_key_value_heads=2, num_local_experts=4,
            ),
            "Most of this model's weights",
        ),
    ],
    ids=["GPT-2", "experts"],
)  # fmt: skip
def test_architectures_that_would_not_load_or_not_be_quantized(
    kind: Any, config: Any, words: str, session: Session, tmp_path: Path
) -> None:
    files = {name: data for name, data in tiny_model_files().items() if "token" in name}
    kind(config).save_pretrained(write_files(tmp_path / "other", files))
    with pytest.raises(PlaygroundError, match=words) as raised:
        session.estimate(ask(tmp_path / "other", tmp_path / "copy"))
    assert raised.value.remedy


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("mixtral", "would save next to nothing.*experts are not quantized"),
        ("falcon", "quantizes no layer of this architecture"),
    ],
)
def test_a_copy_that_would_save_nothing_is_not_written(
    name: str, words: str, session: Session, tmp_path: Path
) -> None:
    source = write(make(name, seed=0), tmp_path / "model")
    with pytest.raises(PlaygroundError, match=words):
        session.quantize(ask(source, tmp_path / "library" / "copy", to=Precision.INT8))
    assert not (tmp_path / "library").exists()


def test_a_folder_that_cannot_be_written(session: Session, source: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PlaygroundError, match="Nothing can be written into"):
        session.quantize(ask(source, tmp_path / "file" / "copy", to=Precision.NF4))


def test_a_cancel_within_a_layer_leaves_nothing_and_the_engine_usable(
    session: Session, source: Path, tmp_path: Path
) -> None:
    layers = []

    def cancel(event: Event) -> None:
        if isinstance(event, Quantizing) and event.progress.fraction > 0:
            layers.append(event.progress)
            if len(layers) == 1:
                session.interrupt()

    # With this many texts the first layer lasts until the cancel arrives, on any machine.
    request = ask(source, tmp_path / "library" / "copy", samples=256, length=256)
    session.observe = cancel
    with pytest.raises(Interrupted):
        session.quantize(request)
    session.observe = lambda _: None
    assert layers[-1].layer == 1
    assert not (tmp_path / "library").exists()
    small = ask(source, tmp_path / "library" / "copy", to=Precision.NF4)
    assert Path(session.quantize(small).folder).is_dir()


@pytest.mark.parametrize("at", [Activity.CALIBRATING, Activity.WRITING])
def test_a_killed_engine_leaves_nothing(at: Activity, source: Path, tmp_path: Path) -> None:
    def kill(event: Event) -> None:
        if isinstance(event, Progress) and event.activity is at:
            session.engine.kill()

    output = tmp_path / "library" / "copy"
    with Session(kill) as session, pytest.raises(PlaygroundError):
        session.quantize(ask(source, output))
    remove_partial(output, session.engine.pid)
    assert not output.exists()
    assert not partial_folder(output, session.engine.pid).exists()


def test_an_engine_whose_client_is_gone_removes_what_it_was_writing(tmp_path: Path) -> None:
    half = tmp_path / "half"
    half.mkdir()
    (half / "model.safetensors").touch()
    program = (
        "import shutil, sys, threading\n"
        "from playground.engine.wire.inbox import Inbox\n"
        "inbox = Inbox(0)\n"
        "inbox.at_end = lambda: shutil.rmtree(sys.argv[1])\n"
        "inbox.start()\n"
        "threading.Event().wait()"  # as in a long call of a library
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(half)], input=b"", env=child_environment(), check=False
    )
    assert done.returncode == 0
    assert not half.exists()
