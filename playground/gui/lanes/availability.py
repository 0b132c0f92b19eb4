"""What a lane can be set to on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from playground.core.precision import Precision


@dataclass(frozen=True)
class Availability:
    """The choices that a lane's header offers for its present model, device and environment.

    `reasons` says of every precision why it is unavailable, "" where it is available. `devices`
    are pairs of id and name, `environments` and `servers` pairs of name and description.
    `capability` is that of the lane's device, as in DeviceFacts.
    """

    model: str = ""  # its name
    reasons: Mapping[Precision, str] = field(default_factory=dict)
    devices: tuple[tuple[str, str], ...] = ()
    capability: str = ""
    environments: tuple[tuple[str, str], ...] = ()
    servers: tuple[tuple[str, str], ...] = ()
