"""What the window costs, and what it takes from the engines: `python -m tests.benchmarks.gui`."""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import PySide6
from PySide6.QtCore import QEventLoop, QObject, QTimer, Slot
from PySide6.QtGui import QGuiApplication

from playground.app.main import Playground, make_application
from playground.cli.options import Parser, positive
from playground.client.engine_process import EngineProcess, child_environment
from playground.client.session import Session
from playground.core.errors import PlaygroundError
from playground.core.facts import EngineFacts, LoadRequest
from playground.core.generation import GenerationOptions, RawPrompt
from playground.core.lane import LaneConfig
from playground.core.precision import Precision
from playground.core.settings import Settings, SettingsStore
from playground.core.system.machine import processor
from playground.core.trace import LatencyTrace
from playground.gui.lanes.run import RunResult
from playground.hub.local.prepare import Prepared, prepare
from tests.benchmarks import entry
from tests.benchmarks.gui_probe import Bystanders, GuiProbe, at, cpu_per_token
from tests.support.scripted_engine import scripted_command

_PROMPT = "Once upon a time"
_ROUNDS = 5
_REAL_TOKENS = 128
#: How often the session is loaded again where another decoder was the fastest.
_LOADS = 4
_SIZE = (1280, 720)  # of the window, in pixels
_PRECISIONS = (Precision.BF16, Precision.INT8, Precision.GPTQ, Precision.NF4)


@dataclass(frozen=True)
class Measure:
    """One line of the result; `target` is an upper bound, or a lower one with `at_least`.

    `doubt` says why the value may not be the window's own; it then meets and misses no target.
    """

    name: str
    value: float
    unit: str
    target: float | None = None
    at_least: bool = False
    doubt: str = ""

    @property
    def met(self) -> bool | None:
        if self.target is None or self.doubt:
            return None
        return self.value >= self.target if self.at_least else self.value <= self.target

    def line(self, width: int) -> str:
        """Return it as text, the name padded to `width`."""
        sign = "at least" if self.at_least else "at most"
        target = "" if self.target is None else f"  {sign} {self.target:g}"
        verdict = {None: "", True: "  met", False: "  MISSED"}[self.met]
        doubt = f"  NOT CERTAIN: {self.doubt}" if self.doubt else ""
        return f"{self.name:<{width}}  {self.value:9.3f} {self.unit:<8}{target}{verdict}{doubt}"


def run(args: argparse.Namespace) -> int:
    """Measure everything and print it. Raises PlaygroundError where something could not be."""
    make_application(picture_only=True)
    seconds = args.tokens / args.rate
    sys.stderr.write(f"Streaming takes about {seconds:.0f} s, the bundled model a minute more.\n")
    streamed = _stream(args.lanes, args.rate, args.tokens)
    measures = [*streamed, *against_session(_ROUNDS, _REAL_TOKENS), _torch_absent()]
    conditions = _conditions(args)
    if args.json:
        rows = [{**asdict(m), "met": m.met} for m in measures]
        sys.stdout.write(json.dumps({"conditions": conditions, "measures": rows}) + "\n")
        return 0
    width = max(len(m.name) for m in measures)
    for m in measures:
        sys.stdout.write(f"{m.line(width)}\n")
    sys.stdout.write("\nConditions: " + "; ".join(f"{k} {v}" for k, v in conditions.items()) + "\n")
    return 0


class _Run(QObject):
    """Runs the window's prompt to its end inside the event loop."""

    def __init__(self, playground: Playground) -> None:
        super().__init__()
        self._playground = playground
        self._loop = QEventLoop(self)
        self._results: list[RunResult] = []
        playground.prompt.finished.connect(self._finished)

    def wait(self) -> RunResult:
        """Press Run and wait. Raises PlaygroundError where a lane did not answer."""
        self._results.clear()
        self._playground.prompt.run()
        if self._playground.prompt.run_controller.running:
            self._loop.exec()
        if not self._results or self._results[0].failed:
            failures = [lane.state.failure for lane in self._playground.lanes.lanes]
            told = [f.message for f in failures if f is not None]
            raise PlaygroundError("The measurement failed: " + " ".join(told))
        return self._results[0]

    @Slot(object)
    def _finished(self, result: RunResult) -> None:
        self._results.append(result)
        self._loop.quit()


class _Client:
    """The same model in a session of this process, whose engine answers no window."""

    def __init__(self, options: GenerationOptions) -> None:
        self._options = options
        self._session = Session()
        self.decoder = ""

    def load(self, decoder: str) -> None:
        """Load the model until this decoder is the fastest. Raises PlaygroundError."""
        for _ in range(_LOADS):
            self.close()
            self._session = Session().__enter__()
            facts = self._session.ready()
            self._session.load(prepare(LaneConfig(), facts).request)
            self.rate()  # warms up
            if self.decoder == decoder:
                return
        raise PlaygroundError(
            f"The window's engine uses the decoder “{decoder}”, the session's “{self.decoder}”.",
            "Measure again on a machine that is less busy.",
        )

    def rate(self) -> float:
        """Return the tokens/s of one generation, by the window's own formula."""
        answer = self._session.generate(RawPrompt(_PROMPT), self._options)
        self.decoder = answer.stamp.decoder
        return LatencyTrace(answer.times).figures().decode_tok_s or 0.0

    def close(self) -> None:
        self._session.close()


def _window(lanes: Sequence[LaneConfig], tokens: int, store_folder: str) -> SettingsStore:
    store = SettingsStore(Path(store_folder) / "settings.toml")
    options = GenerationOptions(max_new_tokens=tokens, ignore_eos=True)
    store.values = Settings(
        lanes=tuple(lanes), options=options, timing="together", prompt=_PROMPT, keep_standby=False
    )
    return store


def _stream(count: int, rate: float, tokens: int) -> list[Measure]:
    """Measure scripted engines that stream into all lanes at once, with the live plot."""
    configs = [LaneConfig(precision=precision) for precision in _PRECISIONS[:count]]
    with tempfile.TemporaryDirectory() as folder:
        playground = Playground(
            _window(configs, tokens, folder),
            make_engine=lambda _: EngineProcess(scripted_command("--rate", str(rate))),
            prepare=_scripted,
            keep_settings=False,
        )
        playground.window.resize(*_SIZE)
        playground.window.show()
        _settle()
        lanes = playground.lanes.lanes
        probe = GuiProbe(
            lambda: sum(len(lane.generation.trace) for lane in lanes if lane.generation)
        )
        bystanders = Bystanders()
        probe.start()
        empty = probe.samples[0].resident
        result = _Run(playground).wait()
        probe.stop()
        busy = bystanders.doubt()
        answers = [lane.generation.answer for lane in result.answered if lane.generation]
        text = sum(len(answer.text) for answer in answers if answer)
        rates = _rates(playground)
        _close(playground)
    samples = probe.samples
    early, late = at(samples, 0.1), at(samples, 0.9)
    begin_cpu, end_cpu = cpu_per_token(samples, 0.02, 0.12), cpu_per_token(samples, 0.9, 1.0)
    grown = late.resident - early.resident
    grown_text = text * (late.tokens - early.tokens) / max(1, samples[-1].tokens)
    a_character = _text_cost()
    memory = bystanders.memory_doubt()
    return [
        Measure("memory with empty lanes", empty / 1e6, "MB", 200, doubt=memory),
        Measure("rate of each lane, as asked for", min(rates), "tok/s", doubt=busy),
        Measure("event-loop lateness p99", probe.lateness_ms(), "ms", 33, doubt=busy),
        Measure("  in the last tenth", probe.lateness_ms(late.beats), "ms", 33, doubt=busy),
        Measure("  the window's own work between two beats, p99", probe.work_ms(), "ms"),
        Measure("GUI thread", 100 * probe.cpu_share, "% core", 40),
        Measure("GUI time a token, first tenth", begin_cpu * 1e6, "µs"),
        Measure("GUI time a token, last tenth", end_cpu * 1e6, "µs"),
        Measure("  last to first", end_cpu / begin_cpu if begin_cpu else 0.0, "×", 1.1),
        Measure("memory grown, 10 % to 90 %", grown / 1e6, "MB", doubt=memory),
        Measure("  characters shown meanwhile", grown_text / 1e6, "million"),
        Measure("  memory a character", grown / grown_text if grown_text else 0.0, "bytes"),
        Measure("  memory a character in a plain Qt text", a_character, "bytes"),
    ]


def against_session(rounds: int, tokens: int) -> list[Measure]:
    """Measure the bundled model in the window and in a session without one, in turns."""
    seen: list[float] = []
    alone: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        store = _window([LaneConfig()], tokens, folder)
        playground = Playground(store, keep_settings=False)
        client = _Client(store.values.options)
        playground.window.resize(*_SIZE)
        playground.window.show()
        runner = _Run(playground)
        try:
            runner.wait()  # loads, and warms up
            client.load(_decoder(playground))
            bystanders = Bystanders()
            for number in range(rounds):
                for who in ("window", "session") if number % 2 == 0 else ("session", "window"):
                    if who == "window":
                        runner.wait()
                        seen.append(_rates(playground)[0])
                    else:
                        alone.append(client.rate())
            busy = bystanders.doubt()
        finally:
            client.close()
            _close(playground)
    return compared(seen, alone, busy)


def compared(seen: Sequence[float], alone: Sequence[float], doubt: str = "") -> list[Measure]:
    """Return the medians of both rates, and the ratio of these two medians."""
    window, session = statistics.median(seen), statistics.median(alone)
    ratio = window / session if session else 0.0
    lines = [
        Measure("bundled model, seen in the window", window, "tok/s"),
        Measure("bundled model, a session without a window", session, "tok/s"),
        Measure("  window to session", ratio, "×", 0.97, at_least=True),
    ]
    return [replace(line, doubt=doubt) for line in lines]


def _decoder(playground: Playground) -> str:
    answer = playground.lanes.presenters[0].last_answer
    return answer.stamp.decoder if answer else ""


def _text_cost() -> float:
    """Return the bytes that a character costs in a plain Qt text field."""
    command = [sys.executable, "-m", "tests.benchmarks.text_memory"]
    done = subprocess.run(
        command, capture_output=True, text=True, env=child_environment(), check=False
    )
    return float(done.stdout) if done.returncode == 0 else 0.0


def _rates(playground: Playground) -> list[float]:
    """Return the decode rates that the window's table shows, tokens/s."""
    figures = [presenter.figures()[0] for presenter in playground.lanes.presenters]
    return [figure.decode_tok_s or 0.0 for figure in figures]


def _close(playground: Playground) -> None:
    playground.window.close()
    playground.end()
    playground.window.deleteLater()


def _torch_absent() -> Measure:
    loaded = sum(name in sys.modules for name in ("torch", "transformers"))
    return Measure("torch or transformers in the window's process", loaded, "modules", 0)


def _settle() -> None:
    """Let the window be shown and drawn."""
    loop = QEventLoop()
    QTimer.singleShot(1000, loop.quit)
    loop.exec()


def _scripted(config: LaneConfig, _: EngineFacts | None) -> Prepared:
    return Prepared(LoadRequest(name="scripted", folder="", commit="", precision=config.precision))


def _conditions(args: argparse.Namespace) -> dict[str, str]:
    return {
        "processor": f"{processor().name}, {os.cpu_count()} cores",
        "load": f"{os.getloadavg()[0]:.1f} at the end",
        "system": platform.platform(),
        "Python": platform.python_version(),
        "PySide6": PySide6.__version__,
        "Qt platform": QGuiApplication.platformName(),
        "window": f"{_SIZE[0]}x{_SIZE[1]}",
        "stream": f"{args.lanes} lanes at {args.rate:g} tokens/s, {args.tokens:,} tokens each",
        "real": f"bundled model, bf16, {_REAL_TOKENS} tokens, {_ROUNDS} runs each, in turns",
    }


def _rate(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not (math.isfinite(value) and value > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return value


def arguments() -> Parser:
    """Return the parser of the benchmark's options."""
    gui = entry.parser(
        "gui",
        "Event-loop lateness, GUI thread load and memory while scripted engines stream into the "
        "window.",
    )
    gui.add_argument("--lanes", type=int, choices=(1, 2, 3, 4), default=3)
    gui.add_argument("--rate", type=_rate, default=1000.0, help="tokens/s of each lane")
    gui.add_argument("--tokens", type=positive, default=100_000, help="of each lane")
    return gui


if __name__ == "__main__":
    entry.run(arguments(), run)
