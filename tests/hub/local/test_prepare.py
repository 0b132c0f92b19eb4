"""What window and command line find out before a load, and the words they refuse it in."""

from __future__ import annotations

from pathlib import Path

import pytest

from playground.core.errors import MemoryShortageError, ModelError
from playground.core.facts import DeviceFacts, EngineFacts, ModelSpec, Probe
from playground.core.lane import LaneConfig
from playground.core.memory.plan import shortage
from playground.core.model.remote_code import read_code
from playground.core.precision import Precision
from playground.hub.local.consent import consent_to, consent_to_commit
from playground.hub.local.prepare import choose_device, memory_failure, prepare
from playground.hub.local.resolve import resolve
from tests.support.own_code import write_own_code
from tests.support.tiny_model import tiny_model_files, write_files


def engine(*devices: str, broken: str = "") -> EngineFacts:
    probes = {broken: Probe(ok=False, detail="It is broken.", remedy="Mend it.")} if broken else {}
    known = tuple(DeviceFacts(id_, id_, 10**10, 10**10) for id_ in devices)
    return EngineFacts(python="3.11", devices=known, versions={}, probes=probes)


def test_the_device_asked_for_or_the_first_gpu() -> None:
    both = engine("cpu", "cuda:0", "cuda:1")
    assert choose_device("", both) == choose_device("cuda", both) == "cuda:0"
    assert choose_device("cuda:1", both) == "cuda:1"
    assert choose_device("cpu", both) == choose_device("", engine("cpu")) == "cpu"
    with pytest.raises(ModelError, match="no device cuda:7") as caught:
        choose_device("cuda:7", both)
    assert "cpu, cuda:0, cuda:1" in caught.value.remedy


def test_a_precision_that_cannot_be_had_names_the_others(tmp_path: Path) -> None:
    folder = write_files(tmp_path / "tiny", tiny_model_files())
    spec = ModelSpec(str(folder))
    with pytest.raises(ModelError, match="not GPTQ-quantized"):
        prepare(LaneConfig(spec, Precision.GPTQ), None)
    nf4 = LaneConfig(spec, Precision.NF4)
    with pytest.raises(ModelError, match=r"It is broken\. Mend it\.") as caught:
        prepare(nf4, engine("cpu", broken="bitsandbytes"))
    assert caught.value.remedy == "This model can be loaded in: fp32, bf16, fp16."
    with pytest.raises(ModelError, match="no device cuda:7"):
        prepare(LaneConfig(spec, device="cuda:7"), engine("cpu"))
    assert prepare(nf4, engine("cpu")).request.precision is Precision.NF4


def test_window_and_engine_refuse_in_the_same_words() -> None:
    prepared = prepare(LaneConfig(), None)
    made = prepared.plan
    assert made is not None
    assert memory_failure(prepared, None) is None
    assert memory_failure(prepared, made.needed) is None
    failure = memory_failure(prepared, made.needed - 1)
    assert failure is not None
    assert failure.may_insist
    refusal = shortage(prepared.request.name, made, made.needed - 1)
    assert isinstance(refusal, MemoryShortageError)
    assert (failure.message, failure.remedy) == (refusal.message, refusal.remedy)
    assert "classics-6m in bf16 needs about" in failure.message


def test_own_code_runs_with_a_consent_to_just_this_code(tmp_path: Path) -> None:
    folder = write_own_code(tmp_path / "own", tmp_path / "trace")
    config = LaneConfig(ModelSpec(str(folder)), Precision.FP32)
    resolved = resolve(config.model, config.precision)
    assert prepare(config, None).request.trust_remote_code == ""
    consent = consent_to(resolved, read_code(folder))
    assert consent_to_commit(resolved, consent.commit) == consent
    request = prepare(config, None, [consent]).request
    assert (request.trust_remote_code, request.code) == (consent.commit, consent.code)
    with pytest.raises(ModelError, match="not of sha256:0123"):
        consent_to_commit(resolved, "sha256:0123")
    with (folder / "own.py").open("a") as file:
        file.write("# changed\n")
    assert prepare(config, None, [consent]).request.trust_remote_code == ""
