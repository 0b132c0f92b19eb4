"""Loads a checkpoint at a precision, and says clearly why it cannot."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig, GPTQConfig

from playground.core.errors import ModelError, RemoteCodeError
from playground.core.facts import DeviceFacts, LoadRequest
from playground.core.memory import plan as memory_plan
from playground.core.memory.corrections import MeasuredLoad, record_load
from playground.core.memory.headroom import device_budget
from playground.core.model.checkpoint import Checkpoint, precision_reasons, read_checkpoint
from playground.core.model.remote_code import check_reviewable, read_code
from playground.core.precision import Precision
from playground.core.protocol import Activity
from playground.core.quantize import QuantizeRequest
from playground.core.system.machine import machine_memory
from playground.engine.loading import auto_gptq, gptq, gptq_int4
from playground.engine.loading.folders import readable
from playground.engine.loading.int8_weight_only import make_weight_only
from playground.engine.machine import compat, libraries, memory
from playground.engine.machine.devices import check_device
from playground.engine.machine.errors import explain_tokenizer, is_out_of_memory
from playground.engine.wire.progress import LoadProgress

_DTYPES = {
    Precision.FP32: torch.float32,
    Precision.BF16: torch.bfloat16,
    Precision.FP16: torch.float16,
}


@dataclass
class Weights:
    """A model and its tokenizer, just loaded, and what the user should know about the load."""

    model: Any
    tokenizer: Any
    checkpoint: Checkpoint
    device: DeviceFacts
    notes: list[str] = field(default_factory=list)


def load(request: LoadRequest, progress: LoadProgress) -> Weights:
    """Load what the request asks for. Raises PlaygroundError or whatever a library raises."""
    with progress.activity(Activity.READING_WEIGHTS):
        checkpoint = read_checkpoint(Path(request.folder))
        _check_precision(checkpoint, request.precision)
        check_agreement(request)
        device = check_device(request.device)
        if not request.insist:
            _check_memory(request, checkpoint, device)
        if request.threads > 0:
            torch.set_num_threads(request.threads)
        _import_libraries(request.precision, progress)
        with readable(Path(request.folder)) as folder:
            found = tokenizer(folder, trust=bool(request.trust_remote_code))
            weights = Weights(None, found, checkpoint, device)
            _load_weights(weights, request, progress, folder)
    if request.precision is Precision.INT8_WEIGHT_ONLY:
        make_weight_only(weights.model)
    weights.model.eval()
    return weights


def _load_weights(
    weights: Weights, request: LoadRequest, progress: LoadProgress, folder: Path
) -> None:
    dtype = _dtype(request, weights.device)
    if request.precision is Precision.GPTQ:
        _load_gptq(weights, request, progress, folder)
    elif request.precision.is_plain or weights.checkpoint.quantization:
        _from_pretrained(weights, request, progress, folder, dtype)
    else:
        with progress.activity(Activity.QUANTIZING):
            _from_pretrained(
                weights,
                request,
                progress,
                folder,
                dtype,
                quantization_config=_bitsandbytes(request.precision),
            )


def tokenizer(folder: Path, *, trust: bool) -> Any:
    """Load a model's tokenizer. Raises ModelError where it has none that works."""
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=trust)
    except Exception as error:
        raise explain_tokenizer(error) from error


def _from_pretrained(
    weights: Weights,
    request: LoadRequest,
    progress: LoadProgress,
    folder: Path,
    dtype: torch.dtype,
    **how: Any,
) -> None:
    with progress.weights():
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            folder,
            device_map={"": request.device},
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=bool(request.trust_remote_code),
            output_loading_info=True,
            **compat.dtype_argument(dtype),
            **how,
        )
    model, report = loaded
    auto_gptq.check_missing(report.get("missing_keys", ()))
    if unexpected := sorted(report.get("unexpected_keys", ())):
        weights.notes.append(
            f"{len(unexpected)} tensors of the files belong to no part of the model, "
            f"{unexpected[0]} for one, and were left out."
        )
    weights.model = model


def _load_gptq(
    weights: Weights, request: LoadRequest, progress: LoadProgress, folder: Path
) -> None:
    settings = gptq.read_settings(folder)
    if not compat.MODERN:
        weights.model, note = auto_gptq.load(
            folder, settings, request.device, trust=bool(request.trust_remote_code)
        )
        weights.notes.append(note)
        return
    choices = gptq.kernels(settings, request.device)
    for kernel in choices:
        try:
            _from_pretrained(
                weights,
                request,
                progress,
                folder,
                kernel.dtype,
                quantization_config=GPTQConfig(bits=settings.bits, backend=kernel.backend),
            )
            if kernel.int4:
                with progress.activity(Activity.WARMING_UP, "repacking the weights"):
                    gptq_int4.repack(weights.model)
            # Some kernels are compiled at their first call, which can take minutes.
            with progress.activity(Activity.WARMING_UP, "building the kernel"):
                gptq.try_kernel(weights.model)
        except Exception as error:
            last = kernel is choices[-1]
            if last or is_out_of_memory(error) or isinstance(error, ModelError):
                raise
            name = "torch's int4 product" if kernel.int4 else kernel.backend
            cause = next(iter(str(error).splitlines()), "") or type(error).__name__
            weights.notes.append(f"The kernel {name} cannot run here: {cause}")
            weights.model = None
        else:
            weights.notes += [kernel.note] if kernel.note else []
            return


def _dtype(request: LoadRequest, device: DeviceFacts) -> torch.dtype:
    """The dtype of everything that is not quantized."""
    if request.precision.is_plain:
        return _DTYPES[request.precision]
    old_gpu = device.id != "cpu" and device.capability < "8"
    return torch.float16 if old_gpu else torch.bfloat16


def _bitsandbytes(precision: Precision) -> Any:
    if precision in (Precision.INT8, Precision.INT8_WEIGHT_ONLY):
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16
    )


def _check_precision(checkpoint: Checkpoint, precision: Precision) -> None:
    if precision is Precision.GPTQ and not checkpoint.quantization:
        raise ModelError(
            "This model is not GPTQ-quantized.", "Choose a GPTQ checkpoint of it, or bf16 here."
        )
    if reason := precision_reasons(checkpoint, "cpu", None)[precision]:
        raise ModelError(reason, "Choose a precision that this model offers.")
    # Looking for libraries takes milliseconds, of which a load from the page cache has few.
    probes = libraries.probes() if precision.libraries else {}
    for library in precision.libraries:
        if library in probes and not probes[library].ok:
            raise ModelError(
                f"{precision.label} cannot run: {probes[library].detail}", probes[library].remedy
            )


def _import_libraries(precision: Precision, progress: LoadProgress) -> None:
    """Import what only this precision needs; it takes seconds, which are not the weights'."""
    probes = libraries.probes() if precision.libraries else {}
    for library in precision.libraries:
        if library not in probes:
            continue
        with progress.activity(Activity.IMPORTING, library):
            importlib.import_module(library)


def check_agreement(request: LoadRequest | QuantizeRequest) -> None:
    """Raise RemoteCodeError where the model's code is not what the user agreed to, if to any."""
    agreed = request.trust_remote_code
    if not agreed:
        return
    if request.commit and agreed != request.commit:
        raise RemoteCodeError(
            f"You agreed to run the code of commit {agreed[:12]}, not of {request.commit[:12]}.",
            "Look at this commit's code, and agree to it if you trust it.",
        )
    code = read_code(Path(request.folder))
    check_reviewable(code)
    if request.code and request.code != code.digest:
        raise RemoteCodeError(
            "The model's code is not the one any more that you agreed to run.",
            "Look at it again, and agree to it if you trust it.",
        )


def _check_memory(request: LoadRequest, checkpoint: Checkpoint, device: DeviceFacts) -> None:
    """Refuse what cannot fit: on a CPU the system would kill this process, or others.

    Swap counts here, as it keeps the system from killing; the refusal tells memory only.
    """
    on_cpu = device.id == "cpu"
    # This process has its libraries already.
    held = memory.resident() if on_cpu else 0
    budget = device_budget(device, held)
    made = memory_plan.plan(checkpoint.sizes, request.precision, budget, memory_plan.SHORTEST)
    free = device.free_bytes + held
    swap = machine_memory().swap if on_cpu else 0
    if device.free_bytes and made.needed > free + swap:
        raise memory_plan.shortage(request.name, made, free)


def compare(weights: Weights, precision: Precision, tokens: int, before: int, peak: int) -> int:
    """Return the peak that was predicted for a load, and record the one that was measured.

    The load ended with a warm-up of so many `tokens`; `before` is what this process held
    before it, in bytes.
    """
    budget = device_budget(weights.device, before)
    made = memory_plan.plan(weights.checkpoint.sizes, precision, budget, tokens)
    # The allocator of a GPU does not see the context of CUDA.
    measured = peak - made.pages if budget.on_cpu else peak + made.process
    if measured > 0:
        uncorrected = made.needed - made.correction
        record_load(weights.device.name, MeasuredLoad(precision, uncorrected, measured))
    return made.peak if budget.on_cpu else made.needed - made.process
