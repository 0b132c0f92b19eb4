"""Compares predicted with measured memory, in real engines and for several architectures.

Measured weights are the tensors of the loaded model, each storage once. The measured peak is
the largest resident set of the engine process (VmHWM), from the start of the load to the end of
an answer: its private memory and its shared pages, those of libraries and of mapped weights
among them. Pages of the files that no process maps (the page cache) are not in it.

The engines are forks: what they share with the process that forks them counts in their resident
set as in a started engine's, but for library pages that they have not touched yet.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from playground.core.facts import DeviceFacts, LoadedModel
from playground.core.memory.corrections import corrections_for
from playground.core.memory.plan import DeviceBudget, MemoryPlan, plan
from playground.core.model.checkpoint import read_checkpoint
from playground.core.precision import Precision
from tests.engine.driver import Engine, run_script
from tests.support.home import make_home

Case = tuple[str, Precision]
FP32, BF16, INT8 = Precision.FP32, Precision.BF16, Precision.INT8
NF4, GPTQ = Precision.NF4, Precision.GPTQ
#: Every family in a few precisions, so that each precision meets several kinds of layers.
PRECISIONS: dict[str, tuple[Precision, ...]] = {
    "llama": (FP32, BF16, INT8, NF4, GPTQ),
    "qwen3": (GPTQ,),
    "gpt_neox": (BF16,),
    "gemma2": (BF16,),
    "gemma3_text": (FP32,),
    "phi3": (INT8,),
    "mixtral": (INT8,),
    "qwen3_moe": (FP32,),
    "mamba": (FP32,),
    "mamba2": (FP32,),
}
CASES: list[Case] = [(name, precision) for name, kinds in PRECISIONS.items() for precision in kinds]
#: Tokens of the prompt; a scan takes memory for each, so that a long one shows its error.
PROMPT, LONG_PROMPT = 600, 1536
LONG = ("mamba", "mamba2")
NEW_TOKENS = 8
#: Bytes of bitsandbytes, which a forked engine has imported before its load.
IMPORTED = 30_000_000
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="peaks are reset through /proc")


@dataclass(frozen=True)
class Row:
    """One load, predicted and measured."""

    architecture: str
    plan: MemoryPlan
    weights: int
    peak: int

    @property
    def weights_error(self) -> float:
        return self.plan.weights.total / self.weights - 1

    @property
    def peak_error(self) -> float:
        return self.plan.peak / self.peak - 1

    def __str__(self) -> str:
        made = self.plan
        return (
            f"{self.architecture:11} {made.precision:5} "
            f"{made.weights.total / 1e6:7.1f} {self.weights / 1e6:7.1f} {self.weights_error:+7.2%} "
            f"{made.peak / 1e6:7.0f} {self.peak / 1e6:7.0f} {self.peak_error:+7.1%}"
        )


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Case, Future[Row]]]:
    """All loads, two at a time."""
    folder = tmp_path_factory.mktemp("models")
    script = Path(__file__).with_name("memory_models.py")
    run_script(script, str(folder))
    with ThreadPoolExecutor(2) as pool:
        yield {case: pool.submit(measure, folder, *case) for case in CASES}
        pool.shutdown(cancel_futures=True)


def measure(folder: Path, architecture: str, precision: Precision) -> Row:
    """Load a model in an engine of its own and let it answer a prompt."""
    packed = "-gptq" if precision is Precision.GPTQ else ""
    model = folder / f"{architecture}{packed}"
    engine = Engine()
    try:
        facts = engine.ready()
        loaded = engine.load(model, precision)
        assert isinstance(loaded, LoadedModel), loaded
        # bitsandbytes leaves experts as they are, which are most of such a model.
        assert not loaded.mismatch or (architecture, precision) == ("mixtral", INT8)
        prompt = "a" * (LONG_PROMPT if architecture in LONG else PROMPT)
        answer = engine.ask(prompt, max_new_tokens=NEW_TOKENS, ignore_eos=True).answer
    finally:
        engine.process.close()
    assert answer.prompt_tokens == len(prompt)
    imported = IMPORTED if precision in (INT8, NF4) else 0
    device: DeviceFacts = next(d for d in facts.devices if d.id == "cpu")
    made = plan(
        read_checkpoint(model).sizes,
        precision,
        DeviceBudget(capability=device.capability, process=facts.process_bytes - imported),
        len(prompt) + NEW_TOKENS,
    )
    peak = max(loaded.peak_bytes, answer.peak_memory_bytes)
    return Row(architecture, made, loaded.verified.weight_bytes, peak)


def table(rows: dict[Case, Future[Row]]) -> str:
    head = "model       kind  weights: predicted, measured MB, off  peak: the same"
    done = [str(row.result()) for row in rows.values() if row.done() and not row.exception()]
    return "\n".join([head, *done])


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_predictions_are_near_what_is_measured(rows: dict[Case, Future[Row]], case: Case) -> None:
    row = rows[case].result()
    assert abs(row.weights_error) <= 0.02, table(rows)
    assert abs(row.peak_error) <= 0.10, table(rows)


def test_a_load_stands_beside_its_prediction_and_teaches_the_next(
    start: Callable[..., Engine],
    model_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    home = make_home(tmp_path / "home")
    predicted = []
    for _ in range(2):
        engine = start({"PLAYGROUND_HOME": str(home)})
        engine.ready()
        loaded = engine.load(model_folder, Precision.BF16)
        assert isinstance(loaded, LoadedModel), loaded
        predicted.append(loaded.predicted_peak_bytes)
        engine.process.close()
    monkeypatch.setenv("PLAYGROUND_HOME", str(home))
    first, second = corrections_for(loaded.device_name).loads
    assert first.precision is Precision.BF16
    assert second.predicted == pytest.approx(first.predicted, rel=0.05)
    factor = min(1.5, max(0.9, first.measured / first.predicted))
    assert predicted[1] == pytest.approx(predicted[0] + (factor - 1) * first.predicted, rel=0.02)
