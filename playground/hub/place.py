"""Names the Hub and the cache to use."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class HubPlace:
    """A Hub's address and a cache folder; empty values leave them to environment variables."""

    endpoint: str = ""
    cache: Path | None = None
