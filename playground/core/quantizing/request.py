"""A request for a quantized copy; its cost, its progress and its result."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from playground.core.choices import BITS, GROUP_SIZES, LENGTHS, SAMPLES, TARGETS
from playground.core.errors import OptionsError
from playground.core.precision import Precision
from playground.core.system.resources import resource


class QuantizeRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Everything an engine needs to write a quantized copy of a model.

    `folder` is the model's resolved local folder, `output` the folder to create. The options
    from `bits` to `length` are GPTQ's; `calibration` is a UTF-8 text file ("": the shipped
    sample), of which `samples` pieces of `length` tokens are used. `trust_remote_code` is the
    commit whose code the user agreed to run, or "", and `code` the hash of that code. `insist`
    goes on even where memory seems too small.
    """

    name: str
    folder: str
    commit: str
    output: str
    to: Precision = Precision.GPTQ
    bits: int = 4
    group_size: int = 128
    act_order: bool = False
    symmetric: bool = True
    calibration: str = ""
    samples: int = 64
    length: int = 512
    device: str = "cpu"
    threads: int = 0
    trust_remote_code: str = ""
    code: str = ""
    insist: bool = False

    def check(self) -> None:
        """Raise OptionsError that names the value and what is allowed."""
        if self.to not in TARGETS:
            names = ", ".join(target.value for target in TARGETS)
            raise OptionsError(
                f"A copy cannot be saved as {self.to.label}.", f"Choose one of: {names}."
            )
        if self.to is not Precision.GPTQ:
            return
        _check_choice("Bits", self.bits, BITS)
        _check_choice("The group size", self.group_size, GROUP_SIZES)
        for what, value, (least, most) in (
            ("The number of texts", self.samples, SAMPLES),
            ("The length of a text", self.length, LENGTHS),
        ):
            if not least <= value <= most:
                raise OptionsError(
                    f"{what} is {value}.", f"Give a whole number from {least} to {most}."
                )

    @property
    def calibration_file(self) -> Path:
        return Path(self.calibration) if self.calibration else shipped_sample()


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """What a quantized copy costs.

    It takes `least_s` to `most_s` seconds (both 0 where unknown). `memory_bytes` is the engine's
    peak, `disk_bytes` the size of the new folder. `basis` says what was measured and what was
    calculated.
    """

    least_s: float
    most_s: float
    memory_bytes: int
    disk_bytes: int
    basis: str


class LayerProgress(msgspec.Struct, frozen=True, kw_only=True):
    """GPTQ works on layer `layer` (counted from 1) of `layers`.

    `fraction` goes from 0 to 1 over all layers. `elapsed_s` and `left_s` are seconds since the
    start and to the end, the latter estimated from the work so far and None before there is
    any. `layer_s` is the time of the last complete layer, 0 before there is one.
    """

    layer: int
    layers: int
    fraction: float
    elapsed_s: float
    left_s: float | None
    layer_s: float = 0.0


class QuantizedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A finished quantized copy. Sizes in bytes; `layer_s`: seconds of each layer."""

    folder: str
    precision: Precision
    weight_bytes: int
    source_bytes: int
    seconds: float
    peak_memory_bytes: int
    layer_s: tuple[float, ...] = ()


def shipped_sample() -> Path:
    """Return the calibration text shipped with the playground: passages of 22 English works."""
    return resource("calibration", "classics.txt")


def _check_choice(what: str, value: int, allowed: Sequence[int]) -> None:
    if value not in allowed:
        choices = ", ".join(str(choice) for choice in allowed)
        raise OptionsError(f"{what}: {value} is not possible.", f"Choose one of: {choices}.")
