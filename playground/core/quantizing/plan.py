"""Checks a request for a quantized copy, estimates its cost, and names and clears its folder."""

from __future__ import annotations

import shutil
from pathlib import Path

from playground.core.errors import FileError, ModelError, OptionsError
from playground.core.format import human_count, size_text
from playground.core.memory import plan as memory_plan
from playground.core.model.checkpoint import Checkpoint, precision_reasons, read_checkpoint
from playground.core.precision import Precision
from playground.core.quantizing.request import Estimate, QuantizeRequest
from playground.core.system import paths
from playground.core.system.reader import file_size, read_bytes
from playground.core.system.temporary import UNFINISHED

_DISK_RESERVE = 64 * 2**20
_MAX_CALIBRATION = 64 * 10**6
#: Operations a second of slow and fast devices, for the calculated range.
_SPEEDS = {"cpu": (1e10, 5e11), "gpu": (2e12, 2e14)}


def default_name(request: QuantizeRequest) -> str:
    """Return the new folder's name: `<model>-gptq-4bit-128g`, `<model>-int8`, `<model>-nf4`."""
    model = request.name.rsplit("/", 1)[-1] or "model"
    if request.to is not Precision.GPTQ:
        return f"{model}-{request.to.value}"
    group = f"-{request.group_size}g" if request.group_size > 0 else ""
    extras = ("-actorder" if request.act_order else "") + ("" if request.symmetric else "-asym")
    return f"{model}-gptq-{request.bits}bit{group}{extras}"


def default_output(request: QuantizeRequest) -> Path:
    """Return the folder for a copy where the user names none: in the model library."""
    return paths.library_dir() / default_name(request)


def check_request(request: QuantizeRequest, free_disk: int | None = None) -> Checkpoint:
    """Check all that can be checked without torch; return the model's description.

    `free_disk` (bytes) replaces the disk's own figure. Raises ModelError or OptionsError.
    """
    request.check()
    checkpoint = read_plain(Path(request.folder), request.name)
    if request.to is not Precision.GPTQ and (
        reason := precision_reasons(checkpoint, request.device, None)[request.to]
    ):
        raise ModelError(reason, "Choose GPTQ, or keep the model as it is.")
    output = Path(request.output)
    if not output.is_absolute() or not output.name:
        raise OptionsError("The new folder needs an absolute path.", "Name a folder.")
    if output.exists() or output.is_symlink():
        raise OptionsError(
            f"There is already a folder {output.name} in {output.parent}.",
            "Choose another name, or delete that folder.",
        )
    needed = disk_bytes(request, checkpoint) + _DISK_RESERVE
    free = _free_disk(output) if free_disk is None else free_disk
    if needed > free:
        raise OptionsError(
            f"The copy needs {size_text(needed)}, and {size_text(free)} are free on the disk "
            f"with {output.parent}.",
            "Free some space, or choose a folder on another disk.",
        )
    if request.to is Precision.GPTQ:
        read_calibration(request.calibration_file)
    return checkpoint


def read_plain(folder: Path, name: str) -> Checkpoint:
    """Describe a model that can be quantized. Raises ModelError where it already is."""
    checkpoint = read_checkpoint(folder)
    if checkpoint.quantization:
        raise ModelError(
            f"{name} is quantized already ({checkpoint.quantization}).",
            "Choose the model it was made from, in bf16, fp16 or fp32.",
        )
    return checkpoint


def read_calibration(path: Path) -> str:
    """Return a calibration file's text. Raises OptionsError where it cannot serve as one."""
    try:
        data = read_bytes(path, _MAX_CALIBRATION) if file_size(path) <= _MAX_CALIBRATION else None
    except FileError as error:
        raise OptionsError(
            f"The calibration text cannot be read: {error.message}",
            "Choose a text file that you have permission to read.",
        ) from error
    if data is None:
        raise OptionsError(
            f"The calibration text {path.name} is larger than {size_text(_MAX_CALIBRATION)}.",
            "Use a part of it: a few hundred kilobytes are enough.",
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise OptionsError(
            f"The calibration file {path.name} is not a text file.",
            "Choose a plain text file in UTF-8.",
        )
    if not text.strip():
        raise OptionsError(
            f"The calibration text {path.name} is empty.",
            "Choose a text like those that the model will read.",
        )
    return text


def disk_bytes(request: QuantizeRequest, checkpoint: Checkpoint) -> int:
    """Return the calculated size of the copy: linear layers at the target, the rest in bf16."""
    sizes = checkpoint.sizes
    if request.to is not Precision.GPTQ:
        return sizes.weights(request.to).total
    # Each group adds an fp16 scale and a packed zero.
    group = request.group_size if request.group_size > 0 else 1024
    bits = request.bits + (16 + request.bits) / group
    return int(sizes.linear_values * bits / 8) + 2 * sum(sizes.rest.values())


def operations(request: QuantizeRequest, checkpoint: Checkpoint) -> float:
    """Return the floating-point operations of GPTQ's passes over the calibration text.

    Each linear layer of a block (7 in most models) takes one pass of the block over all samples,
    and one more pass feeds the next block: 8 passes at 2 operations for each weight and token.
    The Hessians and their inverses are not counted.
    """
    return 2.0 * checkpoint.sizes.linear_values * request.samples * request.length * 8


def rough_estimate(request: QuantizeRequest, checkpoint: Checkpoint) -> Estimate:
    """Return a wide calculated range, for the time before anything is measured."""
    disk = disk_bytes(request, checkpoint)
    if request.to is not Precision.GPTQ:
        return Estimate(
            least_s=0.0,
            most_s=0.0,
            memory_bytes=load_bytes(request, checkpoint, request.to),
            disk_bytes=disk,
            basis="Calculated. It takes as long as loading the model at this precision and "
            "writing the files.",
        )
    work = operations(request, checkpoint)
    slow, fast = _SPEEDS["cpu" if request.device == "cpu" else "gpu"]
    return Estimate(
        least_s=work / fast,
        most_s=work / slow,
        memory_bytes=load_bytes(request, checkpoint, Precision.FP32) + disk,
        disk_bytes=disk,
        basis=f"Calculated, not measured yet: {human_count(round(work))} operations at "
        f"{human_count(round(slow))} to {human_count(round(fast))} a second; memory for the model "
        "in fp32 and the packed weights.",
    )


def load_bytes(request: QuantizeRequest, checkpoint: Checkpoint, precision: Precision) -> int:
    """Return the peak, in bytes, of loading the model at a precision with the target's library."""
    budget = memory_plan.DeviceBudget(device=request.device)
    loaded, target = (
        memory_plan.plan(checkpoint.sizes, each, budget, memory_plan.SHORTEST)
        for each in (precision, request.to)
    )
    return loaded.peak - loaded.process + target.process


def partial_folder(output: Path, pid: int) -> Path:
    """Return the hidden folder in which the engine of this process id writes a copy."""
    return output.with_name(f".{output.name}.{pid}{UNFINISHED}")


def remove_partial(output: Path, pid: int) -> None:
    """Remove the partial copy of an engine that was killed."""
    shutil.rmtree(partial_folder(output, pid), ignore_errors=True)


def _free_disk(output: Path) -> int:
    folder = output.parent
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free
