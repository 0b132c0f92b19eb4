"""Measures decoding on a device for the GPU benchmark: `python -m … JSON` prints JSON lines.

Each precision is measured in a model with random weights, made on the device. The project's
decoder takes turns with its decoder of the bf16 model and with transformers' `generate`.
"""

from __future__ import annotations

import gc
import itertools
import json
import logging
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
import torch
from transformers import PreTrainedModel

from playground.core.comparison import alternating, median, ratio
from playground.core.errors import EngineError, PlaygroundError
from playground.core.floor import Floor
from playground.core.founding import MIN_REPEATS
from playground.core.founding import OPTIONS as FOUNDING
from playground.core.generation import GenerationOptions
from playground.core.precision import Precision
from playground.engine.cuda_graph.captures import still_works, waits_for_host
from playground.engine.cuda_graph.graph_step import uncaptured
from playground.engine.decoding.decoder import Decoder
from playground.engine.decoding.generate import GenerateDecoder
from playground.engine.loading.step_bytes import step_floor
from playground.engine.loading.verify import verify
from playground.engine.machine import bandwidth, libraries
from playground.engine.machine.devices import check_device
from playground.engine.machine.errors import explain
from playground.engine.serving.choose_decoder import choose_decoder
from tests.benchmarks import device_models

#: The slowest last: it is left out where the time runs out.
PRECISIONS = (
    Precision.BF16,
    Precision.INT8_WEIGHT_ONLY,
    Precision.GPTQ,
    Precision.NF4,
    Precision.INT8,
)
#: The tokens of "Jeremy Howard is a " in Llama 2's tokenizer, BOS included.
_FOUNDING_PROMPT = 8
_FOUNDING_ROUNDS = MIN_REPEATS
_CHECKED = 32  # greedy tokens compared with generate's
#: Logits closer than this, in their standard deviations, are equal up to rounding: kernels that
#: round differently may choose either token.
_NEAR_TIE = 0.1


@dataclass(frozen=True)
class Job:
    """What to measure. `slots` are cache lengths, each filled to its end by the new tokens."""

    shape: str
    device: str
    slots: tuple[int, ...]
    new_tokens: int
    rounds: int
    seconds: float  # after this time no further measurement starts
    precisions: tuple[str, ...] = PRECISIONS


@dataclass(eq=False)
class _Contender:
    name: str
    decoder: Decoder

    def gaps(self, ids: Sequence[int], count: int) -> list[float]:
        """Return the seconds between the tokens of a greedy text."""
        return [b - a for a, b in itertools.pairwise(self.run(ids, count)[1])]

    def run(self, ids: Sequence[int], count: int) -> tuple[list[int], list[float]]:
        """Return the tokens, and the times of the start and of each token's arrival on the host."""
        tokens: list[int] = []
        times = [time.monotonic()]

        def take(token: int, ready_at: float) -> None:
            tokens.append(token)
            times.append(ready_at)

        options = GenerationOptions(max_new_tokens=count, ignore_eos=True)
        self.decoder.decode(ids, options, count, take, lambda: "")
        return tokens, times


@dataclass(eq=False)
class _Candidate:
    """A model in one precision, with its two decoders."""

    precision: Precision
    model: PreTrainedModel
    own: _Contender
    generate: _Contender
    note: str
    floor: Floor
    memory_bytes: int | None  # weights, caches and graphs on the device


class Bench:
    """Carries out a job."""

    def __init__(self, job: Job, emit: Callable[[str, dict[str, Any]], None]) -> None:
        self._job = job
        self._emit = emit
        self._began = time.monotonic()
        self._bandwidth = 0.0
        self._failed = False

    def run(self) -> None:
        """Measure everything. Raises PlaygroundError where the device is not there."""
        job = self._job
        if self._on_cuda and not torch.cuda.is_available():
            raise EngineError(
                "There is no CUDA device that torch can use.",
                "Run it where there is an NVIDIA GPU and a CUDA build of torch; `--shape tiny "
                "--device cpu` tries the benchmark itself on the CPU.",
            )
        facts = check_device(job.device)
        self._say("measuring the memory")
        measured = bandwidth.measure(job.device)
        self._bandwidth = measured.bytes_per_s
        conditions = {
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "shape": job.shape,
            "device": job.device,
            "device_name": facts.name,
            "capability": facts.capability,
            "bandwidth_bytes_per_s": measured.bytes_per_s,
            "bandwidth_kind": measured.kind,
            "python": platform.python_version(),
            "versions": libraries.versions(),
            "cuda": torch.version.cuda,
            "rounds": job.rounds,
            "new_tokens": job.new_tokens,
        }
        self._emit("conditions", conditions)
        reference = self._candidate(Precision.BF16)
        for name in job.precisions:
            precision = Precision(name)
            try:
                self._measure(precision, reference)
            except Exception as error:
                if not still_works(torch.device(job.device)):
                    raise
                self._failed = True
                shown = explain(error, "Measuring", job.device)
                self._emit("failed precision", {"precision": name, "message": str(shown)})
            self._give_back()
        took = time.monotonic() - self._began
        self._emit("finished", {"seconds": round(took, 1), "failed": self._failed})

    def _measure(self, precision: Precision, reference: _Candidate) -> None:
        if self._late(precision.value):
            return
        one = reference if precision is Precision.BF16 else self._candidate(precision)
        verified, kernel = verify(one.model)
        self._emit(
            "model",
            {
                "precision": precision.value,
                "verified_precision": verified.precision,
                "kernel": kernel,
                "decoder": one.own.decoder.name,
                "note": one.note,
                "weight_bytes": verified.weight_bytes,
                "memory_bytes": one.memory_bytes,
                **self._check(one),
            },
        )
        self._founding(one)
        for slots in self._job.slots:
            if self._late(f"{precision.value} at {slots} slots"):
                return
            self._speed(one, reference, slots)

    def _candidate(self, precision: Precision) -> _Candidate:
        job = self._job
        self._say(f"{precision.value}: making the model")
        before = self._allocated()
        model = device_models.make(job.shape, precision, job.device)
        context = int(model.config.max_position_embeddings)
        generate = GenerateDecoder(model, frozenset())
        # Some kernels repack their weights at their first call.
        _Contender("generate", generate).run(_ids(8), 1)

        def tell(what: str) -> None:
            self._say(f"{precision.value}: {what}")

        began = time.monotonic()
        captures = None
        if job.device == "cpu":
            # A CPU has nothing to capture: the same loop runs the step as it is.
            captures = [] if waits_for_host(model) else [uncaptured]
        chosen = choose_decoder(model, frozenset(), context, "auto", tell, captures)
        for slots in job.slots:
            chosen.decoder.prepare(slots - job.new_tokens, job.new_tokens, tell, lambda: "")
        self._emit(
            "prepared",
            {"precision": precision.value, "seconds": round(time.monotonic() - began, 1)},
        )
        return _Candidate(
            precision=precision,
            model=model,
            own=_Contender(f"{precision.value} cached loop", chosen.decoder),
            generate=_Contender("generate", generate),
            note=chosen.note,
            memory_bytes=self._allocated() - before if self._on_cuda else None,
            floor=step_floor(model, self._bandwidth),
        )

    def _check(self, one: _Candidate) -> dict[str, Any]:
        """Compare greedy tokens; where they differ, the model's logits for both must tie."""
        self._say(f"{one.precision.value}: comparing greedy tokens")
        ids = _ids(16)
        own = one.own.run(ids, _CHECKED)[0]
        other = one.generate.run(ids, _CHECKED)[0]
        equal = sum(
            1 for _ in itertools.takewhile(lambda p: p[0] == p[1], zip(own, other, strict=False))
        )
        gap = 0.0
        if equal < _CHECKED:
            with torch.no_grad():
                text = torch.tensor([[*ids, *other[:equal]]], device=one.model.device)
                logits = one.model(text, logits_to_keep=1).logits[0, -1].float()
            gap = float((logits[own[equal]] - logits[other[equal]]).abs() / logits.std())
        correct = gap <= _NEAR_TIE
        self._failed |= not correct
        return {"equal_tokens": equal, "of": _CHECKED, "gap_std": round(gap, 4), "correct": correct}

    def _founding(self, one: _Candidate) -> None:
        """Measure the founding comparison: the seconds of 15 tokens from start to end."""
        ids, count = _ids(_FOUNDING_PROMPT), FOUNDING.max_new_tokens
        found: dict[_Contender, list[float]] = {one.own: [], one.generate: []}
        for contender in found:
            contender.run(ids, count)
        for _, contender in alternating(list(found), _FOUNDING_ROUNDS):
            times = contender.run(ids, count)[1]
            found[contender].append(times[-1] - times[0])
        self._emit(
            "founding",
            {
                "precision": one.precision.value,
                "own_s": median(found[one.own]),
                "generate_s": median(found[one.generate]),
            },
        )

    def _speed(self, one: _Candidate, reference: _Candidate, slots: int) -> None:
        """Measure the time between tokens in a cache that is filled to its last slot."""
        job = self._job
        prompt = slots - job.new_tokens
        ids = _ids(prompt)
        contenders = [one.own, one.generate]
        if one is not reference:
            contenders.insert(0, reference.own)
        what = f"{one.precision.value}, {slots} slots"
        for contender in contenders:
            self._say(f"{what}: {contender.name}, uncounted")
            contender.run(ids, job.new_tokens)
        medians: dict[_Contender, list[float]] = {c: [] for c in contenders}
        for number, contender in alternating(contenders, job.rounds):
            self._say(f"{what}: {contender.name}, round {number + 1} of {job.rounds}")
            # The first gap is the prefill's.
            medians[contender].append(statistics.median(contender.gaps(ids, job.new_tokens)[1:]))
        itl = statistics.median(medians[one.own])
        floor_s = one.floor.median_ms(prompt, job.new_tokens) / 1e3
        self._emit(
            "speed",
            {
                "precision": one.precision.value,
                "slots": slots,
                "decoder": one.own.decoder.name,
                "own_itl_s": itl,
                "generate_itl_s": statistics.median(medians[one.generate]),
                "to_generate": _speed_ratio(medians[one.own], medians[one.generate]),
                "to_bf16": _speed_ratio(medians[one.own], medians[reference.own]),
                "step_bytes": one.floor.step_bytes(slots),
                "fraction": floor_s / itl,
            },
        )

    # The device

    def _late(self, what: str) -> bool:
        late = time.monotonic() - self._began > self._job.seconds
        if late:
            self._emit("left out", {"what": what})
        return late

    def _say(self, text: str) -> None:
        self._emit("status", {"text": text})

    @property
    def _on_cuda(self) -> bool:
        return self._job.device != "cpu"

    def _allocated(self) -> int:
        return torch.cuda.memory_allocated(self._job.device) if self._on_cuda else 0

    def _give_back(self) -> None:
        gc.collect()
        if self._on_cuda:
            torch.cuda.empty_cache()


def _speed_ratio(own: Sequence[float], other: Sequence[float]) -> float | None:
    """Return the speed relative to the other's: the median over the rounds."""
    return median([ratio(b, a) for a, b in zip(own, other, strict=True)])


def _ids(count: int) -> list[int]:
    return [(7 * i + 3) % 500 + 1 for i in range(count)]


def main() -> None:
    """Carry out the job given as JSON on the command line; report on stdout."""
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it warns at every call
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print goes to stderr

    def emit(event: str, fields: dict[str, Any]) -> None:
        out.write(json.dumps({"event": event, **fields}) + "\n")
        out.flush()

    job = msgspec.json.decode(sys.argv[1], type=Job)
    try:
        Bench(job, emit).run()
    except Exception as error:
        shown: PlaygroundError = explain(error, "The benchmark", job.device)
        emit("failed", {"message": shown.message, "remedy": shown.remedy, "detail": shown.detail})
        sys.exit(1)


if __name__ == "__main__":
    main()
