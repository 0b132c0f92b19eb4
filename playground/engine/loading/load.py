"""Loads a checkpoint at a precision, or raises an error that explains why it cannot."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    GPTQConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from playground.core.errors import ModelError, RemoteCodeError
from playground.core.facts import DeviceFacts, LoadRequest
from playground.core.memory import plan as memory_plan
from playground.core.memory.corrections import MeasuredLoad, record_load
from playground.core.memory.headroom import device_budget
from playground.core.model import foreign
from playground.core.model.checkpoint import (
    Checkpoint,
    precision_reasons,
    precision_remedy,
    read_checkpoint,
)
from playground.core.model.remote_code import check_reviewable, read_code
from playground.core.precision import Precision
from playground.core.protocol import Activity
from playground.core.quantizing.request import QuantizeRequest
from playground.engine.loading import auto_gptq, diagnose, gptq, gptq_int4
from playground.engine.loading.bitsandbytes_layers import (
    check_kept,
    give_rows,
    kept_layers,
    leave_unpackable,
)
from playground.engine.loading.folders import readable
from playground.engine.loading.int8_weight_only import make_weight_only
from playground.engine.machine import compat, devices, libraries, memory
from playground.engine.machine.errors import is_out_of_memory, may_be_files
from playground.engine.prompts.process import PromptEncoder
from playground.engine.wire.progress import LoadProgress

_DTYPES = {
    Precision.FP32: torch.float32,
    Precision.BF16: torch.bfloat16,
    Precision.FP16: torch.float16,
}


@dataclass(frozen=True)
class Weights:
    """A model and its tokenizer, just loaded; `notes` are for the user."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    prompts: PromptEncoder
    checkpoint: Checkpoint
    device: DeviceFacts
    notes: list[str]


def load(request: LoadRequest, progress: LoadProgress) -> Weights:
    """Load the requested model. Raises PlaygroundError or whatever a library raises."""
    with progress.activity(Activity.READING_WEIGHTS):
        checkpoint = read_checkpoint(Path(request.folder))
        _check_precision(checkpoint, request.precision)
        needed = libraries.required(request.precision)
        check_agreement(request)
        device = devices.check_device(request.device)
        if not request.insist:
            _check_memory(request, checkpoint, device)
        if request.threads > 0:
            torch.set_num_threads(request.threads)
        for library in needed:
            with progress.activity(Activity.IMPORTING, library):
                importlib.import_module(library)
        with readable(Path(request.folder)) as folder:
            tokenizer = load_tokenizer(folder, trust=bool(request.trust_remote_code))
            prompts = PromptEncoder(tokenizer)
            loader = _Loader(request, checkpoint, device, progress, folder)
            loader.notes += foreign.notes(Path(request.folder))
            model = loader.load()
    check_kept(model, Path(request.folder))
    if request.precision is Precision.INT8_WEIGHT_ONLY:
        make_weight_only(model)
    if (left := leave_unpackable(model)) and device.id == "cpu":
        loader.notes.append(
            f"{left} of the 4-bit layers have a shape that bitsandbytes cannot pack for this "
            "processor's products: their weights are unpacked for every token."
        )
    give_rows(model)
    model.eval()
    return Weights(model, tokenizer, prompts, checkpoint, device, loader.notes)


def load_tokenizer(folder: Path, *, trust: bool) -> PreTrainedTokenizerBase:
    """Load a model's tokenizer. Raises ModelError where it cannot be loaded."""
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=trust)
    except BaseException as error:
        if not may_be_files(error):
            raise
        raise diagnose.tokenizer_fault(folder, trust=trust) from error


class _Loader:
    """Loads one model as its precision requires; `notes` are for the user."""

    def __init__(
        self,
        request: LoadRequest,
        checkpoint: Checkpoint,
        device: DeviceFacts,
        progress: LoadProgress,
        folder: Path,
    ) -> None:
        self._request = request
        self._checkpoint = checkpoint
        self._device = device
        self._progress = progress
        self._folder = folder
        self.notes: list[str] = []

    def load(self) -> PreTrainedModel:
        """Return the model. Raises ModelError or whatever a library raises."""
        precision = self._request.precision
        if precision is Precision.GPTQ:
            return self._gptq()
        if precision.is_plain or self._checkpoint.quantization:
            return self._from_pretrained(self._dtype)
        with self._progress.activity(Activity.QUANTIZING):
            how = _bitsandbytes(precision, kept_layers(self._checkpoint.model_type))
            return self._from_pretrained(self._dtype, how)

    @property
    def _dtype(self) -> torch.dtype:
        """The dtype of weights that are not quantized, and of activations."""
        if self._request.precision.is_plain:
            return _DTYPES[self._request.precision]
        old_gpu = self._device.id != "cpu" and self._device.capability < "8"
        return torch.float16 if old_gpu else torch.bfloat16

    def _auto_class(self) -> Any:  # the auto classes share no annotated base
        """Return the class that loads the model: whole where it reads images, too.

        transformers has a language model alone for some vision-language models only. The others
        answer a text without an image by their language part.
        """
        if not compat.MODERN:
            return AutoModelForCausalLM
        from transformers import (
            MODEL_FOR_CAUSAL_LM_MAPPING,
            MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING,
            AutoModelForImageTextToText,
        )

        trust = bool(self._request.trust_remote_code)
        kind = type(
            AutoConfig.from_pretrained(self._folder, local_files_only=True, trust_remote_code=trust)
        )
        causal = kind in MODEL_FOR_CAUSAL_LM_MAPPING
        if causal or kind not in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING:
            return AutoModelForCausalLM
        self.notes.append("A vision-language model: the playground gives it no images.")
        return AutoModelForImageTextToText

    def _from_pretrained(
        self, dtype: torch.dtype, quantization: BitsAndBytesConfig | GPTQConfig | None = None
    ) -> PreTrainedModel:
        # Passing None would override a checkpoint's own quantization_config.
        how = {} if quantization is None else {"quantization_config": quantization}
        with self._progress.weights():
            # With loading info, transformers returns a pair, which its annotations leave out.
            loaded: Any = self._auto_class().from_pretrained(
                self._folder,
                device_map={"": self._request.device},
                local_files_only=True,
                use_safetensors=True,
                trust_remote_code=bool(self._request.trust_remote_code),
                output_loading_info=True,
                **compat.dtype_argument(dtype),
                **how,
            )
        model: PreTrainedModel
        model, report = loaded
        unexpected = gptq.without_leftovers(self._folder, report.get("unexpected_keys", ()))
        auto_gptq.check_missing(report.get("missing_keys", ()), unexpected)
        if unexpected:
            self.notes.append(
                f"{len(unexpected)} tensors of the files belong to no part of the model and were "
                f"left out, for example {unexpected[0]}."
            )
        return model

    def _gptq(self) -> PreTrainedModel:
        """Load a GPTQ checkpoint with the fastest kernel that runs here."""
        request = self._request
        settings = gptq.read_settings(self._folder)
        if not compat.MODERN:
            model, note = auto_gptq.load(
                self._folder, settings, request.device, trust=bool(request.trust_remote_code)
            )
            self.notes.append(note)
            return model
        *faster, last = gptq.kernels(settings, request.device)
        for kernel in faster:
            try:
                return self._with_kernel(settings.bits, kernel)
            except ModelError:
                raise
            except Exception as error:
                if is_out_of_memory(error):
                    raise
                name = "torch's int4 matmul" if kernel.int4 else kernel.backend
                cause = next(iter(str(error).splitlines()), "") or type(error).__name__
                self.notes.append(f"The kernel {name} cannot run here: {cause}")
            memory.release()  # the failed attempt's model, before the next one is loaded
        return self._with_kernel(settings.bits, last)

    def _with_kernel(self, bits: int, kernel: gptq.Kernel) -> PreTrainedModel:
        model = self._from_pretrained(kernel.dtype, GPTQConfig(bits=bits, backend=kernel.backend))
        if kernel.int4:
            with self._progress.activity(Activity.WARMING_UP, "repacking the weights"):
                gptq_int4.repack(model)
        gptq.run_uncompiled(model)
        # Other kernels are compiled at their first call, which can take minutes.
        with self._progress.activity(Activity.WARMING_UP, "building the kernel"):
            gptq.try_kernel(model)
        self.notes += [kernel.note] if kernel.note else []
        return model


def _bitsandbytes(precision: Precision, kept: list[str] | None) -> BitsAndBytesConfig:
    """Return how to quantize; `kept` are the names of layers to be left, None for the library's."""
    if precision in (Precision.INT8, Precision.INT8_WEIGHT_ONLY):
        return BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=kept)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=torch.bfloat16,
        llm_int8_skip_modules=kept,
    )


def _check_precision(checkpoint: Checkpoint, precision: Precision) -> None:
    """Raise ModelError where the checkpoint cannot be loaded at the precision."""
    if precision is Precision.GPTQ and not checkpoint.quantization:
        raise ModelError(
            "This model is not GPTQ-quantized.", "Choose a GPTQ checkpoint of it, or bf16 here."
        )
    reasons = precision_reasons(checkpoint, "cpu", None)
    if reason := reasons[precision]:
        possible = [other for other, why in reasons.items() if not why]
        raise ModelError(reason, precision_remedy(checkpoint, possible))


def check_agreement(request: LoadRequest | QuantizeRequest) -> None:
    """Raise RemoteCodeError unless the model's code is the code that the user agreed to.

    Without any agreement, return at once: transformers then refuses to run the code.
    """
    agreed = request.trust_remote_code
    if not agreed:
        return
    code = read_code(Path(request.folder))
    if agreed not in (request.commit or agreed, code.version):
        raise RemoteCodeError(
            f"You agreed to run the code of commit {agreed[:12]}, not of {request.commit[:12]}.",
            "Look at this commit's code, and agree to it if you trust it.",
        )
    check_reviewable(code)
    if request.code and request.code != code.digest:
        raise RemoteCodeError(
            "The model's code has changed since you agreed to run it.",
            "Look at it again, and agree to it if you trust it.",
        )


def _check_memory(request: LoadRequest, checkpoint: Checkpoint, device: DeviceFacts) -> None:
    """Raise MemoryShortageError if the model cannot fit: the system would kill this process."""
    # The plan includes what this process uses already, which is not free any more.
    used = memory.resident() if device.id == "cpu" else 0
    budget = device_budget(device, used)
    plan = memory_plan.plan(checkpoint.sizes, request.precision, budget, memory_plan.SHORTEST)
    if device.free_bytes and plan.needed > devices.available_bytes(device) + used:
        raise memory_plan.shortage(request.name, plan, device.free_bytes + used)


def compare(weights: Weights, precision: Precision, tokens: int, before: int, peak: int) -> int:
    """Return the predicted peak memory of a load in bytes, and record the measured one.

    `tokens` is the length of the warm-up that ended the load, `before` the memory of this process
    before it, `peak` the most since then; both in bytes.
    """
    budget, sizes = device_budget(weights.device, before), weights.checkpoint.sizes
    plan = memory_plan.plan(sizes, precision, budget, tokens)
    # A GPU's allocator does not see the CUDA context.
    measured = peak - plan.pages + plan.unread if budget.on_cpu else peak + plan.process
    if measured > 0:
        uncorrected = plan.needed - plan.correction
        load = MeasuredLoad(precision, uncorrected, measured, sizes.family)
        record_load(weights.device.name, load)
    return plan.peak if budget.on_cpu else plan.needed - plan.process
