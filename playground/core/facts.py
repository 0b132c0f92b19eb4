"""The values an engine reports: its devices, the model it loaded, and an answer with its stamp."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from playground.core.choices import DecoderChoice
from playground.core.floor import Floor
from playground.core.format import percent_text, seconds_text
from playground.core.generation import GenerationOptions, Timing
from playground.core.precision import Precision
from playground.core.servers import CountedBy, ServerFacts, ServerRequest


class DeviceFacts(msgspec.Struct, frozen=True):
    """A device that can run a model. Sizes in bytes; `id` is torch's name ("cpu", "cuda:0")."""

    id: str
    name: str
    total_bytes: int
    free_bytes: int
    capability: str = ""  # CUDA compute capability "9.0", or the CPU's relevant instruction sets


class Probe(msgspec.Struct, frozen=True):
    """Whether a library that a precision needs works here, and the remedy where it does not."""

    ok: bool
    detail: str = ""
    remedy: str = ""


class EngineFacts(msgspec.Struct, frozen=True):
    """An engine's environment: devices, library versions, and probes by library name.

    `process_bytes` is the resident set of the engine before it loads a model, 0 where unknown.

    Probe keys: "bitsandbytes", and "gptqmodel" and "optimum" or, where transformers is older than
    5, "auto_gptq".
    """

    python: str
    devices: tuple[DeviceFacts, ...]
    versions: dict[str, str]
    probes: dict[str, Probe]
    process_bytes: int = 0


class ModelSpec(msgspec.Struct, frozen=True):
    """The model that a lane runs.

    `source` is "bundled", a folder or a Hub id; `revision` a Hub branch, tag or commit, "" for
    the default branch.
    """

    source: str = "bundled"
    revision: str = ""


class LoadRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Everything an engine needs to load a model.

    `folder` is the resolved local folder of the checkpoint (the client resolves sources, the
    engine reads folders only). `name` and `commit` are for the stamp. `trust_remote_code` is
    the commit the user agreed to, or "", and `code` the hash of the code they saw. `insist`
    loads also what memory seems too small for. `decoder` "generate" keeps to transformers' own
    loop, "auto" takes the fastest decoder whose logits agree with the model's forward.
    `environment` names the engine's Python for the stamp, "" is the playground's own. `server`
    is where the model runs, None on this machine: `name` is then the server's name for it, and
    `folder` is "".
    """

    name: str
    folder: str
    commit: str
    precision: Precision
    device: str = "cpu"
    threads: int = 0  # CPU threads; 0: the library's own choice
    trust_remote_code: str = ""
    code: str = ""
    warm_up: bool = True
    insist: bool = False
    decoder: DecoderChoice = "auto"
    environment: str = ""
    server: ServerRequest | None = None


class VerifiedPrecision(msgspec.Struct, frozen=True, kw_only=True):
    """What was counted in the loaded model, as opposed to what was requested.

    `modules` counts linear layers by kind ("int8 (bitsandbytes)", "NF4 (bitsandbytes)",
    "GPTQ 4-bit", "bf16", …); `bytes_by_dtype` sums parameters and buffers by storage dtype;
    `skipped` names linear layers left in another kind than most (usually "lm_head").
    `weights` are the bytes of the weights inside the blocks, experts included, by the short names
    of the kinds, the largest first; `unquantized` says why some of them are plain in a quantized
    model, "" where none are. `precision` is what most of these bytes amount to, None: unknown.
    """

    precision: Precision | None
    modules: dict[str, int]
    bytes_by_dtype: dict[str, int]
    skipped: tuple[str, ...] = ()
    weights: dict[str, int] = {}
    unquantized: str = ""

    #: Kinds with a smaller share of the bytes are not worth a word.
    LEAST_SHARE: ClassVar[float] = 0.01

    @property
    def weight_bytes(self) -> int:
        return sum(self.bytes_by_dtype.values())

    @property
    def shares(self) -> dict[str, float]:
        """The share of the blocks' bytes by kind, of those worth a word; {} where not counted."""
        total = sum(self.weights.values())
        shares = {kind: size / total for kind, size in self.weights.items() if total}
        return {kind: share for kind, share in shares.items() if share >= self.LEAST_SHARE}

    @property
    def text(self) -> str:
        """What the blocks' weights are stored as: "int8", or "bf16 94%, int8 6%"."""
        if len(shares := self.shares) > 1:
            return ", ".join(f"{kind} {percent_text(share)}" for kind, share in shares.items())
        known = self.precision.short_label if self.precision else "unknown precision"
        return next(iter(shares), known)

    @property
    def explained(self) -> str:
        """The text, and why some weights are plain in a quantized model."""
        return f"{self.text}: {self.unquantized}" if self.unquantized else self.text


class LoadedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A loaded model, as the engine found it after loading.

    `step_seconds` are seconds a decode step, by the names of the candidates timed at load.
    """

    request: LoadRequest
    verified: VerifiedPrecision
    kernel: str
    device_name: str
    architecture: str
    parameters: int
    context_length: int
    has_chat_template: bool
    load_s: dict[str, float]  # seconds by activity
    memory_bytes: int  # device memory (CUDA) or resident set (CPU) after loading
    peak_bytes: int = 0  # highest memory use from the load to the end of the warm-up
    predicted_peak_bytes: int = 0  # 0 where nothing was predicted
    notes: tuple[str, ...] = ()
    floor: Floor | None = None  # None where the bytes of a step could not be counted
    step_seconds: dict[str, float] = {}
    server: ServerFacts | None = None  # None on this machine

    @property
    def mismatch(self) -> str:
        """A sentence where the real precision is not the requested one, else ""."""
        if self.verified.precision == self.request.precision or self.server is not None:
            return ""
        real = self.verified.explained
        return f"Requested {self.request.precision.label}, but really running: {real}."


class TokenRules(msgspec.Struct, frozen=True, kw_only=True):
    """What a model's files say about its tokens, by their ids.

    `eos` end a text. `suppressed` are never generated, `suppressed_first` not as the first token,
    and `forbidden` sequences not as a whole.
    """

    eos: tuple[int, ...] = ()
    suppressed: tuple[int, ...] = ()
    suppressed_first: tuple[int, ...] = ()
    forbidden: tuple[tuple[int, ...], ...] = ()


class Stamp(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is needed to reproduce an answer.

    `commit` is the Hub's, or of a folder "sha256:" and the hash of its files, "sampled:" where not
    all of their bytes had been hashed when it was loaded. `step_seconds` are seconds a decode
    step, by the names of the candidates timed at load; the decoder took the fastest.
    `disturbed_by` says what else the client's engines did meanwhile, in words that go on after
    "while": the times may be longer for it. `content_parts`: the chat template got
    the content of a message as a list of parts. `server` is where the model ran, None on this
    machine; times are then those of arrival here, network included.
    """

    model: str
    folder: str
    commit: str
    requested_precision: Precision
    verified: VerifiedPrecision
    kernel: str
    decoder: str
    device: str
    device_name: str
    threads: int
    versions: dict[str, str]
    options: GenerationOptions
    timing: Timing
    created: str  # ISO 8601, UTC
    environment: str = ""  # the name of the engine's Python, "" for the playground's own
    own_code: str = ""  # the commit whose Python code, brought by the model, ran
    step_seconds: dict[str, float] = {}
    disturbed_by: tuple[str, ...] = ()
    rules: TokenRules = TokenRules()
    content_parts: bool = False
    server: ServerFacts | None = None

    @property
    def timed_by(self) -> str:
        """Where the times were taken: "engine", or "arrival" here, network included."""
        return "engine" if self.server is None else "arrival"

    @property
    def decoder_text(self) -> str:
        """The decoder, and what it was timed against."""
        if len(self.step_seconds) < 2:
            return self.decoder
        timed = ", ".join(f"{name} {seconds_text(s)}" for name, s in self.step_seconds.items())
        return f"{self.decoder} (timed at load, a token: {timed})"


class TokenCount(msgspec.Struct, frozen=True):
    """How a server's tokens were counted, and how many they are; 0 where nothing told."""

    by: CountedBy
    tokens: int


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One finished (or stopped) generation.

    `times`: for each token, the seconds from sending the request until the token is ready on
    the host, less `warm_up_s`. `warm_up_s`: the one-time cost of the first text that needs a
    longer KV cache (capturing its CUDA graph); no figure includes it. `prefill_s`: from the
    start of the model's work on the prompt to the first token. `text` ends before the stop
    string; `token_ids` include its tokens. `count` is for answers of servers: their `times` are
    those of pieces of text where `per_token` is false.
    """

    text: str
    token_ids: tuple[int, ...]
    prompt_tokens: int
    times: tuple[float, ...]
    prefill_s: float
    stop_reason: str  # "length", "eos", "stop string", "cancelled", "context full", "not numbers"
    peak_memory_bytes: int
    stamp: Stamp
    reused_tokens: int = 0  # of the prompt, still in the KV cache from the last turn
    warm_up_s: float = 0.0
    count: TokenCount | None = None

    @property
    def generated_tokens(self) -> int:
        """How many tokens the answer has; 0 where a server does not tell."""
        return len(self.token_ids) if self.count is None else self.count.tokens

    @property
    def per_token(self) -> bool:
        """Whether there is a time for each token."""
        return self.generated_tokens == len(self.times)

    @property
    def read_tokens(self) -> int:
        """The prompt tokens that `prefill_s` was spent on."""
        return self.prompt_tokens - self.reused_tokens

    @property
    def ending(self) -> str:
        """Why the answer ended, in words for people: "reached the limit of 128 tokens"."""
        if self.stop_reason == "length":
            return f"reached the limit of {self.stamp.options.max_new_tokens:,} tokens"
        if self.stop_reason == "not numbers":
            advice = (
                "fp16 overflows in this model, use bf16"
                if self.stamp.verified.bytes_by_dtype.get("fp16")
                else "its weights may be damaged, check its files"
            )
            at = len(self.token_ids) + 1
            return f"the model's logits are not numbers at token {at:,}; {advice}"
        return _ENDINGS.get(self.stop_reason, self.stop_reason)


_ENDINGS = {
    "eos": "ended by the model",
    "stop string": "reached a stop string",
    "cancelled": "stopped before its end",
    "context full": "filled the model's context",
}


class CodeConsent(msgspec.Struct, frozen=True):
    """The user's agreement to run a model's code, as it is at one commit.

    `model` is a Hub id or a folder's path; `commit` is the Hub's, in a folder the beginning of
    `code`, which is the hash of the code that the user saw.
    """

    model: str
    commit: str
    code: str


MAX_CONSENTS = 200
