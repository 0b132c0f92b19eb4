"""Reports library versions, and whether a precision's libraries are usable, without imports."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from importlib import metadata

from playground.core.errors import ModelError
from playground.core.facts import Probe
from playground.core.precision import Precision

_REPORTED = (
    "torch",
    "transformers",
    "tokenizers",
    "safetensors",
    "accelerate",
    "bitsandbytes",
    "gptqmodel",
    "optimum",
    "auto_gptq",
)


@dataclass(frozen=True)
class _Need:
    """A library's minimum version, how to install it, and further libraries that it needs."""

    least: tuple[int, ...]
    remedy: str
    also: tuple[str, ...] = ()


_GPTQ_REMEDY = 'Run `pip install "language-model-playground[gptq]"`.'
_OLD_REMEDY = "Choose the playground's own environment for this precision."
_NEEDS = {
    "bitsandbytes": _Need(
        (0, 50), 'Run `pip install "bitsandbytes>=0.50" "accelerate>=1.0"`.', ("accelerate",)
    ),
    "gptqmodel": _Need((7, 3), _GPTQ_REMEDY),
    "optimum": _Need((2, 3), _GPTQ_REMEDY),
}

#: With transformers before 5, which neither gptqmodel nor a current bitsandbytes supports.
_OLD_NEEDS = {
    "auto_gptq": _Need((0, 7), "Create it anew with `playground env create auto-gptq`."),
}


def versions() -> dict[str, str]:
    """Return the installed versions by distribution name, without those that are missing."""
    found = {name: _version(name) for name in _REPORTED}
    return {name: version for name, version in found.items() if version}


def probes() -> dict[str, Probe]:
    """Return whether each library can be used, by its name, with a remedy if it cannot."""
    if _numbers(_version("transformers"))[:1] >= (5,):
        return {name: _probe(name, need) for name, need in _NEEDS.items()}
    return {name: _probe(name, need) for name, need in _OLD_NEEDS.items()} | {
        "bitsandbytes": Probe(
            False,
            f"bitsandbytes needs transformers 5, and {_version('transformers')} is installed.",
            _OLD_REMEDY,
        )
    }


def required(precision: Precision) -> list[str]:
    """Return the import names of the libraries that a precision needs in this environment.

    Raises ModelError if one is missing or too old.
    """
    # Probing takes milliseconds, as long as a load from the page cache.
    found = probes() if precision.libraries else {}
    names = [name for name in precision.libraries if name in found]
    for name in names:
        if not found[name].ok:
            raise ModelError(
                f"{precision.label} cannot be used here: {found[name].detail}", found[name].remedy
            )
    return names


def _probe(name: str, need: _Need) -> Probe:
    for library in (name, *need.also):
        if not _version(library) or importlib.util.find_spec(library) is None:
            return Probe(False, f"{library} is not installed.", need.remedy)
    version = _version(name)
    if _numbers(version) < need.least:
        least = ".".join(map(str, need.least))
        return Probe(False, f"{name} {version} is too old, {least} is needed.", need.remedy)
    return Probe(True, f"{name} {version}")


def _version(name: str) -> str:
    try:
        return metadata.version(name) or ""
    except metadata.PackageNotFoundError:
        return ""


def _numbers(version: str) -> tuple[int, ...]:
    release = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(part) for part in release[0].split(".")) if release else ()
