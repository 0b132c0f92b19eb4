"""Chooses the decode step on the CPU: checks candidates against the model's forward, times them."""

from __future__ import annotations

import logging
import time

import torch
from transformers import PreTrainedModel

from playground.engine.cpu_step.build import library
from playground.engine.cpu_step.kernels import NativeKernels, Tensor
from playground.engine.cpu_step.step import FusedStep, JoinedModel, is_fusible
from playground.engine.decoding.cached_loop import ForwardStep, Step
from playground.engine.decoding.fastest import Choice, fastest
from playground.engine.decoding.kv_cache import KVCache

log = logging.getLogger(__name__)

_PROMPT = 12  # tokens before the timed steps
_STEPS = 3


class DisagreementError(Exception):
    """A step's logits differ from the model's by more than rounding."""


def choose_step(model: PreTrainedModel, context: int, last: str = "") -> Choice[Step]:
    """Return the fastest step whose logits agree with the model's forward, itself a candidate.

    The model's forward must have run once: some kernels repack their weights at the first call.
    Nothing is timed where no fused step exists, or where `context` (in tokens, 0: unknown) is
    shorter than a trial. `last` is the name of the step that the last load took, which is taken
    again while it is nearly as fast. A step that fails is left out, and is among the choice's
    failures. Raises what the model's forward raises.
    """
    forward = ForwardStep(model)
    if not is_fusible(model) or (context and context < _PROMPT + _STEPS):
        return Choice(forward, {}, {})
    trial = Trial(model, context, forward)
    try:
        steps = fused_steps(model, context)
    except Exception as error:
        choice: Choice[Step] = Choice(forward, {}, {"fused step": error.with_traceback(None)})
    else:
        choice = fastest([forward, *steps], trial, last)
    for name, failure in choice.failures.items():
        log.warning("%s is not used: %s", name, failure)
    return choice


def fused_steps(model: PreTrainedModel, context: int) -> list[Step]:
    """Return the fused steps of a fusible model, from all torch operations to all native kernels.

    Joins the model's linear layers: their weights become views of joined ones.
    """
    joined, compiled = JoinedModel(model), library()
    kernels = NativeKernels(compiled) if compiled else None
    steps = [
        FusedStep(joined, context),
        FusedStep(joined, context, attention=kernels),
        FusedStep(joined, context, linear=kernels, attention=kernels),
    ]
    # Steps of one name are the same: no kernel takes the model's tensors, or none is compiled.
    return list({step.name: step for step in steps}.values())


class Trial:
    """Runs a few decode steps, checks their logits against the model's forward, and times them."""

    def __init__(self, model: PreTrainedModel, context: int, forward: ForwardStep) -> None:
        """Compute the expected logits. Raises what the model's forward raises."""
        self._model = model
        self._forward = forward
        vocabulary = int(model.config.vocab_size)
        ids = [(7 * i + 3) % vocabulary for i in range(_PROMPT + _STEPS)]
        self._tokens = ids[_PROMPT:]
        self._cache = KVCache(model, context)
        with torch.inference_mode():
            forward.read(ids[:_PROMPT], self._cache)
            self._expected, self._forward_times = self._run(forward)

    @torch.inference_mode()
    def __call__(self, step: Step) -> list[float]:
        """Return the seconds of each step. Raises DisagreementError, and what the step raises."""
        if step is self._forward and self._forward_times:
            times, self._forward_times = self._forward_times, []
            return times
        logits, times = self._run(step)
        for found, expected in zip(logits, self._expected, strict=True):
            difference = float((found.float() - expected.float()).abs().max())
            allowed = summation_noise(self._model, expected)
            if not difference <= allowed:  # NaN fails too
                raise DisagreementError(
                    f"its logits differ from the model's by {difference:.3g}, "
                    f"and rounding explains {allowed:.3g}"
                )
        return times

    def _run(self, step: Step) -> tuple[list[Tensor], list[float]]:
        """Return the logits after each token, and the seconds of each step."""
        self._cache.truncate(_PROMPT)
        logits, times = [], []
        for token in self._tokens:
            began = time.perf_counter()
            logits.append(step(token, self._cache))
            times.append(time.perf_counter() - began)
        return logits, times


def summation_noise(model: PreTrainedModel, logits: Tensor) -> float:
    """Return how far logits [1, vocabulary] may differ between two reduction orders.

    A sum of n terms in fp32 has an error of about sqrt(n) roundings (2 ** -24 each), and its
    result one rounding of the model's dtype (bf16: 2 ** -8). Each layer computes four such results
    in sequence (attention, its output, gate_up, down); independent errors add up as the root of
    their number (N. Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 2.8).
    Scaled by the largest logit. Measured on random Llamas of 2 to 30 layers: up to 0.6 of this in
    bf16, 0.1 in fp32; a wrong layer differs by about the logits' size.
    """
    config = model.config
    terms = max(int(config.hidden_size), int(config.intermediate_size))
    rounding = torch.finfo(logits.dtype).eps / 2 + 2**-24 * terms**0.5
    results = 4 * int(config.num_hidden_layers) + 1
    return float(rounding * results**0.5 * float(logits.abs().max()))
