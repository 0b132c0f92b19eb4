"""Chooses a model's decoder: the CUDA-graph loop, the cached loop, or transformers' `generate`."""

from __future__ import annotations

import gc
import inspect
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from playground.engine.decoding.decoder import Decoder, Tell, silent
from playground.engine.decoding.fastest import Candidate, Choice, fastest
from playground.engine.decoding.generate import GenerateDecoder
from playground.engine.decoding.interruption import InterruptedForwardError
from playground.engine.decoding.kept_choice import keep_choice, kept_choice
from playground.engine.machine import compat
from playground.engine.machine.errors import is_fatal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import PreTrainedModel

    from playground.core.choices import DecoderChoice
    from playground.engine.cuda_graph.graph_loop import GraphDecoder
    from playground.engine.cuda_graph.graph_step import Capture

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ChosenDecoder:
    """A decoder, and how it was chosen.

    `note` tells the user why a faster kind was not possible, "" if none was. `step_seconds` are
    the seconds per step of each candidate that was timed at load, by name.
    """

    decoder: Decoder
    note: str = ""
    step_seconds: dict[str, float] = field(default_factory=dict)


def choose_decoder(
    model: PreTrainedModel,
    eos_ids: frozenset[int],
    context: int,
    choice: DecoderChoice,
    tell: Tell = silent,
    captures: Sequence[Capture] | None = None,
    key: str = "",
) -> ChosenDecoder:
    """Return the fastest decoder whose logits agree with the model's forward.

    A decoder that fails steps aside, and the note names it; `generate` is the last.

    The model's forward must have run once: some kernels repack their weights at the first call.
    `context` in tokens, 0: unknown. `captures` are the ways to capture a step in a CUDA graph;
    None: those of the model's device. `key` stands for the model and all else that decides which
    step is fast: with it, a later load makes the same choice.
    """
    if choice == "generate":
        return ChosenDecoder(GenerateDecoder(model, eos_ids))
    reason = _needs_generate(model)
    if reason:
        note = f"Decoded by transformers' generate: the cached loop {reason}."
        return ChosenDecoder(GenerateDecoder(model, eos_ids), note)
    # These modules need the cache classes of transformers 5.
    from playground.engine.cpu_step.choose_step import DisagreementError, choose_step
    from playground.engine.cuda_graph.captures import captures_for
    from playground.engine.decoding.cached_loop import CachedDecoder

    notes: list[str] = []
    last = kept_choice(key) if key else ""
    try:
        if captures is None:
            captures, note = captures_for(model)
            notes += [note] if note else []
        if captures:
            captured, failures = _fastest_captured(model, eos_ids, context, tell, captures, last)
            notes += [f"One way to capture the decode step failed: {_cause(e)}" for e in failures]
            if captured.taken is not None:
                _keep(key, captured)
                return ChosenDecoder(captured.taken, " ".join(notes), captured.seconds)
        step = choose_step(model, context, last)
        _keep(key, step)
        # Rounding alone may make logits differ, where activations are quantized for example.
        failed = {n: e for n, e in step.failures.items() if not isinstance(e, DisagreementError)}
        notes += [f"The {name} is not used: {_cause(error)}" for name, error in failed.items()]
        decoder = CachedDecoder(model, eos_ids, context, step.taken)
        return ChosenDecoder(decoder, " ".join(notes), step.seconds)
    except InterruptedForwardError:
        raise
    except Exception as error:
        return instead_of(error, model, eos_ids)


def instead_of(error: Exception, model: PreTrainedModel, eos_ids: frozenset[int]) -> ChosenDecoder:
    """Return transformers' `generate` after a faster decoder's error. Raises a lost device's."""
    if is_fatal(error):
        raise error
    log.warning("decoding falls back to generate", exc_info=error)
    note = f"Decoded by transformers' generate: a faster decoder failed: {_cause(error)}"
    return ChosenDecoder(GenerateDecoder(model, eos_ids), note)


def _needs_generate(model: PreTrainedModel) -> str:
    """Return why the cached loop cannot serve a model; "" if it can."""
    if not compat.MODERN:
        return "needs transformers 5"
    from playground.engine.decoding.kv_cache import can_keep_cache

    reason = can_keep_cache(model)
    if not reason and "logits_to_keep" not in inspect.signature(model.forward).parameters:
        reason = "a forward that always computes the logits of every token"
    return f"does not serve {reason}" if reason else ""


def _fastest_captured(
    model: PreTrainedModel,
    eos_ids: frozenset[int],
    context: int,
    tell: Tell,
    captures: Sequence[Capture],
    last: str,
) -> tuple[Choice[GraphDecoder], list[Exception]]:
    """Capture the step in each way, and choose the fastest; release the others' memory.

    Also return the errors of the ways that failed. Raises where the device is lost.
    """
    from playground.engine.cuda_graph.captures import still_works
    from playground.engine.cuda_graph.graph_loop import GraphDecoder

    failures: list[Exception] = []
    decoders: list[GraphDecoder] = []
    for capture in captures:
        try:
            decoders.append(GraphDecoder(model, eos_ids, context, capture, tell))
        except InterruptedForwardError:
            raise
        except Exception as error:
            if not still_works(model.device):
                raise
            # The frames of its traceback would keep the decoder's memory.
            failures.append(error.with_traceback(None))
    if len(decoders) > 1:
        tell("timing the captured steps")
    choice = fastest(decoders, GraphDecoder.time_steps, last)
    failures += choice.failures.values()
    if failures and not still_works(model.device):
        raise failures[-1]
    decoders.clear()
    gc.collect()
    # Before torch 2.12 emptying the cache raises after a failed capture.
    if model.device.type == "cuda" and not failures:
        torch.cuda.empty_cache()
    return choice, failures


def _keep(key: str, choice: Choice[Candidate]) -> None:
    # One candidate alone was not chosen.
    if key and choice.taken is not None and len(choice.seconds) > 1:
        keep_choice(key, choice.taken.name)


def _cause(error: Exception) -> str:
    """Return an error's first line as a sentence."""
    line = next(iter(str(error).splitlines()), "") or type(error).__name__
    return line if line.endswith(".") else f"{line}."
