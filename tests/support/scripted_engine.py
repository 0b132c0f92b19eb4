"""A real engine process without a model: tokens at a set rate, and faults on demand.

It speaks the engines' protocol, so that the window's speed can be measured without a model's
load, and so that every fault can be caused on purpose.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import queue
import resource
import signal
import sys
import threading
import time
from collections.abc import Sequence

from playground.core.facts import (
    Answer,
    DeviceFacts,
    EngineFacts,
    LoadedModel,
    LoadRequest,
    Probe,
    Stamp,
    VerifiedPrecision,
)
from playground.core.floor import Floor
from playground.core.generation import RawPrompt
from playground.core.precision import Precision
from playground.core.protocol import (
    Activity,
    Alive,
    Cancel,
    Event,
    Failed,
    Finished,
    Generate,
    Hello,
    Load,
    Loaded,
    Progress,
    Quit,
    Ready,
    Started,
    Tokens,
    command_decoder,
    encode,
)
from playground.engine.wire.sender import BEAT_S
from tests.support.frames import read_messages
from tests.support.scripted_text import STYLES, piece

FAULTS = (
    "garbage",  # print text to stdout, as a library might
    "wrong-version",  # a frame whose body is no event
    "half-frame",  # the start of a frame, and the end
    "sigkill",
    "sigsegv",
    "exit",  # code 3
    "quiet-exit",  # code 0
    "close-stdout",  # and go on
    "out-of-memory",  # as an error event
    "stderr-flood",  # 8 MB
    "hang",  # ignore cancel, the end of input and SIGTERM
)
#: Activities of quantizing, which a scripted engine lacks.
_NOT_SCRIPTED = (
    Activity.MEASURING_LAYER,
    Activity.CALIBRATING,
    Activity.WRITING,
    Activity.SCORING,
)
PHASES = (*(a.name.lower() for a in Activity if a not in _NOT_SCRIPTED), "unloading")
#: Tokens sent before a fault at "generating" strikes.
TOKENS_BEFORE_FAULT = 20
BATCH_S = 0.016
#: Seconds after which a hanging engine exits, even without a client.
_HANG_S = 120.0
_LOADING = (
    Activity.READING_WEIGHTS,
    Activity.QUANTIZING,
    Activity.WARMING_UP,
    Activity.MEASURING,
)
_MODULES = 28
_PARAMETERS = 1_000_000
_CACHE_BYTES = 1_000  # a token


def scripted_command(*options: str) -> list[str]:
    """Return the command line of a scripted engine, for EngineProcess."""
    module = "tests.support.scripted_engine"
    return [sys.executable, "-X", "faulthandler", "-m", module, *options]


class ScriptedEngine:
    """The life of one scripted engine."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._args = args
        self._delays: dict[str, float] = dict(args.delay)
        self._out = os.fdopen(os.dup(1), "wb", buffering=0)
        os.dup2(2, 1)
        self._writing = threading.Lock()
        self._commands: queue.SimpleQueue[Load | Generate] = queue.SimpleQueue()
        self._cancelled = threading.Event()
        self._cancelled_id = -1
        self._hanging = False
        self._request: LoadRequest | None = None

    def run(self) -> None:
        """Serve until told to quit."""
        self._emit(Hello(pid=os.getpid()))
        threading.Thread(target=self._listen, daemon=True).start()
        threading.Thread(target=self._beat, daemon=True).start()
        self._phase(Activity.STARTING)
        self._phase(Activity.IMPORTING)
        self._emit(Ready(facts=_facts(self._args.capability)))
        while True:
            command = self._commands.get()
            if isinstance(command, Load):
                self._load(command.request)
            else:
                self._generate(command)

    def _beat(self) -> None:
        while not threading.Event().wait(BEAT_S) and not self._out.closed:
            self._emit(Alive())

    def _listen(self) -> None:
        for command in read_messages(sys.stdin.buffer, command_decoder()):
            if isinstance(command, Cancel):
                self._cancelled_id = command.request_id
                self._cancelled.set()
            elif isinstance(command, Quit):
                break
            elif isinstance(command, Load | Generate):
                self._commands.put(command)
        if self._args.at == "unloading":
            self._strike()
        if not self._hanging:
            os._exit(0)

    def _load(self, request: LoadRequest) -> None:
        self._request = request
        for activity in _LOADING:
            if not self._phase(activity):
                return
        self._emit(Loaded(model=self._loaded(request)))

    def _generate(self, command: Generate) -> None:
        args, options = self._args, command.options
        self._cancelled.clear()
        if self._cancelled_id == command.request_id:
            self._cancelled.set()
        if not self._phase(Activity.READING_PROMPT, command.request_id):
            return
        prompt = command.prompt
        prompt_text = prompt.text if isinstance(prompt, RawPrompt) else str(prompt.messages)
        prompt_tokens = max(1, len(prompt_text) // 4)
        begin = time.monotonic()
        self._emit(Started(command.request_id, prompt_tokens))
        total = min(args.tokens or options.max_new_tokens, options.max_new_tokens)
        times: list[float] = []
        texts: list[str] = []
        flushed, flush_at = 0, begin
        step = 1.0 / args.rate if args.rate else 0.0
        reason = "length" if total == options.max_new_tokens else "eos"
        while len(times) < total:
            due = begin + (len(times) + 1) * step
            if self._cancelled.wait(max(0.0, due - time.monotonic())):
                reason = "cancelled"
                break
            now = time.monotonic()
            texts.append(piece(args.text_style, len(times) + options.seed))
            times.append(now - command.sent_at)
            if now >= flush_at or len(times) == total:
                self._flush(command.request_id, flushed, texts, times)
                flushed, flush_at = len(times), now + BATCH_S
            if len(times) == TOKENS_BEFORE_FAULT and args.at == "generating":
                self._hanging = args.fault == "hang"  # before a client can react to the tokens
                self._flush(command.request_id, flushed, texts, times)
                flushed = len(times)
                if self._strike(command.request_id):
                    return
        self._flush(command.request_id, flushed, texts, times)
        answer = Answer(
            text="".join(texts),
            token_ids=tuple(range(len(times))),
            prompt_tokens=prompt_tokens,
            times=tuple(times),
            prefill_s=times[0] + command.sent_at - begin if times else 0.0,
            stop_reason=reason,
            peak_memory_bytes=_peak_bytes(),
            stamp=self._stamp(command),
        )
        self._emit(Finished(command.request_id, answer))

    def _flush(self, request: int, start: int, texts: list[str], times: list[float]) -> None:
        if len(times) > start:
            ids = tuple(range(start, len(times)))
            self._emit(Tokens(request, ids, tuple(texts[start:]), tuple(times[start:])))

    def _phase(self, activity: Activity, request_id: int | None = None) -> bool:
        """Announce a phase, wait its delay, cause its fault; return False where it failed."""
        name = activity.name.lower()
        delay = self._delays.get(name, 0.0)
        self._emit(Progress(activity, fraction=0.0 if delay else None))
        if self._args.at == name and self._strike(request_id):
            return False
        end = time.monotonic() + delay
        while (left := end - time.monotonic()) > 0:
            if request_id is not None and self._cancelled.wait(min(left, 0.05)):
                break
            if request_id is None:
                threading.Event().wait(min(left, 0.05))
            self._emit(Progress(activity, fraction=min(1.0, 1 - left / delay)))
        return True

    def _strike(self, request_id: int | None = None) -> bool:
        """Cause the fault; return True where the command failed and the engine continues."""
        match self._args.fault:
            case "garbage":
                self._out.write(b"BackendCompiler 3.1: 100%|######| 12/12 [00:01]\n")
            case "wrong-version":
                self._out.write(b"LMP1\x02\x00\x00\x00\x91\x01")
            case "half-frame":
                self._out.write(encode(Progress(Activity.GENERATING, detail="x" * 50))[:30])
                os._exit(3)
            case "sigkill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "sigsegv":
                os.kill(os.getpid(), signal.SIGSEGV)
            case "exit":
                sys.stderr.write("RuntimeError: the script says so\n")
                sys.stderr.flush()
                os._exit(3)
            case "quiet-exit":
                os._exit(0)
            case "close-stdout":
                self._out.close()
                threading.Event().wait(_HANG_S)
            case "out-of-memory":
                message = "There is not enough memory for this model."
                remedy = "Choose a smaller precision, or unload another lane."
                self._emit(Failed(message, remedy, "std::bad_alloc", request_id))
                return True
            case "stderr-flood":
                for number in range(100_000):
                    sys.stderr.write(
                        f"warning {number:06d}: this has been seen many times before, but "
                        "is repeated\n"
                    )
                sys.stderr.flush()
            case "hang":
                self._hanging = True
                threading.Event().wait(_HANG_S)
                os._exit(3)
        return False

    def _emit(self, event: Event) -> None:
        try:
            with self._writing:
                self._out.write(encode(event))
        except (OSError, ValueError):  # the client is gone, or the output was closed as a fault
            if not self._hanging:
                os._exit(0)

    def _loaded(self, request: LoadRequest) -> LoadedModel:
        return LoadedModel(
            request=request,
            verified=self._verified(request),
            kernel="scripted",
            device_name="no device",
            architecture="ScriptedEngine",
            parameters=_PARAMETERS,
            context_length=1_000_000,
            has_chat_template=True,
            load_s=dict(self._delays),
            floor=self._floor(request),
            memory_bytes=_peak_bytes(),
            notes=("A scripted engine: the text comes from a list, not from a model.",),
        )

    def _floor(self, request: LoadRequest) -> Floor | None:
        if not self._args.bandwidth:
            return None
        return Floor(
            weight_bytes=self._verified(request).weight_bytes,
            cache_bytes=_CACHE_BYTES,
            bandwidth=self._args.bandwidth,
            steady=not self._args.unsteady,
        )

    def _verified(self, request: LoadRequest) -> VerifiedPrecision:
        real = Precision(self._args.verified) if self._args.verified else request.precision
        size = int(_PARAMETERS * real.bits_per_weight / 8)
        return VerifiedPrecision(
            precision=real, modules={real.label: _MODULES}, bytes_by_dtype={"scripted": size}
        )

    def _stamp(self, command: Generate) -> Stamp:
        request = self._request or LoadRequest(
            name="scripted", folder="", commit="", precision=Precision.BF16
        )
        return Stamp(
            model=request.name,
            folder=request.folder,
            commit=request.commit,
            requested_precision=request.precision,
            verified=self._verified(request),
            kernel="scripted",
            decoder="scripted",
            device=request.device,
            device_name="no device",
            threads=1,
            versions={"python": platform.python_version()},
            options=command.options,
            timing=command.timing,
            created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        )


def _facts(capability: str) -> EngineFacts:
    probe = Probe(ok=True, detail="scripted")
    device = DeviceFacts(
        id="cpu", name="no device", total_bytes=0, free_bytes=0, capability=capability
    )
    return EngineFacts(
        python=platform.python_version(),
        devices=(device,),
        versions={},
        probes=dict.fromkeys(("bitsandbytes", "gptqmodel", "optimum"), probe),
    )


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux counts in KiB


def _delay(text: str) -> tuple[str, float]:
    phase, _, seconds = text.partition("=")
    if phase not in PHASES:
        raise argparse.ArgumentTypeError(f"{phase} is none of {', '.join(PHASES)}")
    return phase, float(seconds)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rate", type=float, default=0.0, help="tokens/s; 0: as fast as possible")
    parser.add_argument(
        "--tokens", type=int, default=0, help="end the text after this many tokens; 0: no end"
    )
    parser.add_argument("--text-style", choices=STYLES, default="prose")
    parser.add_argument(
        "--delay", type=_delay, action="append", default=[], metavar="PHASE=SECONDS"
    )
    parser.add_argument(
        "--bandwidth", type=float, default=0.0, help="bytes/s of the floor; 0: no floor"
    )
    parser.add_argument(
        "--unsteady", action="store_true", help="the bandwidth was measured on a busy machine"
    )
    parser.add_argument("--capability", default="", help="the device's, as in DeviceFacts")
    parser.add_argument("--verified", default="", help="precision that is found after loading")
    parser.add_argument("--fault", choices=FAULTS)
    parser.add_argument("--at", choices=PHASES, help="phase at whose beginning the fault strikes")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the engine."""
    args = _parser().parse_args(arguments)
    if args.fault == "hang":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    ScriptedEngine(args).run()


if __name__ == "__main__":
    main()
