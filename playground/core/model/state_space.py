"""The memory that layers with a selective state space take, worked out from a config.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from playground.core.model.counts import positive_int

_FP32 = 4  # bytes; transformers scans in fp32 whatever the weights' dtype
#: Arrays of (channel, state) for every token that Mamba's scan holds: A and B discretized, and B·x.
_MAMBA = 3
#: Arrays of (head, token, token) within a chunk that Mamba-2's scan holds at its widest point …
_CHUNK = 4
#: … and its arrays of (head, state) for every token: B and C repeated for each head, and copies.
_MAMBA2 = 6


@dataclass(frozen=True)
class StateSpace:
    """What transformers' own scan takes, of the layer that takes most.

    `token_bytes`: for each token of a prompt, which is rounded up to whole chunks of `chunk`
    tokens. `channels`: the width of the layer's activations.
    """

    token_bytes: int
    chunk: int
    channels: int

    def scan_bytes(self, tokens: int) -> int:
        """Return the bytes that the scan of a prompt stores for a moment."""
        return self.token_bytes * -(-tokens // self.chunk) * self.chunk


def state_space(config: Mapping[str, Any]) -> StateSpace | None:
    """Return what the scan of a model's layers takes; None where no layer has a state space.

    Counted in transformers' torch code, which runs where mamba_ssm's kernels do not.
    """
    hidden = positive_int(config, "hidden_size", "d_model")
    state = positive_int(config, "state_size", "mamba_d_state", "ssm_state_size")
    if not hidden or not state:
        return None
    expand = positive_int(config, "expand", "mamba_expand") or 2
    heads = positive_int(config, "mamba_n_heads", "mamba_num_heads", "n_mamba_heads")
    if str(config.get("model_type")) == "mamba2":
        heads = positive_int(config, "num_heads")
    if not heads:
        channels = positive_int(config, "intermediate_size") if "expand" in config else 0
        channels = channels or expand * hidden
        return StateSpace(_MAMBA * channels * state * _FP32, 1, channels)
    channels = heads * positive_int(config, "mamba_d_head", "mamba_head_dim", "head_dim")
    chunk = positive_int(config, "chunk_size", "mamba_chunk_size") or 256
    token = heads * (_CHUNK * chunk + _MAMBA2 * state) * _FP32
    return StateSpace(token, chunk, channels or expand * hidden)
