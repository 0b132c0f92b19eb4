"""Which decoders a load can be asked for; the command line's help needs no more than this."""

from __future__ import annotations

from typing import Literal

DecoderChoice = Literal["auto", "generate"]
