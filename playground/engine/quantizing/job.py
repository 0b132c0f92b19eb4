"""Writes quantized copies of models: GPTQ after calibration, int8 and NF4 as loaded."""

from __future__ import annotations

import contextlib
import importlib
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers.utils import logging as transformers_logging

from playground.core.errors import EngineError, ModelError, OptionsError
from playground.core.facts import DeviceFacts, LoadRequest, VerifiedPrecision
from playground.core.format import size_text
from playground.core.model.checkpoint import Checkpoint
from playground.core.precision import Precision
from playground.core.protocol import (
    Activity,
    Estimated,
    MeasureQuantizing,
    Quantize,
    Quantized,
    Quantizing,
)
from playground.core.quantizing.card import card
from playground.core.quantizing.plan import (
    check_request,
    partial_folder,
    read_calibration,
    rough_estimate,
)
from playground.core.quantizing.request import Estimate, QuantizedModel, QuantizeRequest
from playground.core.system.temporary import held_folder, sweep
from playground.engine.decoding.interruption import InterruptedForwardError
from playground.engine.loading import load as loading
from playground.engine.loading.folders import readable
from playground.engine.loading.verify import verify
from playground.engine.machine import devices, libraries, memory
from playground.engine.prompts.process import PromptEncoder
from playground.engine.quantizing import gptq_solver
from playground.engine.quantizing.calibration import Piece, pieces
from playground.engine.quantizing.passes import Passes
from playground.engine.wire.inbox import Inbox
from playground.engine.wire.progress import LoadProgress
from playground.engine.wire.sender import Sender

#: The most bytes of one file of weights.
_SHARD = "5GB"


def measure(command: MeasureQuantizing, sender: Sender, inbox: Inbox) -> None:
    """Estimate what a copy would cost, and send it. Raises whatever a library raises."""
    try:
        estimate = _Work(command.request, command.request_id, sender, inbox).measure()
    except InterruptedForwardError:
        estimate = None
    memory.release()
    sender.send(Estimated(command.request_id, estimate))


def quantize(command: Quantize, sender: Sender, inbox: Inbox) -> None:
    """Write a copy, and send its description. Raises whatever a library raises."""
    try:
        model = _Work(command.request, command.request_id, sender, inbox).quantize()
    except InterruptedForwardError:
        model = None
    memory.release()
    sender.send(Quantized(command.request_id, model))


def _check_saving(verified: VerifiedPrecision, to: Precision) -> None:
    """Raise ModelError where most of a loaded model's bytes are not in the copy's precision."""
    if verified.precision is not to:
        raise ModelError(
            f"A copy saved as {to.label} would save next to nothing. Of the weights inside the "
            f"blocks it would have {verified.explained}.",
            "Choose GPTQ, where this model can be quantized so, or keep the model as it is.",
        )


@dataclass(frozen=True)
class _Preparation:
    """All that GPTQ needs, except the weights."""

    plan: gptq_solver.Plan
    dtype: torch.dtype
    pieces: list[Piece]


class _Work:
    """Carries out one request, step by step."""

    def __init__(
        self, request: QuantizeRequest, request_id: int, sender: Sender, inbox: Inbox
    ) -> None:
        self._request = request
        self._id = request_id
        self._sender = sender
        self._inbox = inbox
        self._progress = LoadProgress(sender, 0.0)
        self._began = time.monotonic()
        transformers_logging.disable_progress_bar()

    def measure(self) -> Estimate:
        """Return the estimated time, memory and disk space of the copy."""
        request = self._request
        checkpoint, device = self._check()
        if request.to is not Precision.GPTQ:
            return rough_estimate(request, checkpoint)
        with readable(Path(request.folder)) as folder:
            ready = self._prepare(checkpoint, device, folder)
            with self._progress.activity(Activity.MEASURING_LAYER):
                return gptq_solver.measure(
                    request,
                    checkpoint,
                    ready.plan,
                    folder,
                    ready.pieces,
                    ready.dtype,
                    lambda blocks, passes: Passes(
                        blocks, passes, self._is_cancelled, lambda _: None
                    ),
                )

    def quantize(self) -> QuantizedModel:
        """Write the copy and describe it."""
        checkpoint, device = self._check()
        memory.reset_peak(device.id)
        if self._request.to is Precision.GPTQ:
            return self._gptq(checkpoint, device)
        weights = self._load(self._request.to)
        computed_in = str(weights.model.dtype).removeprefix("torch.")
        _check_saving(verify(weights.model)[0], self._request.to)
        return self._write(weights, checkpoint, device, computed_in, ())

    def _gptq(self, checkpoint: Checkpoint, device: DeviceFacts) -> QuantizedModel:
        with readable(Path(self._request.folder)) as folder:
            ready = self._prepare(checkpoint, device, folder)
        weights = self._load(Precision.FP32 if ready.dtype == torch.float32 else Precision.BF16)
        model = weights.model
        passes = Passes(
            ready.plan.blocks(model),
            ready.plan.passes(self._request.samples),
            self._is_cancelled,
            lambda progress: self._sender.send(Quantizing(self._id, progress)),
        )
        with self._progress.activity(Activity.CALIBRATING):
            quantizer = gptq_solver.quantize(model, self._request, ready.pieces, passes)
        stored = torch.float16 if checkpoint.stored_dtype == "f16" else torch.bfloat16
        gptq_solver.finish(model, quantizer, stored)
        computed_in = str(ready.dtype).removeprefix("torch.")
        return self._write(weights, checkpoint, device, computed_in, tuple(passes.layer_s))

    def _check(self) -> tuple[Checkpoint, DeviceFacts]:
        request = self._request
        checkpoint = check_request(request)
        # A load checks this too, but GPTQ runs the model's code before it.
        loading.check_agreement(request)
        libraries.required(request.to)
        if request.threads > 0:
            torch.set_num_threads(request.threads)
        return checkpoint, devices.check_device(request.device)

    def _prepare(self, checkpoint: Checkpoint, device: DeviceFacts, folder: Path) -> _Preparation:
        """Plan GPTQ and read the calibration text. Raises PlaygroundError where GPTQ cannot run.

        `folder` is the model's as the libraries can read it.
        """
        request = self._request
        for library in ("gptqmodel", "optimum.gptq"):
            with self._progress.activity(Activity.IMPORTING, library):
                importlib.import_module(library)
        plan = gptq_solver.make_plan(request, folder)
        if 0 < checkpoint.context_length < request.length:
            raise OptionsError(
                f"The model reads {checkpoint.context_length} tokens at once, and a piece of text "
                f"has {request.length}.",
                f"Choose pieces of at most {checkpoint.context_length} tokens.",
            )
        tokenizer = loading.load_tokenizer(folder, trust=bool(request.trust_remote_code))
        text = read_calibration(request.calibration_file)
        return _Preparation(
            plan=plan,
            dtype=self._dtype(checkpoint, device, plan),
            pieces=pieces(
                PromptEncoder(tokenizer),
                text,
                request.samples,
                request.length,
                lambda: "cancelled" if self._is_cancelled() else "",
            ),
        )

    def _dtype(
        self, checkpoint: Checkpoint, device: DeviceFacts, plan: gptq_solver.Plan
    ) -> torch.dtype:
        """Return fp32 if it fits, for exact Hessians, else bf16. Raises EngineError."""
        free = devices.available_bytes(device)
        for dtype in (torch.float32, torch.bfloat16):
            needed = gptq_solver.memory_needed(self._request, checkpoint, plan, dtype)
            if needed <= free or not free:
                return dtype
        if self._request.insist:
            return torch.bfloat16
        raise EngineError(
            f"Making this GPTQ version needs {size_text(needed)} of memory, and "
            f"{size_text(free)} are free on {device.id}.",
            "Choose fewer or shorter texts or a smaller model, unload lanes, or close other "
            "programs.",
        )

    def _is_cancelled(self) -> bool:
        return self._inbox.is_cancelled(self._id)

    def _check_cancelled(self) -> None:
        if self._is_cancelled():
            raise InterruptedForwardError("cancelled")

    def _load(self, precision: Precision) -> loading.Weights:
        self._check_cancelled()
        request = self._request
        weights = loading.load(
            LoadRequest(
                name=request.name,
                folder=request.folder,
                commit=request.commit,
                precision=precision,
                device=request.device,
                threads=request.threads,
                trust_remote_code=request.trust_remote_code,
                code=request.code,
                # GPTQ has checked the memory itself: it needs more than a load.
                insist=request.insist or request.to is Precision.GPTQ,
            ),
            self._progress,
        )
        self._check_cancelled()
        return weights

    def _write(
        self,
        weights: loading.Weights,
        checkpoint: Checkpoint,
        device: DeviceFacts,
        computed_in: str,
        layer_s: tuple[float, ...],
    ) -> QuantizedModel:
        request = self._request
        self._check_cancelled()
        with self._progress.activity(Activity.WRITING), self._new_folder() as partial:
            weights.model.save_pretrained(partial, max_shard_size=_SHARD)
            weights.tokenizer.save_pretrained(partial)
            files = list(partial.glob("*.safetensors"))
            for path in files:
                path.chmod(0o644)  # safetensors writes files that only their owner can read
            copy = QuantizedModel(
                folder=request.output,
                precision=request.to,
                weight_bytes=sum(path.stat().st_size for path in files),
                source_bytes=checkpoint.weight_bytes,
                seconds=time.monotonic() - self._began,
                peak_memory_bytes=memory.peak(device.id),
                layer_s=layer_s,
            )
            verified = verify(weights.model)[0]
            text = card(request, copy, verified, computed_in, device.name, libraries.versions())
            (partial / "README.md").write_text(text, "utf-8")
            self._check_cancelled()
        return copy

    @contextlib.contextmanager
    def _new_folder(self) -> Iterator[Path]:
        """Yield a temporary folder; rename it after the block, or remove it after an error."""
        output = Path(self._request.output)
        partial = partial_folder(output, os.getpid())
        with contextlib.ExitStack() as stack:
            try:
                output.parent.mkdir(parents=True, exist_ok=True)
                sweep(output.parent)
                stack.enter_context(held_folder(partial))
            except OSError as error:
                raise OptionsError(
                    f"Nothing can be written into {output.parent}: {error.strerror}.",
                    "Choose another folder.",
                    str(error),
                ) from error
            self._inbox.at_end = lambda: shutil.rmtree(partial, ignore_errors=True)
            try:
                yield partial
                partial.rename(output)
            finally:
                self._inbox.at_end = lambda: None
