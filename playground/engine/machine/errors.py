"""Translates a library's exception into a message for the user, with a remedy."""

from __future__ import annotations

import re
import traceback

import torch
from safetensors import SafetensorError

from playground.core.errors import (
    EngineError,
    MemoryShortageError,
    ModelError,
    PlaygroundError,
    RemoteCodeError,
)
from playground.core.protocol import Failed

_NO_MEMORY = re.compile(
    r"not enough memory|can't allocate memory|cannot allocate memory|out of memory|std::bad_alloc",
    re.IGNORECASE,
)
_MEMORY_REMEDY = "Choose a smaller model or precision, or unload another lane."
_AGAIN = "Download the model again, or choose another one."


def failure(error: BaseException, doing: str, device: str, request_id: int | None = None) -> Failed:
    """Return the event that reports an error; `doing` starts a sentence ("Generating").

    Clears the traceback's frames, which would keep the model's tensors alive.
    """
    shown = explain(error, doing, device)
    traceback.clear_frames(error.__traceback__)
    return Failed(
        encodable(shown.message),
        encodable(shown.remedy),
        encodable(shown.detail),
        request_id=request_id,
        alive=not is_fatal(error),
        may_insist=isinstance(error, MemoryShortageError),
        remote_code=isinstance(shown, RemoteCodeError),
    )


def explain(error: BaseException, doing: str, device: str = "cpu") -> PlaygroundError:
    """Return the error to show, with the traceback in its detail.

    `doing` names the failed activity, as the start of a sentence ("Loading the model").
    """
    found = error if isinstance(error, PlaygroundError) else _translate(error, doing, device)
    if found is None:
        found = EngineError(
            f"{doing} failed with an error of a library, which the details show.",
            "Try another precision, decoder or model.",
        )
    found.detail = found.detail or "".join(traceback.format_exception(error))
    return found


def encodable(text: str) -> str:
    """Return a text for a message: names of files may hold bytes that are no text."""
    return text.encode("utf-8", "replace").decode("utf-8")


def is_explained(error: BaseException) -> bool:
    """Return whether `explain` has a sentence for this error."""
    return isinstance(error, PlaygroundError) or _translate(error, "", "") is not None


def may_be_files(error: BaseException) -> bool:
    """Return whether damaged files of a model can be the reason of a library's error."""
    return not (
        isinstance(error, PlaygroundError | ImportError)
        or is_out_of_memory(error)
        or is_fatal(error)
        or _about_the_code(_text(error))
    )


def is_fatal(error: BaseException) -> bool:
    """Return whether the process cannot continue: a CUDA context does not recover."""
    if isinstance(error, torch.cuda.OutOfMemoryError):
        return False
    accelerator_error = getattr(torch, "AcceleratorError", ())
    return isinstance(error, accelerator_error) or "CUDA error" in _text(error)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether memory ran out, on the device or in the machine."""
    return isinstance(error, MemoryError | torch.cuda.OutOfMemoryError) or (
        isinstance(error, RuntimeError | OSError) and bool(_NO_MEMORY.search(_text(error)))
    )


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # of a model's own code
        return type(error).__name__


def _translate(error: BaseException, doing: str, device: str) -> PlaygroundError | None:
    """Return what an error of a library means; None where that is unknown."""
    text = _text(error)
    if is_out_of_memory(error):
        where = "This machine" if device == "cpu" else f"The device {device}"
        return EngineError(
            f"{where} has not enough memory: {_lower(doing)} failed.", _MEMORY_REMEDY
        )
    if is_fatal(error):
        return EngineError(
            f"The device {device} reported an error: {_lower(doing)} failed.",
            "Load the model again; if it happens again, choose another precision or device.",
        )
    if isinstance(error, SafetensorError):
        return ModelError("The model's weights are damaged: safetensors cannot read them.", _AGAIN)
    if isinstance(error, ImportError):
        return _missing_library(error)
    return _about_the_code(text) or _about_the_files(text)


def _missing_library(error: ImportError) -> PlaygroundError:
    text = str(error)
    if any(name in text for name in ("gptqmodel", "optimum")):
        return ModelError(
            "GPTQ needs the libraries gptqmodel and optimum.",
            'Run `pip install "language-model-playground[gptq]"`.',
        )
    if "bitsandbytes" in text:
        return ModelError(
            "int8 and NF4 need the library bitsandbytes.", 'Run `pip install "bitsandbytes>=0.50"`.'
        )
    advice = re.search(r"pip install ([\w.\-\[\] ]+)", text)
    name = error.name or (advice[1].strip() if advice else "")
    if not name:
        return ModelError(
            f"A library that this model needs cannot be used: {_first_line(text)}",
            "Install the library that the details name.",
        )
    return ModelError(f"This model needs the library {name}.", f"Run `pip install {name}`.")


def _about_the_code(text: str) -> PlaygroundError | None:
    """Explain errors about the code that runs the model; None for others."""
    if "trust_remote_code" in text:
        return RemoteCodeError(
            "This model brings its own code, and you have not agreed to run it.",
            "Look at the code in the model's repository, and agree to its commit if you trust it.",
        )
    unknown = re.search(r"model type `([^`]*)`", text)
    if unknown and "does not recognize" in text:
        return ModelError(
            f"The architecture {unknown[1][:80]!r} is unknown to the installed transformers.",
            "Update transformers (`pip install -U transformers`), or choose another model.",
        )
    if "Unrecognized model in" in text or "should have a `model_type`" in text:
        return ModelError(
            "The model's config.json names no architecture that transformers knows.",
            "Choose a model whose config.json has a model_type, or update transformers.",
        )
    if "Unrecognized configuration class" in text:
        return ModelError(
            "This is no text-generation model: transformers has no causal language model for it.",
            "Choose a model made for text generation.",
        )
    return None


def _about_the_files(text: str) -> PlaygroundError | None:
    """Explain errors about the files of the model's folder; None for others."""
    lower = text.lower()
    if "size mismatch" in lower or "mismatched" in lower:
        return ModelError(
            "The model's weights do not have the shapes that its config.json gives.", _AGAIN
        )
    if "no file named" in lower:
        return ModelError("The model's folder has no weights in the safetensors format.", _AGAIN)
    return None


def _first_line(text: str) -> str:
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return line if len(line) <= 300 else f"{line[:297]}…"


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
