"""The checks before a model is quantized, and the model card of the copy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from playground.core.errors import PlaygroundError
from playground.core.facts import VerifiedPrecision
from playground.core.precision import Precision
from playground.core.quantizing.card import card
from playground.core.quantizing.plan import (
    check_request,
    default_name,
    default_output,
    disk_bytes,
    operations,
    read_calibration,
)
from playground.core.quantizing.request import QuantizedModel, QuantizeRequest, shipped_sample
from playground.core.system.resources import resource
from tests.support.tiny_model import tiny_model_files, write_files


@pytest.fixture
def request_(tmp_path: Path) -> QuantizeRequest:
    folder = write_files(tmp_path / "tiny", tiny_model_files())
    return QuantizeRequest(
        name="somebody/tiny",
        folder=str(folder),
        commit="c0ffee",
        output=str(tmp_path / "library" / "copy"),
        group_size=32,
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"bits": 5}, "Bits: 5"),
        ({"group_size": 100}, "group size: 100"),
        ({"samples": 0}, "number of texts is 0"),
        ({"length": 9}, "length of a text is 9"),
        ({"to": Precision.BF16}, "cannot be saved as bf16"),
        ({"output": "copy"}, "absolute path"),
        ({"calibration": "/nowhere/text.txt"}, "cannot be read"),
        ({"folder": "/nowhere"}, "no folder"),
    ],
)
def test_bad_requests_are_refused_with_a_remedy(
    request_: QuantizeRequest, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(PlaygroundError, match=words) as raised:
        check_request(msgspec.structs.replace(request_, **changes))
    assert raised.value.remedy


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b" \n\t ", "is empty"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "is not a text file"),
        (b"text with a \x00 in it", "is not a text file"),
        ("naïve".encode("latin-1"), "is not a text file"),
    ],
)
def test_unusable_calibration_files_are_refused(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(data)
    with pytest.raises(PlaygroundError, match=words) as raised:
        read_calibration(path)
    assert raised.value.remedy


def test_a_huge_calibration_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.txt"
    with path.open("wb") as file:
        file.truncate(65 * 2**20)  # holes, no bytes on the disk
    with pytest.raises(PlaygroundError, match=r"larger than 64\.0 MB"):
        read_calibration(path)


def test_the_shipped_sample_is_long_enough_for_twice_the_default() -> None:
    text = read_calibration(shipped_sample())
    assert len(text) > 128 * 512 * 5


def test_a_model_that_is_quantized_already(request_: QuantizeRequest) -> None:
    folder = resource("models", "classics-6m-gptq")
    with pytest.raises(PlaygroundError, match=r"quantized already \(gptq\)"):
        check_request(msgspec.structs.replace(request_, folder=str(folder)))


def test_an_existing_folder_is_refused(request_: QuantizeRequest) -> None:
    Path(request_.output).mkdir(parents=True)
    with pytest.raises(PlaygroundError, match="already a folder copy") as raised:
        check_request(request_)
    assert "another name" in raised.value.remedy


def test_too_little_disk_space_is_refused(request_: QuantizeRequest) -> None:
    checkpoint = check_request(request_, free_disk=10**12)
    needed = disk_bytes(request_, checkpoint)
    # Embedding and norms in bf16; 4 bits, a scale and a zero for each 32 of the others.
    linear = 2 * (4 * 32 * 32 + 3 * 64 * 32)
    rest = 256 * 32 + 5 * 32
    assert needed == int(linear * (4 + 20 / 32) / 8) + rest * 2
    with pytest.raises(PlaygroundError, match="are free on the disk") as raised:
        check_request(request_, free_disk=needed)
    assert "another disk" in raised.value.remedy
    assert operations(request_, checkpoint) == 2.0 * linear * 64 * 512 * 8


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({}, "tiny-gptq-4bit-128g"),
        ({"bits": 3, "group_size": -1, "act_order": True}, "tiny-gptq-3bit-actorder"),
        ({"symmetric": False}, "tiny-gptq-4bit-128g-asym"),
        ({"to": Precision.INT8}, "tiny-int8"),
        ({"to": Precision.NF4}, "tiny-nf4"),
    ],
)
def test_the_name_says_how_it_was_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, changes: dict[str, Any], name: str
) -> None:
    monkeypatch.setenv("PLAYGROUND_HOME", str(tmp_path))
    request = QuantizeRequest(name="somebody/tiny", folder="", commit="", output="", **changes)
    assert default_name(request) == name
    assert default_output(request) == tmp_path / "data" / "models" / name


def test_the_card_says_what_how_and_how_long(request_: QuantizeRequest) -> None:
    made = QuantizedModel(
        folder=request_.output,
        precision=Precision.GPTQ,
        weight_bytes=1_000_000,
        source_bytes=3_500_000,
        seconds=61.4,
        peak_memory_bytes=2**29,
        layer_s=(1.0, 3.0, 2.0),
    )
    verified = VerifiedPrecision(
        precision=Precision.GPTQ,
        modules={},
        bytes_by_dtype={},
        weights={"GPTQ 4-bit": 900_000, "bf16": 100_000},
        unquantized="experts are not quantized by GPTQ",
    )
    text = card(request_, made, verified, "float32", "a processor", {"torch": "2.13.0"})
    _, front, page = text.split("---\n", 2)
    assert yaml.safe_load(front)["base_model"] == "somebody/tiny"
    assert yaml.safe_load(front)["base_model_relation"] == "quantized"
    digest = "2c49877e8515b952dcf02a157f3f78b698fc88c59fd5e74fd4e2d2591e362d6b"
    for words in (
        "# copy", "commit `c0ffee`", "4 bits, groups of 32", "3.50 times", "61 s", digest,
        "2.00 s, the median of 3", "a processor", "torch 2.13.0", "537 MB",
        "GPTQ 4-bit 90%, bf16 10%: experts are not quantized by GPTQ.",
    ):  # fmt: skip
        assert words in page
