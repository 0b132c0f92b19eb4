"""Which Hub and which cache are used."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class HubPlace:
    """A Hub's address and a cache folder; empty values stand for the environment's."""

    endpoint: str = ""
    cache: Path | None = None
