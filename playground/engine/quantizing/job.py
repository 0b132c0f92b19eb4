"""Writes quantized copies of models: GPTQ calibrated here, int8 and NF4 saved as loaded."""

from __future__ import annotations

import gc
import importlib
import os
import shutil
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers.utils import logging as transformers_logging

from playground.core.errors import EngineError, OptionsError, RemoteCodeError
from playground.core.facts import DeviceFacts, LoadRequest
from playground.core.format import size_text
from playground.core.model.checkpoint import Checkpoint
from playground.core.precision import Precision
from playground.core.protocol import (
    Activity,
    Estimated,
    Failed,
    MeasureQuantizing,
    Quantize,
    Quantized,
    Quantizing,
)
from playground.core.quantize import Estimate, LayerProgress, QuantizedModel, QuantizeRequest
from playground.core.quantizing.card import card
from playground.core.quantizing.plan import (
    check_request,
    partial_folder,
    read_calibration,
    rough_estimate,
    sweep_partials,
)
from playground.core.system.machine import machine_memory
from playground.engine.decoding.interruption import InterruptedForwardError
from playground.engine.loading import load as loading
from playground.engine.machine import libraries, memory
from playground.engine.machine.devices import check_device
from playground.engine.machine.errors import explain, is_fatal
from playground.engine.quantizing import gptq_solver as quantizing_gptq
from playground.engine.quantizing.calibration import pieces
from playground.engine.quantizing.passes import Passes
from playground.engine.wire.inbox import Inbox
from playground.engine.wire.progress import LoadProgress
from playground.engine.wire.sender import Sender

#: Bytes of one weights file at most.
_SHARD = "5GB"


def carry_out(command: MeasureQuantizing | Quantize, sender: Sender, inbox: Inbox) -> Failed | None:
    """Measure or write a copy and send what came of it; return the failure to report."""
    work = _Work(command.request, command.request_id, sender, inbox)
    measuring = isinstance(command, MeasureQuantizing)
    found: Any
    try:
        found = work.measure() if measuring else work.quantize()
    except InterruptedForwardError:
        found = None
    except Exception as error:
        doing = "Measuring a layer" if measuring else "Quantizing"
        shown = explain(error, doing, command.request.device)
        # Frames of the traceback hold the model's tensors.
        traceback.clear_frames(error.__traceback__)
        return Failed(
            shown.message,
            shown.remedy,
            shown.detail,
            request_id=command.request_id,
            alive=not is_fatal(error),
            remote_code=isinstance(shown, RemoteCodeError),
        )
    finally:
        del work
        gc.collect()
        if torch.cuda.is_available() and torch.cuda.is_initialized():
            torch.cuda.empty_cache()
    sender.send(
        Estimated(command.request_id, found) if measuring else Quantized(command.request_id, found)
    )
    return None


class _Work:
    """One request, step by step."""

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
        """Tell what the copy would cost."""
        request = self._request
        checkpoint, device = self._check()
        if request.to is not Precision.GPTQ:
            return rough_estimate(request, checkpoint)
        what, dtype, folder, texts = self._prepare(checkpoint, device)
        with self._progress.activity(Activity.MEASURING_LAYER):
            return quantizing_gptq.measure(
                request, checkpoint, what, folder, texts, dtype, self._passes(tell=False)
            )

    def quantize(self) -> QuantizedModel:
        """Write the copy."""
        checkpoint, device = self._check()
        memory.reset_peak()
        if self._request.to is Precision.GPTQ:
            return self._gptq(checkpoint, device)
        weights = self._load(self._request.to)
        computed_in = str(weights.model.dtype).removeprefix("torch.")
        return self._write(weights, checkpoint, device, computed_in, ())

    def _gptq(self, checkpoint: Checkpoint, device: DeviceFacts) -> QuantizedModel:
        what, dtype, _, texts = self._prepare(checkpoint, device)
        weights = self._load(Precision.FP32 if dtype == torch.float32 else Precision.BF16)
        model = weights.model
        passes = what.passes(self._request.samples)
        watch = self._passes(tell=True)(quantizing_gptq.blocks(model, what), passes)
        with self._progress.activity(Activity.CALIBRATING):
            quantizer = quantizing_gptq.quantize(model, self._request, texts, watch)
        stored = torch.float16 if checkpoint.stored_dtype == "f16" else torch.bfloat16
        quantizing_gptq.finish(model, quantizer, stored)
        computed_in = str(dtype).removeprefix("torch.")
        return self._write(weights, checkpoint, device, computed_in, tuple(watch.layer_s))

    def _check(self) -> tuple[Checkpoint, DeviceFacts]:
        request = self._request
        checkpoint = check_request(request)
        loading.check_agreement(request)  # GPTQ runs the model's code before it loads the weights
        probes = libraries.probes()
        for library in request.to.libraries:
            probe = probes.get(library)
            if probe is not None and not probe.ok:
                raise EngineError(
                    f"{request.to.label} cannot be made here: {probe.detail}", probe.remedy
                )
        if request.threads > 0:
            torch.set_num_threads(request.threads)
        return checkpoint, check_device(request.device)

    def _prepare(
        self, checkpoint: Checkpoint, device: DeviceFacts
    ) -> tuple[quantizing_gptq.Plan, torch.dtype, Path, list[dict[str, Any]]]:
        """Everything GPTQ needs but the weights: plan, dtype, folder, pieces of text."""
        request = self._request
        for library in ("gptqmodel", "optimum.gptq"):
            with self._progress.activity(Activity.IMPORTING, library):
                importlib.import_module(library)
        folder = Path(request.folder)
        what = quantizing_gptq.plan(request, folder)
        if 0 < checkpoint.context_length < request.length:
            raise OptionsError(
                f"The model reads {checkpoint.context_length} tokens at once, and a piece of text "
                f"has {request.length}.",
                f"Choose pieces of at most {checkpoint.context_length} tokens.",
            )
        tokenizer = loading.tokenizer(folder, trust=bool(request.trust_remote_code))
        text = read_calibration(request.calibration_file)
        texts = pieces(tokenizer, text, request.samples, request.length)
        return what, self._dtype(checkpoint, device, what), folder, texts

    def _dtype(
        self, checkpoint: Checkpoint, device: DeviceFacts, what: quantizing_gptq.Plan
    ) -> torch.dtype:
        """fp32 where it fits, because the Hessians come from what it computes; else bf16."""
        free = device.free_bytes + (machine_memory().swap if device.id == "cpu" else 0)
        for dtype in (torch.float32, torch.bfloat16):
            needed = quantizing_gptq.memory_needed(self._request, checkpoint, what, dtype)
            if needed <= free or not free:
                return dtype
        if self._request.insist:
            return torch.bfloat16
        raise EngineError(
            f"Making this GPTQ version needs {size_text(needed)}, and {size_text(free)} "
            f"of memory are free on {device.id}.",
            "Choose fewer or shorter texts or a smaller model, unload lanes, or close other "
            "programs.",
        )

    def _passes(self, *, tell: bool) -> Callable[[list[Any], list[int]], Passes]:
        def report(progress: LayerProgress) -> None:
            if tell:
                self._sender.send(Quantizing(self._id, progress))

        def watch(blocks: list[Any], passes: list[int]) -> Passes:
            return Passes(blocks, passes, self._is_cancelled, report)

        return watch

    def _is_cancelled(self) -> bool:
        return self._inbox.is_cancelled(self._id)

    def _go_on(self) -> None:
        if self._is_cancelled():
            raise InterruptedForwardError("cancelled")

    def _load(self, precision: Precision) -> loading.Weights:
        self._go_on()
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
                # GPTQ has looked at the memory itself, which is more than a load's.
                insist=request.insist or request.to is Precision.GPTQ,
            ),
            self._progress,
        )
        self._go_on()
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
        self._go_on()
        with self._progress.activity(Activity.WRITING), self._new_folder() as partial:
            weights.model.save_pretrained(partial, max_shard_size=_SHARD)
            weights.tokenizer.save_pretrained(partial)
            files = list(partial.glob("*.safetensors"))
            for path in files:
                path.chmod(0o644)  # safetensors lets only its owner read what it writes
            made = QuantizedModel(
                folder=request.output,
                precision=request.to,
                weight_bytes=sum(path.stat().st_size for path in files),
                source_bytes=checkpoint.weight_bytes,
                seconds=time.monotonic() - self._began,
                peak_memory_bytes=self._peak(device),
                layer_s=layer_s,
            )
            text = card(request, made, computed_in, device.name, libraries.versions())
            (partial / "README.md").write_text(text, "utf-8")
            self._go_on()
        return made

    def _peak(self, device: DeviceFacts) -> int:
        if device.id == "cpu":
            return memory.peak_resident()
        return int(torch.cuda.max_memory_allocated(device.id))

    @contextmanager
    def _new_folder(self) -> Iterator[Path]:
        """A folder that gets its name when it is whole, and is gone where it never becomes so."""
        output = Path(self._request.output)
        partial = partial_folder(output, os.getpid())
        try:
            output.parent.mkdir(parents=True, exist_ok=True)
            sweep_partials(output.parent)
            partial.mkdir()
        except OSError as error:
            raise OptionsError(
                f"Nothing can be written into {output.parent}: {error.strerror}.",
                "Choose another folder.",
                str(error),
            ) from error
        remove = _remover(partial)
        self._inbox.at_end = remove
        try:
            yield partial
            partial.rename(output)
        finally:
            self._inbox.at_end = lambda: None
            remove()


def _remover(folder: Path) -> Callable[[], None]:
    return lambda: shutil.rmtree(folder, ignore_errors=True)
