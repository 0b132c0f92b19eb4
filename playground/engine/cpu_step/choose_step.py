"""The choice of a decode step on the CPU: checked against the model's forward, and timed."""

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

_PROMPT = 12  # tokens
_STEPS = 3


class DisagreementError(Exception):
    """A step's logits are not the model's."""


def choose_step(model: PreTrainedModel, context: int) -> Choice[Step]:
    """Return the fastest step whose logits agree with the model's forward, which is one of them.

    The model's forward has run before: some kernels repack their weights at their first call.
    Raises what the model's forward raises.
    """
    forward = ForwardStep(model)
    if not is_fusible(model) or (context and context < _PROMPT + _STEPS):
        return Choice(forward, {}, {})
    choice = fastest([forward, *fused_steps(model, context)], Trial(model, context, forward))
    for name, error in choice.failures.items():
        log.warning("%s is not used: %s", name, error)
    return choice


def fused_steps(model: PreTrainedModel, context: int) -> list[Step]:
    """Return the fused steps there are, from torch's operations to native kernels throughout."""
    joined, compiled = JoinedModel(model), library()
    kernels = NativeKernels(compiled) if compiled else None
    steps = [
        FusedStep(joined, context),
        FusedStep(joined, context, attention=kernels),
        FusedStep(joined, context, linear=kernels, attention=kernels),
    ]
    # Where no kernel takes a model's tensors, two of them are the same.
    return list({step.name: step for step in steps}.values())


class Trial:
    """Runs a few steps: returns the seconds of each, and compares logits with the forward's."""

    def __init__(self, model: PreTrainedModel, context: int, forward: ForwardStep) -> None:
        """Raises what the model's forward raises."""
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
        """Raises DisagreementError, and what the step raises."""
        if step is self._forward and self._forward_times:
            times, self._forward_times = self._forward_times, []
            return times
        found, times = self._run(step)
        for ours, theirs in zip(found, self._expected, strict=True):
            apart = float((ours.float() - theirs.float()).abs().max())
            allowed = summation_noise(self._model, theirs)
            if not apart <= allowed:  # so that NaN fails
                raise DisagreementError(
                    f"its logits differ from the model's by {apart:.3g}, rounding by {allowed:.3g}"
                )
        return times

    def _run(self, step: Step) -> tuple[list[Tensor], list[float]]:
        """Return the logits after each token, and the seconds it took."""
        self._cache.truncate(_PROMPT)
        logits, times = [], []
        for token in self._tokens:
            began = time.perf_counter()
            logits.append(step(token, self._cache))
            times.append(time.perf_counter() - began)
        return logits, times


def summation_noise(model: PreTrainedModel, logits: Tensor) -> float:
    """Return how far two reduction orders may put logits [1, vocabulary] apart.

    A sum of n terms in fp32 differs by about the root of n roundings of fp32 (2 ** -24), and
    its result by one rounding of the model's dtype (bf16: 2 ** -8). Every layer computes four
    such results one after the other (attention and its output, gate_up and down), and
    independent errors add up as the root of their number. Relative to the largest logit.
    Measured on random Llamas of 2 to 30 layers: up to 0.6 of this in bf16, 0.1 in fp32; a wrong
    layer is off by the logits' size.
    """
    config = model.config
    terms = max(int(config.hidden_size), int(config.intermediate_size))
    rounding = torch.finfo(logits.dtype).eps / 2 + 2**-24 * terms**0.5
    results = 4 * int(config.num_hidden_layers) + 1
    return float(rounding * results**0.5 * float(logits.abs().max()))
