"""Which Hub is asked, and which cache is used."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class HubPlace:
    """Which Hub and which cache; empty values are what the environment says."""

    endpoint: str = ""
    cache: Path | None = None
